GRANT USAGE ON SCHEMA public TO certjobs_job;
GRANT SELECT ON certjobs_schema_version, organisations, chapters, coordinators, coordinator_assignments, peer_mentors,
                mentor_status_events, notifications, scheduler_run_log, job_lock,
                guarded_sets, guarded_set_members, approved_changes
             TO certjobs_job;

-- Status and audit are reached only through certjobs_pause_expired and its triggers. The other functions only read, or
-- work with the caller's own privileges; they are granted by name, for a cluster may take them from PUBLIC.
GRANT EXECUTE ON FUNCTION
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
   TO certjobs_job;

GRANT INSERT ON notifications TO certjobs_job;
GRANT UPDATE (status, attempt, not_before, last_error, message_id, claimed_by_run, sent_at) ON notifications
   TO certjobs_job;

GRANT INSERT ON scheduler_run_log TO certjobs_job;
GRANT UPDATE (finished_at, heartbeat_at, backend_pid, backend_start, status, exit_code, error_message, counts)
   ON scheduler_run_log TO certjobs_job;

GRANT INSERT, DELETE ON job_lock TO certjobs_job;
GRANT UPDATE (heartbeat_at, backend_pid, backend_start) ON job_lock TO certjobs_job;
GRANT USAGE ON SEQUENCE job_lock_fencing_token TO certjobs_job;

-- A job stores what it refused; it cannot approve it.
GRANT INSERT (hash, job_name, organisation_id, size, run_id) ON guarded_sets TO certjobs_job;
GRANT UPDATE (refused_at, run_id) ON guarded_sets TO certjobs_job;
GRANT INSERT ON guarded_set_members TO certjobs_job;
