-- What the database alone shows to be wrong: told twice, paused twice, stuck, never finished, nights missed. What cannot be
-- put right any more stays found for a week, back. Nights are those of the jobs since their first run; today: tonight. sends:
-- whether there is a portal; without one everything waits, and nothing is stuck.
WITH told AS (
    SELECT DISTINCT ON (l.mentor_id, l.kind, l.certification_expiry, l.threshold_day, l.coordinator_id)
           l.mentor_id, l.certification_expiry,
           'Told twice: the ' || l.kind || coalesce(' of ' || l.threshold_day || ' days', '') || ', notice '
           || l.notification_id || '.' AS detail
      FROM reminder_dispatch_log l
     WHERE l.outcome = 'sent' AND l.occurred_at > clock_timestamp() - CAST(:back AS interval)
       AND EXISTS (SELECT 1 FROM reminder_dispatch_log e
                    WHERE e.mentor_id = l.mentor_id AND e.outcome = 'sent' AND e.id < l.id
                      AND (e.notification_id = l.notification_id
                           OR e.kind = 'reminder' AND l.kind = 'reminder'
                              AND e.certification_expiry = l.certification_expiry AND e.threshold_day = l.threshold_day
                              AND e.coordinator_id IS NOT DISTINCT FROM l.coordinator_id))
     ORDER BY l.mentor_id, l.kind, l.certification_expiry, l.threshold_day, l.coordinator_id, l.id
), paused AS (
    SELECT e.mentor_id, e.certification_expiry, 'Paused twice for one certification, event ' || e.id || '.' AS detail
      FROM mentor_status_events e
     WHERE e.event = 'expired_cert' AND e.occurred_at > clock_timestamp() - CAST(:back AS interval)
       AND EXISTS (SELECT 1 FROM mentor_status_events b
                    WHERE b.mentor_id = e.mentor_id AND b.event = 'expired_cert'
                      AND b.certification_expiry IS NOT DISTINCT FROM e.certification_expiry AND b.id < e.id
                      AND NOT EXISTS (SELECT 1 FROM mentor_status_events r
                                       WHERE r.mentor_id = e.mentor_id AND r.event = 'reinstated'
                                         AND r.id > b.id AND r.id < e.id))
), stuck AS (
    SELECT q.mentor_id, q.certification_expiry,
           'Operation ' || q.id || CASE q.status WHEN 'dead' THEN ' was given up.'
                                                 WHEN 'processing' THEN ' is with a worker that is gone.'
                                                 ELSE ' has been open for more than a day.' END AS detail
      FROM sync_queue q
     WHERE (q.status = 'dead'
            AND NOT EXISTS (SELECT 1 FROM sync_queue later
                             WHERE later.mentor_id = q.mentor_id AND later.id > q.id AND later.status <> 'superseded'))
        OR (:sends AND q.status IN ('pending', 'failed') AND q.created_at < clock_timestamp() - interval '1 day')
        OR (q.status = 'processing' AND q.leased_until < clock_timestamp() - interval '1 hour')
     UNION ALL
    SELECT n.mentor_id, n.certification_expiry,
           'Notice ' || n.id || CASE n.status WHEN 'dead' THEN ' was refused for good.'
                                              WHEN 'unknown' THEN ' was cut short, and nobody knows whether it arrived.'
                                              WHEN 'sending' THEN ' has been on its way for hours.'
                                              ELSE ' has failed for days.' END
      FROM notifications n
     WHERE n.status = 'dead' OR n.status = 'unknown'
        OR (n.status = 'sending' AND n.created_at < clock_timestamp() - interval '1 day')
        OR (n.status = 'failed' AND n.created_at < clock_timestamp() - interval '3 days')
), unfinished AS (
    SELECT 'Run ' || left(r.run_id::text, 8) || ' of ' || r.job_name || ', begun '
           || to_char(r.started_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI') || ' UTC, never ended.' AS detail
      FROM scheduler_run_log r
     WHERE r.status = 'abandoned' AND r.started_at > clock_timestamp() - CAST(:back AS interval)
), success AS (
    SELECT r.job_name, coalesce(r.as_of, (r.started_at AT TIME ZONE CAST(:time_zone AS text))::date) AS night
      FROM scheduler_run_log r
     WHERE r.status = 'succeeded' AND r.job_name = ANY (CAST(:jobs AS text[]))
       AND r.started_at >= CAST(:today AS date) - CAST(:back AS interval) - interval '2 days'
), missed AS (
    SELECT 'No run of ' || f.job_name || ' ended well on the night of ' || n.night::date || '.' AS detail
      FROM (SELECT j.job_name,
                   (SELECT coalesce(r.as_of, (r.started_at AT TIME ZONE CAST(:time_zone AS text))::date)
                      FROM scheduler_run_log r
                     WHERE r.job_name = j.job_name
                     ORDER BY r.started_at
                     LIMIT 1) AS first
              FROM unnest(CAST(:jobs AS text[])) AS j (job_name)) f
     CROSS JOIN LATERAL generate_series(greatest(f.first, CAST(:today AS date) - CAST(:back AS interval)),
                                        CAST(:today AS date) - 1, interval '1 day') AS n (night)
     WHERE f.first IS NOT NULL
       AND NOT EXISTS (SELECT 1 FROM success s WHERE s.job_name = f.job_name AND s.night = n.night::date)
)
INSERT INTO findings_now (finding, mentor_id, certification_expiry_date, detail)
SELECT 'duplicate', t.mentor_id, t.certification_expiry, t.detail FROM told t
 UNION ALL
SELECT 'duplicate', p.mentor_id, p.certification_expiry, p.detail FROM paused p
 UNION ALL
SELECT 'stuck', s.mentor_id, s.certification_expiry, s.detail FROM stuck s
 UNION ALL
SELECT 'unfinished', NULL, NULL, u.detail FROM unfinished u
 UNION ALL
SELECT 'missed', NULL, NULL, m.detail FROM missed m
