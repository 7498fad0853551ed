-- handled: what a person decided about an operation, and why.
ALTER TABLE sync_queue ADD COLUMN handled_by text, ADD COLUMN handled_reason text, ADD COLUMN handled_at timestamptz;
CREATE INDEX ix_sync_queue_finished_at ON sync_queue USING brin (finished_at);
