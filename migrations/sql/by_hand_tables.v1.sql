-- What `status` asks of the run log and of the notices, however many there are.
CREATE INDEX ix_scheduler_run_log_job ON scheduler_run_log (job_name, started_at DESC);
CREATE INDEX ix_notifications_dead ON notifications (id) WHERE status = 'dead';
