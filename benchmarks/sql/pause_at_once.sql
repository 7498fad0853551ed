-- The same work in one statement, as a person who knows the schema would write it for this night alone.
WITH paused AS (
    UPDATE peer_mentors m
       SET status = 'paused', pause_reason = 'expired_cert'
      FROM organisations o
     WHERE o.id = m.organisation_id
       AND o.auto_pause
       AND m.status = 'active'
       AND m.certification_expiry < :'today'
    RETURNING m.id, m.external_ref, m.certification_expiry
)
INSERT INTO notifications
       (kind, mentor_id, certification_expiry, pause_ordinal, coordinator_id, idempotency_key)
SELECT 'pause', p.id, p.certification_expiry, 1 + earlier.n, c.coordinator_id,
       certjobs_notice_digest('pause', p.external_ref, p.certification_expiry, 1 + earlier.n, c.address)
  FROM paused p
 CROSS JOIN LATERAL (SELECT count(*)::integer AS n FROM mentor_status_events e
                      WHERE e.mentor_id = p.id AND e.event = 'expired_cert'
                        AND e.certification_expiry = p.certification_expiry OFFSET 0) earlier
  LEFT JOIN LATERAL (SELECT a.coordinator_id, (SELECT k.address FROM coordinators k WHERE k.id = a.coordinator_id)
                       FROM coordinator_assignments a WHERE a.mentor_id = p.id OFFSET 0) c ON true;
