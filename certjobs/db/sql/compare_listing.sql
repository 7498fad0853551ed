-- What the website lists beside what the rule says, in one join of all of it: how much agrees, and each divergence with what
-- is known about it. Left out is who has an operation on its way, or acknowledged since the reading began; given up is what
-- the last operation asked for in vain, or a person gave up on. since: when the reading began.
WITH today AS MATERIALIZED (
    SELECT o.id, o.website_sync, certjobs_today(o.time_zone) AS today FROM organisations o
), mentor AS (
    -- The rule is asked once a mentor, which OFFSET 0 makes sure of; its answer as one letter: listed, not listed, other.
    SELECT m.id, m.external_ref,
           CASE certjobs_listing(o.website_sync, m.status, m.certification_expiry, o.today)
                WHEN 'listed' THEN 'l' WHEN 'not listed' THEN 'n' ELSE 'o' END::"char" AS rule
      FROM peer_mentors m
      JOIN today o ON o.id = m.organisation_id
    OFFSET 0
), compared AS (
    SELECT m.id, s.mentor_ref, s.entry,
           CASE WHEN m.id IS NULL THEN 'u'::"char"
                WHEN s.mentor_ref IS NULL THEN CASE WHEN m.rule = 'l' THEN 'm'::"char" END
                WHEN m.rule = 'l' THEN 'a'::"char"
                WHEN m.rule = 'n' THEN 'e'::"char"
                ELSE 'n'::"char" END AS finding
      FROM mentor m
      FULL JOIN listing_staging s ON s.mentor_ref = m.external_ref
), summed AS MATERIALIZED (
    -- a: agrees, e: extra, m: missing, u: unknown, n: not ours. Grouped, for a million rows are counted once each.
    SELECT c.finding, count(*) AS number,
           array_agg(c.id) FILTER (WHERE c.finding IN ('e', 'm')) AS ids,
           array_agg(c.mentor_ref) FILTER (WHERE c.finding = 'u') AS refs,
           array_agg(c.entry) FILTER (WHERE c.finding = 'u') AS entries
      FROM compared c
     WHERE c.finding IS NOT NULL
     GROUP BY c.finding
), ours AS (
    SELECT DISTINCT CASE s.finding WHEN 'e' THEN 'extra' ELSE 'missing' END AS finding, x.id AS mentor_id,
           CASE s.finding WHEN 'e' THEN 'remove' ELSE 'restore' END AS wanted
      FROM summed s
     CROSS JOIN LATERAL unnest(s.ids) AS x (id)
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
     CROSS JOIN LATERAL (SELECT p.id, p.organisation_id, p.external_ref, p.certification_expiry
                           FROM peer_mentors p WHERE p.id = f.mentor_id OFFSET 0) m -- a look-up each, for they are few
      LEFT JOIN LATERAL (
          SELECT q.status IN ('dead', 'superseded') AND coalesce(q.sent, q.operation) = f.wanted AS given_up
            FROM sync_queue q
           WHERE q.mentor_id = m.id AND (q.status <> 'superseded' OR q.handled_at IS NOT NULL)
           ORDER BY q.id DESC
           LIMIT 1) last ON true
), unknown_written AS (
    INSERT INTO divergences (finding, mentor_ref, entry, left_out, given_up)
    SELECT 'unknown', u.ref, u.entry,
           gone.lately OR EXISTS (SELECT 1 FROM sync_queue q
                                   WHERE q.mentor_ref = u.ref AND q.status IN ('pending', 'failed', 'processing')), false
      FROM (SELECT DISTINCT u.ref, u.entry
              FROM summed s
             CROSS JOIN LATERAL unnest(s.refs, s.entries) AS u (ref, entry)
             ORDER BY u.ref, u.entry
             LIMIT :most) u
     -- Of an erased mentor taken off since the reading began nobody knows the reference any more: any unknown may be theirs.
     CROSS JOIN (SELECT EXISTS (SELECT 1 FROM sync_queue q
                                 WHERE q.status = 'done' AND q.finished_at >= :since AND q.sent = 'remove'
                                   AND NOT EXISTS (SELECT 1 FROM peer_mentors m WHERE m.id = q.mentor_id)) AS lately) gone
)
SELECT coalesce(sum(s.number) FILTER (WHERE s.finding = 'a'), 0)::bigint AS agreeing,
       coalesce(sum(s.number) FILTER (WHERE s.finding = 'e'), 0)::bigint AS extra,
       coalesce(sum(s.number) FILTER (WHERE s.finding = 'u'), 0)::bigint AS unknown,
       coalesce(sum(s.number) FILTER (WHERE s.finding = 'n'), 0)::bigint AS not_ours,
       coalesce(sum(s.number) FILTER (WHERE s.finding = 'm'), 0)::bigint AS missing
  FROM summed s
