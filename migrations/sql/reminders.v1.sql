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

-- A constant to the planner, who would else expect reminders of every day there is.
CREATE FUNCTION certjobs_furthest_day(today date, thresholds integer[]) RETURNS date
LANGUAGE sql IMMUTABLE PARALLEL SAFE
AS $$ SELECT today + max(t.day) FROM unnest(thresholds) AS t (day) $$;
COMMENT ON FUNCTION certjobs_furthest_day(date, integer[]) IS 'The last valid day furthest ahead that any threshold covers.';

-- Who is due: active mentors for whom the ledger holds neither this threshold nor a smaller one, of this expiry date. A
-- plain SELECT, so that it becomes a part of the statement that asks: it reads the partial index alone.
CREATE FUNCTION certjobs_reminders_due(organisation_id bigint, today date, thresholds integer[])
RETURNS TABLE (mentor_id bigint, certification_expiry date, threshold_day integer)
LANGUAGE sql STABLE PARALLEL SAFE
AS $$
    SELECT m.id::bigint, m.certification_expiry, b.threshold_day
      FROM certjobs_threshold_bands(certjobs_reminders_due.today, thresholds) b
      JOIN peer_mentors m ON m.organisation_id = certjobs_reminders_due.organisation_id
                         AND m.status = 'active'
                         AND m.certification_expiry BETWEEN b.first_day AND b.last_day
                         AND m.certification_expiry BETWEEN certjobs_reminders_due.today
                             AND certjobs_furthest_day(certjobs_reminders_due.today, thresholds)
     WHERE NOT EXISTS (SELECT 1 FROM cert_expiry_reminders r
                        WHERE r.mentor_id = m.id
                          AND r.certification_expiry = m.certification_expiry
                          AND r.certification_expiry BETWEEN certjobs_reminders_due.today
                              AND certjobs_furthest_day(certjobs_reminders_due.today, thresholds)
                          AND r.threshold_day <= b.threshold_day)
$$;
COMMENT ON FUNCTION certjobs_reminders_due(bigint, date, integer[]) IS
    'Which mentors of an organisation are due on a day, and for which threshold.';

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

GRANT EXECUTE ON FUNCTION certjobs_threshold_bands(date, integer[]), certjobs_furthest_day(date, integer[]),
                          certjobs_reminders_due(bigint, date, integer[])
   TO certjobs_job;
GRANT SELECT, INSERT ON cert_expiry_reminders, reminder_dispatch_log TO certjobs_job;
GRANT SELECT ON notice_snoozes TO certjobs_job;
GRANT UPDATE (channel) ON notifications TO certjobs_job;
