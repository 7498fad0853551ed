-- Pause notices still owed, and those of them that have nobody to go to: no coordinator, no fallback address.
SELECT count(*) AS open,
       count(*) FILTER (WHERE n.status <> 'sending' AND n.coordinator_id IS NULL AND o.fallback_address IS NULL) AS nobody
  FROM notifications n
  JOIN peer_mentors m ON m.id = n.mentor_id
  JOIN organisations o ON o.id = m.organisation_id
 WHERE n.kind = 'pause'
   AND n.status IN ('pending', 'sending', 'failed')
   AND (CAST(:organisation_id AS bigint) IS NULL OR m.organisation_id = :organisation_id)
