CREATE TABLE certification_events (
    id bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT pk_certification_events PRIMARY KEY,
    certification_id bigint NOT NULL,
    mentor_id bigint NOT NULL,
    event text NOT NULL
        CONSTRAINT ck_certification_events_event CHECK (event IN ('added', 'changed', 'withdrawn', 'removed')),
    before jsonb,
    after jsonb,
    reason text,
    actor text NOT NULL,
    run_id uuid,
    occurred_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX ix_certification_events_mentor_id ON certification_events (mentor_id);

CREATE TABLE mentor_status_events (
    id bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT pk_mentor_status_events PRIMARY KEY,
    mentor_id bigint NOT NULL,
    event text NOT NULL
        CONSTRAINT ck_mentor_status_events_event CHECK (event IN ('expired_cert', 'paused', 'reinstated')),
    from_status text,
    to_status text NOT NULL,
    reason text,
    certification_expiry date,
    effective_on date NOT NULL,
    actor text NOT NULL,
    run_id uuid,
    occurred_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX ix_mentor_status_events_pauses ON mentor_status_events (mentor_id, event, certification_expiry);
CREATE INDEX ix_mentor_status_events_run_id ON mentor_status_events (run_id);
