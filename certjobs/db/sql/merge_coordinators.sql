-- xmax is 0 on a row that was inserted, and not on one that was updated.
WITH named AS (
    SELECT DISTINCT c.address, c.name
      FROM roster_staging s
     CROSS JOIN LATERAL unnest(s.coordinator_names, s.coordinator_addresses) AS c (name, address)
), merged AS (
    INSERT INTO coordinators AS c (address, name)
    SELECT address, name FROM named
     WHERE NOT EXISTS (SELECT 1 FROM coordinators k WHERE k.address = named.address AND k.name = named.name)
        ON CONFLICT (address) DO UPDATE SET name = EXCLUDED.name
    RETURNING xmax = 0 AS added
)
SELECT count(*) FILTER (WHERE added), count(*) FILTER (WHERE NOT added) FROM merged
