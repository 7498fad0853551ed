-- A notice in 'sending' whose run is over was cut short: nobody recorded how the sending went.
UPDATE notifications n
   SET status = :status, last_error = 'The process ended while this notice was being sent.'
 WHERE n.status = 'sending'
   AND NOT EXISTS (SELECT 1 FROM scheduler_run_log r WHERE r.run_id = n.claimed_by_run AND r.status = 'running')
