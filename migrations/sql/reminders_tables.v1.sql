-- The ledger of reminders: for which threshold of which expiry date a mentor's coordinators were told, or no longer need
-- be. In the order in which a night asks: by the days that lie ahead.
CREATE TABLE cert_expiry_reminders (
    certification_expiry date NOT NULL,
    mentor_id bigint NOT NULL,
    threshold_day integer NOT NULL,
    status text NOT NULL
        CONSTRAINT ck_cert_expiry_reminders_status CHECK (status IN ('due', 'superseded')),
    recipients integer NOT NULL DEFAULT 0,
    decided_on date NOT NULL,
    run_id uuid,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT pk_cert_expiry_reminders PRIMARY KEY (certification_expiry, mentor_id, threshold_day)
);
CREATE INDEX ix_cert_expiry_reminders_mentor_id ON cert_expiry_reminders (mentor_id);
CREATE INDEX ix_cert_expiry_reminders_run_id ON cert_expiry_reminders (run_id);

-- One row a notice and attempt.
CREATE TABLE reminder_dispatch_log (
    id bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT pk_reminder_dispatch_log PRIMARY KEY,
    notification_id bigint NOT NULL,
    run_id uuid,
    kind text NOT NULL,
    mentor_id bigint NOT NULL,
    threshold_day integer,
    certification_expiry date NOT NULL,
    coordinator_id bigint,
    attempt integer NOT NULL,
    channel text,
    outcome text NOT NULL
        CONSTRAINT ck_reminder_dispatch_log_outcome CHECK (outcome IN ('sent', 'failed', 'limited', 'refused', 'unknown',
                                                                      'interrupted')),
    message_id text,
    error text,
    occurred_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT uq_reminder_dispatch_log_notification_id_attempt UNIQUE (notification_id, attempt)
);
CREATE INDEX ix_reminder_dispatch_log_mentor_id ON reminder_dispatch_log (mentor_id);
CREATE INDEX ix_reminder_dispatch_log_run_id ON reminder_dispatch_log (run_id);
CREATE INDEX ix_reminder_dispatch_log_occurred_at ON reminder_dispatch_log USING brin (occurred_at);

-- A coordinator who need not be told of one threshold of one mentor until a day.
CREATE TABLE notice_snoozes (
    mentor_id bigint NOT NULL,
    coordinator_id bigint NOT NULL,
    threshold_day integer NOT NULL,
    until date NOT NULL,
    reason text,
    actor text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT pk_notice_snoozes PRIMARY KEY (mentor_id, coordinator_id, threshold_day)
);

-- added: owed to somebody who became the recipient after the cause was decided. channel: what carried it last.
-- handled: what a person decided about it, and why.
ALTER TABLE notifications
    ADD COLUMN added boolean NOT NULL DEFAULT false,
    ADD COLUMN channel text,
    ADD COLUMN handled_by text,
    ADD COLUMN handled_reason text,
    ADD COLUMN handled_at timestamptz;
