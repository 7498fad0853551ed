CREATE TEMPORARY TABLE roster_staging (
    line integer NOT NULL,
    mentor_ref text NOT NULL,
    name text NOT NULL,
    organisation text NOT NULL,
    chapter text NOT NULL,
    coordinator_names text[] NOT NULL,
    coordinator_addresses text[] NOT NULL,
    certificate_ref text,
    issued_on date,
    expires_on date,
    withdrawn_on date
) ON COMMIT DROP
