-- What of an entry on the website may be told and written down: a key that looks like a reference, the id that Dataverse gives.
-- Where a column is the wrong one, names and addresses stand there.
CREATE FUNCTION certjobs_telling_ref(key text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
AS $$ SELECT CASE WHEN key ~ '^[A-Za-z0-9._/-]{1,40}$' AND key ~ '[0-9]' THEN key END $$;
CREATE FUNCTION certjobs_telling_id(entry text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
AS $$ SELECT CASE WHEN entry ~ '^[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}$' THEN entry END $$;
GRANT EXECUTE ON FUNCTION certjobs_telling_ref(text), certjobs_telling_id(text) TO certjobs_job;

-- A run is of the night that it took for today or, where nobody said, of the date on which it, or the run that it is a step of,
-- began where the organisation is.
CREATE FUNCTION certjobs_night_of(p_run scheduler_run_log, p_zone text) RETURNS date
LANGUAGE sql STABLE
AS $$
    SELECT coalesce(p_run.as_of,
                    (coalesce((SELECT p.started_at FROM scheduler_run_log p WHERE p.run_id = p_run.parent_run_id),
                              p_run.started_at) AT TIME ZONE p_zone)::date)
$$;
COMMENT ON FUNCTION certjobs_night_of(scheduler_run_log, text) IS 'The night, as a date in a time zone, that a run is of.';

CREATE FUNCTION certjobs_missed_nights(p_jobs text[], p_first date, p_last date, p_zone text)
RETURNS TABLE (job_name text, night date)
LANGUAGE sql STABLE
AS $$
    -- A step begins at most a day after the night that it is of.
    SELECT j.job_name, n.night
      FROM unnest(p_jobs) WITH ORDINALITY AS j (job_name, place)
     CROSS JOIN LATERAL (SELECT certjobs_night_of(r, p_zone) AS night
                           FROM scheduler_run_log r
                          WHERE r.job_name = j.job_name
                          ORDER BY r.started_at
                          LIMIT 1) began
     CROSS JOIN LATERAL (SELECT each::date AS night
                           FROM generate_series(p_first::timestamp, p_last::timestamp, interval '1 day') AS each) n
     -- LIMIT 1: a look into an index a night, however long the log is.
      LEFT JOIN LATERAL (SELECT true AS there FROM scheduler_run_log r
                          WHERE r.job_name = j.job_name AND r.status = 'succeeded' AND r.as_of IS NULL
                            AND r.started_at >= n.night::timestamp AT TIME ZONE p_zone
                            AND r.started_at < (n.night + 2)::timestamp AT TIME ZONE p_zone
                            AND certjobs_night_of(r, p_zone) = n.night
                          LIMIT 1) good ON true
      LEFT JOIN LATERAL (SELECT true AS there FROM scheduler_run_log r
                          WHERE r.job_name = j.job_name AND r.status = 'succeeded' AND r.as_of = n.night
                          LIMIT 1) given ON true
     WHERE n.night >= began.night AND good.there IS NULL AND given.there IS NULL
     ORDER BY j.place, n.night
$$;
COMMENT ON FUNCTION certjobs_missed_nights(text[], date, date, text) IS
    'The nights of each job, from one date to another but not before its first run, on which no run of it succeeded.';
GRANT EXECUTE ON FUNCTION certjobs_night_of(scheduler_run_log, text), certjobs_missed_nights(text[], date, date, text)
   TO certjobs_job;

GRANT INSERT (finding, mentor_id, certification_expiry_date, detail, done, actor, run_id) ON reconciliation_log
   TO certjobs_job;
GRANT UPDATE (detail, done, cleared_at) ON reconciliation_log TO certjobs_job;
GRANT SELECT ON alerts, forecasts TO certjobs_job;
GRANT INSERT (class, number, last_sent_at), UPDATE (number, last_sent_at, cleared_at) ON alerts TO certjobs_job;
GRANT INSERT (night, job_name, organisation_id, expected, members, run_id), UPDATE (expected, members, run_id, created_at)
   ON forecasts
   TO certjobs_job;
-- Whose certification or place changed, and when; not what changed.
GRANT SELECT (mentor_id, occurred_at, run_id) ON certification_events TO certjobs_job;
GRANT SELECT (entity, entity_id, occurred_at, run_id) ON roster_events TO certjobs_job;

-- What the website lists is compared in tables of the session's own. Where this login may not grant that, the database's
-- owner does: `db check` says so, and so does reconcile, which alone needs it.
DO $$
BEGIN
    EXECUTE format('GRANT TEMPORARY ON DATABASE %I TO certjobs_job', current_database());
EXCEPTION WHEN insufficient_privilege THEN
    RAISE NOTICE 'certjobs_job needs TEMPORARY on this database, which its owner grants.';
END
$$;
