DROP TRIGGER certjobs_forget_why ON sync_queue;
DROP FUNCTION certjobs_forget_why();
DROP INDEX ix_sync_queue_finished_at;
ALTER TABLE sync_queue DROP COLUMN handled_by, DROP COLUMN handled_reason, DROP COLUMN handled_at;
