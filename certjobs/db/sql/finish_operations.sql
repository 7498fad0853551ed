-- What became of operations, where they are still this attempt's to record. One that failed for now, or was not tried,
-- while a newer one is open gives way to it and hands on how long it has to wait. What the portal acknowledged is kept; and
-- where the rule's answer is another by now, what would make it so is queued, unless something is open already. A request
-- that was not answered may still be carried out until the lease ends.
WITH result AS MATERIALIZED (
    SELECT r.id, r.attempt, r.outcome, r.error, r.rest, r.outcome IN ('done', 'absent') AS done,
           r.outcome IN ('failed', 'unknown') AS failed,
           CASE WHEN r.outcome NOT IN ('done', 'absent')
                THEN EXISTS (SELECT 1 FROM sync_queue newer
                              WHERE newer.mentor_id = q.mentor_id AND newer.status IN ('pending', 'failed')) END AS overtaken
      FROM unnest(CAST(:ids AS bigint[]), CAST(:attempts AS integer[]), CAST(:outcomes AS text[]), CAST(:errors AS text[]),
                  CAST(:rests AS double precision[])) AS r (id, attempt, outcome, error, rest)
      JOIN sync_queue q ON q.id = r.id
), done AS (
    UPDATE sync_queue q
       SET status = CASE WHEN r.done THEN 'done'
                         WHEN r.outcome = 'refused' THEN 'dead'
                         WHEN r.overtaken THEN 'superseded'
                         WHEN r.failed AND q.failures + 1 >= :most THEN 'dead'
                         WHEN r.failed THEN 'failed'
                         ELSE 'pending' END,
           outcome = r.outcome,
           failures = q.failures + r.failed::integer,
           last_error = CASE WHEN q.mentor_ref IS NULL
                             THEN coalesce(r.error, CASE r.outcome WHEN 'skipped' THEN q.last_error END) END,
           not_before = CASE WHEN r.rest IS NOT NULL THEN statement_timestamp() + make_interval(secs => r.rest) END,
           unsure_until = CASE r.outcome WHEN 'unknown' THEN q.leased_until ELSE q.unsure_until END,
           leased_until = NULL,
           finished_at = CASE WHEN r.done OR r.overtaken OR r.outcome = 'refused' OR r.failed AND q.failures + 1 >= :most
                              THEN clock_timestamp() END,
           -- Of who is gone the reference is kept as long as the website may have to be told.
           mentor_ref = CASE WHEN NOT r.done AND NOT r.overtaken THEN q.mentor_ref END
      FROM result r
     WHERE q.id = r.id AND q.status = 'processing' AND q.attempt = r.attempt
    RETURNING q.id, q.mentor_id, q.status, q.outcome, q.sent, q.not_before, q.organisation_id
), newer AS MATERIALIZED (
    -- What the application holds is about to give way itself: nobody waits for it.
    SELECT n.id, d.not_before
      FROM done d
      JOIN sync_queue n ON n.mentor_id = d.mentor_id AND n.status IN ('pending', 'failed')
     WHERE d.status = 'superseded' AND d.not_before IS NOT NULL
       FOR UPDATE OF n SKIP LOCKED
), handed_on AS (
    UPDATE sync_queue q
       SET not_before = greatest(q.not_before, n.not_before)
      FROM newer n
     WHERE q.id = n.id
), known AS (
    SELECT d.id, d.mentor_id, d.sent, d.outcome, m.id IS NOT NULL AS exists, m.organisation_id, m.certification_expiry,
           certjobs_listing(o.website_sync, m.status, m.certification_expiry, certjobs_today(o.time_zone)) AS answer
      FROM done d
      LEFT JOIN peer_mentors m ON m.id = d.mentor_id
      LEFT JOIN organisations o ON o.id = m.organisation_id
     WHERE d.status IN ('done', 'dead')
), acknowledged AS (
    INSERT INTO website_listing (mentor_id, listed, operation_id, run_id)
    SELECT k.mentor_id, k.sent = 'restore', k.id, certjobs_setting('run_id')::uuid
      FROM known k
     WHERE k.outcome IN ('done', 'absent') AND k.exists
        ON CONFLICT (mentor_id) DO UPDATE
           SET listed = EXCLUDED.listed, acknowledged_at = clock_timestamp(), operation_id = EXCLUDED.operation_id,
               run_id = EXCLUDED.run_id
), again AS (
    INSERT INTO sync_queue (mentor_id, organisation_id, certification_expiry, operation, triggered_by_event, actor,
                            caused_by_run)
    SELECT k.mentor_id, k.organisation_id, k.certification_expiry,
           CASE k.answer WHEN 'listed' THEN 'restore' ELSE 'remove' END, 'changed meanwhile', certjobs_actor(),
           certjobs_setting('run_id')::uuid
      FROM known k
     WHERE k.exists
       AND (k.answer = 'listed' AND k.sent = 'remove' OR k.answer = 'not listed' AND k.sent = 'restore')
        ON CONFLICT DO NOTHING
    RETURNING 1
)
SELECT d.id, d.status, (SELECT count(*) FROM again) AS again FROM done d
