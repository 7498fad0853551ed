-- Operations whose worker is gone: its lease has run out. Sent again they do no harm, for what is asked is a state.
WITH lost AS MATERIALIZED (
    SELECT q.id,
           EXISTS (SELECT 1 FROM sync_queue newer
                    WHERE newer.mentor_id = q.mentor_id AND newer.status IN ('pending', 'failed')) AS overtaken
      FROM sync_queue q
     WHERE q.status = 'processing' AND q.leased_until < clock_timestamp()
     ORDER BY q.id
       FOR UPDATE SKIP LOCKED
)
UPDATE sync_queue q
   SET status = CASE WHEN l.overtaken THEN 'superseded' ELSE 'pending' END,
       last_error = 'The process ended, or took too long, while this was being sent.',
       leased_until = NULL,
       finished_at = CASE WHEN l.overtaken THEN clock_timestamp() END,
       mentor_ref = CASE WHEN NOT l.overtaken THEN q.mentor_ref END
  FROM lost l
 WHERE q.id = l.id
