ALTER TABLE notifications
    DROP COLUMN added,
    DROP COLUMN channel,
    DROP COLUMN handled_by,
    DROP COLUMN handled_reason,
    DROP COLUMN handled_at;
DROP FUNCTION certjobs_reminders_due(bigint, date, integer[]);
DROP FUNCTION certjobs_furthest_day(date, integer[]);
DROP TABLE notice_snoozes;
DROP TABLE reminder_dispatch_log;
DROP TABLE cert_expiry_reminders;
DROP FUNCTION certjobs_only_forget_message();
DROP FUNCTION certjobs_threshold_bands(date, integer[]);
