-- Whom the guard keeps from being taken off the website.
WITH candidates AS MATERIALIZED (
    SELECT q.mentor_id AS id, coalesce(m.external_ref, q.mentor_ref) AS ref,
           coalesce(q.certification_expiry, '-infinity') AS certification_expiry
      FROM sync_queue q
      LEFT JOIN peer_mentors m ON m.id = q.mentor_id
     WHERE q.id = ANY (CAST(:ids AS bigint[]))
)
