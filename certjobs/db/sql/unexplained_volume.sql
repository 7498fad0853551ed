-- How many mentors a run should have had to do with and had not, or had and should not have, of whom nothing tells why:
-- neither certifications nor status nor place changed since it was said what to expect, and no person approved them. What
-- the run itself changed is left out.
WITH forecast AS (
    SELECT f.members, f.created_at AS since, certjobs_setting('run_id')::uuid AS run_id
      FROM forecasts f
     WHERE f.night = :night AND f.job_name = :job_name AND f.organisation_id = :organisation_id
), done AS MATERIALIZED (
    SELECT e.mentor_id
      FROM forecast f
      JOIN mentor_status_events e ON e.run_id = f.run_id AND e.event = 'expired_cert'
      JOIN peer_mentors m ON m.id = e.mentor_id AND m.organisation_id = :organisation_id
     WHERE NOT CAST(:reminders AS boolean)
     UNION
    SELECT r.mentor_id
      FROM forecast f
      JOIN cert_expiry_reminders r ON r.run_id = f.run_id AND r.status = 'due'
      JOIN peer_mentors m ON m.id = r.mentor_id AND m.organisation_id = :organisation_id
     WHERE CAST(:reminders AS boolean)
), expected AS MATERIALIZED (
    SELECT unnest(f.members) AS mentor_id FROM forecast f
), apart AS (
    (SELECT x.mentor_id FROM expected x EXCEPT SELECT d.mentor_id FROM done d)
     UNION ALL
    (SELECT d.mentor_id FROM done d EXCEPT SELECT x.mentor_id FROM expected x)
)
SELECT count(*)
  FROM apart a
 CROSS JOIN forecast f
 WHERE EXISTS (SELECT 1 FROM peer_mentors m WHERE m.id = a.mentor_id)
   AND NOT EXISTS (SELECT 1 FROM certification_events e
                    WHERE e.mentor_id = a.mentor_id AND e.occurred_at > f.since AND e.run_id IS DISTINCT FROM f.run_id)
   AND NOT EXISTS (SELECT 1 FROM mentor_status_events e
                    WHERE e.mentor_id = a.mentor_id AND e.occurred_at > f.since AND e.run_id IS DISTINCT FROM f.run_id)
   AND NOT EXISTS (SELECT 1 FROM roster_events e
                    WHERE e.entity = 'mentor' AND e.entity_id = a.mentor_id AND e.occurred_at > f.since)
   AND NOT EXISTS (SELECT 1 FROM guarded_set_members g
                     JOIN guarded_sets s ON s.id = g.guarded_set_id
                    WHERE g.mentor_id = a.mentor_id AND s.approved_at > f.since)
