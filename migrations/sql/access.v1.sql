-- Who may do what, and to whose rows. certjobs_job runs the jobs; certjobs_admin does all that the command line can, migrations
-- excepted; certjobs_read looks; certjobs_coordinator sees the mentors assigned to whoever it is. The tables' owner, and
-- whoever is none of the four, is as free as the privileges say.

-- A signed claim: a JSON Web Token (RFC 7519) signed RS256 (RFC 7518 section 3.3) by a key in claim_keys, for the audience
-- certjobs, whose subject is a coordinator's address. The client may set certjobs.claim to what it likes: it cannot sign.
-- Every fault is an error, for an empty list would look like a coordinator without mentors.
CREATE FUNCTION certjobs_claimed_address() RETURNS text
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
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
$$;

CREATE FUNCTION certjobs_base64url(encoded text) RETURNS bytea
LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $$ SELECT decode(rpad(translate(encoded, '-_', '+/'), (length(encoded) + 3) / 4 * 4, '='), 'base64') $$;

-- RSASSA-PKCS1-v1_5 with SHA-256 (RFC 8017 section 8.2.2), the public exponent being 65537: the encoded message is made
-- anew and compared whole, so that no padding needs to be read.
CREATE FUNCTION certjobs_signed(message bytea, signature bytea, modulus bytea) RETURNS boolean
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
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

CREATE FUNCTION certjobs_as_number(octets bytea) RETURNS numeric
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
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

-- Who the session is among the coordinators: who its login belongs to, else who a signed claim says. An address in several
-- spellings is one coordinator. Empty for everybody else. Whatever is the same for every row stands in a query of its own:
-- it is asked once, and a signature checked once.
CREATE FUNCTION certjobs_own_coordinators() RETURNS bigint[]
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
    SELECT coalesce(array_agg(k.id::bigint), '{}')
      FROM public.coordinators k
     WHERE lower(k.address) = (SELECT coalesce((SELECT lower(h.address)
                                                  FROM public.coordinator_logins l
                                                  JOIN public.coordinators h ON h.id = l.coordinator_id
                                                 WHERE l.login = session_user AND l.revoked_at IS NULL),
                                               public.certjobs_claimed_address()))
$$;

CREATE FUNCTION certjobs_own_mentors() RETURNS bigint[]
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
    SELECT coalesce(array_agg(DISTINCT a.mentor_id::bigint), '{}')
      FROM public.coordinator_assignments a
     WHERE a.coordinator_id = ANY ((SELECT public.certjobs_own_coordinators())::bigint[])
$$;

CREATE FUNCTION certjobs_own_places(OUT organisations bigint[], OUT chapters bigint[])
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
    SELECT coalesce(array_agg(DISTINCT m.organisation_id::bigint), '{}'),
           coalesce(array_agg(DISTINCT m.chapter_id::bigint), '{}')
      FROM public.peer_mentors m
     WHERE m.id = ANY ((SELECT public.certjobs_own_mentors())::bigint[])
$$;

-- Functions that work with the owner's privileges are nobody's unless they are granted: on a table of its own, or a
-- temporary one, anyone could have hung one of them as a trigger and written an audit of what never happened. Their bodies
-- name the schema of everything that is ours, so none is searched: where people may create in public, a function of their
-- own that fits better, say lower(varchar), would have been called in place of the system's. The others
-- work with the caller's; they are granted by name, for a cluster may take them from PUBLIC.
DO $$
DECLARE
    each regprocedure;
BEGIN
    FOR each IN SELECT p.oid FROM pg_proc p
                 WHERE p.pronamespace = 'public'::regnamespace AND p.proname LIKE 'certjobs\_%' AND p.prosecdef LOOP
        EXECUTE format('REVOKE ALL ON FUNCTION %s FROM PUBLIC', each);
        EXECUTE format('ALTER FUNCTION %s SET search_path = pg_catalog, pg_temp', each);
    END LOOP;
    FOR each IN SELECT p.oid FROM pg_proc p
                 WHERE p.pronamespace = 'public'::regnamespace AND p.proname LIKE 'certjobs\_%' AND NOT p.prosecdef
                   AND p.prorettype <> 'trigger'::regtype LOOP
        EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO certjobs_admin, certjobs_read, certjobs_coordinator', each);
    END LOOP;
END
$$;

GRANT USAGE ON SCHEMA public TO certjobs_admin, certjobs_read, certjobs_coordinator;
GRANT SELECT ON certjobs_schema_version TO certjobs_admin, certjobs_read, certjobs_coordinator;

-- Looking. Of the roster what certjobs knows: an application may keep more in it.
GRANT SELECT (id, code, time_zone, thresholds, auto_pause, remind, website_sync, fallback_address) ON organisations
   TO certjobs_read, certjobs_coordinator;
GRANT SELECT (id, organisation_id, name) ON chapters TO certjobs_read, certjobs_coordinator;
GRANT SELECT (id, address, name, language) ON coordinators TO certjobs_read, certjobs_coordinator;
GRANT SELECT (id, external_ref, name, organisation_id, chapter_id, status, pause_reason, certification_expiry)
   ON peer_mentors TO certjobs_read, certjobs_coordinator;
GRANT SELECT (mentor_id, coordinator_id) ON coordinator_assignments TO certjobs_read, certjobs_coordinator;
GRANT SELECT (id, external_ref, mentor_id, issued_on, expires_on, withdrawn_on) ON certifications
   TO certjobs_read, certjobs_coordinator;
GRANT SELECT ON organisations, chapters, coordinators, peer_mentors, coordinator_assignments, certifications
   TO certjobs_admin;
GRANT SELECT ON certification_events, mentor_status_events, roster_events,
                notifications, cert_expiry_reminders, reminder_dispatch_log, notice_snoozes,
                sync_queue, website_listing, reconciliation_log, alerts, forecasts,
                scheduler_run_log, job_lock, guarded_sets, guarded_set_members, approved_changes,
                coordinator_logins, claim_keys
             TO certjobs_read, certjobs_admin;

-- Administration, besides what the jobs may do: the roster, and what people are asked to settle. Of the audit only what
-- tells of a person can be taken out, which the triggers see to; rows are added by triggers alone, and history is nobody's
-- to delete.
GRANT INSERT, UPDATE ON organisations, chapters, coordinators, peer_mentors, coordinator_assignments, certifications,
                        notice_snoozes
             TO certjobs_admin;
GRANT DELETE ON coordinators, peer_mentors, coordinator_assignments, certifications, notice_snoozes TO certjobs_admin;
GRANT UPDATE (idempotency_key, handled_by, handled_reason, handled_at) ON notifications TO certjobs_admin;
GRANT UPDATE (handled_by, handled_reason, handled_at) ON sync_queue TO certjobs_admin;
GRANT UPDATE (approved_by, reason, approved_at, approved_until) ON guarded_sets TO certjobs_admin;
GRANT UPDATE (reason, before, after) ON certification_events, roster_events TO certjobs_admin;
GRANT UPDATE (reason) ON mentor_status_events TO certjobs_admin;
GRANT UPDATE (message_id) ON reminder_dispatch_log TO certjobs_admin;
GRANT INSERT (login, coordinator_id, granted_by, reason), UPDATE (revoked_by, revoked_reason, revoked_at)
   ON coordinator_logins TO certjobs_admin;
GRANT INSERT (issuer, key_id, modulus, granted_by, reason), UPDATE (revoked_by, revoked_reason, revoked_at)
   ON claim_keys TO certjobs_admin;

-- An adopted roster may take its numbers from sequences.
DO $$
DECLARE
    each regclass;
BEGIN
    FOR each IN SELECT DISTINCT d.refobjid FROM pg_attrdef a
                  JOIN pg_depend d ON d.classid = 'pg_attrdef'::regclass AND d.objid = a.oid
                                  AND d.refclassid = 'pg_class'::regclass
                  JOIN pg_class s ON s.oid = d.refobjid AND s.relkind = 'S'
                 WHERE a.adrelid = ANY (ARRAY['organisations', 'chapters', 'coordinators', 'peer_mentors',
                                              'coordinator_assignments', 'certifications']::regclass[]) LOOP
        EXECUTE format('GRANT USAGE ON SEQUENCE %s TO certjobs_admin', each);
    END LOOP;
END
$$;

-- A coordinator.
GRANT EXECUTE ON FUNCTION certjobs_own_coordinators(), certjobs_own_mentors(), certjobs_own_places() TO certjobs_coordinator;
GRANT SELECT (id, mentor_id, event, from_status, to_status, certification_expiry, effective_on, occurred_at)
   ON mentor_status_events TO certjobs_coordinator;
GRANT SELECT (id, kind, mentor_id, certification_expiry, threshold_day, pause_ordinal, coordinator_id, status, created_at,
              sent_at) ON notifications TO certjobs_coordinator;
GRANT SELECT (mentor_id, listed, acknowledged_at) ON website_listing TO certjobs_coordinator;
GRANT SELECT (mentor_id, coordinator_id, threshold_day, until, created_at),
      INSERT (mentor_id, coordinator_id, threshold_day, until, reason), UPDATE (until, reason), DELETE
   ON notice_snoozes TO certjobs_coordinator;
ALTER TABLE notice_snoozes ALTER COLUMN actor SET DEFAULT session_user;

-- Whose rows. Where an application has row security of its own on a table, that stays as it is; where it had none, who is
-- no coordinator of ours sees what it saw. A coordinator is held by restrictive policies: they hold whatever an application
-- lets everybody see and whatever else is granted to the login, and as conditions of their own they are found by index.
DO $$
DECLARE
    each text;
    role text;
BEGIN
    FOREACH each IN ARRAY ARRAY[
        'organisations', 'chapters', 'coordinators', 'peer_mentors', 'coordinator_assignments', 'certifications',
        'certification_events', 'mentor_status_events', 'roster_events',
        'notifications', 'cert_expiry_reminders', 'reminder_dispatch_log', 'notice_snoozes',
        'sync_queue', 'website_listing', 'reconciliation_log', 'alerts', 'forecasts',
        'scheduler_run_log', 'job_lock', 'guarded_sets', 'guarded_set_members', 'coordinator_logins', 'claim_keys'] LOOP
        FOREACH role IN ARRAY ARRAY['certjobs_job', 'certjobs_admin', 'certjobs_read', 'certjobs_coordinator'] LOOP
            EXECUTE format('CREATE POLICY %I ON %I TO %I USING (true) WITH CHECK (true)', role, each, role);
        END LOOP;
        IF NOT (SELECT c.relrowsecurity FROM pg_class c WHERE c.oid = each::regclass) THEN
            EXECUTE format('CREATE POLICY certjobs_others ON %I USING (true) WITH CHECK (true)', each);
            EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', each);
        END IF;
        EXECUTE format('CREATE POLICY certjobs_own_rows ON %I AS RESTRICTIVE TO certjobs_coordinator USING (%s)', each,
            CASE each
                WHEN 'organisations' THEN 'id = ANY ((SELECT p.organisations FROM certjobs_own_places() p)::bigint[])'
                WHEN 'chapters' THEN 'id = ANY ((SELECT p.chapters FROM certjobs_own_places() p)::bigint[])'
                WHEN 'coordinators' THEN 'id = ANY ((SELECT certjobs_own_coordinators())::bigint[])'
                WHEN 'coordinator_assignments'
                    THEN 'coordinator_id = ANY ((SELECT certjobs_own_coordinators())::bigint[])'
                WHEN 'peer_mentors' THEN 'id = ANY ((SELECT certjobs_own_mentors())::bigint[])'
                WHEN 'certifications' THEN 'mentor_id = ANY ((SELECT certjobs_own_mentors())::bigint[])'
                WHEN 'mentor_status_events' THEN 'mentor_id = ANY ((SELECT certjobs_own_mentors())::bigint[])'
                WHEN 'website_listing' THEN 'mentor_id = ANY ((SELECT certjobs_own_mentors())::bigint[])'
                WHEN 'notifications'
                    THEN 'mentor_id = ANY ((SELECT certjobs_own_mentors())::bigint[])'
                         || ' AND coordinator_id = ANY ((SELECT certjobs_own_coordinators())::bigint[])'
                WHEN 'notice_snoozes'
                    THEN 'mentor_id = ANY ((SELECT certjobs_own_mentors())::bigint[])'
                         || ' AND coordinator_id = ANY ((SELECT certjobs_own_coordinators())::bigint[])'
                ELSE 'false'
            END);
    END LOOP;
END
$$;
