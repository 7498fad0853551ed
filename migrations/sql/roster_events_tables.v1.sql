-- What changed in the roster besides certifications and status: who belongs where, who is told, and the settings.
-- Facts only: of names and addresses it holds that they changed, never what they were.
CREATE TABLE roster_events (
    id bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT pk_roster_events PRIMARY KEY,
    entity text NOT NULL
        CONSTRAINT ck_roster_events_entity CHECK (entity IN ('organisation', 'coordinator', 'mentor')),
    entity_id bigint NOT NULL,
    event text NOT NULL
        CONSTRAINT ck_roster_events_event CHECK (event IN ('added', 'changed', 'removed', 'assigned', 'unassigned')),
    before jsonb,
    after jsonb,
    reason text,
    actor text NOT NULL,
    run_id uuid,
    occurred_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX ix_roster_events_entity_entity_id ON roster_events (entity, entity_id);
