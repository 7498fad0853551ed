-- Notices still owed; those of them that have nobody to go to: no coordinator, no fallback address; and those that wait
-- because they are snoozed, or because it is quiet where the mentor is (an organisation that is not among the days); and
-- those that another run has in hand. Overslept: how many were never tried in all the days that every run found it quiet.
WITH day AS (
    SELECT d.organisation_id, d.today
      FROM unnest(CAST(:organisation_ids AS bigint[]), CAST(:todays AS date[])) AS d (organisation_id, today)
), open AS (
    SELECT n.status, n.coordinator_id, n.attempt, n.created_at, o.fallback_address,
           m.id IS NOT NULL AND day.organisation_id IS NULL AS quiet,
           EXISTS (SELECT 1 FROM notice_snoozes z
                    WHERE z.mentor_id = n.mentor_id AND z.coordinator_id = n.coordinator_id
                      AND z.threshold_day = n.threshold_day AND z.until > day.today) AS snoozed,
           n.status = 'sending' AND n.claimed_by_run IS DISTINCT FROM certjobs_setting('run_id')::uuid
           AND EXISTS (SELECT 1 FROM scheduler_run_log r
                        WHERE r.run_id = n.claimed_by_run AND r.status = 'running') AS elsewhere
      FROM notifications n
      LEFT JOIN peer_mentors m ON m.id = n.mentor_id
      LEFT JOIN organisations o ON o.id = m.organisation_id
      LEFT JOIN day ON day.organisation_id = m.organisation_id
     WHERE n.kind = ANY (CAST(:kinds AS text[]))
       AND n.status IN ('pending', 'sending', 'failed')
       AND (m.id IS NULL OR m.organisation_id = ANY (CAST(:all_organisation_ids AS bigint[])))
)
SELECT count(*) AS open,
       count(*) FILTER (WHERE NOT quiet AND NOT snoozed AND status <> 'sending' AND coordinator_id IS NULL
                              AND fallback_address IS NULL) AS nobody,
       count(*) FILTER (WHERE snoozed AND NOT elsewhere) AS snoozed,
       count(*) FILTER (WHERE quiet AND NOT snoozed AND NOT elsewhere) AS quiet,
       count(*) FILTER (WHERE elsewhere) AS elsewhere,
       count(*) FILTER (WHERE quiet AND NOT snoozed AND attempt = 0
                              AND created_at < clock_timestamp() - make_interval(days => :patience)) AS overslept
  FROM open
