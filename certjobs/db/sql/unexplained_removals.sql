-- For each organisation with some: the open operations that would take a mentor off the website by now, which no guarded
-- pause explains and which the guard was not asked about. What a person approved is explained from here on. The rows stay
-- locked, so that what is let through or refused afterwards is what was counted here. What has become something else than it
-- is called, by the day alone, is called so from here on. only: of these mentors alone; null for all.
WITH open AS MATERIALIZED (
    SELECT q.id, q.organisation_id, q.mentor_id, q.operation, q.certification_expiry,
           certjobs_wanted(q.operation, g.website_sync, o.id IS DISTINCT FROM g.id, o.website_sync, m.status,
                           m.certification_expiry, certjobs_today(o.time_zone)) AS wanted
      FROM sync_queue q
      LEFT JOIN peer_mentors m ON m.id = q.mentor_id
      LEFT JOIN organisations o ON o.id = m.organisation_id
      LEFT JOIN organisations g ON g.id = q.organisation_id
     WHERE q.status IN ('pending', 'failed') AND NOT q.explained AND q.let_through_at IS NULL
       AND (CAST(:only AS bigint[]) IS NULL OR q.mentor_id = ANY (CAST(:only AS bigint[])))
), candidate AS MATERIALIZED (
    SELECT q.id, q.organisation_id, q.mentor_id, w.wanted,
           w.wanted = 'remove' AND EXISTS (SELECT 1 FROM approved_changes a
                                            WHERE a.job_name = :job_name AND a.mentor_id = q.mentor_id
                                              AND a.certification_expiry = coalesce(q.certification_expiry, '-infinity'))
               AS approved
      FROM open w
      JOIN sync_queue q ON q.id = w.id
     WHERE q.status IN ('pending', 'failed') AND (w.wanted = 'remove' OR w.operation = 'remove')
       FOR UPDATE OF q SKIP LOCKED
), called AS (
    -- A removal that nobody wants any more is nothing that the guard has to see: the claim drops it, or restores.
    UPDATE sync_queue q
       SET operation = coalesce(c.wanted, 'restore'), explained = c.approved
      FROM candidate c
     WHERE q.id = c.id AND (c.approved OR q.operation <> coalesce(c.wanted, 'restore'))
)
SELECT c.organisation_id,
       count(*) FILTER (WHERE c.approved) AS approved,
       coalesce(array_agg(c.id ORDER BY c.id) FILTER (WHERE NOT c.approved), '{}') AS unapproved,
       -- Other mentors of the organisation whose removal was let through of late.
       (SELECT count(DISTINCT q.mentor_id)
          FROM sync_queue q
         WHERE q.organisation_id = c.organisation_id AND q.status <> 'superseded'
           AND q.let_through_at > clock_timestamp() - CAST(:window AS interval)
           AND NOT EXISTS (SELECT 1 FROM candidate other
                            WHERE other.mentor_id = q.mentor_id AND other.wanted = 'remove')) AS recent
  FROM candidate c
 WHERE c.wanted = 'remove'
 GROUP BY c.organisation_id
 ORDER BY c.organisation_id
