-- What the audit and the notices keep of an erased mentor tells of nobody: an id that leads nowhere, days, events.
-- Notices still owed have nobody to tell about any more; the website may have to be told still. The reason of the erasure
-- itself stays.
WITH notices AS (
    UPDATE notifications
       SET status = CASE WHEN status IN ('pending', 'failed') THEN 'suppressed' ELSE status END,
           last_error = CASE WHEN status IN ('pending', 'failed') THEN 'The mentor was erased.' END,
           message_id = NULL,
           handled_reason = NULL,
           -- A digest of the reference is the reference, to whoever tries them all.
           idempotency_key = CASE WHEN status = 'sending' THEN idempotency_key ELSE 'erased ' || id END
     WHERE mentor_id = :mentor_id
    RETURNING 1
), attempts AS (
    UPDATE reminder_dispatch_log SET message_id = NULL WHERE mentor_id = :mentor_id AND message_id IS NOT NULL
), operations AS (
    UPDATE sync_queue SET handled_reason = NULL WHERE mentor_id = :mentor_id AND handled_reason IS NOT NULL
), snoozes AS (
    DELETE FROM notice_snoozes WHERE mentor_id = :mentor_id
), statuses AS (
    UPDATE mentor_status_events SET reason = NULL WHERE mentor_id = :mentor_id AND reason IS NOT NULL
), certificates AS (
    UPDATE certification_events
       SET reason = NULL, before = before - 'external_ref', after = after - 'external_ref'
     WHERE certification_id IN (SELECT e.certification_id FROM certification_events e WHERE e.mentor_id = :mentor_id)
)
UPDATE roster_events
   SET reason = NULL
 WHERE entity = 'mentor' AND entity_id = :mentor_id AND event <> 'removed' AND reason IS NOT NULL
