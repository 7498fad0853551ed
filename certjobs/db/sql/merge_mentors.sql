WITH named AS (
    SELECT DISTINCT s.mentor_ref, s.name, o.id AS organisation_id, c.id AS chapter_id
      FROM roster_staging s
      JOIN organisations o ON o.code = s.organisation
      JOIN chapters c ON c.organisation_id = o.id AND c.name = s.chapter
), merged AS (
    INSERT INTO peer_mentors (external_ref, name, organisation_id, chapter_id)
    SELECT n.mentor_ref, n.name, n.organisation_id, n.chapter_id
      FROM named n
      LEFT JOIN peer_mentors m ON m.external_ref = n.mentor_ref
     WHERE m.id IS NULL
        OR (m.name, m.organisation_id, m.chapter_id) IS DISTINCT FROM (n.name, n.organisation_id, n.chapter_id)
     ORDER BY m.id
        ON CONFLICT (external_ref) DO UPDATE
       SET name = EXCLUDED.name, organisation_id = EXCLUDED.organisation_id, chapter_id = EXCLUDED.chapter_id
    RETURNING xmax = 0 AS added
)
SELECT count(*) FILTER (WHERE added), count(*) FILTER (WHERE NOT added) FROM merged
