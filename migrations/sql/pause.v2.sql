-- As before, in one statement: what the update returns is not looked up again, and a notice's key is computed from what
-- is at hand. A pause is the mentor's n-th of that expiry: its own audit row is written when the statement ends, so it
-- counts the earlier ones and itself. They cannot change meanwhile: the mentor's row is locked.

-- The day is written out here: a session's DateStyle must not change a key.
CREATE OR REPLACE FUNCTION certjobs_notice_digest(kind text, mentor_ref text, expiry date, nth integer, address text) RETURNS text
LANGUAGE sql STABLE
AS $$
    SELECT encode(sha256(convert_to(
               kind || E'\n' || mentor_ref || E'\n' || to_char(expiry, 'YYYY-MM-DD') || E'\n' || nth || E'\n'
               || coalesce(lower(address), 'fallback'),
               'UTF8')), 'hex')
$$;

CREATE OR REPLACE FUNCTION certjobs_notice_key(kind text, mentor_id bigint, expiry date, nth integer,
                                               coordinator_id bigint)
RETURNS text
LANGUAGE sql STABLE
AS $$
    SELECT public.certjobs_notice_digest(
               kind, (SELECT m.external_ref FROM public.peer_mentors m WHERE m.id = mentor_id), expiry, nth,
               (SELECT c.address FROM public.coordinators c WHERE c.id = coordinator_id))
$$;

CREATE OR REPLACE FUNCTION certjobs_pause_expired(p_mentor_ids bigint[], p_today date)
RETURNS TABLE (mentor_id bigint, mentor_ref text, organisation text, chapter text, certification_expiry date,
               recipients integer, has_coordinator boolean)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
SET plan_cache_mode = force_custom_plan -- one plan for every list of mentors would suit a list of ten
AS $$
#variable_conflict use_column
BEGIN
    PERFORM set_config('certjobs.today', p_today::text, true);
    PERFORM 1 FROM public.peer_mentors m WHERE m.id = ANY (p_mentor_ids) ORDER BY m.id FOR NO KEY UPDATE;

    -- OFFSET 0 keeps the planner to one index look-up a mentor: status and expiry are correlated, and it would expect
    -- hundreds of times too many rows.
    RETURN QUERY
    WITH paused AS (
        UPDATE public.peer_mentors m
           SET status = 'paused', pause_reason = 'expired_cert'
         WHERE m.id = ANY (p_mentor_ids)
           AND m.status = 'active'
           AND public.certjobs_expired(m.certification_expiry, p_today)
           AND EXISTS (SELECT 1 FROM public.organisations o WHERE o.id = m.organisation_id AND o.auto_pause)
        RETURNING m.id, m.external_ref, m.organisation_id, m.chapter_id, m.certification_expiry AS expiry
    ), owed AS MATERIALIZED (
        SELECT p.id, p.external_ref, p.expiry, 1 + earlier.pauses AS nth, c.coordinator_id, c.address
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
            ON CONFLICT DO NOTHING
    ), told AS (
        SELECT w.id, count(*)::integer AS recipients, count(w.coordinator_id) > 0 AS has_coordinator
          FROM owed w
         GROUP BY w.id
    )
    SELECT p.id::bigint, p.external_ref::text, o.code::text, ch.name::text, p.expiry, t.recipients, t.has_coordinator
      FROM paused p
      JOIN told t ON t.id = p.id
      JOIN public.organisations o ON o.id = p.organisation_id
      JOIN public.chapters ch ON ch.id = p.chapter_id
     ORDER BY p.expiry, p.id;
END
$$;
GRANT EXECUTE ON FUNCTION certjobs_notice_digest(text, text, date, integer, text) TO certjobs_job;

-- The same for the function that keeps certification_expiry: an application's session lives long.
ALTER FUNCTION certjobs_refresh_certification_expiry(bigint[]) SET plan_cache_mode = force_custom_plan;
