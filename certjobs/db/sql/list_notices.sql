SELECT n.id, n.kind, n.status, m.external_ref AS mentor_ref, n.certification_expiry, n.threshold_day,
       coalesce(c.address, CASE WHEN n.coordinator_id IS NULL THEN o.fallback_address END) AS coordinator, n.attempt,
       n.not_before, n.created_at, n.sent_at, n.last_error, n.handled_by, n.handled_reason, n.handled_at
  FROM notifications n
  LEFT JOIN peer_mentors m ON m.id = n.mentor_id
  LEFT JOIN organisations o ON o.id = m.organisation_id
  LEFT JOIN coordinators c ON c.id = n.coordinator_id
 WHERE (CAST(:status AS text) IS NULL OR n.status = :status
        OR CAST(:status AS text) = 'open' AND n.status IN ('pending', 'sending', 'failed'))
   AND (CAST(:kind AS text) IS NULL OR n.kind = :kind)
   AND (CAST(:mentor AS text) IS NULL OR m.external_ref = :mentor)
   AND (CAST(:coordinator AS text) IS NULL OR lower(c.address) = lower(:coordinator))
   AND (CAST(:org AS text) IS NULL OR o.code = :org)
   AND (CAST(:ids AS bigint[]) IS NULL OR n.id = ANY (CAST(:ids AS bigint[])))
 ORDER BY n.id DESC
 LIMIT :limit
