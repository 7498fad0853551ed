-- Reasons are people's words and may name someone; the one for the removal stays. A digest of an address is the address,
-- to whoever tries those there are; what is still owed keeps its key, under which a channel may know it.
WITH notices AS (
    UPDATE notifications
       SET message_id = NULL, handled_reason = NULL, idempotency_key = 'erased ' || id
     WHERE coordinator_id = :coordinator_id
       AND status NOT IN ('pending', 'sending', 'failed')
), attempts AS (
    UPDATE reminder_dispatch_log SET message_id = NULL
     WHERE coordinator_id = :coordinator_id AND message_id IS NOT NULL
), snoozes AS (
    DELETE FROM notice_snoozes WHERE coordinator_id = :coordinator_id
)
UPDATE roster_events
   SET reason = NULL
 WHERE entity = 'coordinator' AND entity_id = :coordinator_id AND event <> 'removed' AND reason IS NOT NULL
