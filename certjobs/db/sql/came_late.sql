-- What runs since the last whole night have done already of what nights since then missed: a run that died after it had caught
-- up has told nobody. first, last: the nights that were missed.
SELECT e.certification_expiry + 1 AS day, CAST(NULL AS integer) AS threshold_day, m.external_ref AS mentor_ref
  FROM mentor_status_events e
  JOIN peer_mentors m ON m.id = e.mentor_id AND m.organisation_id = :organisation_id
 WHERE NOT CAST(:reminders AS boolean)
   AND e.event = 'expired_cert' AND e.run_id IS NOT NULL
   AND e.occurred_at > CAST(:first AS date) - interval '1 day' AND e.effective_on > e.certification_expiry + 1
   AND e.certification_expiry + 1 BETWEEN :first AND :last
 UNION ALL
SELECT r.certification_expiry - r.threshold_day, r.threshold_day, m.external_ref
  FROM cert_expiry_reminders r
  JOIN peer_mentors m ON m.id = r.mentor_id AND m.organisation_id = :organisation_id
 WHERE CAST(:reminders AS boolean)
   AND r.status = 'due' AND r.decided_on > r.certification_expiry - r.threshold_day
   AND r.certification_expiry BETWEEN CAST(:first AS date) AND CAST(:last AS date) + CAST(:furthest AS integer)
   AND r.certification_expiry - r.threshold_day BETWEEN :first AND :last
 ORDER BY 1, 2 DESC NULLS LAST, 3
