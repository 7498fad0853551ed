-- The nights of a job, by date in a time zone, from :first to :last but not before its first run, on which no run of it began
-- that succeeded. A look into ix_scheduler_run_log_succeeded a night.
SELECT j.job_name, n.night
  FROM unnest(CAST(:jobs AS text[])) WITH ORDINALITY AS j (job_name, position)
 CROSS JOIN LATERAL (SELECT r.started_at FROM scheduler_run_log r
                      WHERE r.job_name = j.job_name
                      ORDER BY r.started_at LIMIT 1) began
 CROSS JOIN LATERAL (SELECT each::date AS night
                       FROM generate_series(
                           CAST(:first AS timestamp), CAST(:last AS timestamp), interval '1 day') AS each) n
  LEFT JOIN LATERAL (SELECT r.started_at FROM scheduler_run_log r
                      WHERE r.job_name = j.job_name AND r.status = 'succeeded'
                        AND r.started_at >= n.night::timestamp AT TIME ZONE CAST(:zone AS text)
                        AND r.started_at < (n.night + 1)::timestamp AT TIME ZONE CAST(:zone AS text)
                      LIMIT 1) good ON true
 WHERE n.night >= (began.started_at AT TIME ZONE CAST(:zone AS text))::date
   AND good.started_at IS NULL
 ORDER BY j.position, n.night
