-- For each organisation with some: how many mentors would be put back on the website, those whom a person approved and the
-- others. An empty website is refused whatever the number, where it is known to have shown somebody.
SELECT c.organisation_id, c.approved, c.unapproved,
       NOT EXISTS (SELECT 1 FROM listing_staging)
       AND EXISTS (SELECT 1 FROM website_listing w
                     JOIN divergences d ON d.mentor_id = w.mentor_id
                    WHERE w.listed AND d.organisation_id = c.organisation_id AND d.finding = 'missing') AS emptied
  FROM (SELECT d.organisation_id,
               count(*) FILTER (WHERE a.approved) AS approved,
               count(*) FILTER (WHERE NOT a.approved) AS unapproved
          FROM divergences d
         CROSS JOIN LATERAL (
             SELECT EXISTS (SELECT 1 FROM approved_changes a
                             WHERE a.job_name = :job_name AND a.mentor_id = d.mentor_id
                               AND a.certification_expiry = d.certification_expiry) AS approved) a
         WHERE d.finding = 'missing' AND NOT d.left_out AND NOT d.given_up
         GROUP BY d.organisation_id) c
 ORDER BY c.organisation_id
