-- Of how many mentors of an organisation something changed since that decides what a night does: certifications, status,
-- place, or that a person approved them. What the run itself did is left out.
SELECT count(DISTINCT c.mentor_id)
  FROM (SELECT e.mentor_id
          FROM certification_events e
         WHERE e.occurred_at > :since AND e.run_id IS DISTINCT FROM certjobs_setting('run_id')::uuid
         UNION ALL
        SELECT e.mentor_id
          FROM mentor_status_events e
         WHERE e.occurred_at > :since AND e.run_id IS DISTINCT FROM certjobs_setting('run_id')::uuid
         UNION ALL
        SELECT e.entity_id
          FROM roster_events e
         WHERE e.entity = 'mentor' AND e.occurred_at > :since
         UNION ALL
        SELECT g.mentor_id
          FROM guarded_sets s
          JOIN guarded_set_members g ON g.guarded_set_id = s.id
         WHERE s.organisation_id = :organisation_id AND s.approved_at > :since) c
  LEFT JOIN peer_mentors m ON m.id = c.mentor_id
 WHERE m.organisation_id = :organisation_id OR m.id IS NULL
