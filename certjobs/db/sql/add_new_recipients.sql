-- Who became a mentor's coordinator since a pause is told too, as long as some notice of that pause is still owed; where
-- nobody is left, the fallback address is (a null coordinator, rule 6). The notice takes the run that caused the pause,
-- so that run's account stays whole.
INSERT INTO notifications (kind, mentor_id, certification_expiry, pause_ordinal, coordinator_id, idempotency_key,
                           caused_by_run)
SELECT DISTINCT n.kind, n.mentor_id, n.certification_expiry, n.pause_ordinal, a.coordinator_id,
       certjobs_notice_key(n.kind, n.mentor_id, n.certification_expiry, n.pause_ordinal, a.coordinator_id),
       n.caused_by_run
  FROM notifications n
  JOIN peer_mentors m ON m.id = n.mentor_id
  LEFT JOIN coordinator_assignments a ON a.mentor_id = n.mentor_id
 WHERE n.kind = 'pause'
   AND (CAST(:organisation_id AS bigint) IS NULL OR m.organisation_id = :organisation_id)
   AND n.status IN ('pending', 'failed')
   AND NOT EXISTS (SELECT 1
                     FROM notifications other
                    WHERE other.kind = n.kind
                      AND other.mentor_id = n.mentor_id
                      AND other.certification_expiry = n.certification_expiry
                      AND other.pause_ordinal = n.pause_ordinal
                      AND other.coordinator_id IS NOT DISTINCT FROM a.coordinator_id)
    ON CONFLICT DO NOTHING
