SELECT q.id, coalesce(m.external_ref, q.mentor_ref) AS mentor_ref, o.code AS organisation, q.operation, q.status,
       q.triggered_by_event, q.failures, q.last_error, q.not_before, q.created_at, q.finished_at,
       extract(epoch FROM statement_timestamp() - q.created_at)::double precision AS age_seconds
  FROM sync_queue q
  LEFT JOIN peer_mentors m ON m.id = q.mentor_id
  LEFT JOIN organisations o ON o.id = q.organisation_id
 WHERE (CAST(:statuses AS text[]) IS NULL OR q.status = ANY (CAST(:statuses AS text[])))
   AND (CAST(:operation AS text) IS NULL OR q.operation = :operation)
   AND (CAST(:mentor AS text) IS NULL OR q.mentor_ref = :mentor
        OR q.mentor_id = (SELECT r.id FROM peer_mentors r WHERE r.external_ref = :mentor))
   AND (CAST(:org AS text) IS NULL OR o.code = :org)
 ORDER BY q.id DESC
 LIMIT :limit
