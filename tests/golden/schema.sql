CREATE FUNCTION public.certjobs_abandon_dead_runs(p_run_id uuid) RETURNS integer
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
-- Marks every running run whose owner is proven dead as abandoned, and returns how many there were. Of an exclusive job
-- the lock goes with it, so that a run that was only cut off from its session writes and sends nothing more; one that
-- holds its lock in a unit of work under way is not dead.
DECLARE
    found_run record;
    abandoned integer := 0;
BEGIN
    PERFORM pg_stat_clear_snapshot();
    FOR found_run IN
        SELECT r.run_id, r.job_name
          FROM public.scheduler_run_log r
         WHERE r.status = 'running' AND r.run_id <> p_run_id
           AND public.certjobs_owner_is_dead(r.backend_pid, r.backend_start, coalesce(r.heartbeat_at, r.started_at))
         ORDER BY r.job_name, r.run_id
    LOOP
        DELETE FROM public.job_lock l
         WHERE l.job_name = found_run.job_name
           AND l.fencing_token IN (SELECT k.fencing_token FROM public.job_lock k
                                    WHERE k.run_id = found_run.run_id
                                      AND public.certjobs_owner_is_dead(k.backend_pid, k.backend_start,
                                                                        coalesce(k.heartbeat_at, k.started_at))
                                      FOR UPDATE SKIP LOCKED);
        CONTINUE WHEN EXISTS (SELECT 1 FROM public.job_lock l WHERE l.run_id = found_run.run_id);
        UPDATE public.scheduler_run_log r
           SET status = 'abandoned', finished_at = clock_timestamp(),
               error_message = 'The process ended without saying so; run ' || p_run_id || ' found it gone.'
         WHERE r.run_id = found_run.run_id AND r.status = 'running'
           AND public.certjobs_owner_is_dead(r.backend_pid, r.backend_start, coalesce(r.heartbeat_at, r.started_at));
        IF FOUND THEN
            abandoned := abandoned + 1;
        END IF;
    END LOOP;
    RETURN abandoned;
END
$$;

CREATE FUNCTION public.certjobs_acquire_lock(p_job_name text, p_run_id uuid, p_holder text) RETURNS TABLE(token bigint, held_by text, held_since timestamp with time zone)
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
-- Returns a fencing token, or no token and who holds the lock. Taking over deletes the dead owner's row, marks its run
-- abandoned and inserts ours in this one transaction; whoever waited for the row meanwhile looks again.
DECLARE
    found_row public.job_lock;
BEGIN
    LOOP
        INSERT INTO public.job_lock AS l
               (job_name, run_id, fencing_token, holder, backend_pid, backend_start, heartbeat_at)
        VALUES (p_job_name, p_run_id, nextval('public.job_lock_fencing_token'), p_holder, pg_backend_pid(),
                public.certjobs_session_start(), clock_timestamp())
            ON CONFLICT (job_name) DO NOTHING
        RETURNING l.fencing_token INTO token;
        IF token IS NOT NULL THEN
            RETURN NEXT;
            RETURN;
        END IF;

        -- Sessions are looked at anew each time round: within a transaction PostgreSQL keeps what it saw first.
        PERFORM pg_stat_clear_snapshot();
        -- Looked at first without a lock: a live holder in the middle of a unit of work would make us wait.
        SELECT * INTO found_row FROM public.job_lock l WHERE l.job_name = p_job_name;
        CONTINUE WHEN NOT FOUND;
        IF NOT public.certjobs_owner_is_dead(found_row.backend_pid, found_row.backend_start,
                                             coalesce(found_row.heartbeat_at, found_row.started_at)) THEN
            held_by := found_row.holder;
            held_since := found_row.started_at;
            RETURN NEXT;
            RETURN;
        END IF;

        -- Another taker may have been here, or a beat have come, while this waited for the dead owner's last transaction.
        PERFORM 1 FROM public.job_lock l
          WHERE l.job_name = p_job_name
            AND l.fencing_token = found_row.fencing_token
            AND l.heartbeat_at IS NOT DISTINCT FROM found_row.heartbeat_at
            FOR UPDATE;
        CONTINUE WHEN NOT FOUND;

        UPDATE public.scheduler_run_log r
           SET status = 'abandoned', finished_at = clock_timestamp(),
               error_message = 'The process ended without saying so; its lock was taken over by run ' || p_run_id || '.'
         WHERE r.run_id = found_row.run_id AND r.status = 'running';
        DELETE FROM public.job_lock l
         WHERE l.job_name = p_job_name AND l.fencing_token = found_row.fencing_token;
    END LOOP;
END
$$;

CREATE FUNCTION public.certjobs_actor() RETURNS text
    LANGUAGE sql STABLE
    AS $$ SELECT coalesce(public.certjobs_setting('actor'), session_user::text) $$;

CREATE FUNCTION public.certjobs_adopt_operations() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
BEGIN
    IF NOT EXISTS (SELECT 1 FROM public.sync_queue q WHERE q.mentor_ref IS NOT NULL) THEN
        RETURN NULL;
    END IF;
    EXECUTE $statement$
        WITH theirs AS MATERIALIZED (
            SELECT q.id, n.id AS mentor_id,
                   row_number() OVER (PARTITION BY n.id, CASE WHEN q.status = 'failed' THEN 'pending' ELSE q.status END
                                          ORDER BY q.id DESC) = 1 OR q.status = 'dead' AS last
              FROM added n
              JOIN public.sync_queue q ON q.mentor_ref = n.external_ref
        )
        UPDATE public.sync_queue q
           SET mentor_id = CASE WHEN t.last THEN t.mentor_id ELSE q.mentor_id END,
               mentor_ref = NULL,
               status = CASE WHEN t.last THEN q.status ELSE 'superseded' END,
               finished_at = CASE WHEN t.last THEN q.finished_at ELSE clock_timestamp() END
          FROM theirs t
         WHERE q.id = t.id
        $statement$;
    RETURN NULL;
END
$_$;

CREATE FUNCTION public.certjobs_as_number(octets bytea) RETURNS numeric
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
    digits constant text := encode(octets, 'hex');
    number numeric := 0;
    piece text;
BEGIN
    FOR place IN 1..length(digits) BY 12 LOOP
        piece := substr(digits, place, 12);
        number := number * ('x' || lpad('1' || repeat('0', length(piece)), 16, '0'))::bit(64)::bigint
                  + ('x' || lpad(piece, 16, '0'))::bit(64)::bigint;
    END LOOP;
    RETURN number;
END
$$;

CREATE FUNCTION public.certjobs_audit_arrival() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
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

CREATE FUNCTION public.certjobs_audit_assignments() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
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

CREATE FUNCTION public.certjobs_audit_certifications_added() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
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

CREATE FUNCTION public.certjobs_audit_certifications_changed() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
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
$_$;

CREATE FUNCTION public.certjobs_audit_certifications_removed() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
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

CREATE FUNCTION public.certjobs_audit_coordinators() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
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
$_$;

CREATE FUNCTION public.certjobs_audit_departure() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
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

CREATE FUNCTION public.certjobs_audit_organisations() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
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
$_$;

CREATE FUNCTION public.certjobs_audit_status() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
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
$_$;

CREATE FUNCTION public.certjobs_base64url(encoded text) RETURNS bytea
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$ SELECT decode(rpad(translate(encoded, '-_', '+/'), (length(encoded) + 3) / 4 * 4, '='), 'base64') $$;

CREATE FUNCTION public.certjobs_certification_end(expires_on date, withdrawn_on date) RETURNS date
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $$ SELECT least(expires_on, withdrawn_on - 1) $$;

COMMENT ON FUNCTION public.certjobs_certification_end(expires_on date, withdrawn_on date) IS 'The last day a certification is valid: the day it expires, or the day before it was withdrawn.';

CREATE FUNCTION public.certjobs_certification_facts(external_ref text, mentor_id bigint, issued_on date, expires_on date, withdrawn_on date) RETURNS jsonb
    LANGUAGE sql STABLE
    AS $$ SELECT jsonb_build_object('external_ref', external_ref, 'mentor_id', mentor_id, 'issued_on', issued_on,
                                'expires_on', expires_on, 'withdrawn_on', withdrawn_on) $$;

CREATE FUNCTION public.certjobs_certifications_deleted() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
    PERFORM public.certjobs_refresh_certification_expiry(ARRAY(SELECT DISTINCT mentor_id FROM removed));
    RETURN NULL;
END
$$;

CREATE FUNCTION public.certjobs_certifications_inserted() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
    PERFORM public.certjobs_refresh_certification_expiry(ARRAY(SELECT DISTINCT mentor_id FROM added));
    RETURN NULL;
END
$$;

CREATE FUNCTION public.certjobs_certifications_truncated() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
    UPDATE public.peer_mentors SET certification_expiry = NULL WHERE certification_expiry IS NOT NULL;
    RETURN NULL;
END
$$;

CREATE FUNCTION public.certjobs_certifications_updated() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
    PERFORM public.certjobs_refresh_certification_expiry(
        ARRAY(SELECT mentor_id FROM removed UNION SELECT mentor_id FROM added));
    RETURN NULL;
END
$$;

CREATE FUNCTION public.certjobs_claimed_address() RETURNS text
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
DECLARE
    claim constant text := public.certjobs_setting('claim');
    part text[];
    header jsonb;
    body jsonb;
    signature bytea;
    key_modulus bytea;
BEGIN
    IF claim IS NULL THEN
        RETURN NULL;
    END IF;
    IF length(claim) > 8192 OR claim !~ '^[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+$' THEN
        RAISE EXCEPTION 'The claim is no signed JSON Web Token.' USING ERRCODE = 'invalid_authorization_specification';
    END IF;
    part := string_to_array(claim, '.');
    BEGIN
        header := convert_from(public.certjobs_base64url(part[1]), 'UTF8')::jsonb;
        body := convert_from(public.certjobs_base64url(part[2]), 'UTF8')::jsonb;
        signature := public.certjobs_base64url(part[3]);
    EXCEPTION WHEN data_exception THEN
        RAISE EXCEPTION 'The claim is no signed JSON Web Token.' USING ERRCODE = 'invalid_authorization_specification';
    END;
    SELECT k.modulus INTO key_modulus
      FROM public.claim_keys k
     WHERE k.issuer = body ->> 'iss' AND k.key_id = header ->> 'kid' AND k.revoked_at IS NULL;
    IF key_modulus IS NULL OR header ->> 'alg' IS DISTINCT FROM 'RS256' OR header ? 'crit'
       OR NOT public.certjobs_signed(convert_to(part[1] || '.' || part[2], 'UTF8'), signature, key_modulus) THEN
        RAISE EXCEPTION 'The claim is not signed by a key that certjobs trusts.'
              USING ERRCODE = 'invalid_authorization_specification';
    END IF;
    IF (CASE jsonb_typeof(body -> 'aud') WHEN 'array' THEN body -> 'aud' ELSE jsonb_build_array(body -> 'aud') END)
       @> '["certjobs"]' IS NOT TRUE THEN
        RAISE EXCEPTION 'The claim is for somebody else: its audience is not certjobs.'
              USING ERRCODE = 'invalid_authorization_specification';
    END IF;
    IF jsonb_typeof(body -> 'exp') IS DISTINCT FROM 'number'
       OR (body ->> 'exp')::numeric <= extract(epoch FROM clock_timestamp()) THEN
        RAISE EXCEPTION 'The claim has expired, or says no moment at which it does.'
              USING ERRCODE = 'invalid_authorization_specification';
    END IF;
    IF (body ->> 'exp')::numeric > extract(epoch FROM clock_timestamp()) + 86400 THEN
        RAISE EXCEPTION 'The claim holds for more than a day.' USING ERRCODE = 'invalid_authorization_specification';
    END IF;
    IF body ? 'nbf' AND (jsonb_typeof(body -> 'nbf') <> 'number'
                         OR (body ->> 'nbf')::numeric > extract(epoch FROM clock_timestamp())) THEN
        RAISE EXCEPTION 'The claim does not hold yet.' USING ERRCODE = 'invalid_authorization_specification';
    END IF;
    IF jsonb_typeof(body -> 'sub') IS DISTINCT FROM 'string' THEN
        RAISE EXCEPTION 'The claim says nobody''s address.' USING ERRCODE = 'invalid_authorization_specification';
    END IF;
    RETURN lower(body ->> 'sub');
END
$_$;

CREATE FUNCTION public.certjobs_days_left(certification_expiry date, today date) RETURNS integer
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $$ SELECT certification_expiry - today $$;

COMMENT ON FUNCTION public.certjobs_days_left(certification_expiry date, today date) IS 'Days until the last valid day; 0 on that day; null for a mentor who never had a certification.';

CREATE FUNCTION public.certjobs_drop_operations() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
    UPDATE public.sync_queue q
       SET status = 'superseded', last_error = 'The organisation is no longer synchronised.',
           finished_at = clock_timestamp(), mentor_ref = NULL
      FROM added n
      JOIN removed o ON o.id = n.id AND o.website_sync AND NOT n.website_sync
     WHERE q.organisation_id = n.id AND q.status IN ('pending', 'failed');
    RETURN NULL;
END
$$;

CREATE FUNCTION public.certjobs_expired(certification_expiry date, today date) RETURNS boolean
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $$ SELECT certification_expiry < today $$;

COMMENT ON FUNCTION public.certjobs_expired(certification_expiry date, today date) IS 'Whether days_left is negative; null, hence not expired, for a mentor who never had a certification.';

CREATE FUNCTION public.certjobs_forget(p_table text, p_before timestamp with time zone, p_failed_before timestamp with time zone, p_limit integer) RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
    deleted bigint;
BEGIN
    -- The jobs' own login may call this: it must not be able to wipe away what it did of late.
    IF p_before > clock_timestamp() - interval '90 days' THEN
        RAISE EXCEPTION 'History younger than 90 days is kept.' USING ERRCODE = 'invalid_parameter_value';
    END IF;
    IF p_failed_before > p_before THEN
        RAISE EXCEPTION 'What went wrong is not kept shorter than the rest.' USING ERRCODE = 'invalid_parameter_value';
    END IF;
    CASE p_table
    WHEN 'notifications' THEN
        -- Who was told of a cause is known as long as another recipient of it may still be: a dead notice can be tried again.
        DELETE FROM public.notifications d
         WHERE d.id IN (SELECT n.id FROM public.notifications n
                         WHERE n.created_at < p_before
                           AND coalesce(n.sent_at, n.created_at) < p_before
                           AND n.status NOT IN ('pending', 'sending', 'failed')
                           AND (n.status NOT IN ('dead', 'unknown')
                                OR n.created_at < p_failed_before
                                   AND coalesce(n.sent_at, n.created_at) < p_failed_before)
                           AND NOT EXISTS (SELECT 1 FROM public.notifications other
                                            WHERE other.mentor_id = n.mentor_id
                                              AND other.kind = n.kind
                                              AND other.certification_expiry = n.certification_expiry
                                              AND other.threshold_day IS NOT DISTINCT FROM n.threshold_day
                                              AND other.pause_ordinal IS NOT DISTINCT FROM n.pause_ordinal
                                              AND (other.status IN ('pending', 'sending', 'failed')
                                                   OR other.status IN ('dead', 'unknown')
                                                      AND NOT (other.created_at < p_failed_before
                                                               AND coalesce(other.sent_at, other.created_at)
                                                                   < p_failed_before)))
                         LIMIT p_limit);
    WHEN 'mentor_status_events' THEN
        DELETE FROM public.mentor_status_events d
         WHERE d.id IN (SELECT e.id FROM public.mentor_status_events e
                         WHERE e.occurred_at < p_before
                           AND NOT EXISTS (SELECT 1 FROM public.peer_mentors m
                                            WHERE m.id = e.mentor_id
                                              AND (e.event = 'expired_cert'
                                                   AND m.certification_expiry = e.certification_expiry
                                                   OR m.status = 'paused'
                                                   AND NOT EXISTS (SELECT 1 FROM public.mentor_status_events later
                                                                    WHERE later.mentor_id = e.mentor_id
                                                                      AND later.id > e.id)))
                           AND NOT EXISTS (SELECT 1 FROM public.notifications n
                                            WHERE e.event = 'expired_cert' AND n.mentor_id = e.mentor_id
                                              AND n.kind = 'pause'
                                              AND n.certification_expiry = e.certification_expiry)
                         LIMIT p_limit);
    WHEN 'reminder_dispatch_log' THEN
        DELETE FROM public.reminder_dispatch_log d
         WHERE d.id IN (SELECT l.id FROM public.reminder_dispatch_log l
                         WHERE l.occurred_at < p_before AND (l.outcome = 'sent' OR l.occurred_at < p_failed_before)
                         LIMIT p_limit);
    WHEN 'cert_expiry_reminders' THEN
        -- What is ahead of its expiry date would be told again.
        DELETE FROM public.cert_expiry_reminders d
         WHERE (d.certification_expiry, d.mentor_id, d.threshold_day) IN
               (SELECT r.certification_expiry, r.mentor_id, r.threshold_day
                  FROM public.cert_expiry_reminders r
                 WHERE r.created_at < p_before AND r.certification_expiry < p_before::date
                   AND NOT EXISTS (SELECT 1 FROM public.peer_mentors m
                                    WHERE m.id = r.mentor_id AND m.certification_expiry = r.certification_expiry)
                 LIMIT p_limit);
    WHEN 'notice_snoozes' THEN
        DELETE FROM public.notice_snoozes d
         WHERE (d.mentor_id, d.coordinator_id, d.threshold_day) IN
               (SELECT z.mentor_id, z.coordinator_id, z.threshold_day
                  FROM public.notice_snoozes z
                 WHERE z.created_at < p_before AND z.until < p_before::date
                 LIMIT p_limit);
    WHEN 'certification_events' THEN
        DELETE FROM public.certification_events d
         WHERE d.id IN (SELECT e.id FROM public.certification_events e WHERE e.occurred_at < p_before LIMIT p_limit);
    WHEN 'roster_events' THEN
        DELETE FROM public.roster_events d
         WHERE d.id IN (SELECT e.id FROM public.roster_events e WHERE e.occurred_at < p_before LIMIT p_limit);
    WHEN 'sync_queue' THEN
        -- What is dead for a mentor who is there still counts, until something later has taken its place: it is not sent
        -- again by itself. What took its place stays as long as it does, or it would count again; and the older goes first.
        DELETE FROM public.sync_queue d
         WHERE d.id IN (SELECT q.id FROM public.sync_queue q
                         WHERE q.created_at < p_before AND q.finished_at < p_before
                           AND (q.status = 'superseded'
                                AND (q.handled_at IS NULL
                                     -- What a person gave up is not tried again as long as nothing came after it.
                                     OR EXISTS (SELECT 1 FROM public.sync_queue later
                                                 WHERE later.mentor_id = q.mentor_id AND later.id > q.id)
                                     OR NOT EXISTS (SELECT 1 FROM public.peer_mentors m WHERE m.id = q.mentor_id))
                                OR q.status = 'done'
                                   AND NOT EXISTS (SELECT 1 FROM public.sync_queue dead
                                                    WHERE dead.mentor_id = q.mentor_id AND dead.id < q.id
                                                      AND dead.status = 'dead'
                                                      AND NOT coalesce(dead.created_at < p_failed_before
                                                                       AND dead.finished_at < p_failed_before, false))
                                OR q.status = 'dead'
                                   AND q.created_at < p_failed_before AND q.finished_at < p_failed_before
                                   AND (NOT EXISTS (SELECT 1 FROM public.peer_mentors m WHERE m.id = q.mentor_id)
                                        OR EXISTS (SELECT 1 FROM public.sync_queue later
                                                    WHERE later.mentor_id = q.mentor_id AND later.id > q.id
                                                      AND later.status <> 'superseded')))
                         ORDER BY q.id
                         LIMIT p_limit);
    WHEN 'reconciliation_log' THEN
        DELETE FROM public.reconciliation_log d
         WHERE d.id IN (SELECT l.id FROM public.reconciliation_log l
                         WHERE l.created_at < p_failed_before AND l.cleared_at < p_failed_before
                         LIMIT p_limit);
    WHEN 'alerts' THEN
        DELETE FROM public.alerts d
         WHERE d.id IN (SELECT a.id FROM public.alerts a
                         WHERE a.first_seen_at < p_failed_before AND a.cleared_at < p_failed_before
                           AND coalesce(a.last_sent_at, a.first_seen_at) < p_failed_before
                         LIMIT p_limit);
    WHEN 'forecasts' THEN
        DELETE FROM public.forecasts d
         WHERE (d.night, d.job_name, d.organisation_id) IN
               (SELECT f.night, f.job_name, f.organisation_id
                  FROM public.forecasts f
                 WHERE f.night < p_before::date AND f.created_at < p_before
                 LIMIT p_limit);
    WHEN 'scheduler_run_log' THEN
        -- A run that began others stays as long as one of them does.
        DELETE FROM public.scheduler_run_log d
         WHERE d.run_id IN (SELECT r.run_id FROM public.scheduler_run_log r
                             WHERE r.started_at < p_before AND r.finished_at < p_before AND r.status <> 'running'
                               AND (r.status IN ('succeeded', 'skipped')
                                    OR r.started_at < p_failed_before AND r.finished_at < p_failed_before)
                               AND NOT EXISTS (SELECT 1 FROM public.scheduler_run_log child
                                                WHERE child.parent_run_id = r.run_id
                                                  AND NOT coalesce(
                                                      child.started_at < p_before AND child.finished_at < p_before
                                                      AND child.status <> 'running'
                                                      AND (child.status IN ('succeeded', 'skipped')
                                                           OR child.started_at < p_failed_before
                                                              AND child.finished_at < p_failed_before), false))
                             LIMIT p_limit);
    WHEN 'guarded_sets' THEN
        DELETE FROM public.guarded_sets d
         WHERE d.id IN (SELECT g.id FROM public.guarded_sets g
                         WHERE g.refused_at < p_before AND coalesce(g.approved_until, '-infinity') < p_before
                         LIMIT p_limit);
    ELSE
        RAISE EXCEPTION 'The table % is not one of history.', p_table USING ERRCODE = 'invalid_parameter_value';
    END CASE;
    GET DIAGNOSTICS deleted = ROW_COUNT;
    RETURN deleted;
END
$$;

CREATE FUNCTION public.certjobs_forget_keys() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
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

CREATE FUNCTION public.certjobs_forget_why() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
BEGIN
    NEW.handled_reason := NULL;
    RETURN NEW;
END
$$;

CREATE FUNCTION public.certjobs_furthest_day(today date, thresholds integer[]) RETURNS date
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $$ SELECT today + max(t.day) FROM unnest(thresholds) AS t (day) $$;

COMMENT ON FUNCTION public.certjobs_furthest_day(today date, thresholds integer[]) IS 'The last valid day furthest ahead that any threshold covers.';

CREATE FUNCTION public.certjobs_keep_approved_set() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
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

CREATE FUNCTION public.certjobs_keep_certification_expiry() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
    NEW.certification_expiry := (SELECT max(public.certjobs_certification_end(c.expires_on, c.withdrawn_on))
                                   FROM public.certifications c
                                  WHERE c.mentor_id = NEW.id);
    RETURN NEW;
END
$$;

CREATE FUNCTION public.certjobs_keep_pause_reason() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
BEGIN
    NEW.pause_reason := CASE WHEN NEW.status = 'paused' THEN coalesce(NEW.pause_reason, 'not given') END;
    RETURN NEW;
END
$$;

CREATE FUNCTION public.certjobs_listing(website_sync boolean, status text, certification_expiry date, today date) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $$
    SELECT CASE WHEN NOT website_sync THEN 'not ours'
                WHEN status = 'active' AND certification_expiry >= today THEN 'listed'
                ELSE 'not listed' END
$$;

COMMENT ON FUNCTION public.certjobs_listing(website_sync boolean, status text, certification_expiry date, today date) IS 'Whether a mentor is to be listed on a day: listed, not listed, or not ours where the organisation is not synchronised.';

CREATE FUNCTION public.certjobs_missed_nights(p_jobs text[], p_first date, p_last date, p_zone text) RETURNS TABLE(job_name text, night date)
    LANGUAGE sql STABLE
    AS $$
    -- A step begins at most a day after the night that it is of.
    SELECT j.job_name, n.night
      FROM unnest(p_jobs) WITH ORDINALITY AS j (job_name, place)
     CROSS JOIN LATERAL (SELECT certjobs_night_of(r, p_zone) AS night
                           FROM scheduler_run_log r
                          WHERE r.job_name = j.job_name
                          ORDER BY r.started_at
                          LIMIT 1) began
     CROSS JOIN LATERAL (SELECT each::date AS night
                           FROM generate_series(p_first::timestamp, p_last::timestamp, interval '1 day') AS each) n
     -- LIMIT 1: a look into an index a night, however long the log is.
      LEFT JOIN LATERAL (SELECT true AS there FROM scheduler_run_log r
                          WHERE r.job_name = j.job_name AND r.status = 'succeeded' AND r.as_of IS NULL
                            AND r.started_at >= n.night::timestamp AT TIME ZONE p_zone
                            AND r.started_at < (n.night + 2)::timestamp AT TIME ZONE p_zone
                            AND certjobs_night_of(r, p_zone) = n.night
                          LIMIT 1) good ON true
      LEFT JOIN LATERAL (SELECT true AS there FROM scheduler_run_log r
                          WHERE r.job_name = j.job_name AND r.status = 'succeeded' AND r.as_of = n.night
                          LIMIT 1) given ON true
     WHERE n.night >= began.night AND good.there IS NULL AND given.there IS NULL
     ORDER BY j.place, n.night
$$;

COMMENT ON FUNCTION public.certjobs_missed_nights(p_jobs text[], p_first date, p_last date, p_zone text) IS 'The nights of each job, from one date to another but not before its first run, on which no run of it succeeded.';

CREATE TABLE public.scheduler_run_log (
    run_id uuid NOT NULL,
    job_name text NOT NULL,
    parent_run_id uuid,
    trigger text NOT NULL,
    as_of date,
    started_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    finished_at timestamp with time zone,
    heartbeat_at timestamp with time zone,
    backend_pid integer,
    backend_start timestamp with time zone,
    status text DEFAULT 'running'::text NOT NULL,
    exit_code integer,
    error_message text,
    counts jsonb DEFAULT '{}'::jsonb NOT NULL,
    host text NOT NULL,
    version text NOT NULL,
    actor text NOT NULL,
    reason text,
    CONSTRAINT ck_scheduler_run_log_status CHECK ((status = ANY (ARRAY['running'::text, 'succeeded'::text, 'partial'::text, 'failed'::text, 'skipped'::text, 'abandoned'::text])))
);

CREATE FUNCTION public.certjobs_night_of(p_run public.scheduler_run_log, p_zone text) RETURNS date
    LANGUAGE sql STABLE
    AS $$
    SELECT coalesce(p_run.as_of,
                    (coalesce((SELECT p.started_at FROM scheduler_run_log p WHERE p.run_id = p_run.parent_run_id),
                              p_run.started_at) AT TIME ZONE p_zone)::date)
$$;

COMMENT ON FUNCTION public.certjobs_night_of(p_run public.scheduler_run_log, p_zone text) IS 'The night, as a date in a time zone, that a run is of.';

CREATE FUNCTION public.certjobs_notice_digest(kind text, mentor_ref text, expiry date, nth integer, address text) RETURNS text
    LANGUAGE sql STABLE
    AS $$
    SELECT encode(sha256(convert_to(
               kind || E'\n' || mentor_ref || E'\n' || to_char(expiry, 'YYYY-MM-DD') || E'\n' || nth || E'\n'
               || coalesce(lower(address), 'fallback'),
               'UTF8')), 'hex')
$$;

CREATE FUNCTION public.certjobs_notice_key(kind text, mentor_id bigint, expiry date, nth integer, coordinator_id bigint) RETURNS text
    LANGUAGE sql STABLE
    AS $$
    SELECT public.certjobs_notice_digest(
               kind, (SELECT m.external_ref FROM public.peer_mentors m WHERE m.id = mentor_id), expiry, nth,
               (SELECT c.address FROM public.coordinators c WHERE c.id = coordinator_id))
$$;

CREATE FUNCTION public.certjobs_only_forget() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
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

CREATE FUNCTION public.certjobs_only_forget_message() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
BEGIN
    IF to_jsonb(NEW) <> to_jsonb(OLD) || jsonb_build_object('message_id', NULL) THEN
        RAISE EXCEPTION 'The table % is append-only: its rows are added, never changed.', TG_TABLE_NAME
              USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NEW;
END
$$;

CREATE TABLE public.organisations (
    id bigint NOT NULL,
    code text NOT NULL,
    time_zone text DEFAULT 'Europe/Oslo'::text NOT NULL,
    thresholds integer[],
    auto_pause boolean DEFAULT false NOT NULL,
    remind boolean DEFAULT false NOT NULL,
    website_sync boolean DEFAULT false NOT NULL,
    fallback_address text
);

COMMENT ON TABLE public.organisations IS 'created by certjobs';

CREATE FUNCTION public.certjobs_organisation_facts(o public.organisations) RETURNS jsonb
    LANGUAGE sql STABLE
    AS $$ SELECT jsonb_build_object('code', o.code, 'time_zone', o.time_zone, 'thresholds', o.thresholds,
                                'auto_pause', o.auto_pause, 'remind', o.remind, 'website_sync', o.website_sync,
                                'has_fallback_address', o.fallback_address IS NOT NULL) $$;

CREATE FUNCTION public.certjobs_own_coordinators() RETURNS bigint[]
    LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    SELECT coalesce(array_agg(k.id::bigint), '{}')
      FROM public.coordinators k
     WHERE lower(k.address) = (SELECT coalesce((SELECT lower(h.address)
                                                  FROM public.coordinator_logins l
                                                  JOIN public.coordinators h ON h.id = l.coordinator_id
                                                 WHERE l.login = session_user AND l.revoked_at IS NULL),
                                               public.certjobs_claimed_address()))
$$;

CREATE FUNCTION public.certjobs_own_mentors() RETURNS bigint[]
    LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    SELECT coalesce(array_agg(DISTINCT a.mentor_id::bigint), '{}')
      FROM public.coordinator_assignments a
     WHERE a.coordinator_id = ANY ((SELECT public.certjobs_own_coordinators())::bigint[])
$$;

CREATE FUNCTION public.certjobs_own_places(OUT organisations bigint[], OUT chapters bigint[]) RETURNS record
    LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    SELECT coalesce(array_agg(DISTINCT m.organisation_id::bigint), '{}'),
           coalesce(array_agg(DISTINCT m.chapter_id::bigint), '{}')
      FROM public.peer_mentors m
     WHERE m.id = ANY ((SELECT public.certjobs_own_mentors())::bigint[])
$$;

CREATE FUNCTION public.certjobs_owner_is_dead(pid integer, session_start timestamp with time zone, last_sign timestamp with time zone) RETURNS boolean
    LANGUAGE sql
    AS $$
    -- A backend_start that is null is one this role may not see: alive. A pid that was given to a session with another
    -- start is not the owner's.
    SELECT NOT EXISTS (SELECT 1 FROM pg_catalog.pg_stat_activity a
                        WHERE a.pid = certjobs_owner_is_dead.pid
                          AND (a.backend_start IS NULL OR a.backend_start = session_start))
           OR last_sign < clock_timestamp() - interval '2 hours'
$$;

COMMENT ON FUNCTION public.certjobs_owner_is_dead(pid integer, session_start timestamp with time zone, last_sign timestamp with time zone) IS 'Whether the database session that stands for an owner is gone, or the owner has been silent for two hours.';

CREATE FUNCTION public.certjobs_pause_expired(p_mentor_ids bigint[], p_today date) RETURNS TABLE(mentor_id bigint, mentor_ref text, organisation text, chapter text, certification_expiry date, recipients integer, has_coordinator boolean)
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
-- Pauses the whole list; waits for whoever holds one of them, as long as the session's lock_timeout allows, in the order
-- in which the triggers lock mentors too. Where the rows lie is looked up once nobody can move them any more.
DECLARE
    places tid[];
BEGIN
    PERFORM 1 FROM public.peer_mentors m WHERE m.id = ANY (p_mentor_ids) ORDER BY m.id FOR NO KEY UPDATE;
    places := ARRAY(SELECT m.ctid FROM public.peer_mentors m WHERE m.id = ANY (p_mentor_ids));
    RETURN QUERY SELECT p.* FROM public.certjobs_pause_places(places, p_today) p;
END
$$;

CREATE FUNCTION public.certjobs_pause_free(p_mentor_ids bigint[], p_today date) RETURNS TABLE(mentor_id bigint, mentor_ref text, organisation text, chapter text, certification_expiry date, recipients integer, has_coordinator boolean)
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
-- Pauses those of the list whom no other session holds; waits for nobody.
DECLARE
    places tid[];
BEGIN
    places := ARRAY(SELECT m.ctid FROM public.peer_mentors m WHERE m.id = ANY (p_mentor_ids)
                     FOR NO KEY UPDATE SKIP LOCKED);
    RETURN QUERY SELECT p.* FROM public.certjobs_pause_places(places, p_today) p;
END
$$;

CREATE FUNCTION public.certjobs_pause_next(p_organisation_id bigint, p_today date, p_job_name text, p_approved boolean, p_after_expiry date, p_after_id bigint, p_limit integer, p_shown integer, OUT candidates integer, OUT last_expiry date, OUT last_id bigint, OUT mentor_ids bigint[], OUT recipients integer, OUT without_coordinator integer, OUT shown jsonb) RETURNS record
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET plan_cache_mode TO 'force_custom_plan'
    AS $$
-- Pauses the next mentors after a keyset cursor, in the order of the partial index, or fails where another session holds
-- one of them. Tells how many were found and where the cursor stands; whom it paused, of the first everything.
DECLARE
    places tid[];
BEGIN
    SELECT count(*), array_agg(c.place ORDER BY c.place), max(c.expiry), (array_agg(c.id ORDER BY c.expiry DESC, c.id DESC))[1]
      INTO candidates, places, last_expiry, last_id
      FROM (SELECT m.ctid AS place, m.id, m.certification_expiry AS expiry
              FROM public.peer_mentors m
             WHERE m.organisation_id = p_organisation_id
               AND m.status = 'active'
               AND public.certjobs_expired(m.certification_expiry, p_today)
               AND (m.certification_expiry, m.id)
                   > (coalesce(p_after_expiry, '-infinity'), coalesce(p_after_id, 0))
               AND EXISTS (SELECT 1 FROM public.approved_changes a
                            WHERE a.job_name = p_job_name
                              AND a.mentor_id = m.id
                              AND a.certification_expiry = m.certification_expiry) = p_approved
             ORDER BY m.certification_expiry, m.id
             LIMIT p_limit) c;
    SELECT array_agg(p.mentor_id), coalesce(sum(p.recipients), 0), count(*) FILTER (WHERE NOT p.has_coordinator),
           jsonb_agg(to_jsonb(p) - 'nth' ORDER BY p.nth) FILTER (WHERE p.nth <= p_shown)
      INTO mentor_ids, recipients, without_coordinator, shown
      FROM (SELECT row_number() OVER () AS nth, q.*
              FROM public.certjobs_pause_places(coalesce(places, '{}'), p_today) q) p;
END
$$;

CREATE FUNCTION public.certjobs_pause_places(p_places tid[], p_today date) RETURNS TABLE(mentor_id bigint, mentor_ref text, organisation text, chapter text, certification_expiry date, recipients integer, has_coordinator boolean)
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    SET plan_cache_mode TO 'force_custom_plan'
    SET lock_timeout TO '100ms'
    AS $$
#variable_conflict use_column
-- Pauses the mentors whose rows lie at these places and who are active and expired, with audit and notices; or fails and
-- changes nothing: where another session holds one of them, and where one was paused and made active again since this
-- statement began, so that the ordinal of this pause is taken (unique_violation). A row that was changed meanwhile lies
-- somewhere else: it may be left out, and is then found again by its id.
BEGIN
    PERFORM set_config('certjobs.today', p_today::text, true);

    -- OFFSET 0 keeps the planner to one index look-up a mentor: status and expiry are correlated, and it would expect
    -- hundreds of times too many rows.
    RETURN QUERY
    WITH paused AS (
        UPDATE public.peer_mentors m
           SET status = 'paused', pause_reason = 'expired_cert'
         WHERE m.ctid = ANY (p_places)
           AND m.status = 'active'
           AND public.certjobs_expired(m.certification_expiry, p_today)
           AND EXISTS (SELECT 1 FROM public.organisations o WHERE o.id = m.organisation_id AND o.auto_pause)
        RETURNING m.id, m.external_ref, m.organisation_id, m.chapter_id, m.certification_expiry AS expiry
    ), owed AS MATERIALIZED (
        -- A pause is the mentor's n-th of that expiry: its own audit row is written when the statement ends, so it counts
        -- the earlier ones and itself. Retention keeps what is counted here.
        SELECT p.*, 1 + earlier.pauses AS nth, c.coordinator_id, c.address
          FROM paused p
         CROSS JOIN LATERAL (SELECT count(*)::integer AS pauses FROM public.mentor_status_events e
                              WHERE e.mentor_id = p.id AND e.event = 'expired_cert'
                                AND e.certification_expiry = p.expiry OFFSET 0) earlier
          LEFT JOIN LATERAL (SELECT a.coordinator_id,
                                    (SELECT k.address FROM public.coordinators k WHERE k.id = a.coordinator_id)
                               FROM public.coordinator_assignments a
                              WHERE a.mentor_id = p.id OFFSET 0) c ON true
    ), notices AS (
        INSERT INTO public.notifications
               (kind, mentor_id, certification_expiry, pause_ordinal, coordinator_id, idempotency_key, caused_by_run)
        SELECT 'pause', w.id, w.expiry, w.nth, w.coordinator_id,
               public.certjobs_notice_digest('pause', w.external_ref, w.expiry, w.nth, w.address),
               public.certjobs_setting('run_id')::uuid
          FROM owed w
    ), told AS (
        SELECT w.id, w.external_ref, w.organisation_id, w.chapter_id, w.expiry, count(*)::integer AS recipients,
               count(w.coordinator_id) > 0 AS has_coordinator
          FROM owed w
         GROUP BY w.id, w.external_ref, w.organisation_id, w.chapter_id, w.expiry
    )
    SELECT t.id::bigint, t.external_ref::text, o.code::text, ch.name::text, t.expiry, t.recipients, t.has_coordinator
      FROM told t
      JOIN public.organisations o ON o.id = t.organisation_id
      JOIN public.chapters ch ON ch.id = t.chapter_id
     ORDER BY t.expiry, t.id;
END
$$;

CREATE FUNCTION public.certjobs_queue_changes() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
DECLARE
    changed CONSTANT text := $statement$
        SELECT c.*,
               CASE WHEN c.after = 'listed' AND c.before <> 'listed' THEN 'restore'
                    WHEN c.after <> 'listed' AND c.before <> 'not ours'
                         AND c.status_before = 'active' AND c.expiry_before IS NOT NULL THEN 'remove' END AS operation,
               CASE WHEN c.organisation_id <> c.organisation_before THEN 'moved'
                    WHEN c.status <> c.status_before THEN
                        CASE WHEN c.status = 'active' THEN 'reinstated'
                             WHEN c.pause_reason = 'expired_cert' THEN 'expired_cert'
                             ELSE 'paused' END
                    WHEN c.after = 'listed' THEN 'renewed'
                    ELSE 'withdrawn' END AS event
          FROM (SELECT n.id, n.status, n.pause_reason, n.certification_expiry, n.organisation_id,
                       o.status AS status_before, o.certification_expiry AS expiry_before,
                       o.organisation_id AS organisation_before,
                       public.certjobs_listing(h.website_sync, o.status, o.certification_expiry, h.today) AS before,
                       public.certjobs_listing(g.website_sync, n.status, n.certification_expiry, g.today) AS after
                  FROM added n
                  JOIN removed o ON o.id = n.id
                  JOIN today g ON g.id = n.organisation_id
                  JOIN today h ON h.id = o.organisation_id
                 WHERE (o.status, o.certification_expiry, o.organisation_id)
                       IS DISTINCT FROM (n.status, n.certification_expiry, n.organisation_id)
                   AND (g.website_sync OR h.website_sync)) c
        $statement$;
    concerned boolean;
    queued bigint;
BEGIN
    -- Counted: whether there is one at all would be looked for row by row, each with each.
    EXECUTE $statement$
        SELECT count(*) > 0
          FROM added n
          JOIN removed o ON o.id = n.id
         WHERE (o.status, o.certification_expiry, o.organisation_id)
               IS DISTINCT FROM (n.status, n.certification_expiry, n.organisation_id)
        $statement$ INTO concerned;
    IF NOT concerned THEN
        RETURN NULL;
    END IF;
    -- What stands open gives way before what takes its place comes in: the count makes the second wait for the first.
    EXECUTE $statement$
        WITH today AS MATERIALIZED (
            SELECT o.id, o.website_sync, public.certjobs_today(o.time_zone) AS today FROM public.organisations o
        ), changed AS MATERIALIZED ($statement$ || changed || $statement$), superseded AS (
            UPDATE public.sync_queue q
               SET status = 'superseded', last_error = 'A later change has taken its place.',
                   finished_at = clock_timestamp()
              FROM changed c
             WHERE c.operation IS NOT NULL AND q.mentor_id = c.id AND q.status IN ('pending', 'failed')
            RETURNING 1
        ), queued AS (
            INSERT INTO public.sync_queue (mentor_id, organisation_id, certification_expiry, operation,
                                           triggered_by_event, explained, actor, caused_by_run)
            SELECT c.id, CASE c.operation WHEN 'remove' THEN c.organisation_before ELSE c.organisation_id END,
                   c.certification_expiry, c.operation, c.event,
                   c.event = 'expired_cert' AND a.run_id IS NOT NULL, a.actor, a.run_id
              FROM (SELECT count(*) AS number FROM superseded) s
             CROSS JOIN (SELECT public.certjobs_actor() AS actor,
                                public.certjobs_setting('run_id')::uuid AS run_id) a
             CROSS JOIN changed c
             WHERE s.number >= 0 AND c.operation IS NOT NULL
                ON CONFLICT (mentor_id) WHERE status IN ('pending', 'failed') DO UPDATE
               SET organisation_id = EXCLUDED.organisation_id, certification_expiry = EXCLUDED.certification_expiry,
                   operation = EXCLUDED.operation, triggered_by_event = EXCLUDED.triggered_by_event,
                   explained = EXCLUDED.explained, let_through_at = NULL, actor = EXCLUDED.actor,
                   caused_by_run = EXCLUDED.caused_by_run
            RETURNING 1
        ), cleared AS (
            UPDATE public.reconciliation_log l
               SET cleared_at = clock_timestamp()
              FROM changed c
             WHERE l.mentor_id = c.id AND l.finding = 'warning' AND l.cleared_at IS NULL
               AND (c.after <> 'not listed' OR c.status <> 'active')
        ), warned AS (
            -- Somebody made active again whom the website will not show: a person has to know.
            INSERT INTO public.reconciliation_log (finding, mentor_id, certification_expiry_date, detail, actor, run_id)
            SELECT 'warning', c.id, c.certification_expiry,
                   'Made active without a valid certification: not listed, and paused again by the next night.',
                   public.certjobs_actor(), public.certjobs_setting('run_id')::uuid
              FROM changed c
             WHERE c.event = 'reinstated' AND c.after = 'not listed'
        )
        SELECT count(*) FROM queued
        $statement$ INTO queued;
    IF queued > 0 THEN
        PERFORM pg_notify('certjobs_sync', '');
    END IF;
    RETURN NULL;
END
$_$;

CREATE FUNCTION public.certjobs_queue_departures() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
    queued bigint;
BEGIN
    UPDATE public.reconciliation_log l SET cleared_at = clock_timestamp()
      FROM removed o
     WHERE l.mentor_id = o.id AND l.cleared_at IS NULL AND l.finding = 'warning';
    UPDATE public.sync_queue q
       SET status = 'superseded', last_error = 'A later change has taken its place.', finished_at = clock_timestamp()
      FROM removed o
     WHERE q.mentor_id = o.id AND q.status IN ('pending', 'failed') AND q.operation = 'restore';
    UPDATE public.sync_queue q
       SET mentor_ref = CASE WHEN q.status IN ('pending', 'failed', 'processing') THEN o.external_ref END,
           last_error = NULL
      FROM removed o
     WHERE q.mentor_id = o.id AND (q.status IN ('pending', 'failed', 'processing') OR q.last_error IS NOT NULL);
    INSERT INTO public.sync_queue (mentor_id, mentor_ref, organisation_id, certification_expiry, operation,
                                   triggered_by_event, actor, caused_by_run)
    SELECT o.id, o.external_ref, o.organisation_id, o.certification_expiry, 'remove', 'removed', public.certjobs_actor(),
           public.certjobs_setting('run_id')::uuid
      FROM removed o
      JOIN public.organisations h ON h.id = o.organisation_id AND h.website_sync
     WHERE o.status = 'active' AND o.certification_expiry IS NOT NULL
        OR EXISTS (SELECT 1 FROM public.website_listing w WHERE w.mentor_id = o.id AND w.listed)
        OR EXISTS (SELECT 1 FROM public.sync_queue q WHERE q.mentor_id = o.id AND q.status IN ('processing', 'dead'))
        ON CONFLICT (mentor_id) WHERE status IN ('pending', 'failed') DO UPDATE
       SET operation = EXCLUDED.operation, mentor_ref = EXCLUDED.mentor_ref, explained = EXCLUDED.explained,
           triggered_by_event = EXCLUDED.triggered_by_event, let_through_at = NULL, actor = EXCLUDED.actor,
           caused_by_run = EXCLUDED.caused_by_run
     WHERE sync_queue.operation = 'restore';
    GET DIAGNOSTICS queued = ROW_COUNT;
    DELETE FROM public.website_listing w USING removed o WHERE w.mentor_id = o.id;
    IF queued > 0 THEN
        PERFORM pg_notify('certjobs_sync', '');
    END IF;
    RETURN NULL;
END
$$;

CREATE FUNCTION public.certjobs_refresh_certification_expiry(mentor_ids bigint[]) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET plan_cache_mode TO 'force_custom_plan'
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

CREATE FUNCTION public.certjobs_refuse_rewriting() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
BEGIN
    RAISE EXCEPTION 'The audit table % is append-only: its rows are added, never changed.', TG_TABLE_NAME
          USING ERRCODE = 'restrict_violation';
END
$$;

CREATE FUNCTION public.certjobs_reminders_due(organisation_id bigint, today date, thresholds integer[]) RETURNS TABLE(mentor_id bigint, certification_expiry date, threshold_day integer)
    LANGUAGE sql STABLE PARALLEL SAFE
    AS $$
    SELECT m.id::bigint, m.certification_expiry, b.threshold_day
      FROM certjobs_threshold_bands(certjobs_reminders_due.today, thresholds) b
      JOIN peer_mentors m ON m.organisation_id = certjobs_reminders_due.organisation_id
                         AND m.status = 'active'
                         AND m.certification_expiry BETWEEN b.first_day AND b.last_day
                         AND m.certification_expiry BETWEEN certjobs_reminders_due.today
                             AND certjobs_furthest_day(certjobs_reminders_due.today, thresholds)
     WHERE NOT EXISTS (SELECT 1 FROM cert_expiry_reminders r
                        WHERE r.mentor_id = m.id
                          AND r.certification_expiry = m.certification_expiry
                          AND r.certification_expiry BETWEEN certjobs_reminders_due.today
                              AND certjobs_furthest_day(certjobs_reminders_due.today, thresholds)
                          AND r.threshold_day <= b.threshold_day)
$$;

COMMENT ON FUNCTION public.certjobs_reminders_due(organisation_id bigint, today date, thresholds integer[]) IS 'Which mentors of an organisation are due on a day, and for which threshold.';

CREATE FUNCTION public.certjobs_session_start() RETURNS timestamp with time zone
    LANGUAGE sql STABLE
    AS $$ SELECT a.backend_start FROM pg_catalog.pg_stat_activity a WHERE a.pid = pg_backend_pid() $$;

CREATE FUNCTION public.certjobs_setting(name text) RETURNS text
    LANGUAGE sql STABLE
    AS $$ SELECT nullif(current_setting('certjobs.' || name, true), '') $$;

CREATE FUNCTION public.certjobs_settle_key() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
BEGIN
    NEW.idempotency_key := public.certjobs_notice_key(NEW.kind, NEW.mentor_id, NEW.certification_expiry,
                                                      coalesce(NEW.threshold_day, NEW.pause_ordinal), NEW.coordinator_id);
    RETURN NEW;
END
$$;

CREATE FUNCTION public.certjobs_signed(message bytea, signature bytea, modulus bytea) RETURNS boolean
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
    n constant numeric := public.certjobs_as_number(modulus);
    s constant numeric := public.certjobs_as_number(signature);
    digest_info constant bytea := '\x3031300d060960864801650304020105000420'::bytea || sha256(message);
    power numeric := s;
BEGIN
    IF octet_length(signature) <> octet_length(modulus) OR s >= n THEN
        RETURN false;
    END IF;
    FOR i IN 1..16 LOOP
        power := mod(power * power, n);
    END LOOP;
    RETURN mod(power * s, n) = public.certjobs_as_number(
        '\x0001'::bytea || decode(repeat('ff', octet_length(modulus) - octet_length(digest_info) - 3), 'hex')
        || '\x00'::bytea || digest_info);
END
$$;

CREATE FUNCTION public.certjobs_telling_id(entry text) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $_$ SELECT CASE WHEN entry ~ '^[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}$' THEN entry END $_$;

CREATE FUNCTION public.certjobs_telling_ref(key text) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $_$ SELECT CASE WHEN key ~ '^[A-Za-z0-9._/-]{1,40}$' AND key ~ '[0-9]' THEN key END $_$;

CREATE FUNCTION public.certjobs_threshold_bands(today date, thresholds integer[]) RETURNS TABLE(threshold_day integer, first_day date, last_day date)
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $$
    SELECT t.day, today + coalesce(lag(t.day) OVER (ORDER BY t.day) + 1, 0), today + t.day
      FROM unnest(thresholds) AS t (day)
$$;

COMMENT ON FUNCTION public.certjobs_threshold_bands(today date, thresholds integer[]) IS 'The last valid days that are due for each threshold on a day; 0 is a threshold like any other.';

CREATE FUNCTION public.certjobs_today(time_zone text) RETURNS date
    LANGUAGE sql STABLE
    AS $$ SELECT coalesce(public.certjobs_setting('today')::date, (clock_timestamp() AT TIME ZONE time_zone)::date) $$;

CREATE FUNCTION public.certjobs_wanted(operation text, left_sync boolean, moved boolean, website_sync boolean, status text, certification_expiry date, today date) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $$
    SELECT CASE CASE WHEN website_sync THEN certjobs_listing(website_sync, status, certification_expiry, today) END
               WHEN 'listed' THEN 'restore'
               WHEN 'not listed' THEN 'remove'
               ELSE CASE WHEN operation = 'remove' AND left_sync AND moved THEN 'remove' END END
$$;

COMMENT ON FUNCTION public.certjobs_wanted(operation text, left_sync boolean, moved boolean, website_sync boolean, status text, certification_expiry date, today date) IS 'What an operation asks of the portal on a day: restore, remove, or nothing (null).';

CREATE TABLE public.alerts (
    id bigint NOT NULL,
    class text NOT NULL,
    number integer NOT NULL,
    first_seen_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    last_sent_at timestamp with time zone,
    cleared_at timestamp with time zone
);

ALTER TABLE public.alerts ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.alerts_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.guarded_set_members (
    mentor_id bigint NOT NULL,
    certification_expiry date NOT NULL,
    guarded_set_id bigint NOT NULL
);

CREATE TABLE public.guarded_sets (
    id bigint NOT NULL,
    hash text NOT NULL,
    job_name text NOT NULL,
    organisation_id bigint NOT NULL,
    size integer NOT NULL,
    run_id uuid,
    refused_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    approved_by text,
    reason text,
    approved_at timestamp with time zone,
    approved_until timestamp with time zone
);

CREATE VIEW public.approved_changes AS
 SELECT g.job_name,
    gm.mentor_id,
    gm.certification_expiry
   FROM (public.guarded_set_members gm
     JOIN public.guarded_sets g ON ((g.id = gm.guarded_set_id)))
  WHERE (g.approved_until > clock_timestamp());

CREATE TABLE public.cert_expiry_reminders (
    certification_expiry date NOT NULL,
    mentor_id bigint NOT NULL,
    threshold_day integer NOT NULL,
    status text NOT NULL,
    recipients integer DEFAULT 0 NOT NULL,
    decided_on date NOT NULL,
    run_id uuid,
    created_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    CONSTRAINT ck_cert_expiry_reminders_status CHECK ((status = ANY (ARRAY['due'::text, 'superseded'::text])))
);

CREATE TABLE public.certification_events (
    id bigint NOT NULL,
    certification_id bigint NOT NULL,
    mentor_id bigint NOT NULL,
    event text NOT NULL,
    before jsonb,
    after jsonb,
    reason text,
    actor text NOT NULL,
    run_id uuid,
    occurred_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    CONSTRAINT ck_certification_events_event CHECK ((event = ANY (ARRAY['added'::text, 'changed'::text, 'withdrawn'::text, 'removed'::text])))
);

ALTER TABLE public.certification_events ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.certification_events_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.certifications (
    id bigint NOT NULL,
    external_ref text NOT NULL,
    mentor_id bigint NOT NULL,
    issued_on date NOT NULL,
    expires_on date NOT NULL,
    withdrawn_on date
);

COMMENT ON TABLE public.certifications IS 'created by certjobs';

ALTER TABLE public.certifications ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.certifications_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.certjobs_schema_version (
    version_num character varying(32) NOT NULL
);

CREATE TABLE public.chapters (
    id bigint NOT NULL,
    organisation_id bigint NOT NULL,
    name text NOT NULL
);

COMMENT ON TABLE public.chapters IS 'created by certjobs';

ALTER TABLE public.chapters ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.chapters_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.claim_keys (
    id bigint NOT NULL,
    issuer text NOT NULL,
    key_id text NOT NULL,
    modulus bytea NOT NULL,
    granted_by text NOT NULL,
    reason text NOT NULL,
    granted_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    revoked_by text,
    revoked_reason text,
    revoked_at timestamp with time zone,
    CONSTRAINT ck_claim_keys_modulus CHECK ((((octet_length(modulus) >= 256) AND (octet_length(modulus) <= 1024)) AND (get_byte(modulus, 0) >= 128)))
);

ALTER TABLE public.claim_keys ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.claim_keys_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.coordinator_assignments (
    mentor_id bigint NOT NULL,
    coordinator_id bigint NOT NULL
);

COMMENT ON TABLE public.coordinator_assignments IS 'created by certjobs';

CREATE TABLE public.coordinator_logins (
    id bigint NOT NULL,
    login text NOT NULL,
    coordinator_id bigint NOT NULL,
    granted_by text NOT NULL,
    reason text NOT NULL,
    granted_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    revoked_by text,
    revoked_reason text,
    revoked_at timestamp with time zone
);

ALTER TABLE public.coordinator_logins ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.coordinator_logins_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.coordinators (
    id bigint NOT NULL,
    address text NOT NULL,
    name text NOT NULL,
    language text DEFAULT 'nb'::text NOT NULL
);

COMMENT ON TABLE public.coordinators IS 'created by certjobs';

ALTER TABLE public.coordinators ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.coordinators_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.forecasts (
    night date NOT NULL,
    job_name text NOT NULL,
    organisation_id bigint NOT NULL,
    expected integer NOT NULL,
    members bigint[] DEFAULT '{}'::bigint[] NOT NULL,
    run_id uuid,
    created_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL
);

ALTER TABLE public.guarded_sets ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.guarded_sets_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.job_lock (
    job_name text NOT NULL,
    run_id uuid NOT NULL,
    fencing_token bigint NOT NULL,
    holder text NOT NULL,
    backend_pid integer NOT NULL,
    backend_start timestamp with time zone NOT NULL,
    started_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    heartbeat_at timestamp with time zone
);

CREATE SEQUENCE public.job_lock_fencing_token
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;

CREATE TABLE public.mentor_status_events (
    id bigint NOT NULL,
    mentor_id bigint NOT NULL,
    event text NOT NULL,
    from_status text,
    to_status text NOT NULL,
    reason text,
    certification_expiry date,
    effective_on date NOT NULL,
    actor text NOT NULL,
    run_id uuid,
    occurred_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    CONSTRAINT ck_mentor_status_events_event CHECK ((event = ANY (ARRAY['expired_cert'::text, 'paused'::text, 'reinstated'::text])))
);

ALTER TABLE public.mentor_status_events ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.mentor_status_events_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.notice_snoozes (
    mentor_id bigint NOT NULL,
    coordinator_id bigint NOT NULL,
    threshold_day integer NOT NULL,
    until date NOT NULL,
    reason text,
    actor text DEFAULT SESSION_USER NOT NULL,
    created_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL
);

CREATE TABLE public.notifications (
    id bigint NOT NULL,
    kind text NOT NULL,
    mentor_id bigint NOT NULL,
    certification_expiry date NOT NULL,
    threshold_day integer,
    pause_ordinal integer,
    coordinator_id bigint,
    idempotency_key text NOT NULL,
    status text DEFAULT 'pending'::text NOT NULL,
    attempt integer DEFAULT 0 NOT NULL,
    not_before timestamp with time zone,
    last_error text,
    message_id text,
    caused_by_run uuid,
    claimed_by_run uuid,
    created_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    sent_at timestamp with time zone,
    added boolean DEFAULT false NOT NULL,
    channel text,
    handled_by text,
    handled_reason text,
    handled_at timestamp with time zone,
    CONSTRAINT ck_notifications_cause CHECK ((((kind = 'pause'::text) AND (pause_ordinal IS NOT NULL) AND (threshold_day IS NULL)) OR ((kind = 'reminder'::text) AND (threshold_day IS NOT NULL) AND (pause_ordinal IS NULL)))),
    CONSTRAINT ck_notifications_status CHECK ((status = ANY (ARRAY['pending'::text, 'sending'::text, 'sent'::text, 'failed'::text, 'dead'::text, 'unknown'::text, 'suppressed'::text, 'superseded'::text, 'discarded'::text])))
);

ALTER TABLE public.notifications ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.notifications_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

ALTER TABLE public.organisations ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.organisations_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.peer_mentors (
    id bigint NOT NULL,
    external_ref text NOT NULL,
    name text NOT NULL,
    organisation_id bigint NOT NULL,
    chapter_id bigint NOT NULL,
    status text DEFAULT 'active'::text NOT NULL,
    pause_reason text,
    certification_expiry date,
    CONSTRAINT ck_peer_mentors_status CHECK ((status = ANY (ARRAY['active'::text, 'paused'::text])))
);

COMMENT ON TABLE public.peer_mentors IS 'created by certjobs';

ALTER TABLE public.peer_mentors ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.peer_mentors_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.reconciliation_log (
    id bigint NOT NULL,
    finding text NOT NULL,
    mentor_id bigint,
    certification_expiry_date date,
    detail text NOT NULL,
    done text,
    actor text NOT NULL,
    run_id uuid,
    created_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    cleared_at timestamp with time zone,
    CONSTRAINT ck_reconciliation_log_finding CHECK ((finding = ANY (ARRAY['missing'::text, 'extra'::text, 'unknown'::text, 'duplicate'::text, 'stuck'::text, 'lagging'::text, 'warning'::text, 'unfinished'::text, 'missed'::text])))
);

ALTER TABLE public.reconciliation_log ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.reconciliation_log_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.reminder_dispatch_log (
    id bigint NOT NULL,
    notification_id bigint NOT NULL,
    run_id uuid,
    kind text NOT NULL,
    mentor_id bigint NOT NULL,
    threshold_day integer,
    certification_expiry date NOT NULL,
    coordinator_id bigint,
    attempt integer NOT NULL,
    channel text,
    outcome text NOT NULL,
    message_id text,
    error text,
    occurred_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    CONSTRAINT ck_reminder_dispatch_log_outcome CHECK ((outcome = ANY (ARRAY['sent'::text, 'failed'::text, 'limited'::text, 'refused'::text, 'unknown'::text, 'interrupted'::text])))
);

ALTER TABLE public.reminder_dispatch_log ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.reminder_dispatch_log_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.roster_events (
    id bigint NOT NULL,
    entity text NOT NULL,
    entity_id bigint NOT NULL,
    event text NOT NULL,
    before jsonb,
    after jsonb,
    reason text,
    actor text NOT NULL,
    run_id uuid,
    occurred_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    CONSTRAINT ck_roster_events_entity CHECK ((entity = ANY (ARRAY['organisation'::text, 'coordinator'::text, 'mentor'::text]))),
    CONSTRAINT ck_roster_events_event CHECK ((event = ANY (ARRAY['added'::text, 'changed'::text, 'removed'::text, 'assigned'::text, 'unassigned'::text])))
);

ALTER TABLE public.roster_events ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.roster_events_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.sync_queue (
    id bigint NOT NULL,
    mentor_id bigint NOT NULL,
    mentor_ref text,
    organisation_id bigint NOT NULL,
    certification_expiry date,
    operation text NOT NULL,
    status text DEFAULT 'pending'::text NOT NULL,
    triggered_by_event text NOT NULL,
    explained boolean DEFAULT false NOT NULL,
    actor text NOT NULL,
    caused_by_run uuid,
    claimed_by_run uuid,
    attempt integer DEFAULT 0 NOT NULL,
    failures integer DEFAULT 0 NOT NULL,
    sent text,
    outcome text,
    not_before timestamp with time zone,
    leased_until timestamp with time zone,
    last_error text,
    created_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    finished_at timestamp with time zone,
    let_through_at timestamp with time zone,
    unsure_until timestamp with time zone,
    handled_by text,
    handled_reason text,
    handled_at timestamp with time zone,
    CONSTRAINT ck_sync_queue_operation CHECK ((operation = ANY (ARRAY['remove'::text, 'restore'::text]))),
    CONSTRAINT ck_sync_queue_sent CHECK ((sent = ANY (ARRAY['remove'::text, 'restore'::text]))),
    CONSTRAINT ck_sync_queue_status CHECK ((status = ANY (ARRAY['pending'::text, 'processing'::text, 'done'::text, 'failed'::text, 'dead'::text, 'superseded'::text])))
);

ALTER TABLE public.sync_queue ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.sync_queue_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.website_listing (
    mentor_id bigint NOT NULL,
    listed boolean NOT NULL,
    acknowledged_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    operation_id bigint,
    run_id uuid
);

ALTER TABLE ONLY public.certjobs_schema_version
    ADD CONSTRAINT certjobs_schema_version_pkc PRIMARY KEY (version_num);

ALTER TABLE ONLY public.alerts
    ADD CONSTRAINT pk_alerts PRIMARY KEY (id);

ALTER TABLE ONLY public.cert_expiry_reminders
    ADD CONSTRAINT pk_cert_expiry_reminders PRIMARY KEY (certification_expiry, mentor_id, threshold_day);

ALTER TABLE ONLY public.certification_events
    ADD CONSTRAINT pk_certification_events PRIMARY KEY (id);

ALTER TABLE ONLY public.certifications
    ADD CONSTRAINT pk_certifications PRIMARY KEY (id);

ALTER TABLE ONLY public.chapters
    ADD CONSTRAINT pk_chapters PRIMARY KEY (id);

ALTER TABLE ONLY public.claim_keys
    ADD CONSTRAINT pk_claim_keys PRIMARY KEY (id);

ALTER TABLE ONLY public.coordinator_assignments
    ADD CONSTRAINT pk_coordinator_assignments PRIMARY KEY (mentor_id, coordinator_id);

ALTER TABLE ONLY public.coordinator_logins
    ADD CONSTRAINT pk_coordinator_logins PRIMARY KEY (id);

ALTER TABLE ONLY public.coordinators
    ADD CONSTRAINT pk_coordinators PRIMARY KEY (id);

ALTER TABLE ONLY public.forecasts
    ADD CONSTRAINT pk_forecasts PRIMARY KEY (night, job_name, organisation_id);

ALTER TABLE ONLY public.guarded_set_members
    ADD CONSTRAINT pk_guarded_set_members PRIMARY KEY (mentor_id, certification_expiry, guarded_set_id);

ALTER TABLE ONLY public.guarded_sets
    ADD CONSTRAINT pk_guarded_sets PRIMARY KEY (id);

ALTER TABLE ONLY public.job_lock
    ADD CONSTRAINT pk_job_lock PRIMARY KEY (job_name);

ALTER TABLE ONLY public.mentor_status_events
    ADD CONSTRAINT pk_mentor_status_events PRIMARY KEY (id);

ALTER TABLE ONLY public.notice_snoozes
    ADD CONSTRAINT pk_notice_snoozes PRIMARY KEY (mentor_id, coordinator_id, threshold_day);

ALTER TABLE ONLY public.notifications
    ADD CONSTRAINT pk_notifications PRIMARY KEY (id);

ALTER TABLE ONLY public.organisations
    ADD CONSTRAINT pk_organisations PRIMARY KEY (id);

ALTER TABLE ONLY public.peer_mentors
    ADD CONSTRAINT pk_peer_mentors PRIMARY KEY (id);

ALTER TABLE ONLY public.reconciliation_log
    ADD CONSTRAINT pk_reconciliation_log PRIMARY KEY (id);

ALTER TABLE ONLY public.reminder_dispatch_log
    ADD CONSTRAINT pk_reminder_dispatch_log PRIMARY KEY (id);

ALTER TABLE ONLY public.roster_events
    ADD CONSTRAINT pk_roster_events PRIMARY KEY (id);

ALTER TABLE ONLY public.scheduler_run_log
    ADD CONSTRAINT pk_scheduler_run_log PRIMARY KEY (run_id);

ALTER TABLE ONLY public.sync_queue
    ADD CONSTRAINT pk_sync_queue PRIMARY KEY (id);

ALTER TABLE ONLY public.website_listing
    ADD CONSTRAINT pk_website_listing PRIMARY KEY (mentor_id);

ALTER TABLE ONLY public.certifications
    ADD CONSTRAINT uq_certifications_external_ref UNIQUE (external_ref);

ALTER TABLE ONLY public.chapters
    ADD CONSTRAINT uq_chapters_organisation_id_name UNIQUE (organisation_id, name);

ALTER TABLE ONLY public.coordinators
    ADD CONSTRAINT uq_coordinators_address UNIQUE (address);

ALTER TABLE ONLY public.guarded_sets
    ADD CONSTRAINT uq_guarded_sets_hash UNIQUE (hash);

ALTER TABLE ONLY public.notifications
    ADD CONSTRAINT uq_notifications_cause_recipient UNIQUE NULLS NOT DISTINCT (mentor_id, kind, certification_expiry, threshold_day, pause_ordinal, coordinator_id);

ALTER TABLE ONLY public.organisations
    ADD CONSTRAINT uq_organisations_code UNIQUE (code);

ALTER TABLE ONLY public.peer_mentors
    ADD CONSTRAINT uq_peer_mentors_external_ref UNIQUE (external_ref);

ALTER TABLE ONLY public.reminder_dispatch_log
    ADD CONSTRAINT uq_reminder_dispatch_log_notification_id_attempt UNIQUE (notification_id, attempt);

CREATE INDEX ix_cert_expiry_reminders_mentor_id ON public.cert_expiry_reminders USING btree (mentor_id);

CREATE INDEX ix_cert_expiry_reminders_run_id ON public.cert_expiry_reminders USING btree (run_id);

CREATE INDEX ix_certification_events_mentor_id ON public.certification_events USING btree (mentor_id);

CREATE INDEX ix_certification_events_occurred_at ON public.certification_events USING brin (occurred_at);

CREATE INDEX ix_certifications_mentor_id ON public.certifications USING btree (mentor_id);

CREATE INDEX ix_coordinator_assignments_coordinator_id ON public.coordinator_assignments USING btree (coordinator_id);

CREATE INDEX ix_coordinator_logins_coordinator_id ON public.coordinator_logins USING btree (coordinator_id);

CREATE INDEX ix_guarded_set_members_guarded_set_id ON public.guarded_set_members USING btree (guarded_set_id);

CREATE INDEX ix_mentor_status_events_occurred_at ON public.mentor_status_events USING brin (occurred_at);

CREATE INDEX ix_mentor_status_events_pauses ON public.mentor_status_events USING btree (mentor_id, event, certification_expiry);

CREATE INDEX ix_mentor_status_events_run_id ON public.mentor_status_events USING btree (run_id);

CREATE INDEX ix_notifications_caused_by_run ON public.notifications USING btree (caused_by_run);

CREATE INDEX ix_notifications_created_at ON public.notifications USING brin (created_at);

CREATE INDEX ix_notifications_dead ON public.notifications USING btree (id) WHERE (status = 'dead'::text);

CREATE INDEX ix_notifications_open ON public.notifications USING btree (id) WHERE (status = ANY (ARRAY['pending'::text, 'sending'::text, 'failed'::text]));

CREATE INDEX ix_notifications_unknown ON public.notifications USING btree (id) WHERE (status = 'unknown'::text);

CREATE INDEX ix_peer_mentors_active_expiry ON public.peer_mentors USING btree (organisation_id, certification_expiry, id) WHERE (status = 'active'::text);

CREATE INDEX ix_peer_mentors_chapter_id ON public.peer_mentors USING btree (chapter_id);

CREATE INDEX ix_peer_mentors_organisation_id ON public.peer_mentors USING btree (organisation_id);

CREATE INDEX ix_reconciliation_log_created_at ON public.reconciliation_log USING brin (created_at);

CREATE INDEX ix_reconciliation_log_open ON public.reconciliation_log USING btree (mentor_id) WHERE (cleared_at IS NULL);

CREATE INDEX ix_reconciliation_log_uncleared ON public.reconciliation_log USING btree (finding, id) WHERE (cleared_at IS NULL);

CREATE INDEX ix_reminder_dispatch_log_mentor_id ON public.reminder_dispatch_log USING btree (mentor_id);

CREATE INDEX ix_reminder_dispatch_log_occurred_at ON public.reminder_dispatch_log USING brin (occurred_at);

CREATE INDEX ix_reminder_dispatch_log_run_id ON public.reminder_dispatch_log USING btree (run_id);

CREATE INDEX ix_roster_events_entity_entity_id ON public.roster_events USING btree (entity, entity_id);

CREATE INDEX ix_roster_events_occurred_at ON public.roster_events USING brin (occurred_at);

CREATE INDEX ix_scheduler_run_log_as_of ON public.scheduler_run_log USING btree (job_name, as_of) WHERE (as_of IS NOT NULL);

CREATE INDEX ix_scheduler_run_log_job ON public.scheduler_run_log USING btree (job_name, started_at DESC);

CREATE INDEX ix_scheduler_run_log_parent ON public.scheduler_run_log USING btree (parent_run_id) WHERE (parent_run_id IS NOT NULL);

CREATE INDEX ix_scheduler_run_log_recent ON public.scheduler_run_log USING btree (started_at DESC);

CREATE INDEX ix_scheduler_run_log_running ON public.scheduler_run_log USING btree (job_name) WHERE (status = 'running'::text);

CREATE INDEX ix_scheduler_run_log_succeeded ON public.scheduler_run_log USING btree (job_name, started_at DESC) WHERE (status = 'succeeded'::text);

CREATE INDEX ix_sync_queue_claimed_by_run ON public.sync_queue USING btree (claimed_by_run);

CREATE INDEX ix_sync_queue_created_at ON public.sync_queue USING brin (created_at);

CREATE INDEX ix_sync_queue_dead ON public.sync_queue USING btree (id) WHERE (status = 'dead'::text);

CREATE INDEX ix_sync_queue_finished_at ON public.sync_queue USING brin (finished_at);

CREATE INDEX ix_sync_queue_let_through ON public.sync_queue USING btree (organisation_id, let_through_at) WHERE (let_through_at IS NOT NULL);

CREATE INDEX ix_sync_queue_mentor_id ON public.sync_queue USING btree (mentor_id);

CREATE INDEX ix_sync_queue_mentor_ref ON public.sync_queue USING btree (mentor_ref) WHERE (mentor_ref IS NOT NULL);

CREATE INDEX ix_sync_queue_next ON public.sync_queue USING btree (id) WHERE (status = ANY (ARRAY['pending'::text, 'failed'::text]));

CREATE INDEX ix_sync_queue_unsure ON public.sync_queue USING btree (mentor_id) WHERE (unsure_until IS NOT NULL);

CREATE UNIQUE INDEX uq_alerts_open ON public.alerts USING btree (class) WHERE (cleared_at IS NULL);

CREATE UNIQUE INDEX uq_claim_keys_key ON public.claim_keys USING btree (issuer, key_id) WHERE (revoked_at IS NULL);

CREATE UNIQUE INDEX uq_coordinator_logins_login ON public.coordinator_logins USING btree (login) WHERE (revoked_at IS NULL);

CREATE UNIQUE INDEX uq_sync_queue_open ON public.sync_queue USING btree (mentor_id) WHERE (status = ANY (ARRAY['pending'::text, 'failed'::text]));

CREATE UNIQUE INDEX uq_sync_queue_processing ON public.sync_queue USING btree (mentor_id) WHERE (status = 'processing'::text);

CREATE TRIGGER certjobs_adopt_operations AFTER INSERT ON public.peer_mentors REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION public.certjobs_adopt_operations();

CREATE TRIGGER certjobs_append_only BEFORE TRUNCATE ON public.certification_events FOR EACH STATEMENT EXECUTE FUNCTION public.certjobs_refuse_rewriting();

CREATE TRIGGER certjobs_append_only BEFORE TRUNCATE ON public.mentor_status_events FOR EACH STATEMENT EXECUTE FUNCTION public.certjobs_refuse_rewriting();

CREATE TRIGGER certjobs_append_only BEFORE TRUNCATE ON public.reminder_dispatch_log FOR EACH STATEMENT EXECUTE FUNCTION public.certjobs_refuse_rewriting();

CREATE TRIGGER certjobs_append_only BEFORE TRUNCATE ON public.roster_events FOR EACH STATEMENT EXECUTE FUNCTION public.certjobs_refuse_rewriting();

CREATE TRIGGER certjobs_audit_added AFTER INSERT ON public.certifications REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION public.certjobs_audit_certifications_added();

CREATE TRIGGER certjobs_audit_added AFTER INSERT ON public.coordinator_assignments REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION public.certjobs_audit_assignments();

CREATE TRIGGER certjobs_audit_added AFTER INSERT ON public.coordinators REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION public.certjobs_audit_coordinators();

CREATE TRIGGER certjobs_audit_added AFTER INSERT ON public.organisations REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION public.certjobs_audit_organisations();

CREATE TRIGGER certjobs_audit_arrival AFTER INSERT ON public.peer_mentors REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION public.certjobs_audit_arrival();

CREATE TRIGGER certjobs_audit_changed AFTER UPDATE ON public.certifications REFERENCING OLD TABLE AS removed NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION public.certjobs_audit_certifications_changed();

CREATE TRIGGER certjobs_audit_changed AFTER UPDATE ON public.coordinator_assignments REFERENCING OLD TABLE AS removed NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION public.certjobs_audit_assignments();

CREATE TRIGGER certjobs_audit_changed AFTER UPDATE ON public.coordinators REFERENCING OLD TABLE AS removed NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION public.certjobs_audit_coordinators();

CREATE TRIGGER certjobs_audit_changed AFTER UPDATE ON public.organisations REFERENCING OLD TABLE AS removed NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION public.certjobs_audit_organisations();

CREATE TRIGGER certjobs_audit_removed AFTER DELETE ON public.certifications REFERENCING OLD TABLE AS removed FOR EACH STATEMENT EXECUTE FUNCTION public.certjobs_audit_certifications_removed();

CREATE TRIGGER certjobs_audit_removed AFTER DELETE ON public.coordinator_assignments REFERENCING OLD TABLE AS removed FOR EACH STATEMENT EXECUTE FUNCTION public.certjobs_audit_assignments();

CREATE TRIGGER certjobs_audit_removed AFTER DELETE ON public.coordinators REFERENCING OLD TABLE AS removed FOR EACH STATEMENT EXECUTE FUNCTION public.certjobs_audit_coordinators();

CREATE TRIGGER certjobs_audit_removed AFTER DELETE ON public.peer_mentors REFERENCING OLD TABLE AS removed FOR EACH STATEMENT EXECUTE FUNCTION public.certjobs_audit_departure();

CREATE TRIGGER certjobs_audit_status AFTER UPDATE ON public.peer_mentors REFERENCING OLD TABLE AS removed NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION public.certjobs_audit_status();

CREATE TRIGGER certjobs_drop_operations AFTER UPDATE ON public.organisations REFERENCING OLD TABLE AS removed NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION public.certjobs_drop_operations();

CREATE TRIGGER certjobs_expiry_deleted AFTER DELETE ON public.certifications REFERENCING OLD TABLE AS removed FOR EACH STATEMENT EXECUTE FUNCTION public.certjobs_certifications_deleted();

CREATE TRIGGER certjobs_expiry_given BEFORE INSERT ON public.peer_mentors FOR EACH ROW WHEN ((new.certification_expiry IS NOT NULL)) EXECUTE FUNCTION public.certjobs_keep_certification_expiry();

CREATE TRIGGER certjobs_expiry_inserted AFTER INSERT ON public.certifications REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION public.certjobs_certifications_inserted();

CREATE TRIGGER certjobs_expiry_truncated AFTER TRUNCATE ON public.certifications FOR EACH STATEMENT EXECUTE FUNCTION public.certjobs_certifications_truncated();

CREATE TRIGGER certjobs_expiry_updated AFTER UPDATE ON public.certifications REFERENCING OLD TABLE AS removed NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION public.certjobs_certifications_updated();

CREATE TRIGGER certjobs_expiry_written BEFORE UPDATE OF certification_expiry ON public.peer_mentors FOR EACH ROW WHEN (((pg_trigger_depth() = 0) AND (new.certification_expiry IS DISTINCT FROM old.certification_expiry))) EXECUTE FUNCTION public.certjobs_keep_certification_expiry();

CREATE TRIGGER certjobs_forget_keys BEFORE UPDATE OF status ON public.notifications FOR EACH ROW WHEN (((old.status = ANY (ARRAY['pending'::text, 'sending'::text, 'failed'::text])) AND (new.status <> ALL (ARRAY['pending'::text, 'sending'::text, 'failed'::text])))) EXECUTE FUNCTION public.certjobs_forget_keys();

CREATE TRIGGER certjobs_forget_why BEFORE UPDATE OF mentor_ref ON public.sync_queue FOR EACH ROW WHEN (((old.mentor_ref IS NOT NULL) AND (new.mentor_ref IS NULL) AND (new.handled_reason IS NOT NULL))) EXECUTE FUNCTION public.certjobs_forget_why();

CREATE TRIGGER certjobs_keep_approved_set AFTER INSERT ON public.guarded_set_members REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION public.certjobs_keep_approved_set();

CREATE TRIGGER certjobs_only_forget BEFORE UPDATE ON public.certification_events FOR EACH ROW EXECUTE FUNCTION public.certjobs_only_forget();

CREATE TRIGGER certjobs_only_forget BEFORE UPDATE ON public.mentor_status_events FOR EACH ROW EXECUTE FUNCTION public.certjobs_only_forget();

CREATE TRIGGER certjobs_only_forget BEFORE UPDATE ON public.reminder_dispatch_log FOR EACH ROW EXECUTE FUNCTION public.certjobs_only_forget_message();

CREATE TRIGGER certjobs_only_forget BEFORE UPDATE ON public.roster_events FOR EACH ROW EXECUTE FUNCTION public.certjobs_only_forget();

CREATE TRIGGER certjobs_pause_reason BEFORE INSERT OR UPDATE ON public.peer_mentors FOR EACH ROW WHEN (((new.status = 'paused'::text) <> (new.pause_reason IS NOT NULL))) EXECUTE FUNCTION public.certjobs_keep_pause_reason();

CREATE TRIGGER certjobs_queue_changes AFTER UPDATE ON public.peer_mentors REFERENCING OLD TABLE AS removed NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION public.certjobs_queue_changes();

CREATE TRIGGER certjobs_queue_departures AFTER DELETE ON public.peer_mentors REFERENCING OLD TABLE AS removed FOR EACH STATEMENT EXECUTE FUNCTION public.certjobs_queue_departures();

CREATE TRIGGER certjobs_settle_key BEFORE UPDATE OF status ON public.notifications FOR EACH ROW WHEN (((new.status = 'sending'::text) AND (old.attempt = 0))) EXECUTE FUNCTION public.certjobs_settle_key();

ALTER TABLE ONLY public.certifications
    ADD CONSTRAINT fk_certifications_mentor_id_peer_mentors FOREIGN KEY (mentor_id) REFERENCES public.peer_mentors(id);

ALTER TABLE ONLY public.chapters
    ADD CONSTRAINT fk_chapters_organisation_id_organisations FOREIGN KEY (organisation_id) REFERENCES public.organisations(id);

ALTER TABLE ONLY public.coordinator_assignments
    ADD CONSTRAINT fk_coordinator_assignments_coordinator_id_coordinators FOREIGN KEY (coordinator_id) REFERENCES public.coordinators(id);

ALTER TABLE ONLY public.coordinator_assignments
    ADD CONSTRAINT fk_coordinator_assignments_mentor_id_peer_mentors FOREIGN KEY (mentor_id) REFERENCES public.peer_mentors(id);

ALTER TABLE ONLY public.coordinator_logins
    ADD CONSTRAINT fk_coordinator_logins_coordinator_id_coordinators FOREIGN KEY (coordinator_id) REFERENCES public.coordinators(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.guarded_set_members
    ADD CONSTRAINT fk_guarded_set_members_guarded_set_id_guarded_sets FOREIGN KEY (guarded_set_id) REFERENCES public.guarded_sets(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.peer_mentors
    ADD CONSTRAINT fk_peer_mentors_chapter_id_chapters FOREIGN KEY (chapter_id) REFERENCES public.chapters(id);

ALTER TABLE ONLY public.peer_mentors
    ADD CONSTRAINT fk_peer_mentors_organisation_id_organisations FOREIGN KEY (organisation_id) REFERENCES public.organisations(id);

ALTER TABLE public.alerts ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.cert_expiry_reminders ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.certification_events ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.certifications ENABLE ROW LEVEL SECURITY;

CREATE POLICY certjobs_admin ON public.alerts TO certjobs_admin USING (true) WITH CHECK (true);

CREATE POLICY certjobs_admin ON public.cert_expiry_reminders TO certjobs_admin USING (true) WITH CHECK (true);

CREATE POLICY certjobs_admin ON public.certification_events TO certjobs_admin USING (true) WITH CHECK (true);

CREATE POLICY certjobs_admin ON public.certifications TO certjobs_admin USING (true) WITH CHECK (true);

CREATE POLICY certjobs_admin ON public.chapters TO certjobs_admin USING (true) WITH CHECK (true);

CREATE POLICY certjobs_admin ON public.claim_keys TO certjobs_admin USING (true) WITH CHECK (true);

CREATE POLICY certjobs_admin ON public.coordinator_assignments TO certjobs_admin USING (true) WITH CHECK (true);

CREATE POLICY certjobs_admin ON public.coordinator_logins TO certjobs_admin USING (true) WITH CHECK (true);

CREATE POLICY certjobs_admin ON public.coordinators TO certjobs_admin USING (true) WITH CHECK (true);

CREATE POLICY certjobs_admin ON public.forecasts TO certjobs_admin USING (true) WITH CHECK (true);

CREATE POLICY certjobs_admin ON public.guarded_set_members TO certjobs_admin USING (true) WITH CHECK (true);

CREATE POLICY certjobs_admin ON public.guarded_sets TO certjobs_admin USING (true) WITH CHECK (true);

CREATE POLICY certjobs_admin ON public.job_lock TO certjobs_admin USING (true) WITH CHECK (true);

CREATE POLICY certjobs_admin ON public.mentor_status_events TO certjobs_admin USING (true) WITH CHECK (true);

CREATE POLICY certjobs_admin ON public.notice_snoozes TO certjobs_admin USING (true) WITH CHECK (true);

CREATE POLICY certjobs_admin ON public.notifications TO certjobs_admin USING (true) WITH CHECK (true);

CREATE POLICY certjobs_admin ON public.organisations TO certjobs_admin USING (true) WITH CHECK (true);

CREATE POLICY certjobs_admin ON public.peer_mentors TO certjobs_admin USING (true) WITH CHECK (true);

CREATE POLICY certjobs_admin ON public.reconciliation_log TO certjobs_admin USING (true) WITH CHECK (true);

CREATE POLICY certjobs_admin ON public.reminder_dispatch_log TO certjobs_admin USING (true) WITH CHECK (true);

CREATE POLICY certjobs_admin ON public.roster_events TO certjobs_admin USING (true) WITH CHECK (true);

CREATE POLICY certjobs_admin ON public.scheduler_run_log TO certjobs_admin USING (true) WITH CHECK (true);

CREATE POLICY certjobs_admin ON public.sync_queue TO certjobs_admin USING (true) WITH CHECK (true);

CREATE POLICY certjobs_admin ON public.website_listing TO certjobs_admin USING (true) WITH CHECK (true);

CREATE POLICY certjobs_coordinator ON public.alerts TO certjobs_coordinator USING (true) WITH CHECK (true);

CREATE POLICY certjobs_coordinator ON public.cert_expiry_reminders TO certjobs_coordinator USING (true) WITH CHECK (true);

CREATE POLICY certjobs_coordinator ON public.certification_events TO certjobs_coordinator USING (true) WITH CHECK (true);

CREATE POLICY certjobs_coordinator ON public.certifications TO certjobs_coordinator USING (true) WITH CHECK (true);

CREATE POLICY certjobs_coordinator ON public.chapters TO certjobs_coordinator USING (true) WITH CHECK (true);

CREATE POLICY certjobs_coordinator ON public.claim_keys TO certjobs_coordinator USING (true) WITH CHECK (true);

CREATE POLICY certjobs_coordinator ON public.coordinator_assignments TO certjobs_coordinator USING (true) WITH CHECK (true);

CREATE POLICY certjobs_coordinator ON public.coordinator_logins TO certjobs_coordinator USING (true) WITH CHECK (true);

CREATE POLICY certjobs_coordinator ON public.coordinators TO certjobs_coordinator USING (true) WITH CHECK (true);

CREATE POLICY certjobs_coordinator ON public.forecasts TO certjobs_coordinator USING (true) WITH CHECK (true);

CREATE POLICY certjobs_coordinator ON public.guarded_set_members TO certjobs_coordinator USING (true) WITH CHECK (true);

CREATE POLICY certjobs_coordinator ON public.guarded_sets TO certjobs_coordinator USING (true) WITH CHECK (true);

CREATE POLICY certjobs_coordinator ON public.job_lock TO certjobs_coordinator USING (true) WITH CHECK (true);

CREATE POLICY certjobs_coordinator ON public.mentor_status_events TO certjobs_coordinator USING (true) WITH CHECK (true);

CREATE POLICY certjobs_coordinator ON public.notice_snoozes TO certjobs_coordinator USING (true) WITH CHECK (true);

CREATE POLICY certjobs_coordinator ON public.notifications TO certjobs_coordinator USING (true) WITH CHECK (true);

CREATE POLICY certjobs_coordinator ON public.organisations TO certjobs_coordinator USING (true) WITH CHECK (true);

CREATE POLICY certjobs_coordinator ON public.peer_mentors TO certjobs_coordinator USING (true) WITH CHECK (true);

CREATE POLICY certjobs_coordinator ON public.reconciliation_log TO certjobs_coordinator USING (true) WITH CHECK (true);

CREATE POLICY certjobs_coordinator ON public.reminder_dispatch_log TO certjobs_coordinator USING (true) WITH CHECK (true);

CREATE POLICY certjobs_coordinator ON public.roster_events TO certjobs_coordinator USING (true) WITH CHECK (true);

CREATE POLICY certjobs_coordinator ON public.scheduler_run_log TO certjobs_coordinator USING (true) WITH CHECK (true);

CREATE POLICY certjobs_coordinator ON public.sync_queue TO certjobs_coordinator USING (true) WITH CHECK (true);

CREATE POLICY certjobs_coordinator ON public.website_listing TO certjobs_coordinator USING (true) WITH CHECK (true);

CREATE POLICY certjobs_job ON public.alerts TO certjobs_job USING (true) WITH CHECK (true);

CREATE POLICY certjobs_job ON public.cert_expiry_reminders TO certjobs_job USING (true) WITH CHECK (true);

CREATE POLICY certjobs_job ON public.certification_events TO certjobs_job USING (true) WITH CHECK (true);

CREATE POLICY certjobs_job ON public.certifications TO certjobs_job USING (true) WITH CHECK (true);

CREATE POLICY certjobs_job ON public.chapters TO certjobs_job USING (true) WITH CHECK (true);

CREATE POLICY certjobs_job ON public.claim_keys TO certjobs_job USING (true) WITH CHECK (true);

CREATE POLICY certjobs_job ON public.coordinator_assignments TO certjobs_job USING (true) WITH CHECK (true);

CREATE POLICY certjobs_job ON public.coordinator_logins TO certjobs_job USING (true) WITH CHECK (true);

CREATE POLICY certjobs_job ON public.coordinators TO certjobs_job USING (true) WITH CHECK (true);

CREATE POLICY certjobs_job ON public.forecasts TO certjobs_job USING (true) WITH CHECK (true);

CREATE POLICY certjobs_job ON public.guarded_set_members TO certjobs_job USING (true) WITH CHECK (true);

CREATE POLICY certjobs_job ON public.guarded_sets TO certjobs_job USING (true) WITH CHECK (true);

CREATE POLICY certjobs_job ON public.job_lock TO certjobs_job USING (true) WITH CHECK (true);

CREATE POLICY certjobs_job ON public.mentor_status_events TO certjobs_job USING (true) WITH CHECK (true);

CREATE POLICY certjobs_job ON public.notice_snoozes TO certjobs_job USING (true) WITH CHECK (true);

CREATE POLICY certjobs_job ON public.notifications TO certjobs_job USING (true) WITH CHECK (true);

CREATE POLICY certjobs_job ON public.organisations TO certjobs_job USING (true) WITH CHECK (true);

CREATE POLICY certjobs_job ON public.peer_mentors TO certjobs_job USING (true) WITH CHECK (true);

CREATE POLICY certjobs_job ON public.reconciliation_log TO certjobs_job USING (true) WITH CHECK (true);

CREATE POLICY certjobs_job ON public.reminder_dispatch_log TO certjobs_job USING (true) WITH CHECK (true);

CREATE POLICY certjobs_job ON public.roster_events TO certjobs_job USING (true) WITH CHECK (true);

CREATE POLICY certjobs_job ON public.scheduler_run_log TO certjobs_job USING (true) WITH CHECK (true);

CREATE POLICY certjobs_job ON public.sync_queue TO certjobs_job USING (true) WITH CHECK (true);

CREATE POLICY certjobs_job ON public.website_listing TO certjobs_job USING (true) WITH CHECK (true);

CREATE POLICY certjobs_others ON public.alerts USING (true) WITH CHECK (true);

CREATE POLICY certjobs_others ON public.cert_expiry_reminders USING (true) WITH CHECK (true);

CREATE POLICY certjobs_others ON public.certification_events USING (true) WITH CHECK (true);

CREATE POLICY certjobs_others ON public.certifications USING (true) WITH CHECK (true);

CREATE POLICY certjobs_others ON public.chapters USING (true) WITH CHECK (true);

CREATE POLICY certjobs_others ON public.claim_keys USING (true) WITH CHECK (true);

CREATE POLICY certjobs_others ON public.coordinator_assignments USING (true) WITH CHECK (true);

CREATE POLICY certjobs_others ON public.coordinator_logins USING (true) WITH CHECK (true);

CREATE POLICY certjobs_others ON public.coordinators USING (true) WITH CHECK (true);

CREATE POLICY certjobs_others ON public.forecasts USING (true) WITH CHECK (true);

CREATE POLICY certjobs_others ON public.guarded_set_members USING (true) WITH CHECK (true);

CREATE POLICY certjobs_others ON public.guarded_sets USING (true) WITH CHECK (true);

CREATE POLICY certjobs_others ON public.job_lock USING (true) WITH CHECK (true);

CREATE POLICY certjobs_others ON public.mentor_status_events USING (true) WITH CHECK (true);

CREATE POLICY certjobs_others ON public.notice_snoozes USING (true) WITH CHECK (true);

CREATE POLICY certjobs_others ON public.notifications USING (true) WITH CHECK (true);

CREATE POLICY certjobs_others ON public.organisations USING (true) WITH CHECK (true);

CREATE POLICY certjobs_others ON public.peer_mentors USING (true) WITH CHECK (true);

CREATE POLICY certjobs_others ON public.reconciliation_log USING (true) WITH CHECK (true);

CREATE POLICY certjobs_others ON public.reminder_dispatch_log USING (true) WITH CHECK (true);

CREATE POLICY certjobs_others ON public.roster_events USING (true) WITH CHECK (true);

CREATE POLICY certjobs_others ON public.scheduler_run_log USING (true) WITH CHECK (true);

CREATE POLICY certjobs_others ON public.sync_queue USING (true) WITH CHECK (true);

CREATE POLICY certjobs_others ON public.website_listing USING (true) WITH CHECK (true);

CREATE POLICY certjobs_own_rows ON public.alerts AS RESTRICTIVE TO certjobs_coordinator USING (false);

CREATE POLICY certjobs_own_rows ON public.cert_expiry_reminders AS RESTRICTIVE TO certjobs_coordinator USING (false);

CREATE POLICY certjobs_own_rows ON public.certification_events AS RESTRICTIVE TO certjobs_coordinator USING (false);

CREATE POLICY certjobs_own_rows ON public.certifications AS RESTRICTIVE TO certjobs_coordinator USING ((mentor_id = ANY (( SELECT public.certjobs_own_mentors() AS certjobs_own_mentors)::bigint[])));

CREATE POLICY certjobs_own_rows ON public.chapters AS RESTRICTIVE TO certjobs_coordinator USING ((id = ANY (( SELECT p.chapters
   FROM public.certjobs_own_places() p(organisations, chapters))::bigint[])));

CREATE POLICY certjobs_own_rows ON public.claim_keys AS RESTRICTIVE TO certjobs_coordinator USING (false);

CREATE POLICY certjobs_own_rows ON public.coordinator_assignments AS RESTRICTIVE TO certjobs_coordinator USING ((coordinator_id = ANY (( SELECT public.certjobs_own_coordinators() AS certjobs_own_coordinators)::bigint[])));

CREATE POLICY certjobs_own_rows ON public.coordinator_logins AS RESTRICTIVE TO certjobs_coordinator USING (false);

CREATE POLICY certjobs_own_rows ON public.coordinators AS RESTRICTIVE TO certjobs_coordinator USING ((id = ANY (( SELECT public.certjobs_own_coordinators() AS certjobs_own_coordinators)::bigint[])));

CREATE POLICY certjobs_own_rows ON public.forecasts AS RESTRICTIVE TO certjobs_coordinator USING (false);

CREATE POLICY certjobs_own_rows ON public.guarded_set_members AS RESTRICTIVE TO certjobs_coordinator USING (false);

CREATE POLICY certjobs_own_rows ON public.guarded_sets AS RESTRICTIVE TO certjobs_coordinator USING (false);

CREATE POLICY certjobs_own_rows ON public.job_lock AS RESTRICTIVE TO certjobs_coordinator USING (false);

CREATE POLICY certjobs_own_rows ON public.mentor_status_events AS RESTRICTIVE TO certjobs_coordinator USING ((mentor_id = ANY (( SELECT public.certjobs_own_mentors() AS certjobs_own_mentors)::bigint[])));

CREATE POLICY certjobs_own_rows ON public.notice_snoozes AS RESTRICTIVE TO certjobs_coordinator USING (((mentor_id = ANY (( SELECT public.certjobs_own_mentors() AS certjobs_own_mentors)::bigint[])) AND (coordinator_id = ANY (( SELECT public.certjobs_own_coordinators() AS certjobs_own_coordinators)::bigint[]))));

CREATE POLICY certjobs_own_rows ON public.notifications AS RESTRICTIVE TO certjobs_coordinator USING (((mentor_id = ANY (( SELECT public.certjobs_own_mentors() AS certjobs_own_mentors)::bigint[])) AND (coordinator_id = ANY (( SELECT public.certjobs_own_coordinators() AS certjobs_own_coordinators)::bigint[]))));

CREATE POLICY certjobs_own_rows ON public.organisations AS RESTRICTIVE TO certjobs_coordinator USING ((id = ANY (( SELECT p.organisations
   FROM public.certjobs_own_places() p(organisations, chapters))::bigint[])));

CREATE POLICY certjobs_own_rows ON public.peer_mentors AS RESTRICTIVE TO certjobs_coordinator USING ((id = ANY (( SELECT public.certjobs_own_mentors() AS certjobs_own_mentors)::bigint[])));

CREATE POLICY certjobs_own_rows ON public.reconciliation_log AS RESTRICTIVE TO certjobs_coordinator USING (false);

CREATE POLICY certjobs_own_rows ON public.reminder_dispatch_log AS RESTRICTIVE TO certjobs_coordinator USING (false);

CREATE POLICY certjobs_own_rows ON public.roster_events AS RESTRICTIVE TO certjobs_coordinator USING (false);

CREATE POLICY certjobs_own_rows ON public.scheduler_run_log AS RESTRICTIVE TO certjobs_coordinator USING (false);

CREATE POLICY certjobs_own_rows ON public.sync_queue AS RESTRICTIVE TO certjobs_coordinator USING (false);

CREATE POLICY certjobs_own_rows ON public.website_listing AS RESTRICTIVE TO certjobs_coordinator USING ((mentor_id = ANY (( SELECT public.certjobs_own_mentors() AS certjobs_own_mentors)::bigint[])));

CREATE POLICY certjobs_read ON public.alerts TO certjobs_read USING (true) WITH CHECK (true);

CREATE POLICY certjobs_read ON public.cert_expiry_reminders TO certjobs_read USING (true) WITH CHECK (true);

CREATE POLICY certjobs_read ON public.certification_events TO certjobs_read USING (true) WITH CHECK (true);

CREATE POLICY certjobs_read ON public.certifications TO certjobs_read USING (true) WITH CHECK (true);

CREATE POLICY certjobs_read ON public.chapters TO certjobs_read USING (true) WITH CHECK (true);

CREATE POLICY certjobs_read ON public.claim_keys TO certjobs_read USING (true) WITH CHECK (true);

CREATE POLICY certjobs_read ON public.coordinator_assignments TO certjobs_read USING (true) WITH CHECK (true);

CREATE POLICY certjobs_read ON public.coordinator_logins TO certjobs_read USING (true) WITH CHECK (true);

CREATE POLICY certjobs_read ON public.coordinators TO certjobs_read USING (true) WITH CHECK (true);

CREATE POLICY certjobs_read ON public.forecasts TO certjobs_read USING (true) WITH CHECK (true);

CREATE POLICY certjobs_read ON public.guarded_set_members TO certjobs_read USING (true) WITH CHECK (true);

CREATE POLICY certjobs_read ON public.guarded_sets TO certjobs_read USING (true) WITH CHECK (true);

CREATE POLICY certjobs_read ON public.job_lock TO certjobs_read USING (true) WITH CHECK (true);

CREATE POLICY certjobs_read ON public.mentor_status_events TO certjobs_read USING (true) WITH CHECK (true);

CREATE POLICY certjobs_read ON public.notice_snoozes TO certjobs_read USING (true) WITH CHECK (true);

CREATE POLICY certjobs_read ON public.notifications TO certjobs_read USING (true) WITH CHECK (true);

CREATE POLICY certjobs_read ON public.organisations TO certjobs_read USING (true) WITH CHECK (true);

CREATE POLICY certjobs_read ON public.peer_mentors TO certjobs_read USING (true) WITH CHECK (true);

CREATE POLICY certjobs_read ON public.reconciliation_log TO certjobs_read USING (true) WITH CHECK (true);

CREATE POLICY certjobs_read ON public.reminder_dispatch_log TO certjobs_read USING (true) WITH CHECK (true);

CREATE POLICY certjobs_read ON public.roster_events TO certjobs_read USING (true) WITH CHECK (true);

CREATE POLICY certjobs_read ON public.scheduler_run_log TO certjobs_read USING (true) WITH CHECK (true);

CREATE POLICY certjobs_read ON public.sync_queue TO certjobs_read USING (true) WITH CHECK (true);

CREATE POLICY certjobs_read ON public.website_listing TO certjobs_read USING (true) WITH CHECK (true);

ALTER TABLE public.chapters ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.claim_keys ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.coordinator_assignments ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.coordinator_logins ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.coordinators ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.forecasts ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.guarded_set_members ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.guarded_sets ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.job_lock ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.mentor_status_events ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.notice_snoozes ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.notifications ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.organisations ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.peer_mentors ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.reconciliation_log ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.reminder_dispatch_log ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.roster_events ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.scheduler_run_log ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.sync_queue ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.website_listing ENABLE ROW LEVEL SECURITY;

GRANT USAGE ON SCHEMA public TO certjobs_job;
GRANT USAGE ON SCHEMA public TO certjobs_admin;
GRANT USAGE ON SCHEMA public TO certjobs_read;
GRANT USAGE ON SCHEMA public TO certjobs_coordinator;

GRANT ALL ON FUNCTION public.certjobs_abandon_dead_runs(p_run_id uuid) TO certjobs_job;
GRANT ALL ON FUNCTION public.certjobs_abandon_dead_runs(p_run_id uuid) TO certjobs_admin;
GRANT ALL ON FUNCTION public.certjobs_abandon_dead_runs(p_run_id uuid) TO certjobs_read;
GRANT ALL ON FUNCTION public.certjobs_abandon_dead_runs(p_run_id uuid) TO certjobs_coordinator;

GRANT ALL ON FUNCTION public.certjobs_acquire_lock(p_job_name text, p_run_id uuid, p_holder text) TO certjobs_job;
GRANT ALL ON FUNCTION public.certjobs_acquire_lock(p_job_name text, p_run_id uuid, p_holder text) TO certjobs_admin;
GRANT ALL ON FUNCTION public.certjobs_acquire_lock(p_job_name text, p_run_id uuid, p_holder text) TO certjobs_read;
GRANT ALL ON FUNCTION public.certjobs_acquire_lock(p_job_name text, p_run_id uuid, p_holder text) TO certjobs_coordinator;

GRANT ALL ON FUNCTION public.certjobs_actor() TO certjobs_job;
GRANT ALL ON FUNCTION public.certjobs_actor() TO certjobs_admin;
GRANT ALL ON FUNCTION public.certjobs_actor() TO certjobs_read;
GRANT ALL ON FUNCTION public.certjobs_actor() TO certjobs_coordinator;

REVOKE ALL ON FUNCTION public.certjobs_adopt_operations() FROM PUBLIC;

GRANT ALL ON FUNCTION public.certjobs_as_number(octets bytea) TO certjobs_admin;
GRANT ALL ON FUNCTION public.certjobs_as_number(octets bytea) TO certjobs_read;
GRANT ALL ON FUNCTION public.certjobs_as_number(octets bytea) TO certjobs_coordinator;

REVOKE ALL ON FUNCTION public.certjobs_audit_arrival() FROM PUBLIC;

REVOKE ALL ON FUNCTION public.certjobs_audit_assignments() FROM PUBLIC;

REVOKE ALL ON FUNCTION public.certjobs_audit_certifications_added() FROM PUBLIC;

REVOKE ALL ON FUNCTION public.certjobs_audit_certifications_changed() FROM PUBLIC;

REVOKE ALL ON FUNCTION public.certjobs_audit_certifications_removed() FROM PUBLIC;

REVOKE ALL ON FUNCTION public.certjobs_audit_coordinators() FROM PUBLIC;

REVOKE ALL ON FUNCTION public.certjobs_audit_departure() FROM PUBLIC;

REVOKE ALL ON FUNCTION public.certjobs_audit_organisations() FROM PUBLIC;

REVOKE ALL ON FUNCTION public.certjobs_audit_status() FROM PUBLIC;

GRANT ALL ON FUNCTION public.certjobs_base64url(encoded text) TO certjobs_admin;
GRANT ALL ON FUNCTION public.certjobs_base64url(encoded text) TO certjobs_read;
GRANT ALL ON FUNCTION public.certjobs_base64url(encoded text) TO certjobs_coordinator;

GRANT ALL ON FUNCTION public.certjobs_certification_end(expires_on date, withdrawn_on date) TO certjobs_job;
GRANT ALL ON FUNCTION public.certjobs_certification_end(expires_on date, withdrawn_on date) TO certjobs_admin;
GRANT ALL ON FUNCTION public.certjobs_certification_end(expires_on date, withdrawn_on date) TO certjobs_read;
GRANT ALL ON FUNCTION public.certjobs_certification_end(expires_on date, withdrawn_on date) TO certjobs_coordinator;

GRANT ALL ON FUNCTION public.certjobs_certification_facts(external_ref text, mentor_id bigint, issued_on date, expires_on date, withdrawn_on date) TO certjobs_admin;
GRANT ALL ON FUNCTION public.certjobs_certification_facts(external_ref text, mentor_id bigint, issued_on date, expires_on date, withdrawn_on date) TO certjobs_read;
GRANT ALL ON FUNCTION public.certjobs_certification_facts(external_ref text, mentor_id bigint, issued_on date, expires_on date, withdrawn_on date) TO certjobs_coordinator;

REVOKE ALL ON FUNCTION public.certjobs_certifications_deleted() FROM PUBLIC;

REVOKE ALL ON FUNCTION public.certjobs_certifications_inserted() FROM PUBLIC;

REVOKE ALL ON FUNCTION public.certjobs_certifications_truncated() FROM PUBLIC;

REVOKE ALL ON FUNCTION public.certjobs_certifications_updated() FROM PUBLIC;

REVOKE ALL ON FUNCTION public.certjobs_claimed_address() FROM PUBLIC;

GRANT ALL ON FUNCTION public.certjobs_days_left(certification_expiry date, today date) TO certjobs_job;
GRANT ALL ON FUNCTION public.certjobs_days_left(certification_expiry date, today date) TO certjobs_admin;
GRANT ALL ON FUNCTION public.certjobs_days_left(certification_expiry date, today date) TO certjobs_read;
GRANT ALL ON FUNCTION public.certjobs_days_left(certification_expiry date, today date) TO certjobs_coordinator;

REVOKE ALL ON FUNCTION public.certjobs_drop_operations() FROM PUBLIC;

GRANT ALL ON FUNCTION public.certjobs_expired(certification_expiry date, today date) TO certjobs_job;
GRANT ALL ON FUNCTION public.certjobs_expired(certification_expiry date, today date) TO certjobs_admin;
GRANT ALL ON FUNCTION public.certjobs_expired(certification_expiry date, today date) TO certjobs_read;
GRANT ALL ON FUNCTION public.certjobs_expired(certification_expiry date, today date) TO certjobs_coordinator;

REVOKE ALL ON FUNCTION public.certjobs_forget(p_table text, p_before timestamp with time zone, p_failed_before timestamp with time zone, p_limit integer) FROM PUBLIC;
GRANT ALL ON FUNCTION public.certjobs_forget(p_table text, p_before timestamp with time zone, p_failed_before timestamp with time zone, p_limit integer) TO certjobs_job;

REVOKE ALL ON FUNCTION public.certjobs_forget_keys() FROM PUBLIC;

GRANT ALL ON FUNCTION public.certjobs_furthest_day(today date, thresholds integer[]) TO certjobs_job;
GRANT ALL ON FUNCTION public.certjobs_furthest_day(today date, thresholds integer[]) TO certjobs_admin;
GRANT ALL ON FUNCTION public.certjobs_furthest_day(today date, thresholds integer[]) TO certjobs_read;
GRANT ALL ON FUNCTION public.certjobs_furthest_day(today date, thresholds integer[]) TO certjobs_coordinator;

REVOKE ALL ON FUNCTION public.certjobs_keep_approved_set() FROM PUBLIC;

REVOKE ALL ON FUNCTION public.certjobs_keep_certification_expiry() FROM PUBLIC;

GRANT ALL ON FUNCTION public.certjobs_listing(website_sync boolean, status text, certification_expiry date, today date) TO certjobs_job;
GRANT ALL ON FUNCTION public.certjobs_listing(website_sync boolean, status text, certification_expiry date, today date) TO certjobs_admin;
GRANT ALL ON FUNCTION public.certjobs_listing(website_sync boolean, status text, certification_expiry date, today date) TO certjobs_read;
GRANT ALL ON FUNCTION public.certjobs_listing(website_sync boolean, status text, certification_expiry date, today date) TO certjobs_coordinator;

GRANT ALL ON FUNCTION public.certjobs_missed_nights(p_jobs text[], p_first date, p_last date, p_zone text) TO certjobs_job;
GRANT ALL ON FUNCTION public.certjobs_missed_nights(p_jobs text[], p_first date, p_last date, p_zone text) TO certjobs_admin;
GRANT ALL ON FUNCTION public.certjobs_missed_nights(p_jobs text[], p_first date, p_last date, p_zone text) TO certjobs_read;
GRANT ALL ON FUNCTION public.certjobs_missed_nights(p_jobs text[], p_first date, p_last date, p_zone text) TO certjobs_coordinator;

GRANT SELECT,INSERT ON TABLE public.scheduler_run_log TO certjobs_job;
GRANT SELECT ON TABLE public.scheduler_run_log TO certjobs_read;
GRANT SELECT ON TABLE public.scheduler_run_log TO certjobs_admin;

GRANT UPDATE(finished_at) ON TABLE public.scheduler_run_log TO certjobs_job;

GRANT UPDATE(heartbeat_at) ON TABLE public.scheduler_run_log TO certjobs_job;

GRANT UPDATE(backend_pid) ON TABLE public.scheduler_run_log TO certjobs_job;

GRANT UPDATE(backend_start) ON TABLE public.scheduler_run_log TO certjobs_job;

GRANT UPDATE(status) ON TABLE public.scheduler_run_log TO certjobs_job;

GRANT UPDATE(exit_code) ON TABLE public.scheduler_run_log TO certjobs_job;

GRANT UPDATE(error_message) ON TABLE public.scheduler_run_log TO certjobs_job;

GRANT UPDATE(counts) ON TABLE public.scheduler_run_log TO certjobs_job;

GRANT ALL ON FUNCTION public.certjobs_night_of(p_run public.scheduler_run_log, p_zone text) TO certjobs_job;
GRANT ALL ON FUNCTION public.certjobs_night_of(p_run public.scheduler_run_log, p_zone text) TO certjobs_admin;
GRANT ALL ON FUNCTION public.certjobs_night_of(p_run public.scheduler_run_log, p_zone text) TO certjobs_read;
GRANT ALL ON FUNCTION public.certjobs_night_of(p_run public.scheduler_run_log, p_zone text) TO certjobs_coordinator;

GRANT ALL ON FUNCTION public.certjobs_notice_digest(kind text, mentor_ref text, expiry date, nth integer, address text) TO certjobs_job;
GRANT ALL ON FUNCTION public.certjobs_notice_digest(kind text, mentor_ref text, expiry date, nth integer, address text) TO certjobs_admin;
GRANT ALL ON FUNCTION public.certjobs_notice_digest(kind text, mentor_ref text, expiry date, nth integer, address text) TO certjobs_read;
GRANT ALL ON FUNCTION public.certjobs_notice_digest(kind text, mentor_ref text, expiry date, nth integer, address text) TO certjobs_coordinator;

GRANT ALL ON FUNCTION public.certjobs_notice_key(kind text, mentor_id bigint, expiry date, nth integer, coordinator_id bigint) TO certjobs_job;
GRANT ALL ON FUNCTION public.certjobs_notice_key(kind text, mentor_id bigint, expiry date, nth integer, coordinator_id bigint) TO certjobs_admin;
GRANT ALL ON FUNCTION public.certjobs_notice_key(kind text, mentor_id bigint, expiry date, nth integer, coordinator_id bigint) TO certjobs_read;
GRANT ALL ON FUNCTION public.certjobs_notice_key(kind text, mentor_id bigint, expiry date, nth integer, coordinator_id bigint) TO certjobs_coordinator;

GRANT SELECT ON TABLE public.organisations TO certjobs_job;
GRANT SELECT,INSERT,UPDATE ON TABLE public.organisations TO certjobs_admin;

GRANT SELECT(id) ON TABLE public.organisations TO certjobs_read;
GRANT SELECT(id) ON TABLE public.organisations TO certjobs_coordinator;

GRANT SELECT(code) ON TABLE public.organisations TO certjobs_read;
GRANT SELECT(code) ON TABLE public.organisations TO certjobs_coordinator;

GRANT SELECT(time_zone) ON TABLE public.organisations TO certjobs_read;
GRANT SELECT(time_zone) ON TABLE public.organisations TO certjobs_coordinator;

GRANT SELECT(thresholds) ON TABLE public.organisations TO certjobs_read;
GRANT SELECT(thresholds) ON TABLE public.organisations TO certjobs_coordinator;

GRANT SELECT(auto_pause) ON TABLE public.organisations TO certjobs_read;
GRANT SELECT(auto_pause) ON TABLE public.organisations TO certjobs_coordinator;

GRANT SELECT(remind) ON TABLE public.organisations TO certjobs_read;
GRANT SELECT(remind) ON TABLE public.organisations TO certjobs_coordinator;

GRANT SELECT(website_sync) ON TABLE public.organisations TO certjobs_read;
GRANT SELECT(website_sync) ON TABLE public.organisations TO certjobs_coordinator;

GRANT SELECT(fallback_address) ON TABLE public.organisations TO certjobs_read;
GRANT SELECT(fallback_address) ON TABLE public.organisations TO certjobs_coordinator;

GRANT ALL ON FUNCTION public.certjobs_organisation_facts(o public.organisations) TO certjobs_admin;
GRANT ALL ON FUNCTION public.certjobs_organisation_facts(o public.organisations) TO certjobs_read;
GRANT ALL ON FUNCTION public.certjobs_organisation_facts(o public.organisations) TO certjobs_coordinator;

REVOKE ALL ON FUNCTION public.certjobs_own_coordinators() FROM PUBLIC;
GRANT ALL ON FUNCTION public.certjobs_own_coordinators() TO certjobs_coordinator;

REVOKE ALL ON FUNCTION public.certjobs_own_mentors() FROM PUBLIC;
GRANT ALL ON FUNCTION public.certjobs_own_mentors() TO certjobs_coordinator;

REVOKE ALL ON FUNCTION public.certjobs_own_places(OUT organisations bigint[], OUT chapters bigint[]) FROM PUBLIC;
GRANT ALL ON FUNCTION public.certjobs_own_places(OUT organisations bigint[], OUT chapters bigint[]) TO certjobs_coordinator;

GRANT ALL ON FUNCTION public.certjobs_owner_is_dead(pid integer, session_start timestamp with time zone, last_sign timestamp with time zone) TO certjobs_job;
GRANT ALL ON FUNCTION public.certjobs_owner_is_dead(pid integer, session_start timestamp with time zone, last_sign timestamp with time zone) TO certjobs_admin;
GRANT ALL ON FUNCTION public.certjobs_owner_is_dead(pid integer, session_start timestamp with time zone, last_sign timestamp with time zone) TO certjobs_read;
GRANT ALL ON FUNCTION public.certjobs_owner_is_dead(pid integer, session_start timestamp with time zone, last_sign timestamp with time zone) TO certjobs_coordinator;

REVOKE ALL ON FUNCTION public.certjobs_pause_expired(p_mentor_ids bigint[], p_today date) FROM PUBLIC;
GRANT ALL ON FUNCTION public.certjobs_pause_expired(p_mentor_ids bigint[], p_today date) TO certjobs_job;

REVOKE ALL ON FUNCTION public.certjobs_pause_free(p_mentor_ids bigint[], p_today date) FROM PUBLIC;
GRANT ALL ON FUNCTION public.certjobs_pause_free(p_mentor_ids bigint[], p_today date) TO certjobs_job;

REVOKE ALL ON FUNCTION public.certjobs_pause_next(p_organisation_id bigint, p_today date, p_job_name text, p_approved boolean, p_after_expiry date, p_after_id bigint, p_limit integer, p_shown integer, OUT candidates integer, OUT last_expiry date, OUT last_id bigint, OUT mentor_ids bigint[], OUT recipients integer, OUT without_coordinator integer, OUT shown jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION public.certjobs_pause_next(p_organisation_id bigint, p_today date, p_job_name text, p_approved boolean, p_after_expiry date, p_after_id bigint, p_limit integer, p_shown integer, OUT candidates integer, OUT last_expiry date, OUT last_id bigint, OUT mentor_ids bigint[], OUT recipients integer, OUT without_coordinator integer, OUT shown jsonb) TO certjobs_job;

REVOKE ALL ON FUNCTION public.certjobs_pause_places(p_places tid[], p_today date) FROM PUBLIC;
GRANT ALL ON FUNCTION public.certjobs_pause_places(p_places tid[], p_today date) TO certjobs_admin;
GRANT ALL ON FUNCTION public.certjobs_pause_places(p_places tid[], p_today date) TO certjobs_read;
GRANT ALL ON FUNCTION public.certjobs_pause_places(p_places tid[], p_today date) TO certjobs_coordinator;

REVOKE ALL ON FUNCTION public.certjobs_queue_changes() FROM PUBLIC;

REVOKE ALL ON FUNCTION public.certjobs_queue_departures() FROM PUBLIC;

REVOKE ALL ON FUNCTION public.certjobs_refresh_certification_expiry(mentor_ids bigint[]) FROM PUBLIC;

GRANT ALL ON FUNCTION public.certjobs_reminders_due(organisation_id bigint, today date, thresholds integer[]) TO certjobs_job;
GRANT ALL ON FUNCTION public.certjobs_reminders_due(organisation_id bigint, today date, thresholds integer[]) TO certjobs_admin;
GRANT ALL ON FUNCTION public.certjobs_reminders_due(organisation_id bigint, today date, thresholds integer[]) TO certjobs_read;
GRANT ALL ON FUNCTION public.certjobs_reminders_due(organisation_id bigint, today date, thresholds integer[]) TO certjobs_coordinator;

GRANT ALL ON FUNCTION public.certjobs_session_start() TO certjobs_job;
GRANT ALL ON FUNCTION public.certjobs_session_start() TO certjobs_admin;
GRANT ALL ON FUNCTION public.certjobs_session_start() TO certjobs_read;
GRANT ALL ON FUNCTION public.certjobs_session_start() TO certjobs_coordinator;

GRANT ALL ON FUNCTION public.certjobs_setting(name text) TO certjobs_job;
GRANT ALL ON FUNCTION public.certjobs_setting(name text) TO certjobs_admin;
GRANT ALL ON FUNCTION public.certjobs_setting(name text) TO certjobs_read;
GRANT ALL ON FUNCTION public.certjobs_setting(name text) TO certjobs_coordinator;

GRANT ALL ON FUNCTION public.certjobs_signed(message bytea, signature bytea, modulus bytea) TO certjobs_admin;
GRANT ALL ON FUNCTION public.certjobs_signed(message bytea, signature bytea, modulus bytea) TO certjobs_read;
GRANT ALL ON FUNCTION public.certjobs_signed(message bytea, signature bytea, modulus bytea) TO certjobs_coordinator;

GRANT ALL ON FUNCTION public.certjobs_telling_id(entry text) TO certjobs_job;
GRANT ALL ON FUNCTION public.certjobs_telling_id(entry text) TO certjobs_admin;
GRANT ALL ON FUNCTION public.certjobs_telling_id(entry text) TO certjobs_read;
GRANT ALL ON FUNCTION public.certjobs_telling_id(entry text) TO certjobs_coordinator;

GRANT ALL ON FUNCTION public.certjobs_telling_ref(key text) TO certjobs_job;
GRANT ALL ON FUNCTION public.certjobs_telling_ref(key text) TO certjobs_admin;
GRANT ALL ON FUNCTION public.certjobs_telling_ref(key text) TO certjobs_read;
GRANT ALL ON FUNCTION public.certjobs_telling_ref(key text) TO certjobs_coordinator;

GRANT ALL ON FUNCTION public.certjobs_threshold_bands(today date, thresholds integer[]) TO certjobs_job;
GRANT ALL ON FUNCTION public.certjobs_threshold_bands(today date, thresholds integer[]) TO certjobs_admin;
GRANT ALL ON FUNCTION public.certjobs_threshold_bands(today date, thresholds integer[]) TO certjobs_read;
GRANT ALL ON FUNCTION public.certjobs_threshold_bands(today date, thresholds integer[]) TO certjobs_coordinator;

GRANT ALL ON FUNCTION public.certjobs_today(time_zone text) TO certjobs_job;
GRANT ALL ON FUNCTION public.certjobs_today(time_zone text) TO certjobs_admin;
GRANT ALL ON FUNCTION public.certjobs_today(time_zone text) TO certjobs_read;
GRANT ALL ON FUNCTION public.certjobs_today(time_zone text) TO certjobs_coordinator;

GRANT ALL ON FUNCTION public.certjobs_wanted(operation text, left_sync boolean, moved boolean, website_sync boolean, status text, certification_expiry date, today date) TO certjobs_job;
GRANT ALL ON FUNCTION public.certjobs_wanted(operation text, left_sync boolean, moved boolean, website_sync boolean, status text, certification_expiry date, today date) TO certjobs_admin;
GRANT ALL ON FUNCTION public.certjobs_wanted(operation text, left_sync boolean, moved boolean, website_sync boolean, status text, certification_expiry date, today date) TO certjobs_read;
GRANT ALL ON FUNCTION public.certjobs_wanted(operation text, left_sync boolean, moved boolean, website_sync boolean, status text, certification_expiry date, today date) TO certjobs_coordinator;

GRANT SELECT ON TABLE public.alerts TO certjobs_job;
GRANT SELECT ON TABLE public.alerts TO certjobs_read;
GRANT SELECT ON TABLE public.alerts TO certjobs_admin;

GRANT INSERT(class) ON TABLE public.alerts TO certjobs_job;

GRANT INSERT(number),UPDATE(number) ON TABLE public.alerts TO certjobs_job;

GRANT INSERT(last_sent_at),UPDATE(last_sent_at) ON TABLE public.alerts TO certjobs_job;

GRANT UPDATE(cleared_at) ON TABLE public.alerts TO certjobs_job;

GRANT SELECT,INSERT ON TABLE public.guarded_set_members TO certjobs_job;
GRANT SELECT ON TABLE public.guarded_set_members TO certjobs_read;
GRANT SELECT ON TABLE public.guarded_set_members TO certjobs_admin;

GRANT SELECT ON TABLE public.guarded_sets TO certjobs_job;
GRANT SELECT ON TABLE public.guarded_sets TO certjobs_read;
GRANT SELECT ON TABLE public.guarded_sets TO certjobs_admin;

GRANT INSERT(hash) ON TABLE public.guarded_sets TO certjobs_job;

GRANT INSERT(job_name) ON TABLE public.guarded_sets TO certjobs_job;

GRANT INSERT(organisation_id) ON TABLE public.guarded_sets TO certjobs_job;

GRANT INSERT(size) ON TABLE public.guarded_sets TO certjobs_job;

GRANT INSERT(run_id),UPDATE(run_id) ON TABLE public.guarded_sets TO certjobs_job;

GRANT UPDATE(refused_at) ON TABLE public.guarded_sets TO certjobs_job;

GRANT UPDATE(approved_by) ON TABLE public.guarded_sets TO certjobs_admin;

GRANT UPDATE(reason) ON TABLE public.guarded_sets TO certjobs_admin;

GRANT UPDATE(approved_at) ON TABLE public.guarded_sets TO certjobs_admin;

GRANT UPDATE(approved_until) ON TABLE public.guarded_sets TO certjobs_admin;

GRANT SELECT ON TABLE public.approved_changes TO certjobs_job;
GRANT SELECT ON TABLE public.approved_changes TO certjobs_read;
GRANT SELECT ON TABLE public.approved_changes TO certjobs_admin;

GRANT SELECT,INSERT ON TABLE public.cert_expiry_reminders TO certjobs_job;
GRANT SELECT ON TABLE public.cert_expiry_reminders TO certjobs_read;
GRANT SELECT ON TABLE public.cert_expiry_reminders TO certjobs_admin;

GRANT SELECT ON TABLE public.certification_events TO certjobs_read;
GRANT SELECT ON TABLE public.certification_events TO certjobs_admin;

GRANT SELECT(mentor_id) ON TABLE public.certification_events TO certjobs_job;

GRANT UPDATE(before) ON TABLE public.certification_events TO certjobs_admin;

GRANT UPDATE(after) ON TABLE public.certification_events TO certjobs_admin;

GRANT UPDATE(reason) ON TABLE public.certification_events TO certjobs_admin;

GRANT SELECT(run_id) ON TABLE public.certification_events TO certjobs_job;

GRANT SELECT(occurred_at) ON TABLE public.certification_events TO certjobs_job;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.certifications TO certjobs_admin;

GRANT SELECT(id) ON TABLE public.certifications TO certjobs_read;
GRANT SELECT(id) ON TABLE public.certifications TO certjobs_coordinator;

GRANT SELECT(external_ref) ON TABLE public.certifications TO certjobs_read;
GRANT SELECT(external_ref) ON TABLE public.certifications TO certjobs_coordinator;

GRANT SELECT(mentor_id) ON TABLE public.certifications TO certjobs_read;
GRANT SELECT(mentor_id) ON TABLE public.certifications TO certjobs_coordinator;

GRANT SELECT(issued_on) ON TABLE public.certifications TO certjobs_read;
GRANT SELECT(issued_on) ON TABLE public.certifications TO certjobs_coordinator;

GRANT SELECT(expires_on) ON TABLE public.certifications TO certjobs_read;
GRANT SELECT(expires_on) ON TABLE public.certifications TO certjobs_coordinator;

GRANT SELECT(withdrawn_on) ON TABLE public.certifications TO certjobs_read;
GRANT SELECT(withdrawn_on) ON TABLE public.certifications TO certjobs_coordinator;

GRANT SELECT ON TABLE public.certjobs_schema_version TO certjobs_job;
GRANT SELECT ON TABLE public.certjobs_schema_version TO certjobs_admin;
GRANT SELECT ON TABLE public.certjobs_schema_version TO certjobs_read;
GRANT SELECT ON TABLE public.certjobs_schema_version TO certjobs_coordinator;

GRANT SELECT ON TABLE public.chapters TO certjobs_job;
GRANT SELECT,INSERT,UPDATE ON TABLE public.chapters TO certjobs_admin;

GRANT SELECT(id) ON TABLE public.chapters TO certjobs_read;
GRANT SELECT(id) ON TABLE public.chapters TO certjobs_coordinator;

GRANT SELECT(organisation_id) ON TABLE public.chapters TO certjobs_read;
GRANT SELECT(organisation_id) ON TABLE public.chapters TO certjobs_coordinator;

GRANT SELECT(name) ON TABLE public.chapters TO certjobs_read;
GRANT SELECT(name) ON TABLE public.chapters TO certjobs_coordinator;

GRANT SELECT ON TABLE public.claim_keys TO certjobs_read;
GRANT SELECT ON TABLE public.claim_keys TO certjobs_admin;

GRANT INSERT(issuer) ON TABLE public.claim_keys TO certjobs_admin;

GRANT INSERT(key_id) ON TABLE public.claim_keys TO certjobs_admin;

GRANT INSERT(modulus) ON TABLE public.claim_keys TO certjobs_admin;

GRANT INSERT(granted_by) ON TABLE public.claim_keys TO certjobs_admin;

GRANT INSERT(reason) ON TABLE public.claim_keys TO certjobs_admin;

GRANT UPDATE(revoked_by) ON TABLE public.claim_keys TO certjobs_admin;

GRANT UPDATE(revoked_reason) ON TABLE public.claim_keys TO certjobs_admin;

GRANT UPDATE(revoked_at) ON TABLE public.claim_keys TO certjobs_admin;

GRANT SELECT ON TABLE public.coordinator_assignments TO certjobs_job;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.coordinator_assignments TO certjobs_admin;

GRANT SELECT(mentor_id) ON TABLE public.coordinator_assignments TO certjobs_read;
GRANT SELECT(mentor_id) ON TABLE public.coordinator_assignments TO certjobs_coordinator;

GRANT SELECT(coordinator_id) ON TABLE public.coordinator_assignments TO certjobs_read;
GRANT SELECT(coordinator_id) ON TABLE public.coordinator_assignments TO certjobs_coordinator;

GRANT SELECT ON TABLE public.coordinator_logins TO certjobs_read;
GRANT SELECT ON TABLE public.coordinator_logins TO certjobs_admin;

GRANT INSERT(login) ON TABLE public.coordinator_logins TO certjobs_admin;

GRANT INSERT(coordinator_id) ON TABLE public.coordinator_logins TO certjobs_admin;

GRANT INSERT(granted_by) ON TABLE public.coordinator_logins TO certjobs_admin;

GRANT INSERT(reason) ON TABLE public.coordinator_logins TO certjobs_admin;

GRANT UPDATE(revoked_by) ON TABLE public.coordinator_logins TO certjobs_admin;

GRANT UPDATE(revoked_reason) ON TABLE public.coordinator_logins TO certjobs_admin;

GRANT UPDATE(revoked_at) ON TABLE public.coordinator_logins TO certjobs_admin;

GRANT SELECT ON TABLE public.coordinators TO certjobs_job;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.coordinators TO certjobs_admin;

GRANT SELECT(id) ON TABLE public.coordinators TO certjobs_read;
GRANT SELECT(id) ON TABLE public.coordinators TO certjobs_coordinator;

GRANT SELECT(address) ON TABLE public.coordinators TO certjobs_read;
GRANT SELECT(address) ON TABLE public.coordinators TO certjobs_coordinator;

GRANT SELECT(name) ON TABLE public.coordinators TO certjobs_read;
GRANT SELECT(name) ON TABLE public.coordinators TO certjobs_coordinator;

GRANT SELECT(language) ON TABLE public.coordinators TO certjobs_read;
GRANT SELECT(language) ON TABLE public.coordinators TO certjobs_coordinator;

GRANT SELECT ON TABLE public.forecasts TO certjobs_job;
GRANT SELECT ON TABLE public.forecasts TO certjobs_read;
GRANT SELECT ON TABLE public.forecasts TO certjobs_admin;

GRANT INSERT(night) ON TABLE public.forecasts TO certjobs_job;

GRANT INSERT(job_name) ON TABLE public.forecasts TO certjobs_job;

GRANT INSERT(organisation_id) ON TABLE public.forecasts TO certjobs_job;

GRANT INSERT(expected),UPDATE(expected) ON TABLE public.forecasts TO certjobs_job;

GRANT INSERT(members),UPDATE(members) ON TABLE public.forecasts TO certjobs_job;

GRANT INSERT(run_id),UPDATE(run_id) ON TABLE public.forecasts TO certjobs_job;

GRANT UPDATE(created_at) ON TABLE public.forecasts TO certjobs_job;

GRANT SELECT,INSERT,DELETE ON TABLE public.job_lock TO certjobs_job;
GRANT SELECT ON TABLE public.job_lock TO certjobs_read;
GRANT SELECT ON TABLE public.job_lock TO certjobs_admin;

GRANT UPDATE(backend_pid) ON TABLE public.job_lock TO certjobs_job;

GRANT UPDATE(backend_start) ON TABLE public.job_lock TO certjobs_job;

GRANT UPDATE(heartbeat_at) ON TABLE public.job_lock TO certjobs_job;

GRANT USAGE ON SEQUENCE public.job_lock_fencing_token TO certjobs_job;

GRANT SELECT ON TABLE public.mentor_status_events TO certjobs_job;
GRANT SELECT ON TABLE public.mentor_status_events TO certjobs_read;
GRANT SELECT ON TABLE public.mentor_status_events TO certjobs_admin;

GRANT SELECT(id) ON TABLE public.mentor_status_events TO certjobs_coordinator;

GRANT SELECT(mentor_id) ON TABLE public.mentor_status_events TO certjobs_coordinator;

GRANT SELECT(event) ON TABLE public.mentor_status_events TO certjobs_coordinator;

GRANT SELECT(from_status) ON TABLE public.mentor_status_events TO certjobs_coordinator;

GRANT SELECT(to_status) ON TABLE public.mentor_status_events TO certjobs_coordinator;

GRANT UPDATE(reason) ON TABLE public.mentor_status_events TO certjobs_admin;

GRANT SELECT(certification_expiry) ON TABLE public.mentor_status_events TO certjobs_coordinator;

GRANT SELECT(effective_on) ON TABLE public.mentor_status_events TO certjobs_coordinator;

GRANT SELECT(occurred_at) ON TABLE public.mentor_status_events TO certjobs_coordinator;

GRANT SELECT ON TABLE public.notice_snoozes TO certjobs_job;
GRANT SELECT ON TABLE public.notice_snoozes TO certjobs_read;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.notice_snoozes TO certjobs_admin;
GRANT DELETE ON TABLE public.notice_snoozes TO certjobs_coordinator;

GRANT SELECT(mentor_id),INSERT(mentor_id) ON TABLE public.notice_snoozes TO certjobs_coordinator;

GRANT SELECT(coordinator_id),INSERT(coordinator_id) ON TABLE public.notice_snoozes TO certjobs_coordinator;

GRANT SELECT(threshold_day),INSERT(threshold_day) ON TABLE public.notice_snoozes TO certjobs_coordinator;

GRANT SELECT(until),INSERT(until),UPDATE(until) ON TABLE public.notice_snoozes TO certjobs_coordinator;

GRANT INSERT(reason),UPDATE(reason) ON TABLE public.notice_snoozes TO certjobs_coordinator;

GRANT SELECT(created_at) ON TABLE public.notice_snoozes TO certjobs_coordinator;

GRANT SELECT,INSERT ON TABLE public.notifications TO certjobs_job;
GRANT SELECT ON TABLE public.notifications TO certjobs_read;
GRANT SELECT ON TABLE public.notifications TO certjobs_admin;

GRANT SELECT(id) ON TABLE public.notifications TO certjobs_coordinator;

GRANT SELECT(kind) ON TABLE public.notifications TO certjobs_coordinator;

GRANT SELECT(mentor_id) ON TABLE public.notifications TO certjobs_coordinator;

GRANT SELECT(certification_expiry) ON TABLE public.notifications TO certjobs_coordinator;

GRANT SELECT(threshold_day) ON TABLE public.notifications TO certjobs_coordinator;

GRANT SELECT(pause_ordinal) ON TABLE public.notifications TO certjobs_coordinator;

GRANT SELECT(coordinator_id) ON TABLE public.notifications TO certjobs_coordinator;

GRANT UPDATE(idempotency_key) ON TABLE public.notifications TO certjobs_admin;

GRANT UPDATE(status) ON TABLE public.notifications TO certjobs_job;
GRANT SELECT(status) ON TABLE public.notifications TO certjobs_coordinator;

GRANT UPDATE(attempt) ON TABLE public.notifications TO certjobs_job;

GRANT UPDATE(not_before) ON TABLE public.notifications TO certjobs_job;

GRANT UPDATE(last_error) ON TABLE public.notifications TO certjobs_job;

GRANT UPDATE(message_id) ON TABLE public.notifications TO certjobs_job;

GRANT UPDATE(claimed_by_run) ON TABLE public.notifications TO certjobs_job;

GRANT SELECT(created_at) ON TABLE public.notifications TO certjobs_coordinator;

GRANT UPDATE(sent_at) ON TABLE public.notifications TO certjobs_job;
GRANT SELECT(sent_at) ON TABLE public.notifications TO certjobs_coordinator;

GRANT UPDATE(channel) ON TABLE public.notifications TO certjobs_job;

GRANT UPDATE(handled_by) ON TABLE public.notifications TO certjobs_admin;

GRANT UPDATE(handled_reason) ON TABLE public.notifications TO certjobs_admin;

GRANT UPDATE(handled_at) ON TABLE public.notifications TO certjobs_admin;

GRANT SELECT ON TABLE public.peer_mentors TO certjobs_job;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.peer_mentors TO certjobs_admin;

GRANT SELECT(id) ON TABLE public.peer_mentors TO certjobs_read;
GRANT SELECT(id) ON TABLE public.peer_mentors TO certjobs_coordinator;

GRANT SELECT(external_ref) ON TABLE public.peer_mentors TO certjobs_read;
GRANT SELECT(external_ref) ON TABLE public.peer_mentors TO certjobs_coordinator;

GRANT SELECT(name) ON TABLE public.peer_mentors TO certjobs_read;
GRANT SELECT(name) ON TABLE public.peer_mentors TO certjobs_coordinator;

GRANT SELECT(organisation_id) ON TABLE public.peer_mentors TO certjobs_read;
GRANT SELECT(organisation_id) ON TABLE public.peer_mentors TO certjobs_coordinator;

GRANT SELECT(chapter_id) ON TABLE public.peer_mentors TO certjobs_read;
GRANT SELECT(chapter_id) ON TABLE public.peer_mentors TO certjobs_coordinator;

GRANT SELECT(status) ON TABLE public.peer_mentors TO certjobs_read;
GRANT SELECT(status) ON TABLE public.peer_mentors TO certjobs_coordinator;

GRANT SELECT(pause_reason) ON TABLE public.peer_mentors TO certjobs_read;
GRANT SELECT(pause_reason) ON TABLE public.peer_mentors TO certjobs_coordinator;

GRANT SELECT(certification_expiry) ON TABLE public.peer_mentors TO certjobs_read;
GRANT SELECT(certification_expiry) ON TABLE public.peer_mentors TO certjobs_coordinator;

GRANT SELECT ON TABLE public.reconciliation_log TO certjobs_job;
GRANT SELECT ON TABLE public.reconciliation_log TO certjobs_read;
GRANT SELECT ON TABLE public.reconciliation_log TO certjobs_admin;

GRANT INSERT(finding) ON TABLE public.reconciliation_log TO certjobs_job;

GRANT INSERT(mentor_id) ON TABLE public.reconciliation_log TO certjobs_job;

GRANT INSERT(certification_expiry_date) ON TABLE public.reconciliation_log TO certjobs_job;

GRANT INSERT(detail),UPDATE(detail) ON TABLE public.reconciliation_log TO certjobs_job;

GRANT INSERT(done),UPDATE(done) ON TABLE public.reconciliation_log TO certjobs_job;

GRANT INSERT(actor) ON TABLE public.reconciliation_log TO certjobs_job;

GRANT INSERT(run_id) ON TABLE public.reconciliation_log TO certjobs_job;

GRANT UPDATE(cleared_at) ON TABLE public.reconciliation_log TO certjobs_job;

GRANT SELECT,INSERT ON TABLE public.reminder_dispatch_log TO certjobs_job;
GRANT SELECT ON TABLE public.reminder_dispatch_log TO certjobs_read;
GRANT SELECT ON TABLE public.reminder_dispatch_log TO certjobs_admin;

GRANT UPDATE(message_id) ON TABLE public.reminder_dispatch_log TO certjobs_admin;

GRANT SELECT ON TABLE public.roster_events TO certjobs_read;
GRANT SELECT ON TABLE public.roster_events TO certjobs_admin;

GRANT SELECT(entity) ON TABLE public.roster_events TO certjobs_job;

GRANT SELECT(entity_id) ON TABLE public.roster_events TO certjobs_job;

GRANT UPDATE(before) ON TABLE public.roster_events TO certjobs_admin;

GRANT UPDATE(after) ON TABLE public.roster_events TO certjobs_admin;

GRANT UPDATE(reason) ON TABLE public.roster_events TO certjobs_admin;

GRANT SELECT(run_id) ON TABLE public.roster_events TO certjobs_job;

GRANT SELECT(occurred_at) ON TABLE public.roster_events TO certjobs_job;

GRANT SELECT,INSERT ON TABLE public.sync_queue TO certjobs_job;
GRANT SELECT ON TABLE public.sync_queue TO certjobs_read;
GRANT SELECT ON TABLE public.sync_queue TO certjobs_admin;

GRANT UPDATE(mentor_ref) ON TABLE public.sync_queue TO certjobs_job;

GRANT UPDATE(operation) ON TABLE public.sync_queue TO certjobs_job;

GRANT UPDATE(status) ON TABLE public.sync_queue TO certjobs_job;

GRANT UPDATE(explained) ON TABLE public.sync_queue TO certjobs_job;

GRANT UPDATE(claimed_by_run) ON TABLE public.sync_queue TO certjobs_job;

GRANT UPDATE(attempt) ON TABLE public.sync_queue TO certjobs_job;

GRANT UPDATE(failures) ON TABLE public.sync_queue TO certjobs_job;

GRANT UPDATE(sent) ON TABLE public.sync_queue TO certjobs_job;

GRANT UPDATE(outcome) ON TABLE public.sync_queue TO certjobs_job;

GRANT UPDATE(not_before) ON TABLE public.sync_queue TO certjobs_job;

GRANT UPDATE(leased_until) ON TABLE public.sync_queue TO certjobs_job;

GRANT UPDATE(last_error) ON TABLE public.sync_queue TO certjobs_job;

GRANT UPDATE(finished_at) ON TABLE public.sync_queue TO certjobs_job;

GRANT UPDATE(let_through_at) ON TABLE public.sync_queue TO certjobs_job;

GRANT UPDATE(unsure_until) ON TABLE public.sync_queue TO certjobs_job;

GRANT UPDATE(handled_by) ON TABLE public.sync_queue TO certjobs_admin;

GRANT UPDATE(handled_reason) ON TABLE public.sync_queue TO certjobs_admin;

GRANT UPDATE(handled_at) ON TABLE public.sync_queue TO certjobs_admin;

GRANT SELECT,INSERT,DELETE ON TABLE public.website_listing TO certjobs_job;
GRANT SELECT ON TABLE public.website_listing TO certjobs_read;
GRANT SELECT ON TABLE public.website_listing TO certjobs_admin;

GRANT SELECT(mentor_id) ON TABLE public.website_listing TO certjobs_coordinator;

GRANT UPDATE(listed) ON TABLE public.website_listing TO certjobs_job;
GRANT SELECT(listed) ON TABLE public.website_listing TO certjobs_coordinator;

GRANT UPDATE(acknowledged_at) ON TABLE public.website_listing TO certjobs_job;
GRANT SELECT(acknowledged_at) ON TABLE public.website_listing TO certjobs_coordinator;

GRANT UPDATE(operation_id) ON TABLE public.website_listing TO certjobs_job;

GRANT UPDATE(run_id) ON TABLE public.website_listing TO certjobs_job;
