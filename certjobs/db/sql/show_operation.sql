-- Everything about one operation: with it what the rule asks of the portal at this moment, which is what would be sent, what
-- the portal acknowledged last about the mentor, and the last of the mentor's later operations that has not given way.
SELECT q.id, coalesce(m.external_ref, q.mentor_ref) AS mentor_ref, g.code AS organisation, q.certification_expiry,
       q.operation,
       CASE WHEN m.id IS NOT NULL OR q.mentor_ref IS NOT NULL
            THEN certjobs_wanted(q.operation, g.website_sync, o.id IS DISTINCT FROM g.id, o.website_sync, m.status,
                                 m.certification_expiry, certjobs_today(o.time_zone)) END AS wanted,
       q.status, q.triggered_by_event, q.explained, q.actor, q.caused_by_run, q.claimed_by_run, q.attempt, q.failures,
       q.sent, q.outcome, q.last_error, q.not_before, q.leased_until, q.unsure_until, q.let_through_at, q.created_at,
       q.finished_at, q.handled_by, q.handled_reason, q.handled_at, w.listed, w.acknowledged_at, later.id AS later_id,
       later.status AS later_status
  FROM sync_queue q
  LEFT JOIN peer_mentors m ON m.id = q.mentor_id
  LEFT JOIN organisations o ON o.id = m.organisation_id
  LEFT JOIN organisations g ON g.id = q.organisation_id
  LEFT JOIN website_listing w ON w.mentor_id = q.mentor_id
  LEFT JOIN LATERAL (SELECT l.id, l.status
                       FROM sync_queue l
                      WHERE l.mentor_id = q.mentor_id AND l.id > q.id AND l.status <> 'superseded'
                      ORDER BY l.id DESC
                      LIMIT 1) later ON true
 WHERE q.id = :id
