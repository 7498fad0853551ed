-- Of how many mentors of an organisation somebody else than this run changed certifications, status or place since.
SELECT count(DISTINCT c.mentor_id)
  FROM (SELECT e.mentor_id
          FROM certification_events e
         WHERE e.occurred_at >= :since AND e.run_id IS DISTINCT FROM certjobs_setting('run_id')::uuid
         UNION ALL
        SELECT e.mentor_id
          FROM mentor_status_events e
         WHERE e.occurred_at >= :since AND e.run_id IS DISTINCT FROM certjobs_setting('run_id')::uuid
         UNION ALL
        SELECT e.entity_id
          FROM roster_events e
         WHERE e.entity = 'mentor' AND e.occurred_at >= :since) c
