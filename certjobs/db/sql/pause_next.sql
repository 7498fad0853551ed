SELECT candidates, last_expiry, last_id, mentor_ids, recipients, without_coordinator, shown
  FROM certjobs_pause_next(:organisation_id, :today, :job_name, :approved, :after_expiry, :after_id, :limit, :shown)
