-- Which database login is which coordinator's. A row is revoked, not deleted, so that it tells who let whom in.
CREATE TABLE coordinator_logins (
    id bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT pk_coordinator_logins PRIMARY KEY,
    login text NOT NULL,
    coordinator_id bigint NOT NULL
        CONSTRAINT fk_coordinator_logins_coordinator_id_coordinators REFERENCES coordinators (id) ON DELETE CASCADE,
    granted_by text NOT NULL,
    reason text NOT NULL,
    granted_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    revoked_by text,
    revoked_reason text,
    revoked_at timestamptz
);
CREATE UNIQUE INDEX uq_coordinator_logins_login ON coordinator_logins (login) WHERE revoked_at IS NULL;
CREATE INDEX ix_coordinator_logins_coordinator_id ON coordinator_logins (coordinator_id);

-- The public halves of the keys with which an application signs who a coordinator is.
CREATE TABLE claim_keys (
    id bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT pk_claim_keys PRIMARY KEY,
    issuer text NOT NULL,
    key_id text NOT NULL,
    modulus bytea NOT NULL
        CONSTRAINT ck_claim_keys_modulus CHECK (octet_length(modulus) BETWEEN 256 AND 1024 AND get_byte(modulus, 0) >= 128),
    granted_by text NOT NULL,
    reason text NOT NULL,
    granted_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    revoked_by text,
    revoked_reason text,
    revoked_at timestamptz
);
CREATE UNIQUE INDEX uq_claim_keys_key ON claim_keys (issuer, key_id) WHERE revoked_at IS NULL;
