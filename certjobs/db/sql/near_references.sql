-- References that look like one that does not exist: those that begin as it does, or end so, case aside.
SELECT m.external_ref
  FROM peer_mentors m
 WHERE m.external_ref ILIKE ANY (CAST(:patterns AS text[]))
 ORDER BY m.external_ref COLLATE "C"
 LIMIT :limit
