-- The reference of who is gone is kept as long as the website may have to be told, and what a person wrote about that no
-- longer: whatever takes the one out takes the other with it.
CREATE FUNCTION certjobs_forget_why() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp
AS $$
BEGIN
    NEW.handled_reason := NULL;
    RETURN NEW;
END
$$;
CREATE TRIGGER certjobs_forget_why BEFORE UPDATE OF mentor_ref ON sync_queue
    FOR EACH ROW
    WHEN (OLD.mentor_ref IS NOT NULL AND NEW.mentor_ref IS NULL AND NEW.handled_reason IS NOT NULL)
    EXECUTE FUNCTION certjobs_forget_why();
