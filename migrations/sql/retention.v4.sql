-- As before, and of the website what is over.
CREATE OR REPLACE FUNCTION certjobs_forget(p_table text, p_before timestamptz, p_limit integer) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
    deleted bigint;
BEGIN
    -- The jobs' own login may call this: it must not be able to wipe away what it did of late.
    IF p_before > clock_timestamp() - interval '90 days' THEN
        RAISE EXCEPTION 'History younger than 90 days is kept.' USING ERRCODE = 'invalid_parameter_value';
    END IF;
    CASE p_table
    WHEN 'notifications' THEN
        DELETE FROM public.notifications d
         WHERE d.id IN (SELECT n.id FROM public.notifications n
                         WHERE n.created_at < p_before
                           AND coalesce(n.sent_at, n.created_at) < p_before
                           AND n.status NOT IN ('pending', 'sending', 'failed')
                           AND NOT EXISTS (SELECT 1 FROM public.notifications other
                                            WHERE other.mentor_id = n.mentor_id
                                              AND other.kind = n.kind
                                              AND other.certification_expiry = n.certification_expiry
                                              AND other.threshold_day IS NOT DISTINCT FROM n.threshold_day
                                              AND other.pause_ordinal IS NOT DISTINCT FROM n.pause_ordinal
                                              AND other.status IN ('pending', 'sending', 'failed'))
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
         WHERE d.id IN (SELECT l.id FROM public.reminder_dispatch_log l WHERE l.occurred_at < p_before LIMIT p_limit);
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
        -- What is dead for a mentor still counts: it is not sent again by itself.
        DELETE FROM public.sync_queue d
         WHERE d.id IN (SELECT q.id FROM public.sync_queue q
                         WHERE q.created_at < p_before AND q.finished_at < p_before
                           AND (q.status IN ('done', 'superseded')
                                OR q.status = 'dead'
                                   AND NOT EXISTS (SELECT 1 FROM public.peer_mentors m WHERE m.id = q.mentor_id))
                         LIMIT p_limit);
    WHEN 'reconciliation_log' THEN
        DELETE FROM public.reconciliation_log d
         WHERE d.id IN (SELECT l.id FROM public.reconciliation_log l
                         WHERE l.created_at < p_before AND l.cleared_at < p_before
                         LIMIT p_limit);
    WHEN 'scheduler_run_log' THEN
        DELETE FROM public.scheduler_run_log d
         WHERE d.run_id IN (SELECT r.run_id FROM public.scheduler_run_log r
                             WHERE r.started_at < p_before AND r.finished_at < p_before AND r.status <> 'running'
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
