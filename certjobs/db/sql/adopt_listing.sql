-- Keep of each mentor whose organisation is synchronised what the website shows of them now, unless something newer is known,
-- or on its way. since: when the reading began.
INSERT INTO website_listing (mentor_id, listed, run_id)
SELECT m.id, s.mentor_ref IS NOT NULL, certjobs_setting('run_id')::uuid
  FROM peer_mentors m
  JOIN organisations o ON o.id = m.organisation_id AND o.website_sync
  LEFT JOIN (SELECT DISTINCT l.mentor_ref FROM listing_staging l) s ON s.mentor_ref = m.external_ref
 WHERE NOT EXISTS (SELECT 1 FROM sync_queue q
                    WHERE q.mentor_id = m.id
                      AND (q.status = 'processing' OR q.status = 'done' AND q.finished_at >= :since))
 ORDER BY m.id
    ON CONFLICT (mentor_id) DO UPDATE
       SET listed = EXCLUDED.listed, acknowledged_at = clock_timestamp(), operation_id = NULL, run_id = EXCLUDED.run_id
     WHERE website_listing.listed IS DISTINCT FROM EXCLUDED.listed
