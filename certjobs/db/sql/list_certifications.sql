SELECT c.external_ref AS certificate_ref, m.external_ref AS mentor_ref, o.code AS organisation, ch.name AS chapter,
       c.issued_on, c.expires_on, c.withdrawn_on,
       certjobs_certification_end(c.expires_on, c.withdrawn_on) AS ends_on,
       certjobs_days_left(certjobs_certification_end(c.expires_on, c.withdrawn_on), day.today) AS days_left
  FROM certifications c
  JOIN peer_mentors m ON m.id = c.mentor_id
  JOIN organisations o ON o.id = m.organisation_id
  JOIN chapters ch ON ch.id = m.chapter_id
 CROSS JOIN LATERAL (SELECT certjobs_today(o.time_zone) AS today) day
 WHERE (CAST(:ref AS text) IS NULL OR c.external_ref = :ref)
   AND (CAST(:mentor AS text) IS NULL OR m.external_ref = :mentor)
   AND (CAST(:org AS text) IS NULL OR o.code = :org)
   AND (CAST(:chapter AS text) IS NULL OR lower(ch.name) = lower(:chapter))
   AND (CAST(:within AS integer) IS NULL
        OR certjobs_days_left(certjobs_certification_end(c.expires_on, c.withdrawn_on), day.today)
           BETWEEN 0 AND CAST(:within AS integer))
 ORDER BY CASE WHEN CAST(:within AS integer) IS NOT NULL
               THEN certjobs_certification_end(c.expires_on, c.withdrawn_on) END,
          m.external_ref COLLATE "C", c.issued_on, c.external_ref COLLATE "C"
 LIMIT :limit
