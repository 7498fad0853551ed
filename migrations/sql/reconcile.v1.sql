GRANT INSERT (finding, mentor_id, certification_expiry_date, detail, done, actor, run_id) ON reconciliation_log
   TO certjobs_job;
GRANT UPDATE (detail, done, cleared_at) ON reconciliation_log TO certjobs_job;
GRANT SELECT ON alerts, forecasts TO certjobs_job;
GRANT INSERT (class, number, last_sent_at), UPDATE (number, last_sent_at, cleared_at) ON alerts TO certjobs_job;
GRANT INSERT (night, job_name, organisation_id, expected, run_id), UPDATE (expected, run_id, created_at) ON forecasts
   TO certjobs_job;
-- Whose certification or place changed, and when; not what changed.
GRANT SELECT (mentor_id, occurred_at, run_id) ON certification_events TO certjobs_job;
GRANT SELECT (entity, entity_id, occurred_at, run_id) ON roster_events TO certjobs_job;

-- What the website lists is compared in a table of the session's own. Where this role may not grant that, an administrator
-- does: nothing but reconcile needs it.
DO $$
BEGIN
    EXECUTE format('GRANT TEMPORARY ON DATABASE %I TO certjobs_job', current_database());
EXCEPTION WHEN insufficient_privilege THEN
    RAISE NOTICE 'certjobs_job needs TEMPORARY on this database, which its owner grants.';
END
$$;
