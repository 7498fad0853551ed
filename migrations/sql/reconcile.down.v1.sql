DO $$
BEGIN
    EXECUTE format('REVOKE TEMPORARY ON DATABASE %I FROM certjobs_job', current_database());
EXCEPTION WHEN insufficient_privilege THEN
    RAISE NOTICE 'certjobs_job keeps TEMPORARY on this database.';
END
$$;
REVOKE SELECT (mentor_id, occurred_at, run_id) ON certification_events FROM certjobs_job;
REVOKE SELECT (entity, entity_id, occurred_at, run_id) ON roster_events FROM certjobs_job;
DROP FUNCTION certjobs_missed_nights(text[], date, date, text);
DROP FUNCTION certjobs_night_of(scheduler_run_log, text);
DROP FUNCTION certjobs_telling_ref(text);
DROP FUNCTION certjobs_telling_id(text);
DROP INDEX ix_scheduler_run_log_as_of;
DROP INDEX ix_scheduler_run_log_parent;
DROP INDEX ix_scheduler_run_log_succeeded;
DROP TABLE forecasts;
DROP TABLE alerts;
REVOKE INSERT (finding, mentor_id, certification_expiry_date, detail, done, actor, run_id) ON reconciliation_log
  FROM certjobs_job;
REVOKE UPDATE (detail, done, cleared_at) ON reconciliation_log FROM certjobs_job;
DROP INDEX ix_reconciliation_log_uncleared;
DELETE FROM reconciliation_log WHERE finding IN ('unfinished', 'missed');
ALTER TABLE reconciliation_log DROP CONSTRAINT ck_reconciliation_log_finding;
ALTER TABLE reconciliation_log ADD CONSTRAINT ck_reconciliation_log_finding
      CHECK (finding IN ('missing', 'extra', 'unknown', 'duplicate', 'stuck', 'lagging', 'warning'));
