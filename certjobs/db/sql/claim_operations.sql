-- Take the next operations under way, a lease each, and decide from the rule at this moment what each asks of the portal
-- (rule 7). Nobody takes two operations of one mentor at once, nor one that came after another that is under way. What
-- takes somebody off the website and was neither explained nor let through by the guard stays where it is; so does what is
-- the opposite of a request that the portal may still be at.
WITH next AS MATERIALIZED (
    SELECT q.id, coalesce(m.external_ref, q.mentor_ref) AS ref, rule.wanted
      FROM sync_queue q
      LEFT JOIN peer_mentors m ON m.id = q.mentor_id
      LEFT JOIN organisations o ON o.id = m.organisation_id
      LEFT JOIN organisations g ON g.id = q.organisation_id
     CROSS JOIN LATERAL (SELECT certjobs_wanted(q.operation, g.website_sync, o.id IS DISTINCT FROM g.id, o.website_sync,
                                                m.status, m.certification_expiry, certjobs_today(o.time_zone)) AS wanted) rule
     WHERE q.status IN ('pending', 'failed')
       AND (q.not_before IS NULL OR q.not_before <= clock_timestamp())
       AND NOT EXISTS (SELECT 1 FROM sync_queue p WHERE p.mentor_id = q.mentor_id AND p.status = 'processing')
       AND NOT EXISTS (SELECT 1 FROM sync_queue p
                        WHERE p.mentor_id = q.mentor_id AND p.unsure_until > clock_timestamp() AND p.sent <> rule.wanted)
       AND (q.explained OR q.let_through_at IS NOT NULL OR rule.wanted IS DISTINCT FROM 'remove')
     ORDER BY q.id
     LIMIT :limit
       FOR UPDATE OF q SKIP LOCKED
)
UPDATE sync_queue q
   SET status = CASE WHEN n.wanted IS NULL THEN 'superseded' ELSE 'processing' END,
       attempt = q.attempt + 1,
       sent = n.wanted,
       outcome = NULL,
       claimed_by_run = certjobs_setting('run_id')::uuid,
       leased_until = CASE WHEN n.wanted IS NOT NULL THEN clock_timestamp() + make_interval(secs => :lease) END,
       last_error = CASE WHEN n.wanted IS NULL THEN 'The organisation is not synchronised.' ELSE q.last_error END,
       finished_at = CASE WHEN n.wanted IS NULL THEN clock_timestamp() END,
       mentor_ref = CASE WHEN n.wanted IS NOT NULL THEN q.mentor_ref END
  FROM next n
 WHERE q.id = n.id AND q.id = ANY (ARRAY(SELECT t.id FROM next t)) -- by its key, however long the queue has become
RETURNING q.id, q.attempt, q.failures, n.ref, n.wanted
