-- Who became a mentor's coordinator since a cause is told too, as long as some notice of that cause is still owed; where
-- nobody is left, the fallback address is (a null coordinator, rule 6). The notice names the run of the cause, and says
-- that it came later, so that run's account stays whole. With ids, only of the causes of those notices, whatever they have
-- become: they were looked at just now.
INSERT INTO notifications (kind, mentor_id, certification_expiry, threshold_day, pause_ordinal, coordinator_id,
                           idempotency_key, caused_by_run, added)
SELECT DISTINCT n.kind, n.mentor_id, n.certification_expiry, n.threshold_day, n.pause_ordinal, a.coordinator_id,
       certjobs_notice_key(n.kind, n.mentor_id, n.certification_expiry, coalesce(n.threshold_day, n.pause_ordinal),
                           a.coordinator_id),
       n.caused_by_run, true
  FROM notifications n
  JOIN peer_mentors m ON m.id = n.mentor_id
  LEFT JOIN coordinator_assignments a ON a.mentor_id = n.mentor_id
 WHERE n.kind = ANY (CAST(:kinds AS text[]))
   AND m.organisation_id = ANY (CAST(:organisation_ids AS bigint[]))
   AND (n.id = ANY (CAST(:ids AS bigint[])) OR CAST(:ids AS bigint[]) IS NULL AND n.status IN ('pending', 'failed'))
   AND NOT EXISTS (SELECT 1
                     FROM notifications other
                    WHERE other.kind = n.kind
                      AND other.mentor_id = n.mentor_id
                      AND other.certification_expiry = n.certification_expiry
                      AND other.threshold_day IS NOT DISTINCT FROM n.threshold_day
                      AND other.pause_ordinal IS NOT DISTINCT FROM n.pause_ordinal
                      AND other.coordinator_id IS NOT DISTINCT FROM a.coordinator_id)
    ON CONFLICT DO NOTHING
RETURNING id
