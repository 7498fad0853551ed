-- What the comparison found, in words that stay the same from night to night, and what is done about it. A key that looks
-- like an address is written down nowhere.
INSERT INTO findings_now (finding, mentor_id, certification_expiry_date, detail, done, unsure)
SELECT d.finding, d.mentor_id, d.certification_expiry,
       CASE d.finding
            WHEN 'extra' THEN 'The website lists the mentor, and should not.'
            WHEN 'missing' THEN 'The website does not list the mentor, and should.'
            ELSE 'The website lists the entry ' || left(regexp_replace(d.entry, '[[:cntrl:]]', '?', 'g'), 100)
                 || CASE WHEN d.mentor_ref IS NULL THEN ', which has no key.'
                         WHEN strpos(d.mentor_ref, '@') > 0 THEN ', whose key no mentor has.'
                         ELSE ', whose key no mentor has: '
                              || left(regexp_replace(d.mentor_ref, '[[:cntrl:]]', '?', 'g'), 100) END END,
       CASE WHEN d.finding = 'unknown' OR CAST(:report_only AS boolean) THEN 'Reported only.'
            WHEN d.given_up THEN 'Not queued: the same was given up before.'
            WHEN d.refused THEN 'Not queued: the guard waits for a person.'
            WHEN NOT d.left_out THEN 'Queued.' END,
       d.left_out
  FROM divergences d
