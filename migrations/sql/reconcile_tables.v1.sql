-- unfinished: a run that never ended; missed: a night without a successful run.
-- The check is made anew at once, wider, over rows that are few.
-- squawk-ignore ban-drop-constraint
ALTER TABLE reconciliation_log DROP CONSTRAINT ck_reconciliation_log_finding;
-- squawk-ignore constraint-missing-not-valid
ALTER TABLE reconciliation_log ADD CONSTRAINT ck_reconciliation_log_finding
      CHECK (finding IN ('missing', 'extra', 'unknown', 'duplicate', 'stuck', 'lagging', 'warning', 'unfinished', 'missed'));
CREATE INDEX ix_reconciliation_log_uncleared ON reconciliation_log (finding, id) WHERE cleared_at IS NULL;

-- What operations people were told of that lasts: one row from when it begins until it is over.
CREATE TABLE alerts (
    id bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT pk_alerts PRIMARY KEY,
    class text NOT NULL,
    number integer NOT NULL,
    first_seen_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    last_sent_at timestamptz,
    cleared_at timestamptz
);
CREATE UNIQUE INDEX uq_alerts_open ON alerts (class) WHERE cleared_at IS NULL;

-- What a job expected of a night to come when it last ran before it: with how many mentors, and with whom.
CREATE TABLE forecasts (
    night date NOT NULL,
    job_name text NOT NULL,
    organisation_id bigint NOT NULL,
    expected integer NOT NULL,
    members bigint[] NOT NULL DEFAULT '{}',
    run_id uuid,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT pk_forecasts PRIMARY KEY (night, job_name, organisation_id)
);

CREATE INDEX ix_scheduler_run_log_succeeded ON scheduler_run_log (job_name, started_at DESC) WHERE status = 'succeeded';
CREATE INDEX ix_scheduler_run_log_as_of ON scheduler_run_log (job_name, as_of) WHERE as_of IS NOT NULL;
CREATE INDEX ix_scheduler_run_log_parent ON scheduler_run_log (parent_run_id) WHERE parent_run_id IS NOT NULL;
