-- Give up on what is dead or open: all of it or, where something is named that cannot be, nothing.
WITH named AS MATERIALIZED (
    SELECT q.id, q.mentor_id, q.mentor_ref, q.operation, q.status
      FROM sync_queue q
     WHERE q.id = ANY (CAST(:ids AS bigint[]))
     ORDER BY q.id
       FOR UPDATE
), found AS MATERIALIZED (
    SELECT n.id, n.operation, n.status, m.id IS NULL AS gone, coalesce(m.external_ref, n.mentor_ref) AS ref
      FROM named n
      LEFT JOIN peer_mentors m ON m.id = n.mentor_id
), changed AS (
    UPDATE sync_queue q
       SET status = 'superseded',
           last_error = 'Discarded by a person.' || coalesce(' The last error was: ' || q.last_error, ''),
           not_before = NULL,
           mentor_ref = NULL,
           finished_at = clock_timestamp(),
           handled_by = :actor,
           handled_reason = CASE WHEN f.ref IS NOT NULL THEN CAST(:reason AS text) END,
           handled_at = clock_timestamp()
      FROM found f
     WHERE q.id = f.id AND q.status IN ('pending', 'failed', 'dead')
       AND NOT EXISTS (SELECT 1 FROM named n WHERE n.status IN ('processing', 'done', 'superseded'))
    RETURNING q.id, q.status
)
SELECT f.id, f.ref AS mentor_ref, f.gone, f.operation, f.status AS before, coalesce(c.status, f.status) AS status,
       CAST(NULL AS bigint) AS overtaken_by
  FROM found f
  LEFT JOIN changed c ON c.id = f.id
 ORDER BY f.id
