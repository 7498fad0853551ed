-- Bring the log of findings to what was found now, of these kinds: new ones are written, those that are no longer found are
-- cleared, and the others stay as they are. unsure: found neither so nor otherwise, so what stands of it stays. The key of an
-- entry that is gone from the website is forgotten.
WITH same AS MATERIALIZED (
    SELECT l.id, f.finding IS NOT NULL AS found, f.done
      FROM reconciliation_log l
      LEFT JOIN findings_now f ON f.finding = l.finding
                              AND f.mentor_id IS NOT DISTINCT FROM l.mentor_id
                              AND f.certification_expiry_date IS NOT DISTINCT FROM l.certification_expiry_date
                              AND f.detail = l.detail
     WHERE l.cleared_at IS NULL AND l.finding = ANY (CAST(:kinds AS text[]))
), cleared AS (
    UPDATE reconciliation_log l
       SET cleared_at = clock_timestamp(),
           detail = CASE l.finding WHEN 'unknown' THEN 'An entry that no mentor had.' ELSE l.detail END
      FROM same s
     WHERE l.id = s.id AND NOT s.found
    RETURNING l.finding
), changed AS (
    UPDATE reconciliation_log l
       SET done = s.done
      FROM same s
     WHERE l.id = s.id AND s.found AND s.done IS NOT NULL AND l.done IS DISTINCT FROM s.done
), added AS (
    INSERT INTO reconciliation_log (finding, mentor_id, certification_expiry_date, detail, done, actor, run_id)
    SELECT f.finding, f.mentor_id, f.certification_expiry_date, f.detail, f.done, certjobs_actor(),
           certjobs_setting('run_id')::uuid
      FROM findings_now f
     WHERE NOT f.unsure
       AND NOT EXISTS (SELECT 1
                         FROM reconciliation_log l
                        WHERE l.cleared_at IS NULL AND l.finding = f.finding
                          AND l.mentor_id IS NOT DISTINCT FROM f.mentor_id
                          AND l.certification_expiry_date IS NOT DISTINCT FROM f.certification_expiry_date
                          AND l.detail = f.detail)
    RETURNING finding
)
SELECT k.finding,
       (SELECT count(DISTINCT s.id) FROM same s JOIN reconciliation_log l ON l.id = s.id WHERE s.found AND l.finding = k.finding)
       + (SELECT count(*) FROM added a WHERE a.finding = k.finding) AS open,
       (SELECT count(*) FROM added a WHERE a.finding = k.finding) AS new,
       (SELECT count(*) FROM cleared c WHERE c.finding = k.finding) AS cleared
  FROM unnest(CAST(:kinds AS text[])) AS k (finding)
