-- One statement looks again and claims (rule 4). A pause is told of while it lasts: a renewal does not end it, being made
-- active again does, and then the next pause is another one; so does the end of the mentor's row. Which way a crash falls: before its commit the notice is still owed;
-- after it the notice is 'sending' and is settled by the next run.
WITH looked AS (
    SELECT n.id, m.external_ref, m.name AS mentor_name, o.code, ch.name AS chapter,
           coalesce(c.name, o.code) AS recipient_name, coalesce(c.address, o.fallback_address) AS address,
           coalesce(c.language, 'nb') AS language,
           m.status = 'paused' AND m.pause_reason = 'expired_cert'
           AND (n.certification_expiry, n.pause_ordinal) = (last.certification_expiry, last.ordinal) AS still_paused,
           CASE WHEN n.coordinator_id IS NULL
                THEN NOT EXISTS (SELECT 1 FROM coordinator_assignments a WHERE a.mentor_id = n.mentor_id)
                ELSE EXISTS (SELECT 1 FROM coordinator_assignments a
                              WHERE a.mentor_id = n.mentor_id AND a.coordinator_id = n.coordinator_id)
           END AS still_recipient
      FROM notifications n
      LEFT JOIN peer_mentors m ON m.id = n.mentor_id
      LEFT JOIN organisations o ON o.id = m.organisation_id
      LEFT JOIN chapters ch ON ch.id = m.chapter_id
      LEFT JOIN coordinators c ON c.id = n.coordinator_id
      LEFT JOIN LATERAL (SELECT e.certification_expiry,
                                count(*) OVER (PARTITION BY e.certification_expiry) AS ordinal
                           FROM mentor_status_events e
                          WHERE e.mentor_id = n.mentor_id AND e.event = 'expired_cert'
                          ORDER BY e.id DESC
                          LIMIT 1) last ON true
     WHERE n.id = :id
       AND n.status IN ('pending', 'failed')
       FOR UPDATE OF n SKIP LOCKED
), changed AS (
    UPDATE notifications n
       SET status = CASE WHEN l.still_paused AND l.still_recipient THEN 'sending' ELSE 'suppressed' END,
           attempt = n.attempt + CASE WHEN l.still_paused AND l.still_recipient THEN 1 ELSE 0 END,
           claimed_by_run = certjobs_setting('run_id')::uuid,
           last_error = CASE WHEN l.still_paused IS NOT TRUE THEN 'That pause has ended.'
                             WHEN NOT l.still_recipient THEN 'No longer the coordinator of this mentor.' END
      FROM looked l
     WHERE n.id = l.id
       AND (l.address IS NOT NULL OR (l.still_paused AND l.still_recipient) IS NOT TRUE)
    RETURNING n.id, n.kind, n.idempotency_key, n.attempt, n.status, n.certification_expiry
)
SELECT ch.id, ch.kind, ch.idempotency_key, ch.attempt, l.external_ref AS mentor_ref, l.mentor_name,
       l.code AS organisation, l.chapter, ch.certification_expiry, l.recipient_name,
       l.address AS recipient_address, l.language
  FROM changed ch
  JOIN looked l ON l.id = ch.id
 WHERE ch.status = 'sending'
