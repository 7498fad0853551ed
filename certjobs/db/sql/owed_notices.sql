-- The next notices that may be sent now, a group at a time. One group a notice, or one a recipient where the channel
-- gathers. A notice whose mentor is gone is among them, to be suppressed when it is claimed; one that is snoozed is not.
-- With ids, only those.
WITH day AS (
    SELECT d.organisation_id, d.today
      FROM unnest(CAST(:organisation_ids AS bigint[]), CAST(:todays AS date[])) AS d (organisation_id, today)
)
SELECT array_agg(n.id ORDER BY n.id) AS ids
  FROM notifications n
  LEFT JOIN peer_mentors m ON m.id = n.mentor_id
  LEFT JOIN day ON day.organisation_id = m.organisation_id
 WHERE n.kind = ANY (CAST(:kinds AS text[]))
   AND n.status IN ('pending', 'failed')
   AND (CAST(:ids AS bigint[]) IS NULL OR n.id = ANY (CAST(:ids AS bigint[])))
   AND coalesce(n.not_before, '-infinity') <= clock_timestamp()
   AND (m.id IS NULL OR day.organisation_id IS NOT NULL)
   AND NOT EXISTS (SELECT 1 FROM notice_snoozes z
                    WHERE z.mentor_id = n.mentor_id AND z.coordinator_id = n.coordinator_id
                      AND z.threshold_day = n.threshold_day AND z.until > day.today)
 GROUP BY CASE WHEN CAST(:gathers AS boolean) THEN n.coordinator_id END,
          CASE WHEN CAST(:gathers AS boolean) THEN CASE WHEN n.coordinator_id IS NULL THEN m.organisation_id END ELSE n.id END
 ORDER BY min(n.id)
