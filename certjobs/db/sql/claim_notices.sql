-- One statement looks at notices again and claims them (rule 4). A pause is told of while it lasts: a renewal does not
-- end it, being made active again does, and then the next pause is another one; so does the end of the mentor's row. A
-- reminder is of one expiry date of an active mentor, and of the smallest threshold that was reached. Which way a crash
-- falls: before its commit a notice is still owed; after it the notice is 'sending', under a key that is fixed by then,
-- and is settled by the next run.
WITH day AS (
    SELECT d.organisation_id, d.today
      FROM unnest(CAST(:organisation_ids AS bigint[]), CAST(:todays AS date[])) AS d (organisation_id, today)
), looked AS MATERIALIZED (
    SELECT n.id, n.threshold_day, n.certification_expiry, m.external_ref, m.name AS mentor_name, o.code,
           ch.name AS chapter, day.today, coalesce(c.name, o.code) AS recipient_name,
           coalesce(c.address, o.fallback_address) AS address, coalesce(c.language, 'nb') AS language,
           -- As the trigger settles it at the first attempt.
           CASE WHEN n.attempt = 0 AND m.id IS NOT NULL
                THEN certjobs_notice_digest(n.kind, m.external_ref, n.certification_expiry,
                                            coalesce(n.threshold_day, n.pause_ordinal), c.address)
                ELSE n.idempotency_key END AS idempotency_key,
           CASE WHEN n.attempt = 0 THEN 0
                ELSE (SELECT count(*) FROM reminder_dispatch_log l
                       WHERE l.notification_id = n.id AND l.outcome = 'failed') END AS failures,
           CASE
               WHEN m.id IS NULL THEN 'The mentor is no longer there.'
               WHEN n.kind = 'pause'
                    AND (m.status = 'paused' AND m.pause_reason = 'expired_cert'
                         AND (n.certification_expiry, n.pause_ordinal) = (last.certification_expiry, last.ordinal))
                        IS NOT TRUE
                    THEN 'That pause has ended.'
               WHEN n.kind = 'reminder' AND NOT o.remind THEN 'The organisation no longer reminds.'
               WHEN n.kind = 'reminder' AND m.status <> 'active' THEN 'The mentor is not active.'
               WHEN n.kind = 'reminder' AND m.certification_expiry IS DISTINCT FROM n.certification_expiry
                    THEN 'The certification has another expiry date.'
               WHEN n.coordinator_id IS NULL
                    AND EXISTS (SELECT 1 FROM coordinator_assignments a WHERE a.mentor_id = n.mentor_id)
                    OR n.coordinator_id IS NOT NULL
                    AND NOT EXISTS (SELECT 1 FROM coordinator_assignments a
                                     WHERE a.mentor_id = n.mentor_id AND a.coordinator_id = n.coordinator_id)
                    THEN 'No longer the coordinator of this mentor.'
           END AS suppressed,
           CASE
               WHEN n.kind = 'reminder' AND certjobs_expired(m.certification_expiry, day.today)
                    THEN 'The certification has expired.'
               WHEN n.kind = 'reminder'
                    AND EXISTS (SELECT 1 FROM cert_expiry_reminders r
                                 WHERE r.certification_expiry = n.certification_expiry AND r.mentor_id = n.mentor_id
                                   AND r.threshold_day < n.threshold_day)
                    THEN 'A later reminder has taken its place.'
           END AS overtaken
      FROM notifications n
      LEFT JOIN peer_mentors m ON m.id = n.mentor_id
      LEFT JOIN organisations o ON o.id = m.organisation_id
      LEFT JOIN chapters ch ON ch.id = m.chapter_id
      LEFT JOIN coordinators c ON c.id = n.coordinator_id
      LEFT JOIN day ON day.organisation_id = m.organisation_id
      LEFT JOIN LATERAL (SELECT e.certification_expiry,
                                count(*) OVER (PARTITION BY e.certification_expiry) AS ordinal
                           FROM mentor_status_events e
                          WHERE n.kind = 'pause' AND e.mentor_id = n.mentor_id AND e.event = 'expired_cert'
                          ORDER BY e.id DESC
                          LIMIT 1) last ON true
     WHERE n.id = ANY (CAST(:ids AS bigint[]))
       AND n.status IN ('pending', 'failed')
       AND coalesce(n.not_before, '-infinity') <= clock_timestamp()
       AND (m.id IS NULL OR day.organisation_id IS NOT NULL)
       AND NOT EXISTS (SELECT 1 FROM notice_snoozes z
                        WHERE z.mentor_id = n.mentor_id AND z.coordinator_id = n.coordinator_id
                          AND z.threshold_day = n.threshold_day AND z.until > day.today)
     ORDER BY n.id
       FOR UPDATE OF n SKIP LOCKED
), becomes AS MATERIALIZED (
    SELECT l.*, l.suppressed IS NOT DISTINCT FROM 'No longer the coordinator of this mentor.' AS replaced,
           CASE WHEN l.suppressed IS NOT NULL THEN 'suppressed'
                WHEN l.overtaken IS NOT NULL THEN 'superseded'
                WHEN l.address IS NOT NULL THEN 'sending' END AS status
      FROM looked l
), gathered AS MATERIALIZED (
    SELECT b.address, b.today,
           encode(sha256(convert_to(string_agg(b.idempotency_key, E'\n' ORDER BY b.idempotency_key), 'UTF8')), 'hex') AS key
      FROM becomes b
     WHERE b.status = 'sending' AND CAST(:gathers AS boolean)
     GROUP BY b.address, b.today
), changed AS (
    UPDATE notifications n
       SET status = b.status,
           attempt = n.attempt + CASE WHEN b.status = 'sending' THEN 1 ELSE 0 END,
           claimed_by_run = certjobs_setting('run_id')::uuid,
           channel = CASE WHEN b.status = 'sending' THEN :channel ELSE n.channel END,
           message_id = CASE WHEN b.status = 'sending' THEN coalesce(b.key, b.idempotency_key) END,
           last_error = coalesce(b.suppressed, b.overtaken)
      FROM (SELECT b.*, g.key FROM becomes b LEFT JOIN gathered g ON (g.address, g.today) = (b.address, b.today)) b
     WHERE n.id = b.id AND b.status IS NOT NULL
    RETURNING n.status, b.replaced, n.message_id, b.today, b.recipient_name, b.address, b.language, n.id, n.kind, n.idempotency_key,
              n.attempt, b.failures, b.external_ref, b.mentor_name, b.code, b.chapter, n.certification_expiry,
              n.threshold_day
)
SELECT c.status, c.replaced, c.message_id AS key, c.today, c.recipient_name, c.address AS recipient_address, c.language, c.id, c.kind,
       c.idempotency_key, c.attempt, c.failures, c.external_ref AS mentor_ref, c.mentor_name,
       c.code AS organisation, c.chapter, c.certification_expiry, c.threshold_day, certjobs_days_left(c.certification_expiry, c.today) AS days_left
  FROM changed c
 ORDER BY c.id
