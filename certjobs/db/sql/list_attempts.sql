SELECT l.occurred_at, l.attempt, l.channel, l.outcome, l.error, l.message_id, l.run_id
  FROM reminder_dispatch_log l
 WHERE l.notification_id = :id
 ORDER BY l.id DESC
