-- The one way the job pauses. Invariant: a mentor is paused, audited and owed notices in one transaction, or nothing
-- of it happened. The caller's list is only a proposal: status, expiry and the organisation's flag are looked at again
-- under the mentors' row locks, taken in id order so that two callers cannot deadlock.

CREATE FUNCTION certjobs_pause_expired(p_mentor_ids bigint[], p_today date)
RETURNS TABLE (mentor_id bigint, mentor_ref text, organisation text, chapter text, certification_expiry date,
               recipients integer, has_coordinator boolean)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    paused_ids bigint[];
    paused_expiries date[];
BEGIN
    PERFORM set_config('certjobs.today', p_today::text, true);
    PERFORM 1 FROM public.peer_mentors m WHERE m.id = ANY (p_mentor_ids) ORDER BY m.id FOR NO KEY UPDATE;

    WITH paused AS (
        UPDATE public.peer_mentors m
           SET status = 'paused', pause_reason = 'expired_cert'
         WHERE m.id = ANY (p_mentor_ids)
           AND m.status = 'active'
           AND public.certjobs_expired(m.certification_expiry, p_today)
           AND EXISTS (SELECT 1 FROM public.organisations o WHERE o.id = m.organisation_id AND o.auto_pause)
        RETURNING m.id, m.certification_expiry
    )
    SELECT array_agg(p.id::bigint), array_agg(p.certification_expiry) INTO paused_ids, paused_expiries FROM paused p;

    -- OFFSET 0 keeps the planner to one index look-up a mentor: status and expiry are correlated, and it would expect
    -- hundreds of times too many rows. The ordinal counts this pause too: its audit row was written just above.
    INSERT INTO public.notifications
           (kind, mentor_id, certification_expiry, pause_ordinal, coordinator_id, idempotency_key, caused_by_run)
    SELECT 'pause', p.id, p.expiry, nth.pause, c.coordinator_id,
           public.certjobs_notice_key('pause', p.id, p.expiry, nth.pause, c.coordinator_id),
           public.certjobs_setting('run_id')::uuid
      FROM unnest(paused_ids, paused_expiries) AS p (id, expiry)
     CROSS JOIN LATERAL (SELECT count(*)::integer AS pause FROM public.mentor_status_events e
                          WHERE e.mentor_id = p.id AND e.event = 'expired_cert'
                            AND e.certification_expiry = p.expiry OFFSET 0) nth
      LEFT JOIN LATERAL (SELECT a.coordinator_id FROM public.coordinator_assignments a
                          WHERE a.mentor_id = p.id OFFSET 0) c ON true
        ON CONFLICT DO NOTHING;

    RETURN QUERY
    SELECT p.id, m.external_ref::text, o.code::text, ch.name::text, p.expiry, greatest(assigned.n, 1), assigned.n > 0
      FROM unnest(paused_ids, paused_expiries) AS p (id, expiry)
      JOIN public.peer_mentors m ON m.id = p.id
      JOIN public.organisations o ON o.id = m.organisation_id
      JOIN public.chapters ch ON ch.id = m.chapter_id
     CROSS JOIN LATERAL (SELECT count(*)::integer AS n FROM public.coordinator_assignments a
                          WHERE a.mentor_id = p.id OFFSET 0) assigned
     ORDER BY p.expiry, p.id;
END
$$;
REVOKE ALL ON FUNCTION certjobs_pause_expired(bigint[], date) FROM PUBLIC;

-- The key of a notice derives from what the notice is, not from its row: the same after a restore, the same at every
-- attempt. It is a digest, so that it tells a receiver nothing.
CREATE FUNCTION certjobs_notice_key(kind text, mentor_id bigint, expiry date, nth integer, coordinator_id bigint)
RETURNS text
LANGUAGE sql STABLE
AS $$
    SELECT encode(sha256(convert_to(
               kind || E'\n' || (SELECT m.external_ref FROM public.peer_mentors m WHERE m.id = mentor_id)
               || E'\n' || expiry || E'\n' || nth || E'\n'
               || coalesce((SELECT lower(c.address) FROM public.coordinators c WHERE c.id = coordinator_id), 'fallback'),
               'UTF8')), 'hex')
$$;
