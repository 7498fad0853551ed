-- Takes a job's lock from an owner who is dead, with no run to take its place, and raises the fencing token past it: a row,
-- or none where the owner is not dead, where a beat has come since it was looked at, or where the lock row is in use, as it
-- is through every unit of work of its owner. The lock row first, then the run's, as every takeover takes them.
WITH held AS (
    SELECT l.job_name, l.fencing_token
      FROM job_lock l
     WHERE l.job_name = :job_name
       AND l.fencing_token = :fencing_token
       AND l.heartbeat_at IS NOT DISTINCT FROM CAST(:heartbeat_at AS timestamptz)
       AND certjobs_owner_is_dead(l.backend_pid, l.backend_start, coalesce(l.heartbeat_at, l.started_at))
       FOR UPDATE SKIP LOCKED
),
released AS (
    DELETE FROM job_lock l USING held h
     WHERE l.job_name = h.job_name AND l.fencing_token = h.fencing_token
    RETURNING l.run_id
),
ended AS (
    UPDATE scheduler_run_log r
       SET status = 'abandoned', finished_at = clock_timestamp(), error_message = :error_message
      FROM released d
     WHERE r.run_id = d.run_id AND r.status = 'running'
    RETURNING r.run_id
)
SELECT nextval('job_lock_fencing_token') AS fencing_token, EXISTS (SELECT 1 FROM ended) AS abandoned
  FROM released
