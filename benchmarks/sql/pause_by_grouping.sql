-- The same work as one finds whom to pause without the column that the triggers keep: by grouping the roster.
WITH expired AS (
    SELECT m.id
      FROM peer_mentors m
      JOIN organisations o ON o.id = m.organisation_id AND o.auto_pause
      JOIN certifications c ON c.mentor_id = m.id
     WHERE m.status = 'active'
     GROUP BY m.id
    HAVING max(certjobs_certification_end(c.expires_on, c.withdrawn_on)) < :'today'
), paused AS (
    UPDATE peer_mentors m
       SET status = 'paused', pause_reason = 'expired_cert'
      FROM expired
     WHERE m.id = expired.id
    RETURNING m.id, m.external_ref, m.certification_expiry
)
INSERT INTO notifications
       (kind, mentor_id, certification_expiry, pause_ordinal, coordinator_id, idempotency_key)
SELECT 'pause', p.id, p.certification_expiry, 1, c.coordinator_id,
       certjobs_notice_digest('pause', p.external_ref, p.certification_expiry, 1, c.address)
  FROM paused p
  LEFT JOIN LATERAL (SELECT a.coordinator_id, (SELECT k.address FROM coordinators k WHERE k.id = a.coordinator_id)
                       FROM coordinator_assignments a WHERE a.mentor_id = p.id OFFSET 0) c ON true;
