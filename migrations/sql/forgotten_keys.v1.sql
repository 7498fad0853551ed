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

-- A key is settled at the first attempt, of the address that it goes to: who was given the address of somebody who moved
-- on would else have that one's key. No job may choose a key.
CREATE FUNCTION certjobs_settle_key() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp
AS $$
BEGIN
    NEW.idempotency_key := public.certjobs_notice_key(NEW.kind, NEW.mentor_id, NEW.certification_expiry,
                                                      coalesce(NEW.threshold_day, NEW.pause_ordinal), NEW.coordinator_id);
    RETURN NEW;
END
$$;
CREATE TRIGGER certjobs_settle_key BEFORE UPDATE OF status ON notifications
    FOR EACH ROW WHEN (NEW.status = 'sending' AND OLD.attempt = 0)
    EXECUTE FUNCTION certjobs_settle_key();
