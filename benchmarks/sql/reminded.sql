-- What the nights before have left behind, on each of :nights nights :apart days apart from :first on: whoever expires
-- within 30 days was reminded, all but the :due of each night. The history is as long as the roster is large.
SET session_replication_role = replica;
SET work_mem = '256MB';
INSERT INTO cert_expiry_reminders (certification_expiry, mentor_id, threshold_day, status, recipients, decided_on)
SELECT m.certification_expiry, m.id, t.day, 'due', 2, m.certification_expiry - t.day
  FROM peer_mentors m
 CROSS JOIN LATERAL (SELECT (m.certification_expiry - date :'first') % :apart AS days_left,
                            substr(m.external_ref, 3)::integer AS i) x
  JOIN unnest(ARRAY[30, 14, 7]) AS t (day) ON x.days_left <= t.day
 WHERE m.status = 'active'
   AND m.certification_expiry >= :'first'
   AND m.certification_expiry < date :'first' + :nights * :apart
   AND NOT (x.i % :step = 0 AND x.i / :step < :due * :nights)
 ORDER BY m.certification_expiry - t.day;
INSERT INTO notifications
       (kind, mentor_id, certification_expiry, threshold_day, coordinator_id, idempotency_key, status, sent_at)
SELECT 'reminder', r.mentor_id, r.certification_expiry, r.threshold_day, a.coordinator_id,
       r.mentor_id || ' ' || r.certification_expiry || ' ' || r.threshold_day || ' ' || a.coordinator_id, 'sent', r.decided_on
  FROM cert_expiry_reminders r
  JOIN coordinator_assignments a ON a.mentor_id = r.mentor_id
 ORDER BY r.decided_on;
VACUUM (ANALYZE);
CHECKPOINT;
