-- What a person approved is what was refused: nothing is added to a set while its approval lasts.
CREATE FUNCTION certjobs_keep_approved_set() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
BEGIN
    IF EXISTS (SELECT 1 FROM added a
                 JOIN public.guarded_sets g ON g.id = a.guarded_set_id
                WHERE g.approved_until > clock_timestamp()) THEN
        RAISE EXCEPTION 'Nothing is added to a guarded set that is approved.' USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NULL;
END
$$;
CREATE TRIGGER certjobs_keep_approved_set AFTER INSERT ON guarded_set_members
    REFERENCING NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION certjobs_keep_approved_set();
