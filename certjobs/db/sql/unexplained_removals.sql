-- For each organisation with some: how many open operations would take a mentor off the website whom no guarded pause
-- explains, inside and outside the approved sets, decided as a claim would; up to which operation was looked.
WITH unexplained AS MATERIALIZED (
    SELECT q.id, q.mentor_id, q.organisation_id, q.certification_expiry
      FROM sync_queue q
      LEFT JOIN peer_mentors m ON m.id = q.mentor_id
      LEFT JOIN organisations o ON o.id = m.organisation_id
     WHERE q.status IN ('pending', 'failed') AND q.operation = 'remove' AND NOT q.explained
       AND q.id > :after
       AND (m.id IS NULL
            OR certjobs_listing(o.website_sync, m.status, m.certification_expiry, certjobs_today(o.time_zone))
               <> 'listed')
)
SELECT u.organisation_id,
       count(*) FILTER (WHERE a.approved) AS approved,
       count(*) FILTER (WHERE NOT a.approved) AS unapproved,
       max(u.id) AS seen
  FROM unexplained u
 CROSS JOIN LATERAL (SELECT EXISTS (SELECT 1 FROM approved_changes c
                                     WHERE c.job_name = :job_name AND c.mentor_id = u.mentor_id
                                       AND c.certification_expiry = coalesce(u.certification_expiry, '-infinity'))
                            AS approved) a
 GROUP BY u.organisation_id
 ORDER BY u.organisation_id
