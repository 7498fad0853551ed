-- Decide, for one organisation and one day, who is reminded of what (rule 3), and owe the notices, in one statement.
-- What the ledger already holds falls out before anything else is looked up.
-- OFFSET 0 keeps the planner to one look-up a mentor, for it cannot know how few are due.
WITH band AS MATERIALIZED (
    SELECT b.threshold_day, b.first_day, b.last_day
      FROM certjobs_threshold_bands(:today, CAST(:thresholds AS integer[])) b
), due AS MATERIALIZED (
    SELECT d.mentor_id AS id, d.certification_expiry AS expiry, d.threshold_day
      FROM certjobs_reminders_due(:organisation_id, :today, CAST(:thresholds AS integer[])) d
     WHERE CAST(:mentor_ids AS bigint[]) IS NULL OR d.mentor_id = ANY (CAST(:mentor_ids AS bigint[]))
), recipient AS MATERIALIZED (
    -- A mentor without a coordinator has one recipient too: the fallback address (a null coordinator, rule 6).
    SELECT d.id, m.external_ref, d.expiry, d.threshold_day, c.coordinator_id, c.address
      FROM due d
     CROSS JOIN LATERAL (SELECT p.external_ref FROM peer_mentors p WHERE p.id = d.id OFFSET 0) m
      LEFT JOIN LATERAL (SELECT a.coordinator_id,
                                (SELECT k.address FROM coordinators k WHERE k.id = a.coordinator_id) AS address
                           FROM coordinator_assignments a
                          WHERE a.mentor_id = d.id OFFSET 0) c ON true
), told AS MATERIALIZED (
    SELECT w.id, w.expiry, w.threshold_day, count(*)::integer AS recipients, count(w.coordinator_id) > 0 AS has_coordinator
      FROM recipient w
     GROUP BY w.id, w.expiry, w.threshold_day
), decided AS (
    INSERT INTO cert_expiry_reminders
           (certification_expiry, mentor_id, threshold_day, status, recipients, decided_on, run_id)
    SELECT t.expiry, t.id, t.threshold_day, CASE WHEN CAST(:baseline AS boolean) THEN 'superseded' ELSE 'due' END,
           CASE WHEN CAST(:baseline AS boolean) THEN 0 ELSE t.recipients END, :today, certjobs_setting('run_id')::uuid
      FROM told t
), larger AS (
    -- Thresholds that a missed night or a late renewal has overtaken: recorded, never sent.
    INSERT INTO cert_expiry_reminders (certification_expiry, mentor_id, threshold_day, status, decided_on, run_id)
    SELECT d.expiry, d.id, b.threshold_day, 'superseded', :today, certjobs_setting('run_id')::uuid
      FROM due d
      JOIN band b ON b.threshold_day > d.threshold_day
        ON CONFLICT DO NOTHING
    RETURNING 1
), notice AS (
    INSERT INTO notifications (kind, mentor_id, certification_expiry, threshold_day, coordinator_id, idempotency_key,
                               caused_by_run)
    SELECT 'reminder', w.id, w.expiry, w.threshold_day, w.coordinator_id,
           certjobs_notice_digest('reminder', w.external_ref, w.expiry, w.threshold_day, w.address),
           certjobs_setting('run_id')::uuid
      FROM recipient w
     WHERE NOT CAST(:baseline AS boolean)
), closed AS (
    UPDATE notifications n
       SET status = 'superseded', last_error = 'A later reminder has taken its place.',
           claimed_by_run = certjobs_setting('run_id')::uuid
      FROM due d
     WHERE n.mentor_id = d.id
       AND n.kind = 'reminder'
       AND n.certification_expiry = d.expiry
       AND n.threshold_day > d.threshold_day
       AND n.status IN ('pending', 'failed')
    RETURNING 1
)
SELECT (SELECT count(*) FROM told) AS due,
       (SELECT coalesce(jsonb_object_agg(g.threshold_day, g.number), '{}')
          FROM (SELECT t.threshold_day, count(*) AS number FROM told t GROUP BY t.threshold_day) g) AS by_threshold,
       (SELECT coalesce(sum(t.recipients), 0) FROM told t) AS notices,
       (SELECT count(*) FROM told t WHERE NOT t.has_coordinator) AS without_coordinator,
       (SELECT count(*) FROM larger) AS superseded,
       (SELECT count(*) FROM closed) AS closed
