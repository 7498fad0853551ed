-- Whoever changes a mentor locks the row and then what is queued about them: so does whoever decides about that by hand.
SELECT m.id
  FROM peer_mentors m
 WHERE m.id IN (SELECT q.mentor_id FROM sync_queue q WHERE q.id = ANY (CAST(:ids AS bigint[])))
 ORDER BY m.id
   FOR NO KEY UPDATE
