-- Bring the log of findings to what was found now, of these kinds: new ones are written, those that are no longer found are
-- cleared, and the others stay as they are. unsure: found neither so nor otherwise, so what stands of it stays. The key of an
-- entry that is gone from the website is forgotten. Both sides are matched by values that are never null, so that a hash tells
-- them apart: of one kind there may be as many as there are mentors, and all say the same.
WITH now AS MATERIALIZED (
    SELECT f.finding, coalesce(f.mentor_id, 0) AS mentor, coalesce(f.certification_expiry_date, 'infinity') AS expiry,
           f.detail, f.mentor_id, f.certification_expiry_date, f.done, f.unsure
      FROM findings_now f
), stands AS MATERIALIZED (
    SELECT l.id, l.finding, coalesce(l.mentor_id, 0) AS mentor,
           coalesce(l.certification_expiry_date, 'infinity') AS expiry, l.detail, l.done
      FROM reconciliation_log l
     WHERE l.cleared_at IS NULL AND l.finding = ANY (CAST(:kinds AS text[]))
), same AS MATERIALIZED (
    SELECT s.id, s.finding, n.finding IS NOT NULL AS found, n.done IS NOT NULL AND s.done IS DISTINCT FROM n.done AS other,
           n.done
      FROM stands s
      LEFT JOIN now n USING (finding, mentor, expiry, detail)
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
     WHERE l.id = s.id AND s.found AND s.other
), added AS (
    INSERT INTO reconciliation_log (finding, mentor_id, certification_expiry_date, detail, done, actor, run_id)
    SELECT n.finding, n.mentor_id, n.certification_expiry_date, n.detail, n.done, certjobs_actor(),
           certjobs_setting('run_id')::uuid
      FROM now n
      LEFT JOIN stands s USING (finding, mentor, expiry, detail)
     WHERE s.id IS NULL AND NOT n.unsure
    RETURNING finding
), counted AS (
    SELECT s.finding, count(DISTINCT s.id) AS open, 0 AS new, 0 AS cleared FROM same s WHERE s.found GROUP BY s.finding
     UNION ALL
    SELECT a.finding, count(*), count(*), 0 FROM added a GROUP BY a.finding
     UNION ALL
    SELECT c.finding, 0, 0, count(*) FROM cleared c GROUP BY c.finding
)
SELECT k.finding, coalesce(sum(c.open), 0)::bigint AS open, coalesce(sum(c.new), 0)::bigint AS new,
       coalesce(sum(c.cleared), 0)::bigint AS cleared
  FROM unnest(CAST(:kinds AS text[])) AS k (finding)
  LEFT JOIN counted c USING (finding)
 GROUP BY k.finding
