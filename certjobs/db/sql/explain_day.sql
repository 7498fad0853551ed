-- One mentor as they were, are or will be on a day, and what the rules answer for it. Of a past day status, certifications and
-- settings are those that the audit tells of, where it reaches back; of today and later they are those of now.
WITH who AS MATERIALIZED (
    SELECT m.id, m.status, m.pause_reason, m.certification_expiry, m.organisation_id, o.time_zone, p.day,
           p.day < CAST(:today AS date) AS past, (p.day + 1)::timestamp AT TIME ZONE o.time_zone AS ends
      FROM peer_mentors m
      JOIN organisations o ON o.id = m.organisation_id
     CROSS JOIN (SELECT CAST(:day AS date) AS day) p
     WHERE m.id = :mentor_id
), audit AS MATERIALIZED (
    -- Since when everything is written down, and the first that is written of this mentor. Of these two tables prune takes
    -- whatever is old, and nothing else.
    SELECT least((SELECT e.occurred_at FROM certification_events e ORDER BY e.id LIMIT 1),
                 (SELECT e.occurred_at FROM roster_events e WHERE e.entity <> 'organisation' ORDER BY e.id LIMIT 1)) AS began,
           least((SELECT min(e.occurred_at) FROM certification_events e WHERE e.mentor_id = w.id),
                 (SELECT min(e.occurred_at) FROM roster_events e WHERE e.entity = 'mentor' AND e.entity_id = w.id),
                 (SELECT min(e.occurred_at) FROM mentor_status_events e WHERE e.mentor_id = w.id)) AS heard
      FROM who w
), changed AS MATERIALIZED (
    SELECT e.id, e.event, e.to_status, e.reason, e.actor, e.effective_on, e.run_id, e.occurred_at
      FROM who w
      JOIN mentor_status_events e ON e.mentor_id = w.id AND (NOT w.past OR e.effective_on <= w.day)
     ORDER BY e.id DESC
     LIMIT 1
), changed_later AS MATERIALIZED (
    SELECT e.from_status
      FROM who w
      JOIN mentor_status_events e ON e.mentor_id = w.id AND e.effective_on > w.day
     WHERE w.past
     ORDER BY e.id
     LIMIT 1
), certificate AS MATERIALIZED (
    SELECT f.facts ->> 'external_ref' AS ref, (f.facts ->> 'issued_on')::date AS issued_on,
           (f.facts ->> 'expires_on')::date AS expires_on, (f.facts ->> 'withdrawn_on')::date AS withdrawn_on,
           certjobs_certification_end((f.facts ->> 'expires_on')::date, (f.facts ->> 'withdrawn_on')::date) AS ends_on
      FROM who w
     CROSS JOIN LATERAL (SELECT c.id FROM certifications c WHERE c.mentor_id = w.id
                          UNION
                         SELECT e.certification_id FROM certification_events e WHERE w.past AND e.mentor_id = w.id) k
      LEFT JOIN certifications c ON c.id = k.id
      LEFT JOIN LATERAL (SELECT e.event, e.after FROM certification_events e
                          WHERE w.past AND e.mentor_id = w.id AND e.certification_id = k.id AND e.occurred_at < w.ends
                          ORDER BY e.id DESC LIMIT 1) earlier ON true
      LEFT JOIN LATERAL (SELECT e.event, e.before FROM certification_events e
                          WHERE w.past AND e.mentor_id = w.id AND e.certification_id = k.id AND e.occurred_at >= w.ends
                          ORDER BY e.id LIMIT 1) later ON true
     CROSS JOIN LATERAL (
         SELECT CASE WHEN earlier.event IS NOT NULL THEN earlier.after
                     WHEN later.event IS NOT NULL THEN later.before
                     ELSE jsonb_build_object('external_ref', c.external_ref, 'mentor_id', c.mentor_id,
                                             'issued_on', c.issued_on, 'expires_on', c.expires_on,
                                             'withdrawn_on', c.withdrawn_on) END AS facts) f
     WHERE (f.facts ->> 'mentor_id')::bigint = w.id
), belonged AS MATERIALIZED (
    SELECT w.id, w.ends, w.past,
           coalesce((SELECT (e.before ->> 'organisation_id')::bigint FROM roster_events e
                      WHERE w.past AND e.entity = 'mentor' AND e.entity_id = w.id AND e.event = 'changed'
                        AND e.occurred_at >= w.ends AND e.before ->> 'organisation_id' IS NOT NULL
                      ORDER BY e.id LIMIT 1), w.organisation_id) AS organisation_id
      FROM who w
), organisation AS MATERIALIZED (
    SELECT o.id, o.code, o.fallback_address IS NOT NULL AS has_fallback,
           coalesce((f.before ->> 'auto_pause')::boolean, o.auto_pause) AS auto_pause,
           coalesce((f.before ->> 'remind')::boolean, o.remind) AS remind,
           coalesce((f.before ->> 'website_sync')::boolean, o.website_sync) AS website_sync
      FROM belonged b
      JOIN organisations o ON o.id = b.organisation_id
      LEFT JOIN LATERAL (SELECT e.before FROM roster_events e
                          WHERE b.past AND e.entity = 'organisation' AND e.entity_id = o.id AND e.event = 'changed'
                            AND e.occurred_at >= b.ends
                          ORDER BY e.id LIMIT 1) f ON true
), state AS MATERIALIZED (
    SELECT w.id, w.day, w.past, w.ends, w.time_zone, w.organisation_id,
           CASE WHEN NOT w.past THEN w.status
                WHEN c.id IS NOT NULL THEN c.to_status
                WHEN EXISTS (SELECT 1 FROM changed_later) THEN (SELECT l.from_status FROM changed_later l)
                ELSE w.status END AS status,
           CASE WHEN NOT w.past THEN w.pause_reason
                WHEN c.event = 'expired_cert' THEN c.event
                WHEN c.to_status = 'paused' THEN c.reason END AS pause_reason,
           x.expiry,
           NOT w.past OR c.id IS NOT NULL OR coalesce(w.ends > a.began AND w.ends > coalesce(a.heard, a.began), false)
               AS status_known,
           NOT w.past OR coalesce(w.ends > a.began AND w.ends > coalesce(a.heard, a.began), false) AS expiry_known,
           greatest(a.began, a.heard) AS known_since
      FROM who w
     CROSS JOIN audit a
      LEFT JOIN changed c ON true
     CROSS JOIN LATERAL (SELECT CASE WHEN w.past THEN (SELECT max(k.ends_on) FROM certificate k)
                                     ELSE w.certification_expiry END AS expiry) x
), finite AS MATERIALIZED (
    SELECT CASE WHEN isfinite(s.expiry) THEN s.expiry END AS expiry FROM state s
)
SELECT s.past, s.status, s.pause_reason, s.status_known, s.expiry_known, s.known_since, s.time_zone,
       s.expiry IS NOT NULL AS certified, f.expiry AS certification_expiry, certjobs_days_left(f.expiry, s.day) AS days_left,
       coalesce(certjobs_expired(s.expiry, s.day), false) AS expired,
       certjobs_listing(o.website_sync, s.status, s.expiry, s.day) AS listing,
       o.code AS organisation, o.auto_pause, o.remind, o.website_sync, o.has_fallback,
       (SELECT to_jsonb(c) FROM changed c) AS changed,
       (SELECT jsonb_build_object('certificate_ref', k.ref, 'issued_on', k.issued_on,
                                  'ends_on', CASE WHEN isfinite(k.ends_on) THEN k.ends_on END,
                                  'withdrawn_on', k.withdrawn_on)
          FROM certificate k ORDER BY k.ends_on DESC, k.issued_on DESC LIMIT 1) AS certificate,
       (SELECT b.threshold_day FROM certjobs_threshold_bands(s.day, CAST(:thresholds AS integer[])) b
         WHERE f.expiry BETWEEN b.first_day AND b.last_day) AS covering,
       CASE WHEN NOT s.past
            THEN (SELECT d.threshold_day
                    FROM certjobs_reminders_due(s.organisation_id, s.day, CAST(:thresholds AS integer[])) d
                   WHERE d.mentor_id = s.id) END AS due,
       (SELECT min(d.day)
          FROM (SELECT f.expiry - t.n AS day FROM unnest(CAST(:thresholds AS integer[])) AS t (n)
                 WHERE f.expiry IS NOT NULL) d
         WHERE NOT s.past AND d.day > s.day
           AND EXISTS (SELECT 1 FROM certjobs_reminders_due(s.organisation_id, d.day, CAST(:thresholds AS integer[])) r
                        WHERE r.mentor_id = s.id)) AS next_due,
       (SELECT coalesce(jsonb_agg(jsonb_build_object('threshold_day', r.threshold_day, 'status', r.status,
                                                     'decided_on', r.decided_on, 'recipients', r.recipients,
                                                     'run_id', r.run_id)
                                  ORDER BY r.threshold_day), '[]')
          FROM cert_expiry_reminders r
         WHERE r.mentor_id = s.id AND r.certification_expiry = f.expiry
           AND (NOT s.past OR r.decided_on <= s.day)) AS ledger,
       (SELECT count(*) FROM coordinator_assignments a WHERE a.mentor_id = s.id) AS coordinators,
       (SELECT coalesce(jsonb_agg(jsonb_build_object('coordinator', coalesce(k.address, 'coordinator ' || z.coordinator_id),
                                                     'threshold_day', z.threshold_day, 'until', z.until)
                                  ORDER BY z.threshold_day, z.until), '[]')
          FROM notice_snoozes z
          LEFT JOIN coordinators k ON k.id = z.coordinator_id
         WHERE z.mentor_id = s.id AND z.until > s.day) AS snoozes,
       (SELECT coalesce(jsonb_object_agg(g.job_name, jsonb_build_object('hash', left(g.hash, 12), 'refused_at', g.refused_at,
                                                                        'approved', g.approved)), '{}')
          FROM (SELECT DISTINCT ON (gs.job_name) gs.job_name, gs.hash, gs.refused_at,
                       coalesce(gs.approved_until > clock_timestamp(), false) AS approved
                  FROM guarded_set_members gm
                  JOIN guarded_sets gs ON gs.id = gm.guarded_set_id
                 WHERE gm.mentor_id = s.id AND gm.certification_expiry = coalesce(s.expiry, '-infinity')
                 ORDER BY gs.job_name, gs.refused_at DESC) g) AS guarded,
       CASE WHEN s.past
            THEN (SELECT jsonb_build_object('listed', q.sent = 'restore', 'acknowledged_at', q.finished_at,
                                            'operation_id', q.id, 'run_id', q.claimed_by_run)
                    FROM sync_queue q
                   WHERE q.mentor_id = s.id AND q.status = 'done' AND q.finished_at < s.ends
                   ORDER BY q.finished_at DESC LIMIT 1)
            ELSE (SELECT to_jsonb(w) - 'mentor_id' FROM website_listing w WHERE w.mentor_id = s.id) END AS website
  FROM state s
 CROSS JOIN finite f
 CROSS JOIN organisation o
