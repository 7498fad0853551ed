-- References that look like one that does not exist: those of some that there are, and its neighbours in the order of the index.
SELECT m.external_ref FROM peer_mentors m WHERE m.external_ref = ANY (CAST(:candidates AS text[]))
 UNION
(SELECT m.external_ref FROM peer_mentors m WHERE m.external_ref > :ref ORDER BY m.external_ref LIMIT :limit)
 UNION
(SELECT m.external_ref FROM peer_mentors m WHERE m.external_ref < :ref ORDER BY m.external_ref DESC LIMIT :limit)
