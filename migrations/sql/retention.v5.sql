-- As before, with two ages: what went wrong is kept longer, until p_failed_before. That is what was not delivered or not sent,
-- findings and alerts, and runs that failed, ended partial or were abandoned. What is open is never deleted, however old.
DROP FUNCTION certjobs_forget(text, timestamptz, integer);
CREATE FUNCTION certjobs_forget(p_table text, p_before timestamptz, p_failed_before timestamptz, p_limit integer)
RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
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
REVOKE ALL ON FUNCTION certjobs_forget(text, timestamptz, timestamptz, integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION certjobs_forget(text, timestamptz, timestamptz, integer) TO certjobs_job;
