-- Mentors as the rule wants them now and why, and what became of the operation that was queued of each, or of a later one.
SELECT coalesce(m.external_ref, t.ref) AS mentor_ref, m.id IS NULL AS gone, o.code AS organisation,
       coalesce(o.time_zone, g.time_zone, 'UTC') AS time_zone,
       CASE WHEN m.id IS NULL THEN 'not listed'
            ELSE certjobs_listing(o.website_sync, m.status, m.certification_expiry, certjobs_today(o.time_zone)) END AS rule,
       m.status, m.pause_reason, m.certification_expiry IS NOT NULL AS certified,
       CASE WHEN isfinite(m.certification_expiry) THEN m.certification_expiry END AS certification_expiry,
       g.code AS operation_organisation, q.operation, q.status AS operation_status, q.sent, q.outcome, q.last_error,
       q.finished_at, q.not_before,
       q.explained OR q.let_through_at IS NOT NULL OR q.operation = 'restore' AS free,
       EXISTS (SELECT 1 FROM sync_queue p WHERE p.mentor_id = t.mentor_id AND p.status = 'processing') AS under_way,
       (SELECT max(p.unsure_until) FROM sync_queue p
         WHERE p.mentor_id = t.mentor_id AND p.unsure_until > clock_timestamp() AND p.sent <> q.operation) AS unsure_until,
       q.id AS operation_id
  FROM unnest(CAST(:mentors AS bigint[]), CAST(:refs AS text[]), CAST(:operations AS bigint[]))
       WITH ORDINALITY AS t (mentor_id, ref, operation_id, position)
  LEFT JOIN peer_mentors m ON m.id = t.mentor_id
  LEFT JOIN organisations o ON o.id = m.organisation_id
  LEFT JOIN LATERAL (
      SELECT p.id, p.organisation_id, p.operation, p.status, p.sent, p.outcome, p.last_error, p.finished_at, p.not_before,
             p.explained, p.let_through_at
        FROM sync_queue p
       WHERE p.mentor_id = t.mentor_id AND p.id >= t.operation_id AND p.status <> 'superseded'
       ORDER BY p.id DESC
       LIMIT 1) q ON true
  LEFT JOIN organisations g ON g.id = q.organisation_id
 ORDER BY t.position
