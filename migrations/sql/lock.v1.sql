-- One run at a time for an exclusive job (DESIGN section 4, "a dead owner does not block, a stale owner cannot write").
-- Only the database's clock counts.

CREATE FUNCTION certjobs_owner_is_dead(pid integer, session_start timestamptz, last_sign timestamptz) RETURNS boolean
LANGUAGE sql VOLATILE
AS $$
    -- A backend_start that is null is one this role may not see: alive. A pid that was given to a session with another
    -- start is not the owner's.
    SELECT NOT EXISTS (SELECT 1 FROM pg_catalog.pg_stat_activity a
                        WHERE a.pid = certjobs_owner_is_dead.pid
                          AND (a.backend_start IS NULL OR a.backend_start = session_start))
           OR last_sign < clock_timestamp() - interval '2 hours'
$$;
COMMENT ON FUNCTION certjobs_owner_is_dead(integer, timestamptz, timestamptz) IS
    'Whether the database session that stands for an owner is gone, or the owner has been silent for two hours.';

CREATE FUNCTION certjobs_session_start() RETURNS timestamptz
LANGUAGE sql STABLE
AS $$ SELECT a.backend_start FROM pg_catalog.pg_stat_activity a WHERE a.pid = pg_backend_pid() $$;

CREATE FUNCTION certjobs_acquire_lock(p_job_name text, p_run_id uuid, p_holder text)
RETURNS TABLE (token bigint, held_by text, held_since timestamptz)
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp
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

CREATE FUNCTION certjobs_abandon_dead_runs(p_run_id uuid) RETURNS integer
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp
AS $$
-- Marks every running run whose owner is proven dead as abandoned, and returns how many there were.
DECLARE
    abandoned integer;
BEGIN
    PERFORM pg_stat_clear_snapshot();
    UPDATE public.scheduler_run_log r
       SET status = 'abandoned', finished_at = clock_timestamp(),
           error_message = 'The process ended without saying so; run ' || p_run_id || ' found it gone.'
     WHERE r.status = 'running' AND r.run_id <> p_run_id
       AND public.certjobs_owner_is_dead(r.backend_pid, r.backend_start, coalesce(r.heartbeat_at, r.started_at));
    GET DIAGNOSTICS abandoned = ROW_COUNT;
    RETURN abandoned;
END
$$;
