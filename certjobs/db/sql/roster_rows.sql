-- By bytes, not by a language's alphabet: the order must be the same on every server.
SELECT m.external_ref, m.name, o.code, ch.name, coalesce(k.names, '{}') AS names, coalesce(k.addresses, '{}') AS addresses,
       c.external_ref, c.issued_on::text, c.expires_on::text, c.withdrawn_on::text
  FROM peer_mentors m
  JOIN organisations o ON o.id = m.organisation_id
  JOIN chapters ch ON ch.id = m.chapter_id
  LEFT JOIN certifications c ON c.mentor_id = m.id
  LEFT JOIN LATERAL (SELECT array_agg(k.name ORDER BY k.address COLLATE "C") AS names,
                            array_agg(k.address ORDER BY k.address COLLATE "C") AS addresses
                       FROM coordinator_assignments a
                       JOIN coordinators k ON k.id = a.coordinator_id
                      WHERE a.mentor_id = m.id) k ON true
 WHERE CAST(:organisation_id AS bigint) IS NULL OR m.organisation_id = :organisation_id
 ORDER BY m.external_ref COLLATE "C", c.external_ref COLLATE "C"
