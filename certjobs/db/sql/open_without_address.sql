SELECT count(*)
  FROM notifications n
  JOIN peer_mentors m ON m.id = n.mentor_id
  JOIN organisations o ON o.id = m.organisation_id
 WHERE n.kind = 'pause'
   AND n.status IN ('pending', 'failed')
   AND n.coordinator_id IS NULL
   AND o.fallback_address IS NULL
