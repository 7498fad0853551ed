-- What a run has in hand, and the runs that it began: notices it is sending and operations it has claimed.
WITH whose AS (
    SELECT CAST(:run_id AS uuid) AS run_id
     UNION ALL
    SELECT r.run_id FROM scheduler_run_log r WHERE r.parent_run_id = :run_id
)
SELECT 'notice' AS what, n.id, m.external_ref AS mentor_ref, n.kind, n.attempt, NULL::timestamptz AS leased_until
  FROM notifications n
  LEFT JOIN peer_mentors m ON m.id = n.mentor_id
 WHERE n.status = 'sending' AND n.claimed_by_run IN (SELECT w.run_id FROM whose w)
 UNION ALL
SELECT 'operation', q.id, coalesce(m.external_ref, q.mentor_ref), q.operation, q.attempt, q.leased_until
  FROM sync_queue q
  LEFT JOIN peer_mentors m ON m.id = q.mentor_id
 WHERE q.status = 'processing' AND q.claimed_by_run IN (SELECT w.run_id FROM whose w)
 ORDER BY what, id
