-- Record the thresholds that expiry has overtaken as superseded, for who is expired and still active and who was paused
-- for it since the last run that looked, and close the reminders of expired certifications that are still owed.
WITH expired AS MATERIALIZED (
    SELECT m.id, m.certification_expiry AS expiry
      FROM peer_mentors m
     WHERE m.organisation_id = :organisation_id
       AND m.status = 'active'
       AND certjobs_expired(m.certification_expiry, :today)
     UNION
    SELECT m.id, m.certification_expiry
      FROM mentor_status_events e
      JOIN peer_mentors m ON m.id = e.mentor_id AND m.certification_expiry = e.certification_expiry
     WHERE e.event = 'expired_cert'
       AND e.occurred_at >= :since
       AND m.organisation_id = :organisation_id
       AND certjobs_expired(m.certification_expiry, :today)
), overtaken AS (
    INSERT INTO cert_expiry_reminders (certification_expiry, mentor_id, threshold_day, status, decided_on, run_id)
    SELECT x.expiry, x.id, t.day, 'superseded', :today, certjobs_setting('run_id')::uuid
      FROM expired x
     CROSS JOIN unnest(CAST(:thresholds AS integer[])) AS t (day)
        ON CONFLICT DO NOTHING
    RETURNING 1
), closed AS (
    UPDATE notifications n
       SET status = 'superseded', last_error = 'The certification has expired.',
           claimed_by_run = certjobs_setting('run_id')::uuid
     WHERE n.kind = 'reminder'
       AND n.status IN ('pending', 'failed')
       AND n.certification_expiry < :today
       AND EXISTS (SELECT 1 FROM peer_mentors m
                    WHERE m.id = n.mentor_id AND m.organisation_id = :organisation_id
                      AND m.certification_expiry = n.certification_expiry)
    RETURNING 1
)
SELECT (SELECT count(*) FROM overtaken) AS overtaken, (SELECT count(*) FROM closed) AS closed
