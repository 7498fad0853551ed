SELECT m.external_ref AS mentor_ref, c.address AS coordinator, z.threshold_day, z.until, z.reason, z.actor
  FROM notice_snoozes z
  JOIN peer_mentors m ON m.id = z.mentor_id
  JOIN organisations o ON o.id = m.organisation_id
  JOIN coordinators c ON c.id = z.coordinator_id
 WHERE z.until > certjobs_today(o.time_zone)
 ORDER BY z.until, m.external_ref COLLATE "C", c.address COLLATE "C", z.threshold_day
 LIMIT :limit
