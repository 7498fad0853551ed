-- What happened to a mentor, newest first, from the three tables of the audit.
SELECT occurred_at, what, detail, reason, actor
  FROM (SELECT e.occurred_at, e.id, e.event AS what,
               CASE e.event WHEN 'expired_cert' THEN 'certification ended ' || e.certification_expiry END AS detail,
               e.reason, e.actor
          FROM mentor_status_events e
         WHERE e.mentor_id = :mentor_id
        UNION ALL
        SELECT e.occurred_at, e.id, 'certification ' || e.event,
               coalesce(e.after, e.before) ->> 'external_ref' || ', valid to '
               || (coalesce(e.after, e.before) ->> 'expires_on')
               || coalesce(', withdrawn ' || (coalesce(e.after, e.before) ->> 'withdrawn_on'), ''),
               e.reason, e.actor
          FROM certification_events e
         WHERE e.mentor_id = :mentor_id
        UNION ALL
        SELECT e.occurred_at, e.id, e.event,
               CASE WHEN e.event IN ('assigned', 'unassigned')
                    THEN 'coordinators: ' || jsonb_array_length(coalesce(e.after, e.before) -> 'coordinators')
                    WHEN e.before -> 'organisation_id' <> e.after -> 'organisation_id' THEN 'moved to another organisation'
                    WHEN e.before -> 'chapter_id' <> e.after -> 'chapter_id' THEN 'moved to another chapter'
                    WHEN e.event = 'changed' THEN 'name or reference' END,
               e.reason, e.actor
          FROM roster_events e
         WHERE e.entity = 'mentor' AND e.entity_id = :mentor_id) events
 ORDER BY occurred_at DESC, id DESC
 LIMIT :limit
