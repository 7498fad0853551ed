-- Each organisation's day is asked for once. A day without end, which an application may keep, is shown as none.
WITH organisation AS MATERIALIZED (
    SELECT o.id, o.code, certjobs_today(o.time_zone) AS today FROM organisations o
)
SELECT c.external_ref AS certificate_ref, m.external_ref AS mentor_ref, o.code AS organisation, ch.name AS chapter,
       c.issued_on, CASE WHEN isfinite(c.expires_on) THEN c.expires_on END AS expires_on, c.withdrawn_on,
       CASE WHEN isfinite(ends.on_day) THEN ends.on_day END AS ends_on,
       CASE WHEN isfinite(ends.on_day) THEN certjobs_days_left(ends.on_day, o.today) END AS days_left
  FROM certifications c
  JOIN peer_mentors m ON m.id = c.mentor_id
  JOIN organisation o ON o.id = m.organisation_id
  JOIN chapters ch ON ch.id = m.chapter_id
 CROSS JOIN LATERAL (SELECT certjobs_certification_end(c.expires_on, c.withdrawn_on) AS on_day) ends
 WHERE (CAST(:ref AS text) IS NULL OR c.external_ref = :ref)
   AND (CAST(:mentor AS text) IS NULL OR m.external_ref = :mentor)
   AND (CAST(:org AS text) IS NULL OR o.code = :org)
   AND (CAST(:chapter AS text) IS NULL OR lower(ch.name) = lower(:chapter))
   AND (CAST(:within AS integer) IS NULL
        OR ends.on_day BETWEEN o.today AND o.today + CAST(:within AS integer))
 ORDER BY CASE WHEN CAST(:within AS integer) IS NOT NULL
               THEN ends.on_day END,
          m.external_ref COLLATE "C", c.issued_on, c.external_ref COLLATE "C"
 LIMIT :limit
