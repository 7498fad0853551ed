REVOKE ALL ON certjobs_schema_version, organisations, chapters, coordinators, coordinator_assignments, peer_mentors,
              mentor_status_events, notifications, scheduler_run_log, job_lock,
              guarded_sets, guarded_set_members, approved_changes
         FROM certjobs_job;
REVOKE ALL ON SEQUENCE job_lock_fencing_token FROM certjobs_job;
REVOKE ALL ON FUNCTION
       certjobs_pause_expired(bigint[], date),
       certjobs_acquire_lock(text, uuid, text),
       certjobs_abandon_dead_runs(uuid),
       certjobs_owner_is_dead(integer, timestamptz, timestamptz),
       certjobs_session_start(),
       certjobs_setting(text),
       certjobs_notice_key(text, bigint, date, integer, bigint),
       certjobs_certification_end(date, date),
       certjobs_days_left(date, date),
       certjobs_expired(date, date)
  FROM certjobs_job;
DO $$
BEGIN -- a later version's function, which taking that version back leaves
    IF to_regprocedure('certjobs_notice_digest(text, text, date, integer, text)') IS NOT NULL THEN
        REVOKE ALL ON FUNCTION certjobs_notice_digest(text, text, date, integer, text) FROM certjobs_job;
    END IF;
END
$$;
REVOKE USAGE ON SCHEMA public FROM certjobs_job;
