-- What a run did, read from where it is written down, in one snapshot.
SELECT (SELECT count(*) FROM mentor_status_events e WHERE e.run_id = :run_id AND e.event = 'expired_cert') AS pauses,
       (SELECT count(*) FROM notifications n WHERE n.caused_by_run = :run_id) AS notices
