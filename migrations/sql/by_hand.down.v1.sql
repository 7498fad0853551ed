DROP INDEX ix_notifications_dead;
DROP INDEX ix_scheduler_run_log_job;
DROP FUNCTION certjobs_forget(text, timestamptz, timestamptz, integer);
