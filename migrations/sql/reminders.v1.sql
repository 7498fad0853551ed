-- The rule on reminders (DESIGN section 3, rule 3), said once: which days ahead belong to which threshold. On a day, a
-- mentor whose last valid day lies between first_day and last_day is due for threshold_day, the smallest that covers it.
CREATE FUNCTION certjobs_threshold_bands(today date, thresholds integer[])
RETURNS TABLE (threshold_day integer, first_day date, last_day date)
LANGUAGE sql IMMUTABLE PARALLEL SAFE
AS $$
    SELECT t.day, today + coalesce(lag(t.day) OVER (ORDER BY t.day) + 1, 0), today + t.day
      FROM unnest(thresholds) AS t (day)
$$;
COMMENT ON FUNCTION certjobs_threshold_bands(date, integer[]) IS
    'The last valid days that are due for each threshold on a day; 0 is a threshold like any other.';

-- What is done with a notice is written down once, and never changed but to forget what a message could be found by.
CREATE FUNCTION certjobs_only_forget_message() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp
AS $$
BEGIN
    IF to_jsonb(NEW) <> to_jsonb(OLD) || jsonb_build_object('message_id', NULL) THEN
        RAISE EXCEPTION 'The table % is append-only: its rows are added, never changed.', TG_TABLE_NAME
              USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NEW;
END
$$;
CREATE TRIGGER certjobs_append_only BEFORE TRUNCATE ON reminder_dispatch_log
    FOR EACH STATEMENT EXECUTE FUNCTION certjobs_refuse_rewriting();
CREATE TRIGGER certjobs_only_forget BEFORE UPDATE ON reminder_dispatch_log
    FOR EACH ROW EXECUTE FUNCTION certjobs_only_forget_message();

GRANT EXECUTE ON FUNCTION certjobs_threshold_bands(date, integer[]) TO certjobs_job;
GRANT SELECT, INSERT ON cert_expiry_reminders, reminder_dispatch_log TO certjobs_job;
GRANT SELECT ON notice_snoozes TO certjobs_job;
GRANT UPDATE (channel) ON notifications TO certjobs_job;
