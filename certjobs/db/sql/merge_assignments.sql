-- In order, so that what is missing is known before the first row goes in: a table that was thought empty would else be
-- read anew, and longer, for each row. The coordinators of a mentor that the file names become those that the file gives.
WITH named AS MATERIALIZED (
    SELECT DISTINCT m.id AS mentor_id, s.coordinator_addresses
      FROM roster_staging s
      JOIN peer_mentors m ON m.external_ref = s.mentor_ref
), known AS MATERIALIZED (
    SELECT DISTINCT ON (lower(k.address)) lower(k.address) AS spelling, k.id
      FROM coordinators k
     ORDER BY lower(k.address), k.address = lower(k.address) DESC, k.id
), wanted AS MATERIALIZED (
    SELECT n.mentor_id, known.id AS coordinator_id
      FROM named n
     CROSS JOIN LATERAL unnest(n.coordinator_addresses) AS given (address)
      JOIN known ON known.spelling = given.address
), removed AS (
    DELETE FROM coordinator_assignments a
     USING named n
     WHERE a.mentor_id = n.mentor_id
       AND NOT EXISTS (SELECT 1 FROM wanted w
                        WHERE w.mentor_id = a.mentor_id AND w.coordinator_id = a.coordinator_id)
    RETURNING 1
), added AS (
    INSERT INTO coordinator_assignments (mentor_id, coordinator_id)
    SELECT w.mentor_id, w.coordinator_id
      FROM wanted w
     WHERE NOT EXISTS (SELECT 1 FROM coordinator_assignments a
                        WHERE a.mentor_id = w.mentor_id AND a.coordinator_id = w.coordinator_id)
     ORDER BY w.mentor_id, w.coordinator_id
    RETURNING 1
)
SELECT (SELECT count(*) FROM added), (SELECT count(*) FROM removed)
