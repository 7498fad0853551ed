-- How many operations are open, under way, and dead with nothing after them, and when the next of them that is not due yet
-- will be, or the lease of one whose worker's run is over runs out; what came due a moment ago may have been missed by the
-- last claim. only: of these mentors alone; null for all. since: what was there by then is left over.
SELECT (SELECT count(*) FROM sync_queue q
         WHERE q.status IN ('pending', 'failed')
           AND (CAST(:only AS bigint[]) IS NULL OR q.mentor_id = ANY (CAST(:only AS bigint[])))) AS open,
       (SELECT count(*) FROM sync_queue q
         WHERE q.status IN ('pending', 'failed') AND q.created_at <= CAST(:since AS timestamptz)
           AND (CAST(:only AS bigint[]) IS NULL OR q.mentor_id = ANY (CAST(:only AS bigint[])))) AS left_over,
       (SELECT count(*) FROM sync_queue q
         WHERE q.status = 'processing'
           AND (CAST(:only AS bigint[]) IS NULL OR q.mentor_id = ANY (CAST(:only AS bigint[])))) AS processing,
       (SELECT count(*) FROM sync_queue q
         WHERE q.status = 'dead'
           AND (CAST(:only AS bigint[]) IS NULL OR q.mentor_id = ANY (CAST(:only AS bigint[])))
           AND NOT EXISTS (SELECT 1 FROM sync_queue later
                            WHERE later.mentor_id = q.mentor_id AND later.id > q.id AND later.status <> 'superseded')) AS dead,
       extract(epoch FROM least(
           (SELECT min(q.not_before) FROM sync_queue q
             WHERE q.status IN ('pending', 'failed') AND q.not_before > statement_timestamp() - interval '1 second'
               AND (CAST(:only AS bigint[]) IS NULL OR q.mentor_id = ANY (CAST(:only AS bigint[])))),
           (SELECT min(q.leased_until) FROM sync_queue q
             WHERE q.status = 'processing'
               AND (CAST(:only AS bigint[]) IS NULL OR q.mentor_id = ANY (CAST(:only AS bigint[])))
               AND NOT EXISTS (SELECT 1 FROM scheduler_run_log r
                                WHERE r.run_id = q.claimed_by_run AND r.status = 'running'))) - statement_timestamp())
       ::double precision AS next_in
