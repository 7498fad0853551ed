-- An address is the same however its letters are cased: the application may keep it as it was typed. Of two spellings
-- the one in lower case counts, else the older.
-- xmax is 0 on a row that was inserted, and not on one that was updated.
WITH given AS MATERIALIZED (
    SELECT DISTINCT s.coordinator_names, s.coordinator_addresses FROM roster_staging s
), known AS MATERIALIZED (
    SELECT DISTINCT ON (lower(k.address)) lower(k.address) AS spelling, k.id, k.address, k.name
      FROM coordinators k
     ORDER BY lower(k.address), k.address = lower(k.address) DESC, k.id
), named AS (
    SELECT DISTINCT coalesce(known.address, c.address) AS address, c.name
      FROM given
     CROSS JOIN LATERAL unnest(given.coordinator_names, given.coordinator_addresses) AS c (name, address)
      LEFT JOIN known ON known.spelling = c.address
), merged AS (
    INSERT INTO coordinators AS c (address, name)
    SELECT address, name FROM named
     WHERE NOT EXISTS (SELECT 1 FROM coordinators k WHERE k.address = named.address AND k.name = named.name)
     ORDER BY address
        ON CONFLICT (address) DO UPDATE SET name = EXCLUDED.name
    RETURNING xmax = 0 AS added
)
SELECT count(*) FILTER (WHERE added), count(*) FILTER (WHERE NOT added) FROM merged
