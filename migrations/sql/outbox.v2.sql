-- What an operation asks of the portal at this moment (rule 7): 'restore', 'remove', or null for nothing. What is not ours
-- is not sent, but for taking off who moved away from what is, or whose row has ended there (left_sync: whether what they
-- left is synchronised).
CREATE FUNCTION certjobs_wanted(operation text, left_sync boolean, moved boolean, website_sync boolean, status text,
                                certification_expiry date, today date) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
AS $$
    SELECT CASE CASE WHEN website_sync THEN certjobs_listing(website_sync, status, certification_expiry, today) END
               WHEN 'listed' THEN 'restore'
               WHEN 'not listed' THEN 'remove'
               ELSE CASE WHEN operation = 'remove' AND left_sync AND moved THEN 'remove' END END
$$;
COMMENT ON FUNCTION certjobs_wanted(text, boolean, boolean, boolean, text, date, date) IS
    'What an operation asks of the portal on a day: restore, remove, or nothing (null).';

-- Old and new rows are joined by statements that are planned anew each time, as in the audit. A mentor's row is locked by
-- whoever changes it, so of two changes of one mentor the later sees the earlier one's operation. One that was put back into
-- the queue in the same moment becomes this change's, and stays locked until the change is there to be seen: it must not be
-- decided from what was before.
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
$$;

-- A mentor whose row ends leaves the website too; how it knows them is kept until that is done, and
-- nowhere else.
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
-- A reference that was another mentor's is this one's now, and so is what is still to be done about it: two mentors'
-- operations are not kept apart, one mentor's are. Of several who had the reference, the last one's counts.
CREATE FUNCTION certjobs_adopt_operations() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
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
$$;
CREATE TRIGGER certjobs_adopt_operations AFTER INSERT ON peer_mentors
    REFERENCING NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION certjobs_adopt_operations();

GRANT EXECUTE ON FUNCTION certjobs_wanted(text, boolean, boolean, boolean, text, date, date) TO certjobs_job;
GRANT UPDATE (operation, explained, let_through_at, unsure_until) ON sync_queue TO certjobs_job;
