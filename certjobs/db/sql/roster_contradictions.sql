-- Rows that cannot all be true. Each is reported at the later line, which names the earlier one. Who contradicts
-- anything at all is found by grouping; only those rows, usually none, are looked at line by line.
CREATE TEMPORARY TABLE roster_contradictions ON COMMIT DROP AS
WITH doubtful_mentor AS (
    SELECT s.mentor_ref
      FROM roster_staging s
     GROUP BY s.mentor_ref
    HAVING count(*) > 1
       AND (min(s.name COLLATE "C") <> max(s.name COLLATE "C")
            OR min(s.organisation COLLATE "C") <> max(s.organisation COLLATE "C")
            OR min(s.chapter COLLATE "C") <> max(s.chapter COLLATE "C")
            OR min(s.coordinator_addresses) <> max(s.coordinator_addresses))
), mentor AS (
    SELECT s.line, first_value(s.line) OVER w AS first_line,
           s.name <> first_value(s.name) OVER w AS name,
           s.organisation <> first_value(s.organisation) OVER w AS organisation,
           s.chapter <> first_value(s.chapter) OVER w AS chapter,
           s.coordinator_addresses <> first_value(s.coordinator_addresses) OVER w AS coordinators
      FROM roster_staging s
      JOIN doubtful_mentor USING (mentor_ref)
    WINDOW w AS (PARTITION BY s.mentor_ref ORDER BY s.line)
), named AS MATERIALIZED (
    SELECT DISTINCT s.coordinator_names, s.coordinator_addresses FROM roster_staging s
), doubtful_address AS (
    SELECT c.address
      FROM named
     CROSS JOIN LATERAL unnest(named.coordinator_names, named.coordinator_addresses) AS c (name, address)
     GROUP BY c.address
    HAVING min(c.name COLLATE "C") <> max(c.name COLLATE "C")
), coordinator AS (
    SELECT s.line, c.name, first_value(s.line) OVER w AS first_line, first_value(c.name) OVER w AS first_name
      FROM roster_staging s
     CROSS JOIN LATERAL unnest(s.coordinator_names, s.coordinator_addresses) AS c (name, address)
     WHERE EXISTS (SELECT 1 FROM doubtful_address)
       AND c.address IN (SELECT d.address FROM doubtful_address d)
    WINDOW w AS (PARTITION BY c.address ORDER BY s.line)
), doubtful_certificate AS (
    SELECT s.certificate_ref
      FROM roster_staging s
     WHERE s.certificate_ref IS NOT NULL
     GROUP BY s.certificate_ref
    HAVING count(*) > 1
), certificate AS (
    SELECT s.line, first_value(s.line) OVER (PARTITION BY s.certificate_ref ORDER BY s.line) AS first_line
      FROM roster_staging s
      JOIN doubtful_certificate USING (certificate_ref)
)
SELECT line, column_name, reason
  FROM (SELECT line, 'name' AS column_name, 'differs from line ' || first_line || ', the same mentor' AS reason
          FROM mentor WHERE name
        UNION ALL
        SELECT line, 'organisation', 'differs from line ' || first_line || ', the same mentor'
          FROM mentor WHERE organisation
        UNION ALL
        SELECT line, 'chapter', 'differs from line ' || first_line || ', the same mentor'
          FROM mentor WHERE chapter
        UNION ALL
        SELECT line, 'coordinators', 'differs from line ' || first_line || ', the same mentor'
          FROM mentor WHERE coordinators
        UNION ALL
        SELECT DISTINCT line, 'coordinators', 'an address has another name on line ' || first_line
          FROM coordinator WHERE name <> first_name
        UNION ALL
        SELECT line, 'certificate_ref', 'stands already on line ' || first_line
          FROM certificate WHERE line <> first_line
        UNION ALL
        SELECT s.line, 'certificate_ref', 'belongs to another mentor, ' || m.external_ref
          FROM roster_staging s
          JOIN certifications c ON c.external_ref = s.certificate_ref
          JOIN peer_mentors m ON m.id = c.mentor_id
         WHERE m.external_ref <> s.mentor_ref) problems
