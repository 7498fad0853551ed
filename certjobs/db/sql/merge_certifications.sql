WITH named AS (
    SELECT s.certificate_ref, m.id AS mentor_id, s.issued_on, s.expires_on, s.withdrawn_on
      FROM roster_staging s
      JOIN peer_mentors m ON m.external_ref = s.mentor_ref
     WHERE s.certificate_ref IS NOT NULL
), merged AS (
    INSERT INTO certifications (external_ref, mentor_id, issued_on, expires_on, withdrawn_on)
    SELECT n.certificate_ref, n.mentor_id, n.issued_on, n.expires_on, n.withdrawn_on
      FROM named n
      LEFT JOIN certifications c ON c.external_ref = n.certificate_ref
     WHERE c.id IS NULL
        OR (c.issued_on, c.expires_on, c.withdrawn_on) IS DISTINCT FROM (n.issued_on, n.expires_on, n.withdrawn_on)
     ORDER BY n.mentor_id
        ON CONFLICT (external_ref) DO UPDATE
       SET issued_on = EXCLUDED.issued_on, expires_on = EXCLUDED.expires_on, withdrawn_on = EXCLUDED.withdrawn_on
     WHERE certifications.mentor_id = EXCLUDED.mentor_id
    RETURNING xmax = 0 AS added
)
SELECT count(*) FILTER (WHERE added), count(*) FILTER (WHERE NOT added) FROM merged
