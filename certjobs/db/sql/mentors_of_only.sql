-- How many mentors have this coordinator and no other.
SELECT count(*)
  FROM coordinator_assignments a
 WHERE a.coordinator_id = :coordinator_id
   AND NOT EXISTS (SELECT 1 FROM coordinator_assignments other
                    WHERE other.mentor_id = a.mentor_id AND other.coordinator_id <> a.coordinator_id)
