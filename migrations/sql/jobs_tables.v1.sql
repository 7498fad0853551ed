-- One notice owed to one coordinator (null: to the organisation's fallback address) because of one cause.
CREATE TABLE notifications (
    id bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT pk_notifications PRIMARY KEY,
    kind text NOT NULL,
    mentor_id bigint NOT NULL,
    certification_expiry date NOT NULL,
    threshold_day integer,
    pause_ordinal integer,
    coordinator_id bigint,
    idempotency_key text NOT NULL,
    status text NOT NULL DEFAULT 'pending'
        CONSTRAINT ck_notifications_status CHECK (status IN ('pending', 'sending', 'sent', 'failed', 'dead', 'unknown',
                                                            'suppressed', 'superseded', 'discarded')),
    attempt integer NOT NULL DEFAULT 0,
    not_before timestamptz,
    last_error text,
    message_id text,
    caused_by_run uuid,
    claimed_by_run uuid,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    sent_at timestamptz,
    CONSTRAINT uq_notifications_cause_recipient UNIQUE NULLS NOT DISTINCT
        (mentor_id, kind, certification_expiry, threshold_day, pause_ordinal, coordinator_id),
    CONSTRAINT ck_notifications_cause CHECK (
        kind = 'pause' AND pause_ordinal IS NOT NULL AND threshold_day IS NULL
        OR kind = 'reminder' AND threshold_day IS NOT NULL AND pause_ordinal IS NULL)
);
CREATE INDEX ix_notifications_open ON notifications (id) WHERE status IN ('pending', 'sending', 'failed');
CREATE INDEX ix_notifications_unknown ON notifications (id) WHERE status = 'unknown';
CREATE INDEX ix_notifications_caused_by_run ON notifications (caused_by_run);

CREATE TABLE scheduler_run_log (
    run_id uuid CONSTRAINT pk_scheduler_run_log PRIMARY KEY,
    job_name text NOT NULL,
    parent_run_id uuid,
    trigger text NOT NULL,
    as_of date,
    started_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    finished_at timestamptz,
    heartbeat_at timestamptz,
    backend_pid integer,
    backend_start timestamptz,
    status text NOT NULL DEFAULT 'running'
        CONSTRAINT ck_scheduler_run_log_status CHECK (status IN ('running', 'succeeded', 'partial', 'failed',
                                                                'skipped', 'abandoned')),
    exit_code integer,
    error_message text,
    counts jsonb NOT NULL DEFAULT '{}',
    host text NOT NULL,
    version text NOT NULL,
    actor text NOT NULL,
    reason text
);
CREATE INDEX ix_scheduler_run_log_recent ON scheduler_run_log (started_at DESC);
CREATE INDEX ix_scheduler_run_log_running ON scheduler_run_log (job_name) WHERE status = 'running';

CREATE SEQUENCE job_lock_fencing_token AS bigint;
CREATE TABLE job_lock (
    job_name text CONSTRAINT pk_job_lock PRIMARY KEY,
    run_id uuid NOT NULL,
    fencing_token bigint NOT NULL,
    holder text NOT NULL,
    backend_pid integer NOT NULL,
    backend_start timestamptz NOT NULL,
    started_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    heartbeat_at timestamptz
);

-- A set of changes that the guard refused, and who let it through until when.
CREATE TABLE guarded_sets (
    id bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT pk_guarded_sets PRIMARY KEY,
    hash text NOT NULL CONSTRAINT uq_guarded_sets_hash UNIQUE,
    job_name text NOT NULL,
    organisation_id bigint NOT NULL,
    size integer NOT NULL,
    run_id uuid,
    refused_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    approved_by text,
    reason text,
    approved_at timestamptz,
    approved_until timestamptz
);
CREATE TABLE guarded_set_members (
    mentor_id bigint NOT NULL,
    certification_expiry date NOT NULL,
    guarded_set_id bigint NOT NULL
        CONSTRAINT fk_guarded_set_members_guarded_set_id_guarded_sets REFERENCES guarded_sets (id) ON DELETE CASCADE,
    CONSTRAINT pk_guarded_set_members PRIMARY KEY (mentor_id, certification_expiry, guarded_set_id)
);
CREATE INDEX ix_guarded_set_members_guarded_set_id ON guarded_set_members (guarded_set_id);

-- The changes that a person lets a job make now.
CREATE VIEW approved_changes AS
    SELECT g.job_name, gm.mentor_id, gm.certification_expiry
      FROM guarded_set_members gm
      JOIN guarded_sets g ON g.id = gm.guarded_set_id
     WHERE g.approved_until > clock_timestamp();
