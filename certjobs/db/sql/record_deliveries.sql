-- What became of claimed notices, where they are still this attempt's to record. One that was claimed and not tried goes
-- back as if it had not been claimed; every other leaves a row of its attempt.
WITH result AS (
    SELECT r.id, r.attempt, r.outcome, r.message_id, r.error, r.rest
      FROM unnest(CAST(:ids AS bigint[]), CAST(:attempts AS integer[]), CAST(:outcomes AS text[]),
                  CAST(:message_ids AS text[]), CAST(:errors AS text[]), CAST(:rests AS double precision[]))
           AS r (id, attempt, outcome, message_id, error, rest)
), done AS (
    UPDATE notifications n
       SET status = CASE r.outcome WHEN 'sent' THEN 'sent' WHEN 'failed' THEN 'failed' WHEN 'refused' THEN 'dead'
                                   WHEN 'unknown' THEN 'unknown' ELSE 'pending' END,
           attempt = n.attempt - CASE WHEN r.outcome = 'released' THEN 1 ELSE 0 END,
           message_id = coalesce(r.message_id, n.message_id),
           last_error = r.error,
           sent_at = CASE WHEN r.outcome = 'sent' THEN clock_timestamp() ELSE n.sent_at END,
           not_before = CASE WHEN r.outcome = 'failed' THEN statement_timestamp() + make_interval(secs => r.rest)
                             ELSE n.not_before END
      FROM result r
     WHERE n.id = ANY (CAST(:ids AS bigint[])) AND n.id = r.id AND n.status = 'sending' AND n.attempt = r.attempt
    RETURNING n.id, n.kind, n.mentor_id, n.threshold_day, n.certification_expiry, n.coordinator_id, n.channel,
              n.message_id, r.attempt, r.outcome, r.error
), logged AS (
    INSERT INTO reminder_dispatch_log (notification_id, run_id, kind, mentor_id, threshold_day, certification_expiry,
                                       coordinator_id, attempt, channel, outcome, message_id, error)
    SELECT d.id, certjobs_setting('run_id')::uuid, d.kind, d.mentor_id, d.threshold_day, d.certification_expiry,
           d.coordinator_id, d.attempt, d.channel, d.outcome, d.message_id, d.error
      FROM done d
     WHERE d.outcome <> 'released'
)
SELECT d.outcome, count(*) AS number FROM done d GROUP BY d.outcome
