-- Whether a run would find something to do now, and in how many seconds at the latest it will where nothing new comes: what
-- rests is due then, or the lease of a worker that is gone is over. A removal that the guard refused waits for a person.
WITH open AS (
    SELECT q.id, q.created_at, q.not_before, q.mentor_id, q.operation, q.explained OR q.let_through_at IS NOT NULL AS free,
           coalesce(q.certification_expiry, '-infinity') AS certification_expiry
      FROM sync_queue q
     WHERE q.status IN ('pending', 'failed')
)
SELECT EXISTS (SELECT 1 FROM sync_queue q WHERE q.status = 'processing' AND q.leased_until < clock_timestamp())
       OR EXISTS (SELECT 1 FROM open q
                   WHERE (q.not_before IS NULL OR q.not_before <= clock_timestamp())
                     AND NOT EXISTS (SELECT 1 FROM sync_queue p WHERE p.mentor_id = q.mentor_id AND p.status = 'processing')
                     AND NOT EXISTS (SELECT 1 FROM sync_queue p
                                      WHERE p.mentor_id = q.mentor_id AND p.unsure_until > clock_timestamp()
                                        AND p.sent <> q.operation)
                     AND (q.free OR q.operation = 'restore'
                          OR EXISTS (SELECT 1 FROM approved_changes a
                                      WHERE a.job_name = :job_name AND a.mentor_id = q.mentor_id
                                        AND a.certification_expiry = q.certification_expiry)
                          OR NOT EXISTS (SELECT 1 FROM guarded_set_members g
                                           JOIN guarded_sets s ON s.id = g.guarded_set_id AND s.job_name = :job_name
                                                              AND s.refused_at >= q.created_at
                                          WHERE g.mentor_id = q.mentor_id
                                            AND g.certification_expiry = q.certification_expiry))) AS now,
       extract(epoch FROM least(
           (SELECT min(q.not_before) FROM open q WHERE q.not_before > clock_timestamp()),
           (SELECT min(q.leased_until) FROM sync_queue q WHERE q.status = 'processing'),
           (SELECT min(q.unsure_until) FROM sync_queue q WHERE q.unsure_until > clock_timestamp())) - clock_timestamp())
       ::double precision AS next_in
