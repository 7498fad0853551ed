-- Rows that cannot all be true. Each is reported at the later line, which names the earlier one.
WITH mentor AS (
    SELECT s.line, first_value(s.line) OVER w AS first_line,
           s.name <> first_value(s.name) OVER w AS name,
           s.organisation <> first_value(s.organisation) OVER w AS organisation,
           s.chapter <> first_value(s.chapter) OVER w AS chapter,
           s.coordinator_addresses <> first_value(s.coordinator_addresses) OVER w AS coordinators
      FROM roster_staging s
    WINDOW w AS (PARTITION BY s.mentor_ref ORDER BY s.line)
), coordinator AS (
    SELECT s.line, c.name, first_value(s.line) OVER w AS first_line, first_value(c.name) OVER w AS first_name
      FROM roster_staging s
     CROSS JOIN LATERAL unnest(s.coordinator_names, s.coordinator_addresses) AS c (name, address)
    WINDOW w AS (PARTITION BY c.address ORDER BY s.line)
), certificate AS (
    SELECT s.line, first_value(s.line) OVER (PARTITION BY s.certificate_ref ORDER BY s.line) AS first_line
      FROM roster_staging s
     WHERE s.certificate_ref IS NOT NULL
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
 ORDER BY line, column_name
