-- The next batch of active, expired mentors in the order of the partial index, so that a night costs what expires and
-- not what exists. A keyset, not an offset: it goes on past a mentor that could not be paused.
SELECT m.certification_expiry, m.id
  FROM peer_mentors m
 WHERE m.organisation_id = :organisation_id
   AND m.status = 'active'
   AND certjobs_expired(m.certification_expiry, :today)
   AND (m.certification_expiry, m.id)
       > (coalesce(CAST(:after_expiry AS date), '-infinity'), coalesce(CAST(:after_id AS bigint), 0))
   AND EXISTS (SELECT 1 FROM approved_changes a
                    WHERE a.job_name = :job_name
                      AND a.mentor_id = m.id
                      AND a.certification_expiry = m.certification_expiry) = :approved
 ORDER BY m.certification_expiry, m.id
 LIMIT :limit
