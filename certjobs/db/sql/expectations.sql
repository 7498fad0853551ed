-- Of each job with a forecast: what its latest night up to :today on which it ran was expected to do, all organisations
-- together, and what its runs of that night counted. :counts names the count that each job's forecast is about.
SELECT w.job_name, f.night, f.expected, done.number AS done
  FROM unnest(CAST(:jobs AS text[]), CAST(:counts AS text[])) WITH ORDINALITY AS w (job_name, counted, position)
 CROSS JOIN LATERAL (SELECT n.night, sum(n.expected)::bigint AS expected
                       FROM forecasts n
                      WHERE n.job_name = w.job_name AND n.night BETWEEN CAST(:today AS date) - 14 AND :today
                        AND EXISTS (SELECT 1 FROM scheduler_run_log r
                                     WHERE r.job_name = w.job_name
                                       AND (r.as_of = n.night
                                            OR r.started_at >= n.night::timestamp AT TIME ZONE CAST(:zone AS text)
                                               AND r.started_at < (n.night + 2)::timestamp
                                                                  AT TIME ZONE CAST(:zone AS text))
                                       AND certjobs_night_of(r, :zone) = n.night
                                       AND r.counts ? w.counted)
                      GROUP BY n.night
                      ORDER BY n.night DESC
                      LIMIT 1) f
 CROSS JOIN LATERAL (SELECT sum((r.counts ->> w.counted)::bigint)::bigint AS number
                       FROM scheduler_run_log r
                      WHERE r.job_name = w.job_name
                        AND (r.as_of = f.night
                             OR r.started_at >= f.night::timestamp AT TIME ZONE CAST(:zone AS text)
                                AND r.started_at < (f.night + 2)::timestamp AT TIME ZONE CAST(:zone AS text))
                        AND certjobs_night_of(r, :zone) = f.night
                        AND r.counts ? w.counted) done
 ORDER BY w.position
