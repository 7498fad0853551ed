-- Reasons are people's words and may name someone; the one for the removal stays.
UPDATE roster_events
   SET reason = NULL
 WHERE entity = 'coordinator' AND entity_id = :coordinator_id AND event <> 'removed' AND reason IS NOT NULL
