-- The audit of the roster. Old and new rows are joined by statements that are planned anew each time (EXECUTE): a plan
-- kept from a statement that changed nothing would join a million rows by comparing each with each.

CREATE FUNCTION certjobs_audit_organisations() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        INSERT INTO public.roster_events (entity, entity_id, event, reason, actor, run_id)
        SELECT 'organisation', n.id, 'added', public.certjobs_setting('reason'), public.certjobs_actor(),
               public.certjobs_setting('run_id')::uuid
          FROM added n;
    ELSE
        EXECUTE $statement$
        INSERT INTO public.roster_events (entity, entity_id, event, before, after, reason, actor, run_id)
        SELECT 'organisation', n.id, 'changed', public.certjobs_organisation_facts(o.*),
               public.certjobs_organisation_facts(n.*)
               || jsonb_build_object('fallback_address_changed', o.fallback_address IS DISTINCT FROM n.fallback_address),
               public.certjobs_setting('reason'), public.certjobs_actor(), public.certjobs_setting('run_id')::uuid
          FROM added n
          JOIN removed o ON o.id = n.id
         WHERE public.certjobs_organisation_facts(o.*) <> public.certjobs_organisation_facts(n.*)
            OR o.fallback_address IS DISTINCT FROM n.fallback_address
        $statement$;
    END IF;
    RETURN NULL;
END
$$;

CREATE FUNCTION certjobs_organisation_facts(o organisations) RETURNS jsonb
LANGUAGE sql STABLE
AS $$ SELECT jsonb_build_object('code', o.code, 'time_zone', o.time_zone, 'thresholds', o.thresholds,
                                'auto_pause', o.auto_pause, 'remind', o.remind, 'website_sync', o.website_sync,
                                'has_fallback_address', o.fallback_address IS NOT NULL) $$;

CREATE TRIGGER certjobs_audit_added AFTER INSERT ON organisations
    REFERENCING NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION certjobs_audit_organisations();
CREATE TRIGGER certjobs_audit_changed AFTER UPDATE ON organisations
    REFERENCING OLD TABLE AS removed NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION certjobs_audit_organisations();

CREATE FUNCTION certjobs_audit_coordinators() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        INSERT INTO public.roster_events (entity, entity_id, event, after, reason, actor, run_id)
        SELECT 'coordinator', n.id, 'added', jsonb_build_object('language', n.language),
               public.certjobs_setting('reason'), public.certjobs_actor(), public.certjobs_setting('run_id')::uuid
          FROM added n;
    ELSIF TG_OP = 'DELETE' THEN
        INSERT INTO public.roster_events (entity, entity_id, event, before, reason, actor, run_id)
        SELECT 'coordinator', o.id, 'removed', jsonb_build_object('language', o.language),
               public.certjobs_setting('reason'), public.certjobs_actor(), public.certjobs_setting('run_id')::uuid
          FROM removed o;
    ELSE
        EXECUTE $statement$
        INSERT INTO public.roster_events (entity, entity_id, event, before, after, reason, actor, run_id)
        SELECT 'coordinator', n.id, 'changed', jsonb_build_object('language', o.language),
               jsonb_build_object('language', n.language, 'name_changed', o.name <> n.name,
                                  'address_changed', o.address <> n.address),
               public.certjobs_setting('reason'), public.certjobs_actor(), public.certjobs_setting('run_id')::uuid
          FROM added n
          JOIN removed o ON o.id = n.id
         WHERE (o.name, o.address, o.language) IS DISTINCT FROM (n.name, n.address, n.language)
        $statement$;
    END IF;
    RETURN NULL;
END
$$;
CREATE TRIGGER certjobs_audit_added AFTER INSERT ON coordinators
    REFERENCING NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION certjobs_audit_coordinators();
CREATE TRIGGER certjobs_audit_changed AFTER UPDATE ON coordinators
    REFERENCING OLD TABLE AS removed NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION certjobs_audit_coordinators();
CREATE TRIGGER certjobs_audit_removed AFTER DELETE ON coordinators
    REFERENCING OLD TABLE AS removed
    FOR EACH STATEMENT EXECUTE FUNCTION certjobs_audit_coordinators();

-- One event a mentor and statement: who was assigned together stands together.
CREATE FUNCTION certjobs_audit_assignments() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
BEGIN
    IF TG_OP <> 'INSERT' THEN
        INSERT INTO public.roster_events (entity, entity_id, event, before, reason, actor, run_id)
        SELECT 'mentor', o.mentor_id, 'unassigned',
               jsonb_build_object('coordinators', jsonb_agg(o.coordinator_id ORDER BY o.coordinator_id)),
               public.certjobs_setting('reason'), public.certjobs_actor(), public.certjobs_setting('run_id')::uuid
          FROM removed o
         GROUP BY o.mentor_id;
    END IF;
    IF TG_OP <> 'DELETE' THEN
        INSERT INTO public.roster_events (entity, entity_id, event, after, reason, actor, run_id)
        SELECT 'mentor', n.mentor_id, 'assigned',
               jsonb_build_object('coordinators', jsonb_agg(n.coordinator_id ORDER BY n.coordinator_id)),
               public.certjobs_setting('reason'), public.certjobs_actor(), public.certjobs_setting('run_id')::uuid
          FROM added n
         GROUP BY n.mentor_id;
    END IF;
    RETURN NULL;
END
$$;
CREATE TRIGGER certjobs_audit_added AFTER INSERT ON coordinator_assignments
    REFERENCING NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION certjobs_audit_assignments();
CREATE TRIGGER certjobs_audit_changed AFTER UPDATE ON coordinator_assignments
    REFERENCING OLD TABLE AS removed NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION certjobs_audit_assignments();
CREATE TRIGGER certjobs_audit_removed AFTER DELETE ON coordinator_assignments
    REFERENCING OLD TABLE AS removed
    FOR EACH STATEMENT EXECUTE FUNCTION certjobs_audit_assignments();

CREATE FUNCTION certjobs_audit_departure() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
BEGIN
    INSERT INTO public.roster_events (entity, entity_id, event, before, reason, actor, run_id)
    SELECT 'mentor', o.id, 'removed',
           jsonb_build_object('organisation_id', o.organisation_id, 'chapter_id', o.chapter_id, 'status', o.status),
           public.certjobs_setting('reason'), public.certjobs_actor(), public.certjobs_setting('run_id')::uuid
      FROM removed o;
    RETURN NULL;
END
$$;
CREATE TRIGGER certjobs_audit_removed AFTER DELETE ON peer_mentors
    REFERENCING OLD TABLE AS removed
    FOR EACH STATEMENT EXECUTE FUNCTION certjobs_audit_departure();

-- As before, and now also where a mentor belongs.
CREATE OR REPLACE FUNCTION certjobs_audit_status() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
BEGIN
    EXECUTE $statement$
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
      JOIN public.organisations g ON g.id = n.organisation_id
    $statement$;
    EXECUTE $statement$
    INSERT INTO public.roster_events (entity, entity_id, event, before, after, reason, actor, run_id)
    SELECT 'mentor', n.id, 'changed',
           jsonb_build_object('organisation_id', o.organisation_id, 'chapter_id', o.chapter_id),
           jsonb_build_object('organisation_id', n.organisation_id, 'chapter_id', n.chapter_id,
                              'name_changed', o.name <> n.name, 'reference_changed', o.external_ref <> n.external_ref),
           public.certjobs_setting('reason'), public.certjobs_actor(), public.certjobs_setting('run_id')::uuid
      FROM added n
      JOIN removed o ON o.id = n.id
     WHERE (o.organisation_id, o.chapter_id, o.name, o.external_ref)
           IS DISTINCT FROM (n.organisation_id, n.chapter_id, n.name, n.external_ref)
    $statement$;
    RETURN NULL;
END
$$;

CREATE OR REPLACE FUNCTION certjobs_audit_certifications_changed() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
BEGIN
    EXECUTE $statement$
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
           IS DISTINCT FROM (n.mentor_id, n.external_ref, n.issued_on, n.expires_on, n.withdrawn_on)
    $statement$;
    RETURN NULL;
END
$$;

-- History is added to and never rewritten; but what may tell of a person can be taken out of it: the words that someone
-- wrote as a reason, and the reference of a certification.
CREATE FUNCTION certjobs_only_forget() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
    forgotten jsonb := to_jsonb(OLD) || jsonb_build_object('reason', NULL);
    part text;
BEGIN
    FOREACH part IN ARRAY ARRAY['before', 'after'] LOOP
        IF jsonb_typeof(forgotten -> part) = 'object' THEN
            forgotten := jsonb_set(forgotten, ARRAY[part], (forgotten -> part) - 'external_ref');
        END IF;
    END LOOP;
    IF to_jsonb(NEW) <> forgotten THEN
        RAISE EXCEPTION 'The audit table % is append-only: its rows are added, never changed.', TG_TABLE_NAME
              USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NEW;
END
$$;

DROP TRIGGER certjobs_append_only ON certification_events;
CREATE TRIGGER certjobs_append_only BEFORE TRUNCATE ON certification_events
    FOR EACH STATEMENT EXECUTE FUNCTION certjobs_refuse_rewriting();
CREATE TRIGGER certjobs_only_forget BEFORE UPDATE ON certification_events
    FOR EACH ROW EXECUTE FUNCTION certjobs_only_forget();
DROP TRIGGER certjobs_append_only ON mentor_status_events;
CREATE TRIGGER certjobs_append_only BEFORE TRUNCATE ON mentor_status_events
    FOR EACH STATEMENT EXECUTE FUNCTION certjobs_refuse_rewriting();
CREATE TRIGGER certjobs_only_forget BEFORE UPDATE ON mentor_status_events
    FOR EACH ROW EXECUTE FUNCTION certjobs_only_forget();
CREATE TRIGGER certjobs_append_only BEFORE TRUNCATE ON roster_events
    FOR EACH STATEMENT EXECUTE FUNCTION certjobs_refuse_rewriting();
CREATE TRIGGER certjobs_only_forget BEFORE UPDATE ON roster_events
    FOR EACH ROW EXECUTE FUNCTION certjobs_only_forget();
