-- Retention: what is over and older than a day given is deleted, the oldest first, so many rows of each table a call.
-- Kept, however old: what is still owed; a pause that is the mentor's present one, for the next one of the same expiry is
-- counted from it; and what the guard refused, while an approval of it stands.
CREATE FUNCTION certjobs_forget(p_before timestamptz, p_limit integer)
RETURNS TABLE (notifications bigint, mentor_status_events bigint, certification_events bigint, roster_events bigint,
               runs bigint, guarded_sets bigint)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
#variable_conflict use_column
BEGIN
    -- The jobs' own login may call this: it must not be able to wipe away what it did last night.
    IF p_before > clock_timestamp() - interval '90 days' THEN
        RAISE EXCEPTION 'History younger than 90 days is kept.' USING ERRCODE = 'invalid_parameter_value';
    END IF;

    DELETE FROM public.notifications d
     WHERE d.id IN (SELECT n.id FROM public.notifications n
                     WHERE coalesce(n.sent_at, n.created_at) < p_before
                       AND n.status NOT IN ('pending', 'sending', 'failed')
                     ORDER BY n.id LIMIT p_limit);
    GET DIAGNOSTICS notifications = ROW_COUNT;

    DELETE FROM public.mentor_status_events d
     WHERE d.id IN (SELECT e.id FROM public.mentor_status_events e
                     WHERE e.occurred_at < p_before
                       AND (e.event <> 'expired_cert'
                            OR NOT EXISTS (SELECT 1 FROM public.peer_mentors m
                                            WHERE m.id = e.mentor_id
                                              AND m.certification_expiry = e.certification_expiry)
                               AND NOT EXISTS (SELECT 1 FROM public.notifications n
                                                WHERE n.mentor_id = e.mentor_id AND n.kind = 'pause'
                                                  AND n.certification_expiry = e.certification_expiry))
                     ORDER BY e.id LIMIT p_limit);
    GET DIAGNOSTICS mentor_status_events = ROW_COUNT;

    DELETE FROM public.certification_events d
     WHERE d.id IN (SELECT e.id FROM public.certification_events e
                     WHERE e.occurred_at < p_before ORDER BY e.id LIMIT p_limit);
    GET DIAGNOSTICS certification_events = ROW_COUNT;

    DELETE FROM public.roster_events d
     WHERE d.id IN (SELECT e.id FROM public.roster_events e
                     WHERE e.occurred_at < p_before ORDER BY e.id LIMIT p_limit);
    GET DIAGNOSTICS roster_events = ROW_COUNT;

    DELETE FROM public.scheduler_run_log d
     WHERE d.run_id IN (SELECT r.run_id FROM public.scheduler_run_log r
                         WHERE r.finished_at < p_before AND r.status <> 'running'
                         ORDER BY r.started_at LIMIT p_limit);
    GET DIAGNOSTICS runs = ROW_COUNT;

    DELETE FROM public.guarded_sets d
     WHERE d.id IN (SELECT g.id FROM public.guarded_sets g
                     WHERE g.refused_at < p_before
                       AND coalesce(g.approved_until, '-infinity') < p_before
                     ORDER BY g.id LIMIT p_limit);
    GET DIAGNOSTICS guarded_sets = ROW_COUNT;
    RETURN NEXT;
END
$$;
REVOKE ALL ON FUNCTION certjobs_forget(timestamptz, integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION certjobs_forget(timestamptz, integer) TO certjobs_job;
GRANT SELECT ON roster_events TO certjobs_job;
