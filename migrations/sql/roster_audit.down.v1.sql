-- certjobs_audit_status and certjobs_audit_certifications_changed stay as they are but for what they need of
-- roster_events: planned anew each time they do the same as before.
DROP TRIGGER certjobs_only_forget ON mentor_status_events;
DROP TRIGGER certjobs_append_only ON mentor_status_events;
CREATE TRIGGER certjobs_append_only BEFORE UPDATE OR TRUNCATE ON mentor_status_events
    FOR EACH STATEMENT EXECUTE FUNCTION certjobs_refuse_rewriting();
DROP TRIGGER certjobs_only_forget ON certification_events;
DROP TRIGGER certjobs_append_only ON certification_events;
CREATE TRIGGER certjobs_append_only BEFORE UPDATE OR TRUNCATE ON certification_events
    FOR EACH STATEMENT EXECUTE FUNCTION certjobs_refuse_rewriting();
DROP TRIGGER certjobs_audit_removed ON peer_mentors;
DROP TRIGGER certjobs_audit_removed ON coordinator_assignments;
DROP TRIGGER certjobs_audit_changed ON coordinator_assignments;
DROP TRIGGER certjobs_audit_added ON coordinator_assignments;
DROP TRIGGER certjobs_audit_removed ON coordinators;
DROP TRIGGER certjobs_audit_changed ON coordinators;
DROP TRIGGER certjobs_audit_added ON coordinators;
DROP TRIGGER certjobs_audit_changed ON organisations;
DROP TRIGGER certjobs_audit_added ON organisations;
DROP INDEX ix_notifications_created_at;
DROP INDEX ix_mentor_status_events_occurred_at;
DROP INDEX ix_certification_events_occurred_at;
DROP FUNCTION certjobs_forget(text, timestamptz, integer);
DROP TABLE roster_events;
DROP FUNCTION certjobs_only_forget();
DROP FUNCTION certjobs_audit_departure();
DROP FUNCTION certjobs_audit_assignments();
DROP FUNCTION certjobs_audit_coordinators();
DROP FUNCTION certjobs_audit_organisations();
DROP FUNCTION certjobs_organisation_facts(organisations);

CREATE OR REPLACE FUNCTION certjobs_audit_status() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
BEGIN
    EXECUTE $statement$
    INSERT INTO public.mentor_status_events
           (mentor_id, event, from_status, to_status, reason, certification_expiry, effective_on, actor, run_id)
    SELECT n.id,
           CASE WHEN n.status = 'active' THEN 'reinstated'
                WHEN n.pause_reason = 'expired_cert' THEN 'expired_cert'
                ELSE 'paused' END,
           o.status, n.status, coalesce(public.certjobs_setting('reason'), n.pause_reason), n.certification_expiry,
           public.certjobs_today(g.time_zone), public.certjobs_actor(), public.certjobs_setting('run_id')::uuid
      FROM added n
      JOIN removed o ON o.id = n.id AND o.status <> n.status
      JOIN public.organisations g ON g.id = n.organisation_id
    $statement$;
    RETURN NULL;
END
$$;

ALTER FUNCTION certjobs_refresh_certification_expiry(bigint[]) RESET plan_cache_mode;
