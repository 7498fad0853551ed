-- The account of what a run owes, in one snapshot: from its causes on one side, from the notices' statuses on the other.
-- Whoever became a recipient after a cause was decided is counted by itself.
SELECT (SELECT coalesce(sum(r.recipients), 0) FROM cert_expiry_reminders r WHERE r.run_id = :run_id) AS reminders,
       (SELECT count(*) FROM mentor_status_events e WHERE e.run_id = :run_id AND e.event = 'expired_cert') AS pauses,
       (SELECT count(*) FROM cert_expiry_reminders r WHERE r.run_id = :run_id AND r.status = 'due') AS due,
       count(*) FILTER (WHERE NOT n.added) AS recorded,
       count(*) FILTER (WHERE n.added) AS added,
       count(*) FILTER (WHERE NOT n.added AND n.status = 'sent') AS sent,
       count(*) FILTER (WHERE NOT n.added AND n.status = 'suppressed') AS suppressed,
       count(*) FILTER (WHERE NOT n.added AND n.status = 'superseded') AS superseded,
       count(*) FILTER (WHERE NOT n.added AND n.status = 'dead') AS dead,
       count(*) FILTER (WHERE NOT n.added AND n.status = 'unknown') AS unknown,
       count(*) FILTER (WHERE NOT n.added AND n.status = 'discarded') AS discarded,
       count(*) FILTER (WHERE NOT n.added AND n.status IN ('pending', 'sending', 'failed')) AS open
  FROM notifications n
 WHERE n.caused_by_run = :run_id
