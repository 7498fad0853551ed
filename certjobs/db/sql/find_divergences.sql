-- What the comparison found, in words that stay the same from night to night, and what is done about it. A key that does
-- not look like a reference is written down nowhere. unknown: how many entries no mentor has; those beyond what is told one by
-- one are one finding.
INSERT INTO findings_now (finding, mentor_id, certification_expiry_date, detail, done, unsure)
SELECT d.finding, d.mentor_id, d.certification_expiry,
       CASE d.finding
            WHEN 'extra' THEN 'The website lists the mentor, and should not.'
            WHEN 'missing' THEN 'The website does not list the mentor, and should.'
            ELSE 'The website lists ' || coalesce('the entry ' || certjobs_telling_id(d.entry), 'an entry')
                 || CASE WHEN d.mentor_ref IS NULL THEN ', which has no key.'
                         ELSE ', whose key no mentor has' || coalesce(': ' || certjobs_telling_ref(d.mentor_ref), '') || '.' END END,
       CASE WHEN d.finding = 'unknown' OR CAST(:report_only AS boolean) THEN 'Reported only.'
            WHEN d.given_up THEN 'Not queued: the same was given up before.'
            WHEN d.refused THEN 'Not queued: the guard waits for a person.'
            WHEN d.left_out THEN NULL
            WHEN EXISTS (SELECT 1 FROM reconciliation_log l
                          WHERE l.mentor_id = d.mentor_id AND l.finding = d.finding
                            AND (l.done LIKE 'Queued again%' AND l.cleared_at IS NULL
                                 OR l.done = 'Queued, and acknowledged.'
                                    AND l.cleared_at > clock_timestamp() - interval '7 days'))
            THEN 'Queued again: what was acknowledged before did not last.'
            ELSE 'Queued.' END,
       d.left_out
  FROM divergences d
 UNION -- of which nothing can be told there may be several, which say the same
SELECT 'unknown', NULL, NULL, 'The website lists more entries that no mentor has than are told one by one.', 'Reported only.',
       false
 WHERE CAST(:unknown AS bigint) > CAST(:most AS bigint)
