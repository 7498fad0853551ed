-- The next pause notices that may be sent now. One whose mentor is gone is among them, to be suppressed when claimed.
SELECT n.id
  FROM notifications n
  LEFT JOIN peer_mentors m ON m.id = n.mentor_id
 WHERE n.id > :after
   AND n.kind = 'pause'
   AND n.status IN ('pending', 'failed')
   AND coalesce(n.not_before, '-infinity') <= clock_timestamp()
   AND (CAST(:organisation_id AS bigint) IS NULL OR m.organisation_id = :organisation_id)
 ORDER BY n.id
 LIMIT :limit
