-- Whom the guard keeps from being paused.
WITH candidates AS MATERIALIZED (
    SELECT m.id, m.external_ref AS ref, m.certification_expiry
      FROM peer_mentors m
     WHERE m.organisation_id = :organisation_id
       AND m.status = 'active'
       AND certjobs_expired(m.certification_expiry, :today)
       AND NOT EXISTS (SELECT 1 FROM approved_changes a
                    WHERE a.job_name = :job_name
                      AND a.mentor_id = m.id
                      AND a.certification_expiry = m.certification_expiry)
)
