-- Notices whose sender's run is over and did not say how the sending went; and those that became 'unknown' in a run that
-- was killed before it could tell anybody.
SELECT n.id
  FROM notifications n
 WHERE n.kind = ANY (CAST(:kinds AS text[]))
   AND (n.status = 'sending'
        AND NOT EXISTS (SELECT 1 FROM scheduler_run_log r WHERE r.run_id = n.claimed_by_run AND r.status = 'running')
        OR n.status = 'unknown'
        AND EXISTS (SELECT 1 FROM scheduler_run_log r
                     WHERE r.run_id = n.claimed_by_run AND r.status = 'abandoned'))
 ORDER BY n.id
