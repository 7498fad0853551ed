REVOKE ALL ON certjobs_schema_version, organisations, chapters, coordinators, coordinator_assignments, peer_mentors,
              certifications, certification_events, mentor_status_events, notifications, scheduler_run_log, job_lock,
              guarded_sets, guarded_set_members
         FROM certjobs_job;
REVOKE ALL ON SEQUENCE job_lock_fencing_token FROM certjobs_job;
REVOKE ALL ON FUNCTION certjobs_pause_expired(bigint[], date) FROM certjobs_job;
REVOKE USAGE ON SCHEMA public FROM certjobs_job;
