-- Everything that is written about one mentor, oldest first; of what is too much, the newest. A day of a certification begins
-- when it is issued, and is over when it ends.
WITH who AS MATERIALIZED (
    SELECT m.id, o.time_zone, o.fallback_address
      FROM peer_mentors m JOIN organisations o ON o.id = m.organisation_id
     WHERE m.id = :mentor_id
), entry AS (
    SELECT greatest(c.issued_on, CAST(:first AS date))::timestamp AT TIME ZONE w.time_zone AS at, c.issued_on AS day, 0 AS place, 'certification issued' AS what,
           c.external_ref AS detail, NULL AS reason, NULL AS actor, CAST(NULL AS uuid) AS run_id,
           'certifications' AS source, c.external_ref AS row
      FROM who w JOIN certifications c ON c.mentor_id = w.id
     UNION ALL
    SELECT least(e.day + 1, CAST(:last AS date))::timestamp AT TIME ZONE w.time_zone, e.day, -1, 'certification ends',
           c.external_ref || coalesce(', withdrawn from ' || c.withdrawn_on, ''), NULL, NULL, NULL, 'certifications',
           c.external_ref
      FROM who w JOIN certifications c ON c.mentor_id = w.id
     CROSS JOIN LATERAL (SELECT certjobs_certification_end(c.expires_on, c.withdrawn_on) AS day) e
     WHERE isfinite(e.day)
     UNION ALL
    SELECT e.occurred_at, NULL, 1, 'certification ' || e.event,
           coalesce(f.facts ->> 'external_ref', 'certification ' || e.certification_id) || ', valid to '
           || (f.facts ->> 'expires_on') || coalesce(', withdrawn from ' || (f.facts ->> 'withdrawn_on'), ''),
           e.reason, e.actor, e.run_id, 'certification_events', e.id::text
      FROM who w JOIN certification_events e ON e.mentor_id = w.id
     CROSS JOIN LATERAL (SELECT coalesce(e.after, e.before) AS facts) f
     UNION ALL
    SELECT e.occurred_at, NULL, 2, e.event,
           concat_ws(', ', 'as of ' || nullif(e.effective_on, (e.occurred_at AT TIME ZONE w.time_zone)::date),
                     CASE WHEN isfinite(e.certification_expiry) THEN 'certification valid to ' || e.certification_expiry END),
           e.reason, e.actor, e.run_id, 'mentor_status_events', e.id::text
      FROM who w JOIN mentor_status_events e ON e.mentor_id = w.id
     UNION ALL
    SELECT e.occurred_at, NULL, 1, e.event,
           CASE WHEN e.event IN ('assigned', 'unassigned')
                THEN 'coordinators: ' || jsonb_array_length(coalesce(e.after, e.before) -> 'coordinators')
                WHEN e.before -> 'organisation_id' <> e.after -> 'organisation_id' THEN 'moved to another organisation'
                WHEN e.before -> 'chapter_id' <> e.after -> 'chapter_id' THEN 'moved to another chapter'
                ELSE 'name or reference' END,
           e.reason, e.actor, e.run_id, 'roster_events', e.id::text
      FROM who w JOIN roster_events e ON e.entity = 'mentor' AND e.entity_id = w.id
     UNION ALL
    SELECT r.created_at, NULL, 3, CASE r.status WHEN 'due' THEN 'reminder due' ELSE 'threshold superseded' END,
           concat_ws(', ', r.threshold_day || ' days before ' || r.certification_expiry,
                     CASE r.status WHEN 'due' THEN 'notices: ' || r.recipients END,
                     'as of ' || nullif(r.decided_on, (r.created_at AT TIME ZONE w.time_zone)::date)),
           NULL, NULL, r.run_id, 'cert_expiry_reminders', r.certification_expiry || '/' || r.threshold_day
      FROM who w JOIN cert_expiry_reminders r ON r.mentor_id = w.id
     UNION ALL
    SELECT coalesce(n.sent_at, n.handled_at, n.created_at), NULL, 5, n.kind || ' notice ' || n.status,
           concat_ws(': ', n.id || coalesce(', ' || n.threshold_day || ' days', '')
                     || ' to ' || coalesce(k.address, CASE WHEN n.coordinator_id IS NULL
                                                           THEN coalesce(w.fallback_address, 'nobody, without coordinator')
                                                           ELSE 'coordinator ' || n.coordinator_id END), n.last_error),
           n.handled_reason, n.handled_by, coalesce(n.claimed_by_run, n.caused_by_run), 'notifications', n.id::text
      FROM who w JOIN notifications n ON n.mentor_id = w.id
      LEFT JOIN coordinators k ON k.id = n.coordinator_id
     UNION ALL
    SELECT z.created_at, NULL, 5, 'snoozed',
           coalesce(k.address, 'coordinator ' || z.coordinator_id) || ', ' || z.threshold_day || ' days, until ' || z.until,
           z.reason, z.actor, NULL, 'notice_snoozes', z.coordinator_id || '/' || z.threshold_day
      FROM who w JOIN notice_snoozes z ON z.mentor_id = w.id
      LEFT JOIN coordinators k ON k.id = z.coordinator_id
     UNION ALL
    SELECT q.created_at, NULL, 4, q.operation || ' queued', 'operation ' || q.id || ', because of ' || q.triggered_by_event,
           NULL, q.actor, q.caused_by_run, 'sync_queue', q.id::text
      FROM who w JOIN sync_queue q ON q.mentor_id = w.id
     UNION ALL
    SELECT q.finished_at, NULL, 6, coalesce(q.sent, q.operation) || ' ' || q.status,
           concat_ws(': ', 'operation ' || q.id, CASE q.outcome WHEN 'absent' THEN 'the website did not know them' END,
                     q.last_error),
           q.handled_reason, q.handled_by, q.claimed_by_run, 'sync_queue', q.id::text
      FROM who w JOIN sync_queue q ON q.mentor_id = w.id
     WHERE q.finished_at IS NOT NULL
     UNION ALL
    SELECT l.acknowledged_at, NULL, 7, 'website acknowledged', CASE WHEN l.listed THEN 'listed' ELSE 'not listed' END
           || coalesce(', operation ' || l.operation_id, ''), NULL, NULL, l.run_id, 'website_listing', l.mentor_id::text
      FROM who w JOIN website_listing l ON l.mentor_id = w.id
     UNION ALL
    SELECT l.created_at, NULL, 5, 'finding: ' || l.finding, concat_ws(' ', l.detail, l.done), NULL, l.actor, l.run_id,
           'reconciliation_log', l.id::text
      FROM who w JOIN reconciliation_log l ON l.mentor_id = w.id
     UNION ALL
    SELECT l.cleared_at, NULL, 8, 'finding cleared: ' || l.finding, NULL, NULL, NULL, NULL, 'reconciliation_log', l.id::text
      FROM who w JOIN reconciliation_log l ON l.mentor_id = w.id
     WHERE l.cleared_at IS NOT NULL
), newest AS (
    SELECT e.* FROM entry e ORDER BY e.at DESC, e.place DESC, e.row DESC LIMIT :limit
)
SELECT e.at, e.day, e.what, nullif(e.detail, '') AS detail, e.reason, e.actor, e.run_id, r.job_name, e.source, e.row
  FROM newest e
  LEFT JOIN scheduler_run_log r ON r.run_id = e.run_id
 ORDER BY e.at, e.place, e.row
