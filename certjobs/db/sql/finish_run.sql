UPDATE scheduler_run_log
   SET finished_at = clock_timestamp(), status = :status, exit_code = :exit_code, error_message = :error_message,
       counts = CAST(:counts AS jsonb)
 WHERE run_id = :run_id AND status = 'running'
