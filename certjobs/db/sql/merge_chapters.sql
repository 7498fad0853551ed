WITH added AS (
    INSERT INTO chapters (organisation_id, name)
    SELECT DISTINCT o.id, s.chapter
      FROM roster_staging s
      JOIN organisations o ON o.code = s.organisation
     WHERE NOT EXISTS (SELECT 1 FROM chapters c WHERE c.organisation_id = o.id AND c.name = s.chapter)
    RETURNING 1
)
SELECT count(*), 0 FROM added
