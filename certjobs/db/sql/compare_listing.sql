-- What the website lists beside what the rule says, in one join of all of it: how much agrees, and each divergence with what
-- is known about it. Left out is who has an operation on its way, or acknowledged since the reading began; given up is what
-- the last operation asked for in vain, or a person gave up on. since: when the reading began.
WITH today AS MATERIALIZED (
    SELECT o.id, o.website_sync, certjobs_today(o.time_zone) AS today FROM organisations o
), mentor AS (
    SELECT m.id, m.external_ref, certjobs_listing(o.website_sync, m.status, m.certification_expiry, o.today) AS rule
      FROM peer_mentors m
      JOIN today o ON o.id = m.organisation_id
), compared AS (
    SELECT m.id, s.mentor_ref, s.entry,
           CASE WHEN m.id IS NULL THEN 'unknown'
                WHEN s.entry IS NULL THEN CASE WHEN m.rule = 'listed' THEN 'missing' END
                WHEN m.rule = 'listed' THEN 'agrees'
                WHEN m.rule = 'not listed' THEN 'extra'
                ELSE 'not ours' END AS finding
      FROM mentor m
      FULL JOIN listing_staging s ON s.mentor_ref = m.external_ref
), summed AS MATERIALIZED (
    SELECT count(*) FILTER (WHERE c.finding = 'agrees') AS agreeing,
           count(*) FILTER (WHERE c.finding = 'extra') AS extra,
           count(*) FILTER (WHERE c.finding = 'unknown') AS unknown,
           count(*) FILTER (WHERE c.finding = 'not ours') AS not_ours,
           count(*) FILTER (WHERE c.finding = 'missing') AS missing,
           array_agg(c.id) FILTER (WHERE c.finding = 'extra') AS extra_ids,
           array_agg(c.id) FILTER (WHERE c.finding = 'missing') AS missing_ids,
           array_agg(c.mentor_ref) FILTER (WHERE c.finding = 'unknown') AS unknown_refs,
           array_agg(c.entry) FILTER (WHERE c.finding = 'unknown') AS unknown_entries
      FROM compared c
), ours AS (
    SELECT DISTINCT f.finding, f.mentor_id, f.wanted
      FROM summed s
     CROSS JOIN LATERAL (SELECT 'extra' AS finding, x AS mentor_id, 'remove' AS wanted FROM unnest(s.extra_ids) x
                          UNION ALL
                         SELECT 'missing', x, 'restore' FROM unnest(s.missing_ids) x) f
), ours_written AS (
    INSERT INTO divergences (finding, mentor_id, organisation_id, mentor_ref, certification_expiry, left_out, given_up)
    SELECT f.finding, m.id, m.organisation_id, m.external_ref, m.certification_expiry,
           EXISTS (SELECT 1 FROM sync_queue q
                    WHERE q.mentor_id = m.id
                      AND (q.status IN ('pending', 'failed', 'processing')
                           OR q.status = 'done' AND q.finished_at >= :since
                           OR q.unsure_until > clock_timestamp())),
           coalesce(last.given_up, false)
      FROM ours f
      JOIN peer_mentors m ON m.id = f.mentor_id
      LEFT JOIN LATERAL (
          SELECT q.status IN ('dead', 'superseded') AND coalesce(q.sent, q.operation) = f.wanted AS given_up
            FROM sync_queue q
           WHERE q.mentor_id = m.id AND (q.status <> 'superseded' OR q.handled_at IS NOT NULL)
           ORDER BY q.id DESC
           LIMIT 1) last ON true
), unknown_written AS (
    -- A key that looks like an address is not written down anywhere.
    INSERT INTO divergences (finding, mentor_ref, entry, left_out, given_up)
    SELECT DISTINCT 'unknown', CASE WHEN u.ref NOT LIKE '%@%' THEN u.ref WHEN u.ref IS NOT NULL THEN '' END, u.entry,
           EXISTS (SELECT 1 FROM sync_queue q
                    WHERE q.mentor_ref = u.ref AND q.status IN ('pending', 'failed', 'processing')), false
      FROM summed s
     CROSS JOIN LATERAL unnest(s.unknown_refs, s.unknown_entries) AS u (ref, entry)
)
SELECT s.agreeing, s.extra, s.unknown, s.not_ours, s.missing FROM summed s
