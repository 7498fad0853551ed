CREATE OR REPLACE FUNCTION certjobs_abandon_dead_runs(p_run_id uuid) RETURNS integer
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
