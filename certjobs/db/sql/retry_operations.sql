-- Let what is dead or failed be pending and due at once: all of it or, if strict, where something is named that cannot be,
-- nothing. A
-- dead one that has been overtaken, or of which nobody knows any more whom the website knows, is superseded instead. What the
-- guard let through it is asked about once more; what explains a removal still does.
WITH named AS MATERIALIZED (
    SELECT q.id, q.mentor_id, q.mentor_ref, q.operation, q.status
      FROM sync_queue q
     WHERE q.id = ANY (CAST(:ids AS bigint[]))
     ORDER BY q.id
       FOR UPDATE
), found AS MATERIALIZED (
    SELECT n.id, n.operation, n.status, m.id IS NULL AS gone, coalesce(m.external_ref, n.mentor_ref) AS ref,
           (SELECT max(l.id)
              FROM sync_queue l
             WHERE n.status = 'dead' AND l.mentor_id = n.mentor_id AND l.id <> n.id
               AND (l.status IN ('pending', 'failed') OR l.id > n.id AND l.status <> 'superseded')) AS overtaken_by
      FROM named n
      LEFT JOIN peer_mentors m ON m.id = n.mentor_id
), changed AS (
    UPDATE sync_queue q
       SET status = CASE WHEN d.again THEN 'pending' ELSE 'superseded' END,
           failures = CASE WHEN d.again THEN 0 ELSE q.failures END,
           last_error = CASE WHEN d.again THEN q.last_error
                             WHEN d.ref IS NULL THEN 'The mentor is gone, and the reference was not kept.'
                             ELSE 'A later operation has taken its place.' END,
           not_before = NULL,
           let_through_at = CASE WHEN NOT d.again THEN q.let_through_at END,
           mentor_ref = CASE WHEN d.again THEN q.mentor_ref END,
           finished_at = CASE WHEN NOT d.again THEN clock_timestamp() END,
           handled_by = :actor,
           handled_reason = CASE WHEN d.ref IS NOT NULL THEN CAST(:reason AS text) END,
           handled_at = clock_timestamp()
      FROM (SELECT f.id, f.ref, f.overtaken_by IS NULL AND f.ref IS NOT NULL AS again FROM found f) d
     WHERE q.id = d.id AND q.status IN ('dead', 'failed')
       AND NOT (:strict AND EXISTS (SELECT 1 FROM named n WHERE n.status IN ('processing', 'done', 'superseded')))
    RETURNING q.id, q.status
), woken AS (
    SELECT pg_notify('certjobs_sync', '') FROM (SELECT 1 FROM changed c WHERE c.status = 'pending' LIMIT 1) one
)
SELECT f.id, f.ref AS mentor_ref, f.gone, f.operation, f.status AS before, coalesce(c.status, f.status) AS status, f.overtaken_by
  FROM found f
  LEFT JOIN changed c ON c.id = f.id
 WHERE (SELECT count(*) FROM woken) >= 0
 ORDER BY f.id
