-- Pause notices still owed, and those of them that have nobody to go to: no coordinator, no fallback address. A mentor is
-- looked up only where it matters.
SELECT count(*) AS open,
       count(*) FILTER (WHERE n.status <> 'sending' AND n.coordinator_id IS NULL
                          AND NOT EXISTS (SELECT 1 FROM peer_mentors m
                                            JOIN organisations o ON o.id = m.organisation_id
                                           WHERE m.id = n.mentor_id AND o.fallback_address IS NOT NULL)) AS nobody
  FROM notifications n
 WHERE n.kind = 'pause'
   AND n.status IN ('pending', 'sending', 'failed')
   AND (CAST(:organisation_id AS bigint) IS NULL
        OR EXISTS (SELECT 1 FROM peer_mentors m WHERE m.id = n.mentor_id AND m.organisation_id = :organisation_id))
