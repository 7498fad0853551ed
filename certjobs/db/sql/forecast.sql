-- What the coming nights will do in one organisation, if they all run and nothing in the roster changes: who is reminded
-- of which threshold, who is paused, and with how many notices. Tonight takes everything that is due, later nights only
-- what becomes due that night: the mentor whose expiry date enters a band, or passes. So each mentor is looked at once a
-- threshold, through the partial index on active mentors, and the rules are asked for it, not written again.
-- OFFSET 0 keeps the planner to one look-up a mentor.
WITH night AS (
    SELECT CAST(:today AS date) + n AS day FROM generate_series(1, CAST(:days AS integer) - 1) n
), due AS MATERIALIZED (
    SELECT CAST(:today AS date) AS day, d.mentor_id, d.certification_expiry, d.threshold_day
      FROM certjobs_reminders_due(:organisation_id, :today, CAST(:thresholds AS integer[])) d
     WHERE CAST(:remind AS boolean)
     UNION ALL
    SELECT n.day, d.mentor_id, d.certification_expiry, d.threshold_day
      FROM night n
     CROSS JOIN LATERAL certjobs_reminders_due(:organisation_id, n.day, CAST(:thresholds AS integer[])) d
     WHERE CAST(:remind AS boolean)
       AND d.certification_expiry = n.day + d.threshold_day
), expired AS MATERIALIZED (
    SELECT CAST(:today AS date) AS day, m.id AS mentor_id, m.certification_expiry
      FROM peer_mentors m
     WHERE CAST(:auto_pause AS boolean)
       AND m.organisation_id = :organisation_id
       AND m.status = 'active'
       AND certjobs_expired(m.certification_expiry, :today)
     UNION ALL
    SELECT n.day, m.id, m.certification_expiry
      FROM night n
      JOIN peer_mentors m ON certjobs_expired(m.certification_expiry, n.day)
                         AND NOT certjobs_expired(m.certification_expiry, n.day - 1)
     WHERE CAST(:auto_pause AS boolean)
       AND m.organisation_id = :organisation_id
       AND m.status = 'active'
), event AS MATERIALIZED (
    SELECT d.day, d.mentor_id, d.threshold_day, false AS approved FROM due d
     UNION ALL
    SELECT x.day, x.mentor_id, NULL,
           EXISTS (SELECT 1 FROM approved_changes a
                    WHERE a.job_name = :job_name
                      AND a.mentor_id = x.mentor_id
                      AND a.certification_expiry = x.certification_expiry)
      FROM expired x
), mentor AS MATERIALIZED (
    SELECT d.mentor_id, m.*
      FROM (SELECT DISTINCT e.mentor_id FROM event e) d
     CROSS JOIN LATERAL (SELECT p.external_ref, p.chapter_id,
                                ARRAY(SELECT a.coordinator_id FROM coordinator_assignments a
                                       WHERE a.mentor_id = p.id ORDER BY a.coordinator_id) AS coordinator_ids
                           FROM peer_mentors p WHERE p.id = d.mentor_id OFFSET 0) m
)
SELECT e.day, e.threshold_day, m.external_ref AS mentor_ref, ch.name AS chapter, e.approved, m.coordinator_ids
  FROM event e
  JOIN mentor m ON m.mentor_id = e.mentor_id
  JOIN chapters ch ON ch.id = m.chapter_id
 ORDER BY e.day, e.threshold_day DESC NULLS LAST, m.external_ref COLLATE "C"
