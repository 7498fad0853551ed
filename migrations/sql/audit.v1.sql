-- The audit is written by trigger, so that nothing bypasses it, and once per statement, so that it stays cheap.
-- certjobs says who acts, why, in which run and on which day by settings of the transaction (certjobs.actor, .reason,
-- .run_id, .today); for anyone else the login and the organisation's own clock count.

CREATE FUNCTION certjobs_setting(name text) RETURNS text
LANGUAGE sql STABLE
AS $$ SELECT nullif(current_setting('certjobs.' || name, true), '') $$;

CREATE FUNCTION certjobs_actor() RETURNS text
LANGUAGE sql STABLE
AS $$ SELECT coalesce(public.certjobs_setting('actor'), session_user::text) $$;

CREATE FUNCTION certjobs_today(time_zone text) RETURNS date
LANGUAGE sql STABLE
AS $$ SELECT coalesce(public.certjobs_setting('today')::date, (clock_timestamp() AT TIME ZONE time_zone)::date) $$;

CREATE FUNCTION certjobs_audit_status() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
BEGIN
    INSERT INTO public.mentor_status_events
           (mentor_id, event, from_status, to_status, reason, certification_expiry, effective_on, actor, run_id)
    SELECT n.id,
           CASE WHEN n.status = 'active' THEN 'reinstated'
                WHEN n.pause_reason = 'expired_cert' THEN 'expired_cert'
                ELSE 'paused' END,
           o.status, n.status, coalesce(public.certjobs_setting('reason'), n.pause_reason), n.certification_expiry,
           public.certjobs_today(g.time_zone), public.certjobs_actor(), public.certjobs_setting('run_id')::uuid
      FROM added n
      JOIN removed o ON o.id = n.id AND o.status <> n.status
      JOIN public.organisations g ON g.id = n.organisation_id;
    RETURN NULL;
END
$$;
CREATE TRIGGER certjobs_audit_status AFTER UPDATE ON peer_mentors
    REFERENCING OLD TABLE AS removed NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION certjobs_audit_status();

-- A mentor who arrives paused has a beginning too.
CREATE FUNCTION certjobs_audit_arrival() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
BEGIN
    INSERT INTO public.mentor_status_events
           (mentor_id, event, to_status, reason, certification_expiry, effective_on, actor, run_id)
    SELECT n.id, 'paused', n.status, coalesce(public.certjobs_setting('reason'), n.pause_reason),
           n.certification_expiry, public.certjobs_today(g.time_zone), public.certjobs_actor(),
           public.certjobs_setting('run_id')::uuid
      FROM added n
      JOIN public.organisations g ON g.id = n.organisation_id
     WHERE n.status = 'paused';
    RETURN NULL;
END
$$;
CREATE TRIGGER certjobs_audit_arrival AFTER INSERT ON peer_mentors
    REFERENCING NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION certjobs_audit_arrival();

-- What a certification says, without anything personal.
CREATE FUNCTION certjobs_certification_facts(external_ref text, mentor_id bigint, issued_on date, expires_on date,
                                             withdrawn_on date)
RETURNS jsonb
LANGUAGE sql STABLE
AS $$ SELECT jsonb_build_object('external_ref', external_ref, 'mentor_id', mentor_id, 'issued_on', issued_on,
                                'expires_on', expires_on, 'withdrawn_on', withdrawn_on) $$;

CREATE FUNCTION certjobs_audit_certifications_added() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
BEGIN
    INSERT INTO public.certification_events (certification_id, mentor_id, event, after, reason, actor, run_id)
    SELECT n.id, n.mentor_id, 'added',
           public.certjobs_certification_facts(n.external_ref, n.mentor_id, n.issued_on, n.expires_on, n.withdrawn_on),
           public.certjobs_setting('reason'), public.certjobs_actor(), public.certjobs_setting('run_id')::uuid
      FROM added n;
    RETURN NULL;
END
$$;

CREATE FUNCTION certjobs_audit_certifications_changed() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
BEGIN
    INSERT INTO public.certification_events
           (certification_id, mentor_id, event, before, after, reason, actor, run_id)
    SELECT n.id, n.mentor_id,
           CASE WHEN o.withdrawn_on IS NULL AND n.withdrawn_on IS NOT NULL THEN 'withdrawn' ELSE 'changed' END,
           public.certjobs_certification_facts(o.external_ref, o.mentor_id, o.issued_on, o.expires_on, o.withdrawn_on),
           public.certjobs_certification_facts(n.external_ref, n.mentor_id, n.issued_on, n.expires_on, n.withdrawn_on),
           public.certjobs_setting('reason'), public.certjobs_actor(), public.certjobs_setting('run_id')::uuid
      FROM added n
      JOIN removed o ON o.id = n.id
     WHERE (o.mentor_id, o.external_ref, o.issued_on, o.expires_on, o.withdrawn_on)
           IS DISTINCT FROM (n.mentor_id, n.external_ref, n.issued_on, n.expires_on, n.withdrawn_on);
    RETURN NULL;
END
$$;

CREATE FUNCTION certjobs_audit_certifications_removed() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
BEGIN
    INSERT INTO public.certification_events (certification_id, mentor_id, event, before, reason, actor, run_id)
    SELECT o.id, o.mentor_id, 'removed',
           public.certjobs_certification_facts(o.external_ref, o.mentor_id, o.issued_on, o.expires_on, o.withdrawn_on),
           public.certjobs_setting('reason'), public.certjobs_actor(), public.certjobs_setting('run_id')::uuid
      FROM removed o;
    RETURN NULL;
END
$$;

CREATE TRIGGER certjobs_audit_added AFTER INSERT ON certifications
    REFERENCING NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION certjobs_audit_certifications_added();
CREATE TRIGGER certjobs_audit_changed AFTER UPDATE ON certifications
    REFERENCING OLD TABLE AS removed NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION certjobs_audit_certifications_changed();
CREATE TRIGGER certjobs_audit_removed AFTER DELETE ON certifications
    REFERENCING OLD TABLE AS removed
    FOR EACH STATEMENT EXECUTE FUNCTION certjobs_audit_certifications_removed();

-- History is added to, never rewritten, not even by the owner. Taking away what is old is retention's, a row at a time.
CREATE FUNCTION certjobs_refuse_rewriting() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp
AS $$
BEGIN
    RAISE EXCEPTION 'The audit table % is append-only: its rows are added, never changed.', TG_TABLE_NAME
          USING ERRCODE = 'restrict_violation';
END
$$;
CREATE TRIGGER certjobs_append_only BEFORE UPDATE OR TRUNCATE ON certification_events
    FOR EACH STATEMENT EXECUTE FUNCTION certjobs_refuse_rewriting();
CREATE TRIGGER certjobs_append_only BEFORE UPDATE OR TRUNCATE ON mentor_status_events
    FOR EACH STATEMENT EXECUTE FUNCTION certjobs_refuse_rewriting();
