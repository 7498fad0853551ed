SELECT k.address, k.name, k.language, count(m.id) AS mentors
  FROM coordinators k
  LEFT JOIN coordinator_assignments a ON a.coordinator_id = k.id
  LEFT JOIN peer_mentors m ON m.id = a.mentor_id
  LEFT JOIN organisations o ON o.id = m.organisation_id
  LEFT JOIN chapters ch ON ch.id = m.chapter_id
 WHERE (CAST(:mentor AS text) IS NULL OR m.external_ref = :mentor)
   AND (CAST(:org AS text) IS NULL OR o.code = :org)
   AND (CAST(:chapter AS text) IS NULL OR lower(ch.name) = lower(:chapter))
 GROUP BY k.id, k.address, k.name, k.language
HAVING NOT CAST(:without_mentors AS boolean) OR count(m.id) = 0
 ORDER BY k.address COLLATE "C"
 LIMIT :limit
