-- Of each job: its first run, its last that succeeded, its last, and the last that came to count. Each is a look into
-- ix_scheduler_run_log_job or ix_scheduler_run_log_succeeded, however long the log is.
SELECT j.job_name,
       first.started_at AS first_started_at,
       good.run_id AS succeeded_run_id, good.started_at AS succeeded_started_at, good.finished_at AS succeeded_finished_at,
       last.run_id, last.started_at, last.finished_at, last.status, last.exit_code, last.error_message,
       counted.run_id AS counted_run_id, counted.started_at AS counted_started_at, counted.counts
  FROM unnest(CAST(:jobs AS text[])) WITH ORDINALITY AS j (job_name, position)
  LEFT JOIN LATERAL (SELECT r.started_at FROM scheduler_run_log r
                      WHERE r.job_name = j.job_name
                      ORDER BY r.started_at LIMIT 1) first ON true
  LEFT JOIN LATERAL (SELECT r.run_id, r.started_at, r.finished_at FROM scheduler_run_log r
                      WHERE r.job_name = j.job_name AND r.status = 'succeeded'
                      ORDER BY r.started_at DESC LIMIT 1) good ON true
  LEFT JOIN LATERAL (SELECT r.run_id, r.started_at, r.finished_at, r.status, r.exit_code, r.error_message
                       FROM scheduler_run_log r
                      WHERE r.job_name = j.job_name
                      ORDER BY r.started_at DESC LIMIT 1) last ON true
  LEFT JOIN LATERAL (SELECT r.run_id, r.started_at, r.counts FROM scheduler_run_log r
                      WHERE r.job_name = j.job_name AND r.status <> 'running'
                        AND r.counts - 'abandoned_found' <> '{}'::jsonb
                      ORDER BY r.started_at DESC LIMIT 1) counted ON true
 ORDER BY j.position
