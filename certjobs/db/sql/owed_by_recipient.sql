-- Who hears what by a run, most urgent first: what it has sent, and what it owes and has not.
SELECT coalesce(c.name || ' <' || c.address || '>', o.code || ' <' || coalesce(o.fallback_address, 'nobody') || '>') AS recipient,
       jsonb_agg(jsonb_build_object('kind', n.kind, 'mentor_ref', m.external_ref, 'organisation', o.code,
                                    'certification_expiry', n.certification_expiry, 'threshold_day', n.threshold_day)
                 ORDER BY n.kind, n.certification_expiry, m.external_ref COLLATE "C") AS notices
  FROM notifications n
  JOIN peer_mentors m ON m.id = n.mentor_id
  JOIN organisations o ON o.id = m.organisation_id
  LEFT JOIN coordinators c ON c.id = n.coordinator_id
 WHERE n.status = 'sent' AND n.claimed_by_run = :run_id
    OR n.status IN ('pending', 'failed') AND n.caused_by_run = :run_id
 GROUP BY 1
 ORDER BY min(n.certification_expiry), 1
 LIMIT :limit
