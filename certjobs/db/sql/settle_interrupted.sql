-- A notice in 'sending' whose run is over was cut short: nobody recorded how the sending went. Where the same channel
-- drops repeated keys it is owed again, under the same key; else nobody knows. One that became 'unknown' in a run that
-- was killed before it could say so is this run's to tell.
WITH mine AS MATERIALIZED (
    SELECT n.id FROM notifications n
     WHERE n.id = ANY (CAST(:ids AS bigint[])) AND n.status IN ('sending', 'unknown')
       FOR UPDATE SKIP LOCKED
), cut_short AS (
    UPDATE notifications n
       SET status = CASE WHEN n.status = 'sending' AND n.channel = :channel AND CAST(:honours_keys AS boolean)
                         THEN 'pending' ELSE 'unknown' END,
           claimed_by_run = certjobs_setting('run_id')::uuid,
           last_error = 'The process ended while this notice was being sent.'
     WHERE n.id IN (SELECT m.id FROM mine m)
       AND NOT EXISTS (SELECT 1 FROM scheduler_run_log r WHERE r.run_id = n.claimed_by_run AND r.status = 'running')
    RETURNING n.id, n.kind, n.mentor_id, n.threshold_day, n.certification_expiry, n.coordinator_id, n.attempt, n.channel,
              n.message_id, n.last_error, n.status
), logged AS (
    INSERT INTO reminder_dispatch_log (notification_id, run_id, kind, mentor_id, threshold_day, certification_expiry,
                                       coordinator_id, attempt, channel, outcome, message_id, error)
    SELECT c.id, certjobs_setting('run_id')::uuid, c.kind, c.mentor_id, c.threshold_day, c.certification_expiry,
           c.coordinator_id, c.attempt, c.channel, CASE c.status WHEN 'unknown' THEN 'unknown' ELSE 'interrupted' END,
           c.message_id, c.last_error
      FROM cut_short c
        ON CONFLICT DO NOTHING
)
SELECT count(*) FILTER (WHERE status = 'unknown') FROM cut_short
