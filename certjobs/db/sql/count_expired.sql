-- How many active mentors of an organisation are expired today, inside and outside the approved guarded sets.
SELECT count(*) FILTER (WHERE approved) AS approved,
       count(*) FILTER (WHERE NOT approved) AS unapproved
  FROM (SELECT EXISTS (SELECT 1 FROM approved_changes a
                    WHERE a.job_name = :job_name
                      AND a.mentor_id = m.id
                      AND a.certification_expiry = m.certification_expiry) AS approved
          FROM peer_mentors m
         WHERE m.organisation_id = :organisation_id
           AND m.status = 'active'
           AND certjobs_expired(m.certification_expiry, :today)) candidates
