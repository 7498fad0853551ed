INSERT INTO notice_snoozes (mentor_id, coordinator_id, threshold_day, until, reason, actor)
VALUES (:mentor_id, :coordinator_id, :threshold_day, :until, :reason, :actor)
    ON CONFLICT (mentor_id, coordinator_id, threshold_day) DO UPDATE
   SET until = EXCLUDED.until, reason = EXCLUDED.reason, actor = EXCLUDED.actor, created_at = clock_timestamp()
