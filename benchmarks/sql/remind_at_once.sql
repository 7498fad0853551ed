-- The same work in one statement, as a person who knows the schema would write it for this night alone: no notice of a
-- larger threshold is still owed, and nobody is without coordinators.
WITH due AS MATERIALIZED (
    SELECT m.id, m.external_ref, m.certification_expiry AS expiry, nearest.threshold_day
      FROM peer_mentors m
     CROSS JOIN LATERAL (SELECT CASE WHEN m.certification_expiry <= date :'today' + 7 THEN 7
                                     WHEN m.certification_expiry <= date :'today' + 14 THEN 14
                                     ELSE 30 END AS threshold_day) nearest
     WHERE m.organisation_id = (SELECT o.id FROM organisations o WHERE o.remind)
       AND m.status = 'active'
       AND m.certification_expiry BETWEEN date :'today' AND date :'today' + 30
       AND NOT EXISTS (SELECT 1 FROM cert_expiry_reminders r
                        WHERE r.mentor_id = m.id
                          AND r.certification_expiry = m.certification_expiry
                          AND r.certification_expiry BETWEEN date :'today' AND date :'today' + 30
                          AND r.threshold_day <= nearest.threshold_day)
), decided AS (
    INSERT INTO cert_expiry_reminders (certification_expiry, mentor_id, threshold_day, status, recipients, decided_on)
    SELECT d.expiry, d.id, t.day, CASE WHEN t.day = d.threshold_day THEN 'due' ELSE 'superseded' END,
           CASE WHEN t.day = d.threshold_day THEN 2 ELSE 0 END, :'today'
      FROM due d
      JOIN (VALUES (7), (14), (30)) AS t (day) ON t.day >= d.threshold_day
        ON CONFLICT DO NOTHING
), overtaken AS (
    INSERT INTO cert_expiry_reminders (certification_expiry, mentor_id, threshold_day, status, decided_on)
    SELECT e.certification_expiry, e.mentor_id, t.day, 'superseded', :'today'
      FROM mentor_status_events e, (VALUES (7), (14), (30)) AS t (day)
     WHERE e.run_id = :'run'
       AND e.event = 'expired_cert'
        ON CONFLICT DO NOTHING
)
INSERT INTO notifications (kind, mentor_id, certification_expiry, threshold_day, coordinator_id, idempotency_key)
SELECT 'reminder', d.id, d.expiry, d.threshold_day, c.coordinator_id,
       certjobs_notice_digest('reminder', d.external_ref, d.expiry, d.threshold_day, c.address)
  FROM due d
 CROSS JOIN LATERAL (SELECT a.coordinator_id, (SELECT k.address FROM coordinators k WHERE k.id = a.coordinator_id)
                       FROM coordinator_assignments a WHERE a.mentor_id = d.id OFFSET 0) c;
