-- let_through_at: when the guard let a removal through that no pause by expiry-check and no approval explains.
-- unsure_until: a request was not answered; until then the portal may still carry out what was asked last.
ALTER TABLE sync_queue ADD COLUMN let_through_at timestamptz, ADD COLUMN unsure_until timestamptz;
-- Dropped in the migration's transaction, where it cannot be done concurrently; nobody works on the outbox meanwhile.
-- squawk-ignore require-concurrent-index-deletion
DROP INDEX ix_sync_queue_unexplained;
-- squawk-ignore require-concurrent-index-deletion
DROP INDEX ix_sync_queue_caused_by_run;
CREATE INDEX ix_sync_queue_let_through ON sync_queue (organisation_id, let_through_at) WHERE let_through_at IS NOT NULL;
CREATE INDEX ix_sync_queue_mentor_ref ON sync_queue (mentor_ref) WHERE mentor_ref IS NOT NULL;
CREATE INDEX ix_sync_queue_unsure ON sync_queue (mentor_id) WHERE unsure_until IS NOT NULL;
