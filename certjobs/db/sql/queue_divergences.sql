-- Queue what would mend each divergence that is ours to mend; what is on its way already stays as it is. What the website was
-- seen to show is kept, so that it is known who is still exposed; what the guard does not believe is not.
WITH mended AS MATERIALIZED (
    SELECT d.mentor_id, d.organisation_id, d.certification_expiry, d.finding
      FROM divergences d
     WHERE d.finding IN ('extra', 'missing') AND NOT d.left_out AND NOT d.given_up AND NOT d.refused
), seen AS (
    INSERT INTO website_listing (mentor_id, listed, run_id)
    SELECT d.mentor_id, d.finding = 'extra', certjobs_setting('run_id')::uuid
      FROM divergences d
     WHERE d.finding IN ('extra', 'missing') AND NOT d.left_out AND NOT d.refused
     ORDER BY d.mentor_id
        ON CONFLICT (mentor_id) DO UPDATE
           SET listed = EXCLUDED.listed, acknowledged_at = clock_timestamp(), operation_id = NULL, run_id = EXCLUDED.run_id
         WHERE website_listing.listed IS DISTINCT FROM EXCLUDED.listed
), queued AS (
    INSERT INTO sync_queue (mentor_id, organisation_id, certification_expiry, operation, triggered_by_event, actor,
                            caused_by_run)
    SELECT d.mentor_id, d.organisation_id, d.certification_expiry,
           CASE d.finding WHEN 'extra' THEN 'remove' ELSE 'restore' END, 'reconciliation', certjobs_actor(),
           certjobs_setting('run_id')::uuid
      FROM mended d
     ORDER BY d.mentor_id
        ON CONFLICT DO NOTHING
    RETURNING mentor_id
), woken AS (
    SELECT pg_notify('certjobs_sync', '') FROM (SELECT 1 FROM queued LIMIT 1) one
)
SELECT q.mentor_id AS queued
  FROM mended d
  LEFT JOIN queued q ON q.mentor_id = d.mentor_id
 WHERE (SELECT count(*) FROM woken) >= 0
