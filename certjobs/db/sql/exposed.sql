-- Mentors whose certification has expired and whom the website still shows as far as is known: it said so last, or it never
-- said anything and their removal is on its way. Those exposed longest come first; total counts all.
-- since: the midnight, where the organisation is, that began the first day without a certification.
-- Cost: the active ones are found through ix_peer_mentors_active_expiry. Those paused long ago are most of the expired, and
-- each has to be looked up in website_listing: by key, or where they are many by one pass over both tables. Of a million
-- mentors, 150,000 of them expired, that is four tenths of a second. Going by the queue alone would be quicker, and silent
-- about whoever is listed with nothing on its way, who are just those that somebody has to hear of.
WITH places AS (
    SELECT *
      FROM unnest(CAST(:ids AS bigint[]), CAST(:codes AS text[]), CAST(:todays AS date[]), CAST(:zones AS text[]))
           AS o (id, code, today, zone)
),
exposed AS (
    SELECT m.external_ref, o.code, (m.certification_expiry + 1)::timestamp AT TIME ZONE o.zone AS since
      FROM places o
      JOIN peer_mentors m ON m.organisation_id = o.id AND certjobs_expired(m.certification_expiry, o.today)
      LEFT JOIN website_listing w ON w.mentor_id = m.id
     WHERE w.listed
        OR w.mentor_id IS NULL
           AND m.id IN (SELECT q.mentor_id FROM sync_queue q
                         WHERE q.operation = 'remove' AND q.status IN ('pending', 'failed')
                         UNION ALL
                        SELECT q.mentor_id FROM sync_queue q
                         WHERE q.operation = 'remove' AND q.status = 'processing')
)
SELECT e.external_ref, e.code, e.since,
       floor(extract(epoch FROM CAST(:now AS timestamptz) - e.since) / 60)::bigint AS minutes,
       count(*) OVER () AS total
  FROM exposed e
 ORDER BY e.since, e.external_ref
 LIMIT :limit
