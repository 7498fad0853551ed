-- How many are dead, whatever came after them; for how many seconds the oldest open one has been there, and how many were
-- done lately.
SELECT (SELECT count(*) FROM sync_queue q WHERE q.status = 'dead') AS dead,
       (SELECT extract(epoch FROM statement_timestamp() - q.created_at)
          FROM sync_queue q
         WHERE q.status IN ('pending', 'failed')
         ORDER BY q.id
         LIMIT 1)::double precision AS oldest,
       done.hour, done.lately
  FROM (SELECT count(*) AS hour,
               count(*) FILTER (WHERE q.finished_at > statement_timestamp() - CAST(:lately AS interval)) AS lately
          FROM sync_queue q
         WHERE q.status = 'done' AND q.finished_at > statement_timestamp() - interval '1 hour') done
