-- Pausing in three ways that share one statement. Mentors are nearly always free, so the night first does without a lock
-- pass of its own; who is in somebody's hands is left for later, and only then waited for.

CREATE FUNCTION certjobs_pause_places(p_places tid[], p_today date)
RETURNS TABLE (mentor_id bigint, mentor_ref text, organisation text, chapter text, certification_expiry date,
               recipients integer, has_coordinator boolean)
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp
SET plan_cache_mode = force_custom_plan -- one plan for every list of mentors would suit a list of ten
SET lock_timeout = '100ms' -- far shorter than deadlock_timeout: whoever holds a mentor never has to give way to this
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

CREATE FUNCTION certjobs_pause_next(p_organisation_id bigint, p_today date, p_job_name text, p_approved boolean,
                                    p_after_expiry date, p_after_id bigint, p_limit integer, p_shown integer,
                                    OUT candidates integer, OUT last_expiry date, OUT last_id bigint,
                                    OUT mentor_ids bigint[], OUT recipients integer, OUT without_coordinator integer,
                                    OUT shown jsonb)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
SET plan_cache_mode = force_custom_plan
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

CREATE FUNCTION certjobs_pause_free(p_mentor_ids bigint[], p_today date)
RETURNS TABLE (mentor_id bigint, mentor_ref text, organisation text, chapter text, certification_expiry date,
               recipients integer, has_coordinator boolean)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
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

CREATE OR REPLACE FUNCTION certjobs_pause_expired(p_mentor_ids bigint[], p_today date)
RETURNS TABLE (mentor_id bigint, mentor_ref text, organisation text, chapter text, certification_expiry date,
               recipients integer, has_coordinator boolean)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
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

REVOKE ALL ON FUNCTION certjobs_pause_places(tid[], date), certjobs_pause_free(bigint[], date),
                       certjobs_pause_next(bigint, date, text, boolean, date, bigint, integer, integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION certjobs_pause_free(bigint[], date),
                          certjobs_pause_next(bigint, date, text, boolean, date, bigint, integer, integer)
   TO certjobs_job;
