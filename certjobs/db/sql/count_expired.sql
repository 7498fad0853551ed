-- How many active mentors of an organisation are expired today, inside and outside the approved guarded sets.
SELECT count(*) FILTER (WHERE approved) AS approved,
       count(*) FILTER (WHERE NOT approved) AS unapproved
  FROM (SELECT EXISTS (SELECT 1
                         FROM guarded_set_members gm
                         JOIN guarded_sets g ON g.id = gm.guarded_set_id
                        WHERE gm.mentor_id = m.id
                          AND gm.certification_expiry = m.certification_expiry
                          AND g.job_name = :job_name
                          AND g.approved_until > clock_timestamp()) AS approved
          FROM peer_mentors m
         WHERE m.organisation_id = :organisation_id
           AND m.status = 'active'
           AND certjobs_expired(m.certification_expiry, :today)) candidates
