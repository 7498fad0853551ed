-- A roster of :mentors mentors in 400 chapters with two coordinators each. For each of :nights nights, the first on
-- :first and the others :apart days apart, it has :due who expire as many days later as one of :ahead says, scattered
-- over the table; all others expire in the 1000 days from :others on. One in 500 was never certified, one in ten paused.
SET session_replication_role = replica;
SET work_mem = '256MB';
INSERT INTO chapters (organisation_id, name)
SELECT o.id, 'Lag ' || i FROM organisations o, generate_series(0, 399) i WHERE o.code = 'HLF';
INSERT INTO coordinators (address, name) SELECT 'k' || i || '@example.org', 'Koordinator ' || i FROM generate_series(0, 1999) i;
INSERT INTO peer_mentors (external_ref, name, organisation_id, chapter_id, status, pause_reason, certification_expiry)
SELECT 'M-' || i, 'Mentor ' || i, first.organisation_id, first.id + i % 400,
       CASE WHEN i % 10 = 3 AND due.nth IS NULL THEN 'paused' ELSE 'active' END,
       CASE WHEN i % 10 = 3 AND due.nth IS NULL THEN 'on leave' END,
       CASE WHEN due.nth IS NOT NULL
            THEN date :'first' + due.nth % :nights * :apart
                 + (ARRAY[:ahead])[1 + due.nth / :nights % cardinality(ARRAY[:ahead])]
            WHEN i % 500 = 1 THEN NULL
            ELSE date :'others' + i % 1000 END
  FROM generate_series(0, :mentors - 1) i
 CROSS JOIN LATERAL (SELECT CASE WHEN i % :step = 0 AND i / :step < :due * :nights THEN i / :step END AS nth) due
 CROSS JOIN (SELECT min(id) AS id, min(organisation_id) AS organisation_id FROM chapters) first;
-- Two certifications each, the present one and the one before, lying in the table as they were issued.
INSERT INTO certifications (external_ref, mentor_id, issued_on, expires_on)
SELECT 'C-' || id || '-' || nth, id, certification_expiry - 730 * (nth + 1), certification_expiry - 730 * nth
  FROM peer_mentors, generate_series(0, 1) nth
 WHERE certification_expiry IS NOT NULL
 ORDER BY certification_expiry - 730 * nth;
INSERT INTO coordinator_assignments (mentor_id, coordinator_id)
SELECT m.id, k.id
  FROM peer_mentors m, (SELECT min(id) AS id FROM coordinators) first, generate_series(0, 1) second
 CROSS JOIN LATERAL (SELECT first.id + (m.id + second * 997) % 2000 AS id) k;
VACUUM (ANALYZE);
CHECKPOINT;
