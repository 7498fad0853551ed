SELECT m.external_ref AS mentor_ref, o.code AS organisation, ch.name AS chapter, r.certification_expiry,
       certjobs_days_left(r.certification_expiry, r.decided_on) AS days_left, r.threshold_day, r.recipients AS notices
  FROM cert_expiry_reminders r
  JOIN peer_mentors m ON m.id = r.mentor_id
  JOIN organisations o ON o.id = m.organisation_id
  JOIN chapters ch ON ch.id = m.chapter_id
 WHERE r.run_id = :run_id AND r.status = 'due'
 ORDER BY r.threshold_day, r.certification_expiry, m.external_ref COLLATE "C"
 LIMIT :limit
