-- Who holds which job's lock (of these jobs; null for all), and whether its database session is there. dead: what the next run
-- would find, which takes over from a session that is there as well once it has been silent for two hours.
SELECT l.job_name, l.run_id, l.holder, l.started_at, l.heartbeat_at, l.fencing_token,
       NOT certjobs_owner_is_dead(l.backend_pid, l.backend_start, clock_timestamp()) AS session_there,
       certjobs_owner_is_dead(l.backend_pid, l.backend_start, coalesce(l.heartbeat_at, l.started_at)) AS dead
  FROM job_lock l
 WHERE CAST(:jobs AS text[]) IS NULL OR l.job_name = ANY (CAST(:jobs AS text[]))
 ORDER BY l.job_name
