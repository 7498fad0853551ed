-- peer_mentors.certification_expiry is the latest end of a mentor's certifications.
--
-- Invariant: after any set of committed transactions it equals max(certification_end) over the mentor's rows.
-- Two transactions that add certifications for one mentor do not see each other's row. So a change first locks the
-- mentors, in id order, and computes in a second statement, whose snapshot is taken after the wait and sees what the
-- other one committed. The row is written even where the date stays: a transaction that reads by an old snapshot
-- (repeatable read) then fails to serialise, instead of computing from certifications that are gone. NO KEY UPDATE, because the foreign keys of the certifications being added hold KEY SHARE.

-- The night reads this index alone: it costs what expires, not what exists.
CREATE INDEX ix_peer_mentors_active_expiry ON peer_mentors (organisation_id, certification_expiry, id)
 WHERE status = 'active';

CREATE FUNCTION certjobs_refresh_certification_expiry(mentor_ids bigint[]) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
BEGIN
    PERFORM 1 FROM public.peer_mentors WHERE id = ANY (mentor_ids) ORDER BY id FOR NO KEY UPDATE;

    UPDATE public.peer_mentors m
       SET certification_expiry = latest.expiry
      FROM unnest(mentor_ids) AS changed (id)
     CROSS JOIN LATERAL (
           SELECT max(public.certjobs_certification_end(c.expires_on, c.withdrawn_on)) AS expiry
             FROM public.certifications c
            WHERE c.mentor_id = changed.id
           ) latest
     WHERE m.id = changed.id;
END
$$;
REVOKE ALL ON FUNCTION certjobs_refresh_certification_expiry(bigint[]) FROM PUBLIC;

CREATE FUNCTION certjobs_certifications_inserted() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
BEGIN
    PERFORM public.certjobs_refresh_certification_expiry(ARRAY(SELECT DISTINCT mentor_id FROM added));
    RETURN NULL;
END
$$;

CREATE FUNCTION certjobs_certifications_updated() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
BEGIN
    PERFORM public.certjobs_refresh_certification_expiry(
        ARRAY(SELECT mentor_id FROM removed UNION SELECT mentor_id FROM added));
    RETURN NULL;
END
$$;

CREATE FUNCTION certjobs_certifications_deleted() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
BEGIN
    PERFORM public.certjobs_refresh_certification_expiry(ARRAY(SELECT DISTINCT mentor_id FROM removed));
    RETURN NULL;
END
$$;

CREATE TRIGGER certjobs_expiry_inserted AFTER INSERT ON certifications
    REFERENCING NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION certjobs_certifications_inserted();
CREATE TRIGGER certjobs_expiry_updated AFTER UPDATE ON certifications
    REFERENCING OLD TABLE AS removed NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION certjobs_certifications_updated();
CREATE TRIGGER certjobs_expiry_deleted AFTER DELETE ON certifications
    REFERENCING OLD TABLE AS removed
    FOR EACH STATEMENT EXECUTE FUNCTION certjobs_certifications_deleted();

CREATE FUNCTION certjobs_certifications_truncated() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
BEGIN
    UPDATE public.peer_mentors SET certification_expiry = NULL WHERE certification_expiry IS NOT NULL;
    RETURN NULL;
END
$$;
CREATE TRIGGER certjobs_expiry_truncated AFTER TRUNCATE ON certifications
    FOR EACH STATEMENT EXECUTE FUNCTION certjobs_certifications_truncated();

-- An application that saves whole rows must not write an expiry of its own over the computed one. Depth 0 is a client's
-- own statement; the triggers above write at depth 1.
CREATE FUNCTION certjobs_keep_certification_expiry() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
BEGIN
    NEW.certification_expiry := (SELECT max(public.certjobs_certification_end(c.expires_on, c.withdrawn_on))
                                   FROM public.certifications c
                                  WHERE c.mentor_id = NEW.id);
    RETURN NEW;
END
$$;
CREATE TRIGGER certjobs_expiry_given BEFORE INSERT ON peer_mentors
    FOR EACH ROW WHEN (NEW.certification_expiry IS NOT NULL)
    EXECUTE FUNCTION certjobs_keep_certification_expiry();
CREATE TRIGGER certjobs_expiry_written BEFORE UPDATE OF certification_expiry ON peer_mentors
    FOR EACH ROW WHEN (pg_trigger_depth() = 0 AND NEW.certification_expiry IS DISTINCT FROM OLD.certification_expiry)
    EXECUTE FUNCTION certjobs_keep_certification_expiry();

-- A reason to be paused belongs to a paused mentor. The application's own role need not know the column.
CREATE FUNCTION certjobs_keep_pause_reason() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp
AS $$
BEGIN
    NEW.pause_reason := CASE WHEN NEW.status = 'paused' THEN coalesce(NEW.pause_reason, 'not given') END;
    RETURN NEW;
END
$$;
CREATE TRIGGER certjobs_pause_reason BEFORE INSERT OR UPDATE ON peer_mentors
    FOR EACH ROW WHEN ((NEW.status = 'paused') <> (NEW.pause_reason IS NOT NULL))
    EXECUTE FUNCTION certjobs_keep_pause_reason();

-- What was there before the triggers: every mentor, also one whose expiry has no certification behind it.
SELECT certjobs_refresh_certification_expiry(
           ARRAY(SELECT mentor_id FROM certifications
                  UNION
                 SELECT id FROM peer_mentors WHERE certification_expiry IS NOT NULL));
