-- The session that writes the row stands for the run being alive.
INSERT INTO scheduler_run_log (run_id, job_name, parent_run_id, trigger, as_of, host, version, actor, reason, backend_pid,
                               backend_start, heartbeat_at)
VALUES (:run_id, :job_name, :parent_run_id, :trigger, :as_of, :host, :version, :actor, :reason, pg_backend_pid(),
        certjobs_session_start(), clock_timestamp())
