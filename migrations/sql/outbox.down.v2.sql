DROP TRIGGER certjobs_adopt_operations ON peer_mentors;
DROP FUNCTION certjobs_adopt_operations();
DROP FUNCTION certjobs_wanted(text, boolean, boolean, boolean, text, date, date);
REVOKE UPDATE (operation, explained, let_through_at, unsure_until) ON sync_queue FROM certjobs_job;
DROP INDEX ix_sync_queue_unsure;
DROP INDEX ix_sync_queue_let_through;
DROP INDEX ix_sync_queue_mentor_ref;
CREATE INDEX ix_sync_queue_unexplained ON sync_queue (organisation_id, id)
 WHERE status IN ('pending', 'failed') AND operation = 'remove' AND NOT explained;
CREATE INDEX ix_sync_queue_caused_by_run ON sync_queue (caused_by_run);
ALTER TABLE sync_queue DROP COLUMN let_through_at, DROP COLUMN unsure_until;

-- Old and new rows are joined by statements that are planned anew each time, as in the audit. A mentor's row is locked by
-- whoever changes it, so of two changes of one mentor the later sees the earlier one's operation.
CREATE OR REPLACE FUNCTION certjobs_queue_changes() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
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
                       public.certjobs_listing(h.website_sync, o.status, o.certification_expiry,
                                               public.certjobs_today(h.time_zone)) AS before,
                       public.certjobs_listing(g.website_sync, n.status, n.certification_expiry,
                                               public.certjobs_today(g.time_zone)) AS after
                  FROM added n
                  JOIN removed o ON o.id = n.id
                  JOIN public.organisations g ON g.id = n.organisation_id
                  JOIN public.organisations h ON h.id = o.organisation_id
                 WHERE (o.status, o.certification_expiry, o.organisation_id)
                       IS DISTINCT FROM (n.status, n.certification_expiry, n.organisation_id)
                   AND (g.website_sync OR h.website_sync)) c
        $statement$;
    concerned boolean;
    queued bigint;
BEGIN
    EXECUTE $statement$
        SELECT EXISTS (SELECT 1 FROM added n JOIN removed o ON o.id = n.id
                        WHERE (o.status, o.certification_expiry, o.organisation_id)
                              IS DISTINCT FROM (n.status, n.certification_expiry, n.organisation_id))
        $statement$ INTO concerned;
    IF NOT concerned THEN
        RETURN NULL;
    END IF;
    EXECUTE $statement$
        UPDATE public.sync_queue q
           SET status = 'superseded', last_error = 'A later change has taken its place.', finished_at = clock_timestamp()
          FROM ($statement$ || changed || $statement$) c
         WHERE c.operation IS NOT NULL AND q.mentor_id = c.id AND q.status IN ('pending', 'failed')
        $statement$;
    EXECUTE $statement$
        INSERT INTO public.sync_queue (mentor_id, organisation_id, certification_expiry, operation, triggered_by_event,
                                       explained, actor, caused_by_run)
        SELECT c.id, CASE c.operation WHEN 'remove' THEN c.organisation_before ELSE c.organisation_id END,
               c.certification_expiry, c.operation, c.event,
               c.event = 'expired_cert' AND public.certjobs_setting('run_id') IS NOT NULL,
               public.certjobs_actor(), public.certjobs_setting('run_id')::uuid
          FROM ($statement$ || changed || $statement$) c
         WHERE c.operation IS NOT NULL
            ON CONFLICT DO NOTHING
        $statement$;
    GET DIAGNOSTICS queued = ROW_COUNT;
    IF queued > 0 THEN
        PERFORM pg_notify('certjobs_sync', '');
    END IF;

    -- Somebody made active again whom the website will not show: a person has to know.
    EXECUTE $statement$
        UPDATE public.reconciliation_log l
           SET cleared_at = clock_timestamp()
          FROM ($statement$ || changed || $statement$) c
         WHERE l.mentor_id = c.id AND l.finding = 'warning' AND l.cleared_at IS NULL
           AND (c.after <> 'not listed' OR c.status <> 'active')
        $statement$;
    EXECUTE $statement$
        INSERT INTO public.reconciliation_log (finding, mentor_id, certification_expiry_date, detail, actor, run_id)
        SELECT 'warning', c.id, c.certification_expiry,
               'Made active without a valid certification: not listed, and paused again by the next night.',
               public.certjobs_actor(), public.certjobs_setting('run_id')::uuid
          FROM ($statement$ || changed || $statement$) c
         WHERE c.event = 'reinstated' AND c.after = 'not listed'
        $statement$;
    RETURN NULL;
END
$$;

-- A mentor whose row ends leaves the website too; how it knows them is kept until that is done.
CREATE OR REPLACE FUNCTION certjobs_queue_departures() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
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
       SET mentor_ref = o.external_ref
      FROM removed o
     WHERE q.mentor_id = o.id AND q.status IN ('pending', 'failed', 'processing');
    INSERT INTO public.sync_queue (mentor_id, mentor_ref, organisation_id, certification_expiry, operation,
                                   triggered_by_event, actor, caused_by_run)
    SELECT o.id, o.external_ref, o.organisation_id, o.certification_expiry, 'remove', 'removed', public.certjobs_actor(),
           public.certjobs_setting('run_id')::uuid
      FROM removed o
      JOIN public.organisations h ON h.id = o.organisation_id AND h.website_sync
     WHERE o.status = 'active' AND o.certification_expiry IS NOT NULL
        OR EXISTS (SELECT 1 FROM public.website_listing w WHERE w.mentor_id = o.id AND w.listed)
        OR EXISTS (SELECT 1 FROM public.sync_queue q WHERE q.mentor_id = o.id AND q.status = 'processing')
        ON CONFLICT DO NOTHING;
    GET DIAGNOSTICS queued = ROW_COUNT;
    IF queued > 0 THEN
        PERFORM pg_notify('certjobs_sync', '');
    END IF;
    RETURN NULL;
END
$$;
