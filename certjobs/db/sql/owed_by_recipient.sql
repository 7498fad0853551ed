-- Who hears what by a run, most urgent first: what it has sent; and what it owes and has not sent, and why.
WITH day AS (
    SELECT d.organisation_id, d.today
      FROM unnest(CAST(:organisation_ids AS bigint[]), CAST(:todays AS date[])) AS d (organisation_id, today)
), found AS (
    SELECT coalesce(c.name || ' <' || c.address || '>',
                    o.code || ' <' || coalesce(o.fallback_address, 'nobody') || '>') AS recipient,
           CASE WHEN n.status = 'sent' THEN NULL
                WHEN c.id IS NULL AND o.fallback_address IS NULL THEN 'nobody'
                WHEN EXISTS (SELECT 1 FROM notice_snoozes z
                              WHERE z.mentor_id = n.mentor_id AND z.coordinator_id = n.coordinator_id
                                AND z.threshold_day = n.threshold_day AND z.until > day.today) THEN 'snoozed'
                ELSE 'later' END AS waits,
           n.kind, m.external_ref, o.code, n.certification_expiry, n.threshold_day
      FROM notifications n
      JOIN peer_mentors m ON m.id = n.mentor_id
      JOIN organisations o ON o.id = m.organisation_id
      LEFT JOIN coordinators c ON c.id = n.coordinator_id
      LEFT JOIN day ON day.organisation_id = m.organisation_id
     WHERE n.status = 'sent' AND n.claimed_by_run = :run_id
        OR n.status IN ('pending', 'failed') AND n.caused_by_run = :run_id
)
SELECT f.recipient, f.waits,
       jsonb_agg(jsonb_build_object('kind', f.kind, 'mentor_ref', f.external_ref, 'organisation', f.code,
                                    'certification_expiry', f.certification_expiry, 'threshold_day', f.threshold_day)
                 ORDER BY f.kind, f.certification_expiry, f.external_ref COLLATE "C") AS notices
  FROM found f
 GROUP BY f.recipient, f.waits
 ORDER BY f.waits IS NOT NULL, min(f.certification_expiry), f.recipient
 LIMIT :limit
