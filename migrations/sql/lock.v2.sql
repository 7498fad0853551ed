CREATE OR REPLACE FUNCTION certjobs_abandon_dead_runs(p_run_id uuid) RETURNS integer
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp
AS $$
-- Marks every running run whose owner is proven dead as abandoned, and returns how many there were. Of an exclusive job
-- the lock goes with it, so that a run that was only cut off from its session writes and sends nothing more; one that
-- holds its lock in a unit of work under way is not dead.
DECLARE
    found_run record;
    abandoned integer := 0;
BEGIN
    PERFORM pg_stat_clear_snapshot();
    FOR found_run IN
        SELECT r.run_id, r.job_name
          FROM public.scheduler_run_log r
         WHERE r.status = 'running' AND r.run_id <> p_run_id
           AND public.certjobs_owner_is_dead(r.backend_pid, r.backend_start, coalesce(r.heartbeat_at, r.started_at))
         ORDER BY r.job_name, r.run_id
    LOOP
        DELETE FROM public.job_lock l
         WHERE l.job_name = found_run.job_name
           AND l.fencing_token IN (SELECT k.fencing_token FROM public.job_lock k
                                    WHERE k.run_id = found_run.run_id
                                      AND public.certjobs_owner_is_dead(k.backend_pid, k.backend_start,
                                                                        coalesce(k.heartbeat_at, k.started_at))
                                      FOR UPDATE SKIP LOCKED);
        CONTINUE WHEN EXISTS (SELECT 1 FROM public.job_lock l WHERE l.run_id = found_run.run_id);
        UPDATE public.scheduler_run_log r
           SET status = 'abandoned', finished_at = clock_timestamp(),
               error_message = 'The process ended without saying so; run ' || p_run_id || ' found it gone.'
         WHERE r.run_id = found_run.run_id AND r.status = 'running'
           AND public.certjobs_owner_is_dead(r.backend_pid, r.backend_start, coalesce(r.heartbeat_at, r.started_at));
        IF FOUND THEN
            abandoned := abandoned + 1;
        END IF;
    END LOOP;
    RETURN abandoned;
END
$$;
