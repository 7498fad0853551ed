-- Have the website told once more of these mentors, as the rule wants them now (rule 7), whatever it was told before; what is
-- open of one gives way. Of who is not ours nothing is queued, but for what would take off who left what is. Nobody is asked
-- again about what the guard, or a pause that it let through, explained already, or what takes off whom the website said not
-- to show; 'explained' says that a person named these mentors. Of whom another session queued something in the same moment
-- nothing is queued here: operation_id is null though something is wanted.
WITH decided AS MATERIALIZED (
    SELECT t.position, t.mentor_id, m.id IS NULL AS gone, coalesce(m.external_ref, q.mentor_ref) AS ref,
           CASE WHEN o.website_sync THEN o.id ELSE q.organisation_id END AS organisation_id,
           CASE WHEN m.id IS NOT NULL THEN m.certification_expiry ELSE q.certification_expiry END AS certification_expiry,
           certjobs_wanted(coalesce(q.operation, 'restore'), g.website_sync, o.id IS DISTINCT FROM g.id, o.website_sync,
                           m.status, m.certification_expiry, certjobs_today(o.time_zone)) AS wanted,
           coalesce(q.status IN ('pending', 'failed') AND q.explained, false)
           OR EXISTS (SELECT 1 FROM website_listing w WHERE w.mentor_id = t.mentor_id AND NOT w.listed) AS explained,
           CASE WHEN q.status IN ('pending', 'failed') THEN q.let_through_at END AS let_through_at
      FROM unnest(CAST(:mentors AS bigint[])) WITH ORDINALITY AS t (mentor_id, position)
      LEFT JOIN peer_mentors m ON m.id = t.mentor_id
      LEFT JOIN organisations o ON o.id = m.organisation_id
      LEFT JOIN LATERAL (
          -- What is open, or of who is gone what was given up or is under way.
          SELECT p.operation, p.organisation_id, p.certification_expiry, p.mentor_ref, p.explained, p.let_through_at, p.status
            FROM sync_queue p
           WHERE p.mentor_id = t.mentor_id AND (p.status IN ('pending', 'failed') OR p.mentor_ref IS NOT NULL)
           ORDER BY p.status IN ('pending', 'failed') DESC, p.id DESC
           LIMIT 1) q ON true
      LEFT JOIN organisations g ON g.id = q.organisation_id
), superseded AS (
    UPDATE sync_queue q
       SET status = 'superseded', last_error = 'Ordered anew by hand.', finished_at = clock_timestamp(), mentor_ref = NULL
      FROM decided d
     WHERE d.wanted IS NOT NULL AND q.mentor_id = d.mentor_id
       AND (q.status IN ('pending', 'failed') OR q.status = 'dead' AND d.gone)
    RETURNING 1
), queued AS (
    -- What stands open gives way before what takes its place comes in: the count makes the second wait for the first.
    INSERT INTO sync_queue (mentor_id, mentor_ref, organisation_id, certification_expiry, operation, triggered_by_event,
                            explained, let_through_at, actor, caused_by_run)
    SELECT d.mentor_id, CASE WHEN d.gone THEN d.ref END, d.organisation_id, d.certification_expiry, d.wanted,
           'manual_coordinator_action', d.wanted = 'remove' AND (CAST(:explained AS boolean) OR d.explained),
           CASE WHEN d.wanted = 'remove' THEN d.let_through_at END, certjobs_actor(), certjobs_setting('run_id')::uuid
      FROM (SELECT count(*) AS number FROM superseded) s
     CROSS JOIN decided d
     WHERE s.number >= 0 AND d.wanted IS NOT NULL
     ORDER BY d.position
        ON CONFLICT DO NOTHING
    RETURNING id, mentor_id
)
SELECT d.mentor_id, d.ref, d.wanted, q.id AS operation_id
  FROM decided d
  LEFT JOIN queued q ON q.mentor_id = d.mentor_id
 ORDER BY d.position
