SELECT count(*)
  FROM peer_mentors m
  LEFT JOIN certifications c ON c.mentor_id = m.id
 WHERE CAST(:organisation_id AS bigint) IS NULL OR m.organisation_id = :organisation_id
