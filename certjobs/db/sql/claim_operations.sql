-- Take the next operations under way, a lease each, and decide from the rule at this moment what each asks of the portal
-- (rule 7): a mentor who is to be listed is restored, any other taken off. What is not ours is not sent, but for taking off
-- who moved away or whose row has ended. Nobody takes two operations of one mentor at once, nor one that came after
-- another that is under way. A removal that the guard has not let through stays where it is.
WITH next AS MATERIALIZED (
    SELECT q.id
      FROM sync_queue q
     WHERE q.status IN ('pending', 'failed')
       AND (q.not_before IS NULL OR q.not_before <= clock_timestamp())
       AND NOT EXISTS (SELECT 1 FROM sync_queue p WHERE p.mentor_id = q.mentor_id AND p.status = 'processing')
       AND (q.explained OR q.operation <> 'remove'
            OR q.id <= :seen AND NOT q.organisation_id = ANY (CAST(:guarded AS bigint[]))
            OR EXISTS (SELECT 1 FROM approved_changes a
                        WHERE a.job_name = :job_name AND a.mentor_id = q.mentor_id
                          AND a.certification_expiry = coalesce(q.certification_expiry, '-infinity')))
     ORDER BY q.id
     LIMIT :limit
       FOR UPDATE OF q SKIP LOCKED
), decided AS MATERIALIZED (
    SELECT q.id, coalesce(m.external_ref, q.mentor_ref) AS ref,
           CASE WHEN m.id IS NULL THEN CASE q.operation WHEN 'remove' THEN 'remove' END
                ELSE CASE certjobs_listing(o.website_sync, m.status, m.certification_expiry, certjobs_today(o.time_zone))
                         WHEN 'listed' THEN 'restore'
                         WHEN 'not listed' THEN 'remove'
                         ELSE CASE WHEN q.operation = 'remove' AND q.organisation_id <> m.organisation_id
                                   THEN 'remove' END END END AS wanted
      FROM next
      JOIN sync_queue q ON q.id = next.id
      LEFT JOIN peer_mentors m ON m.id = q.mentor_id
      LEFT JOIN organisations o ON o.id = m.organisation_id
)
UPDATE sync_queue q
   SET status = CASE WHEN d.wanted IS NULL THEN 'superseded' ELSE 'processing' END,
       attempt = q.attempt + 1,
       sent = d.wanted,
       outcome = NULL,
       claimed_by_run = certjobs_setting('run_id')::uuid,
       leased_until = CASE WHEN d.wanted IS NOT NULL THEN clock_timestamp() + make_interval(secs => :lease) END,
       last_error = CASE WHEN d.wanted IS NULL THEN 'The organisation is not synchronised.' ELSE q.last_error END,
       finished_at = CASE WHEN d.wanted IS NULL THEN clock_timestamp() END,
       mentor_ref = CASE WHEN d.wanted IS NOT NULL THEN q.mentor_ref END
  FROM decided d
 WHERE q.id = d.id
RETURNING q.id, q.attempt, q.failures, d.ref, d.wanted
