-- A notice in 'sending' whose run is over was cut short: nobody recorded how the sending went. One that became 'unknown' in
-- a run that was killed before it could say so is this run's to tell.
UPDATE notifications n
   SET status = :status, claimed_by_run = certjobs_setting('run_id')::uuid,
       last_error = 'The process ended while this notice was being sent.'
 WHERE n.kind = 'pause'
   AND (n.status = 'sending'
        AND NOT EXISTS (SELECT 1 FROM scheduler_run_log r
                         WHERE r.run_id = n.claimed_by_run AND r.status = 'running')
        OR n.status = 'unknown'
        AND EXISTS (SELECT 1 FROM scheduler_run_log r
                     WHERE r.run_id = n.claimed_by_run AND r.status = 'abandoned'))
