-- Store whom the guard kept from being taken off the website: the set, named by a hash over its members, and the members.
WITH candidates AS MATERIALIZED (
    SELECT q.mentor_id AS id, coalesce(m.external_ref, q.mentor_ref) AS ref,
           coalesce(q.certification_expiry, '-infinity') AS certification_expiry
      FROM sync_queue q
      LEFT JOIN peer_mentors m ON m.id = q.mentor_id
     WHERE q.id = ANY (CAST(:ids AS bigint[]))
), named AS (
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
