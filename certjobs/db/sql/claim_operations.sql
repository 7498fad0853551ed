-- Take the next operations under way, a lease each, and decide from the rule at this moment what each asks of the portal
-- (rule 7). Nobody takes two operations of one mentor at once, nor one that came after another that is under way. What
-- takes somebody off the website and was neither explained nor let through by the guard stays where it is; so does what is
-- the opposite of a request that the portal may still be at. So many are looked at as are taken, in the order of their
-- index, for the queue may be long: by what they are called, which the guard's look keeps true, and then by the rule.
-- only: of these mentors alone, by key; null for all.
WITH next AS MATERIALIZED (
    SELECT q.id, q.mentor_id, q.mentor_ref, q.organisation_id, q.operation,
           q.explained OR q.let_through_at IS NOT NULL AS free
      FROM sync_queue q
     WHERE q.status IN ('pending', 'failed')
       AND (CAST(:only AS bigint[]) IS NULL
            OR q.id = ANY (ARRAY(SELECT theirs.id FROM sync_queue theirs
                                  WHERE theirs.mentor_id = ANY (CAST(:only AS bigint[]))
                                    AND theirs.status IN ('pending', 'failed'))))
       AND (q.not_before IS NULL OR q.not_before <= clock_timestamp())
       AND (q.explained OR q.let_through_at IS NOT NULL OR q.operation = 'restore')
       AND NOT EXISTS (SELECT 1 FROM sync_queue p WHERE p.mentor_id = q.mentor_id AND p.status = 'processing')
       AND NOT EXISTS (SELECT 1 FROM sync_queue p
                        WHERE p.mentor_id = q.mentor_id AND p.unsure_until > clock_timestamp() AND p.sent <> q.operation)
     ORDER BY q.id
     LIMIT :limit
       FOR UPDATE OF q SKIP LOCKED
), decided AS MATERIALIZED (
    SELECT n.id, n.free, coalesce(m.external_ref, n.mentor_ref) AS ref, rule.wanted,
           EXISTS (SELECT 1 FROM sync_queue p
                    WHERE p.mentor_id = n.mentor_id AND p.unsure_until > clock_timestamp() AND p.sent <> rule.wanted) AS unsure
      FROM next n
      LEFT JOIN peer_mentors m ON m.id = n.mentor_id
      LEFT JOIN organisations o ON o.id = m.organisation_id
      LEFT JOIN organisations g ON g.id = n.organisation_id
     CROSS JOIN LATERAL (SELECT certjobs_wanted(n.operation, g.website_sync, o.id IS DISTINCT FROM g.id, o.website_sync,
                                                m.status, m.certification_expiry, certjobs_today(o.time_zone)) AS wanted) rule
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
 WHERE q.id = d.id AND q.id = ANY (ARRAY(SELECT n.id FROM next n)) -- by its key, however long the queue has become
   AND (d.free OR d.wanted IS DISTINCT FROM 'remove')
   AND NOT d.unsure
RETURNING q.id, q.attempt, q.failures, d.ref, d.wanted
