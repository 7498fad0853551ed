-- Whom the guard keeps from being put back on the website: nobody whom a person approved.
WITH candidates AS MATERIALIZED (
    SELECT d.mentor_id AS id, d.mentor_ref AS ref, d.certification_expiry
      FROM divergences d
     WHERE d.organisation_id = :organisation_id AND d.refused
)
