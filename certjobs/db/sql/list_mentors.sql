SELECT m.external_ref AS mentor_ref, m.name, o.code AS organisation, ch.name AS chapter, m.status, m.pause_reason,
       m.certification_expiry, certjobs_days_left(m.certification_expiry, day.today) AS days_left
  FROM peer_mentors m
  JOIN organisations o ON o.id = m.organisation_id
  JOIN chapters ch ON ch.id = m.chapter_id
 CROSS JOIN LATERAL (SELECT certjobs_today(o.time_zone) AS today) day
 WHERE (CAST(:org AS text) IS NULL OR o.code = :org)
   AND (CAST(:chapter AS text) IS NULL OR lower(ch.name) = lower(:chapter))
   AND (CAST(:status AS text) IS NULL OR m.status = :status)
   AND (CAST(:within AS integer) IS NULL
        OR certjobs_days_left(m.certification_expiry, day.today) BETWEEN 0 AND CAST(:within AS integer))
   AND (NOT CAST(:expired AS boolean) OR certjobs_expired(m.certification_expiry, day.today))
   AND (NOT CAST(:ready AS boolean)
        OR (m.status = 'paused' AND m.pause_reason = 'expired_cert'
            AND certjobs_days_left(m.certification_expiry, day.today) >= 0))
   AND (NOT CAST(:without_coordinator AS boolean)
        OR NOT EXISTS (SELECT 1 FROM coordinator_assignments a WHERE a.mentor_id = m.id))
 ORDER BY CASE WHEN CAST(:within AS integer) IS NOT NULL THEN m.certification_expiry END, m.external_ref COLLATE "C"
 LIMIT :limit
