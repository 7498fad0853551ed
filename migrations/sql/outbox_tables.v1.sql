-- The outbox: one row for each change of a mentor's place on the public website, written in the transaction that changed
-- the rule's answer. What is sent is decided from the rule when it is sent; 'operation' says what it looked like then.
-- mentor_ref: how the website knows a mentor whose row has ended, until that is done. explained: it follows from a pause by
-- expiry-check, which the guard let through. sent: what was last asked of the portal.
CREATE TABLE sync_queue (
    id bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT pk_sync_queue PRIMARY KEY,
    mentor_id bigint NOT NULL,
    mentor_ref text,
    organisation_id bigint NOT NULL,
    certification_expiry date,
    operation text NOT NULL
        CONSTRAINT ck_sync_queue_operation CHECK (operation IN ('remove', 'restore')),
    status text NOT NULL DEFAULT 'pending'
        CONSTRAINT ck_sync_queue_status CHECK (status IN ('pending', 'processing', 'done', 'failed', 'dead', 'superseded')),
    triggered_by_event text NOT NULL,
    explained boolean NOT NULL DEFAULT false,
    actor text NOT NULL,
    caused_by_run uuid,
    claimed_by_run uuid,
    attempt integer NOT NULL DEFAULT 0,
    failures integer NOT NULL DEFAULT 0,
    sent text
        CONSTRAINT ck_sync_queue_sent CHECK (sent IN ('remove', 'restore')),
    outcome text,
    not_before timestamptz,
    leased_until timestamptz,
    last_error text,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    finished_at timestamptz
);
-- One open and one under way for a mentor: what came later takes the place of what was not sent yet.
CREATE UNIQUE INDEX uq_sync_queue_open ON sync_queue (mentor_id) WHERE status IN ('pending', 'failed');
CREATE UNIQUE INDEX uq_sync_queue_processing ON sync_queue (mentor_id) WHERE status = 'processing';
CREATE INDEX ix_sync_queue_next ON sync_queue (id) WHERE status IN ('pending', 'failed');
CREATE INDEX ix_sync_queue_unexplained ON sync_queue (organisation_id, id)
 WHERE status IN ('pending', 'failed') AND operation = 'remove' AND NOT explained;
CREATE INDEX ix_sync_queue_dead ON sync_queue (id) WHERE status = 'dead';
CREATE INDEX ix_sync_queue_mentor_id ON sync_queue (mentor_id);
CREATE INDEX ix_sync_queue_caused_by_run ON sync_queue (caused_by_run);
CREATE INDEX ix_sync_queue_claimed_by_run ON sync_queue (claimed_by_run);
CREATE INDEX ix_sync_queue_created_at ON sync_queue USING brin (created_at);

-- What the portal acknowledged last. No row: nobody knows yet.
CREATE TABLE website_listing (
    mentor_id bigint CONSTRAINT pk_website_listing PRIMARY KEY,
    listed boolean NOT NULL,
    acknowledged_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    operation_id bigint,
    run_id uuid
);

-- What somebody should know of: where database and website differ, and what was done about it.
CREATE TABLE reconciliation_log (
    id bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT pk_reconciliation_log PRIMARY KEY,
    finding text NOT NULL
        CONSTRAINT ck_reconciliation_log_finding CHECK (finding IN ('missing', 'extra', 'unknown', 'duplicate', 'stuck',
                                                                    'lagging', 'warning')),
    mentor_id bigint,
    certification_expiry_date date,
    detail text NOT NULL,
    done text,
    actor text NOT NULL,
    run_id uuid,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    cleared_at timestamptz
);
CREATE INDEX ix_reconciliation_log_open ON reconciliation_log (mentor_id) WHERE cleared_at IS NULL;
CREATE INDEX ix_reconciliation_log_created_at ON reconciliation_log USING brin (created_at);
