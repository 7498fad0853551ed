SELECT mentor_id, mentor_ref, organisation, chapter, certification_expiry, recipients, has_coordinator
  FROM certjobs_pause_expired(CAST(:mentor_ids AS bigint[]), :today)
