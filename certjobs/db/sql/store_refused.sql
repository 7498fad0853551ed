-- Store candidates as one refused set, named by a hash over its members. Refused again on another night it is the same row
-- with a new date; an approval that has run out stays on it as history. It goes on from their WITH.
, named AS (
    SELECT encode(sha256(convert_to(
               CAST(:job_name AS text) || E'\n'
               || string_agg(c.ref || ' ' || c.certification_expiry, E'\n' ORDER BY c.ref COLLATE "C"),
               'UTF8')), 'hex') AS hash,
           count(*)::integer AS size
      FROM candidates c
    HAVING count(*) > 0
), stored AS (
    INSERT INTO guarded_sets (hash, job_name, organisation_id, size, run_id)
    SELECT hash, :job_name, :organisation_id, size, certjobs_setting('run_id')::uuid
      FROM named
        ON CONFLICT (hash) DO UPDATE SET refused_at = clock_timestamp(), run_id = EXCLUDED.run_id
    RETURNING id, hash, size
), members AS (
    INSERT INTO guarded_set_members (guarded_set_id, mentor_id, certification_expiry)
    SELECT stored.id, c.id, c.certification_expiry
      FROM stored CROSS JOIN candidates c
        ON CONFLICT DO NOTHING
)
SELECT hash, size FROM stored
