-- Each organisation's day is asked for once. A day without end, which an application may keep, is shown as none.
WITH organisation AS MATERIALIZED (
    SELECT o.id, o.code, certjobs_today(o.time_zone) AS today FROM organisations o
)
SELECT m.external_ref AS mentor_ref, m.name, o.code AS organisation, ch.name AS chapter, m.status, m.pause_reason,
       CASE WHEN isfinite(m.certification_expiry) THEN m.certification_expiry END AS certification_expiry,
       CASE WHEN isfinite(m.certification_expiry)
            THEN certjobs_days_left(m.certification_expiry, o.today) END AS days_left
  FROM peer_mentors m
  JOIN organisation o ON o.id = m.organisation_id
  JOIN chapters ch ON ch.id = m.chapter_id
 WHERE (CAST(:org AS text) IS NULL OR o.code = :org)
   AND (CAST(:chapter AS text) IS NULL OR lower(ch.name) = lower(:chapter))
   AND (CAST(:status AS text) IS NULL OR m.status = :status)
   AND (CAST(:within AS integer) IS NULL
        OR m.certification_expiry BETWEEN o.today AND o.today + CAST(:within AS integer))
   AND (NOT CAST(:expired AS boolean) OR certjobs_expired(m.certification_expiry, o.today))
   AND (NOT CAST(:ready AS boolean)
        OR (m.status = 'paused' AND m.pause_reason = 'expired_cert'
            AND NOT certjobs_expired(m.certification_expiry, o.today)))
   AND (NOT CAST(:without_coordinator AS boolean)
        OR NOT EXISTS (SELECT 1 FROM coordinator_assignments a WHERE a.mentor_id = m.id))
 ORDER BY CASE WHEN CAST(:within AS integer) IS NOT NULL THEN m.certification_expiry END, m.external_ref COLLATE "C"
 LIMIT :limit
