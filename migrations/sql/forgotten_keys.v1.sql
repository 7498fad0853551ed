-- A key derives from a mentor's reference and a coordinator's address: a digest of either is as good as it to whoever tries
-- them all. Once a notice is settled, the key of who was erased meanwhile is forgotten, whatever settled it.
CREATE FUNCTION certjobs_forget_keys() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
BEGIN
    IF NOT EXISTS (SELECT 1 FROM public.peer_mentors m WHERE m.id = NEW.mentor_id)
       OR NEW.coordinator_id IS NOT NULL
       AND NOT EXISTS (SELECT 1 FROM public.coordinators c WHERE c.id = NEW.coordinator_id) THEN
        NEW.idempotency_key := 'erased ' || NEW.id;
        NEW.message_id := NULL;
        NEW.handled_reason := NULL;
    END IF;
    RETURN NEW;
END
$$;
CREATE TRIGGER certjobs_forget_keys BEFORE UPDATE OF status ON notifications
    FOR EACH ROW
    WHEN (OLD.status IN ('pending', 'sending', 'failed') AND NEW.status NOT IN ('pending', 'sending', 'failed'))
    EXECUTE FUNCTION certjobs_forget_keys();

-- The key is settled at the first attempt, of the address that it goes to.
GRANT UPDATE (idempotency_key) ON notifications TO certjobs_job;
