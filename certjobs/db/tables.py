"""The tables as SQLAlchemy Core sees them. Migrations create them; a test holds the two to each other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql as pg

if TYPE_CHECKING:
    from datetime import datetime

NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}

metadata = sa.MetaData(naming_convention=NAMING)


def _id() -> sa.Column[int]:
    return sa.Column("id", sa.BigInteger, sa.Identity(always=True), primary_key=True)


def _moment(name: str, *, default: bool = False) -> sa.Column[datetime]:
    return sa.Column(
        name,
        sa.DateTime(timezone=True),
        nullable=not default,
        server_default=sa.text("clock_timestamp()") if default else None,
    )


def _flag(name: str) -> sa.Column[bool]:
    return sa.Column(name, sa.Boolean, nullable=False, server_default=sa.false())


def _granted() -> tuple[sa.Column[Any], ...]:
    """Return the columns of what is granted and revoked, and never deleted."""
    return (
        sa.Column("granted_by", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        _moment("granted_at", default=True),
        sa.Column("revoked_by", sa.Text),
        sa.Column("revoked_reason", sa.Text),
        _moment("revoked_at"),
    )


# The roster, owned by the app: created where absent, checked column by column where present.

organisations = sa.Table(
    "organisations",
    metadata,
    _id(),
    sa.Column("code", sa.Text, nullable=False, unique=True),
    sa.Column("time_zone", sa.Text, nullable=False, server_default="Europe/Oslo"),
    sa.Column("thresholds", pg.ARRAY(sa.Integer)),
    _flag("auto_pause"),
    _flag("remind"),
    _flag("website_sync"),
    sa.Column("fallback_address", sa.Text),
)

chapters = sa.Table(
    "chapters",
    metadata,
    _id(),
    sa.Column("organisation_id", sa.ForeignKey("organisations.id"), nullable=False),
    sa.Column("name", sa.Text, nullable=False),
    sa.UniqueConstraint("organisation_id", "name"),
)

coordinators = sa.Table(
    "coordinators",
    metadata,
    _id(),
    sa.Column("address", sa.Text, nullable=False, unique=True),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("language", sa.Text, nullable=False, server_default="nb"),
)

peer_mentors = sa.Table(
    "peer_mentors",
    metadata,
    _id(),
    sa.Column("external_ref", sa.Text, nullable=False, unique=True),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("organisation_id", sa.ForeignKey("organisations.id"), nullable=False, index=True),
    sa.Column("chapter_id", sa.ForeignKey("chapters.id"), nullable=False, index=True),
    sa.Column("status", sa.Text, nullable=False, server_default="active"),
    sa.Column("pause_reason", sa.Text),
    sa.Column("certification_expiry", sa.Date),
    sa.CheckConstraint("status IN ('active', 'paused')", name="status"),
)
sa.Index(
    "ix_peer_mentors_active_expiry",
    peer_mentors.c.organisation_id,
    peer_mentors.c.certification_expiry,
    peer_mentors.c.id,
    postgresql_where=peer_mentors.c.status == sa.literal_column("'active'"),
)

coordinator_assignments = sa.Table(
    "coordinator_assignments",
    metadata,
    sa.Column("mentor_id", sa.ForeignKey("peer_mentors.id"), primary_key=True),
    sa.Column("coordinator_id", sa.ForeignKey("coordinators.id"), primary_key=True, index=True),
)

certifications = sa.Table(
    "certifications",
    metadata,
    _id(),
    sa.Column("external_ref", sa.Text, nullable=False, unique=True),
    sa.Column("mentor_id", sa.ForeignKey("peer_mentors.id"), nullable=False, index=True),
    sa.Column("issued_on", sa.Date, nullable=False),
    sa.Column("expires_on", sa.Date, nullable=False),
    sa.Column("withdrawn_on", sa.Date),
)

# Append-only audit, written by trigger.

certification_events = sa.Table(
    "certification_events",
    metadata,
    _id(),
    sa.Column("certification_id", sa.BigInteger, nullable=False),
    sa.Column("mentor_id", sa.BigInteger, nullable=False, index=True),
    sa.Column("event", sa.Text, nullable=False),
    sa.Column("before", pg.JSONB),
    sa.Column("after", pg.JSONB),
    sa.Column("reason", sa.Text),
    sa.Column("actor", sa.Text, nullable=False),
    sa.Column("run_id", sa.Uuid),
    _moment("occurred_at", default=True),
    sa.CheckConstraint("event IN ('added', 'changed', 'withdrawn', 'removed')", name="event"),
)

mentor_status_events = sa.Table(
    "mentor_status_events",
    metadata,
    _id(),
    sa.Column("mentor_id", sa.BigInteger, nullable=False),
    sa.Column("event", sa.Text, nullable=False),
    sa.Column("from_status", sa.Text),
    sa.Column("to_status", sa.Text, nullable=False),
    sa.Column("reason", sa.Text),
    sa.Column("certification_expiry", sa.Date),
    sa.Column("effective_on", sa.Date, nullable=False),
    sa.Column("actor", sa.Text, nullable=False),
    sa.Column("run_id", sa.Uuid, index=True),
    _moment("occurred_at", default=True),
    sa.CheckConstraint("event IN ('expired_cert', 'paused', 'reinstated')", name="event"),
)
sa.Index(
    "ix_mentor_status_events_pauses",
    mentor_status_events.c.mentor_id,
    mentor_status_events.c.event,
    mentor_status_events.c.certification_expiry,
)

roster_events = sa.Table(
    "roster_events",
    metadata,
    _id(),
    sa.Column("entity", sa.Text, nullable=False),
    sa.Column("entity_id", sa.BigInteger, nullable=False),
    sa.Column("event", sa.Text, nullable=False),
    sa.Column("before", pg.JSONB),
    sa.Column("after", pg.JSONB),
    sa.Column("reason", sa.Text),
    sa.Column("actor", sa.Text, nullable=False),
    sa.Column("run_id", sa.Uuid),
    _moment("occurred_at", default=True),
    sa.CheckConstraint("entity IN ('organisation', 'coordinator', 'mentor')", name="entity"),
    sa.CheckConstraint("event IN ('added', 'changed', 'removed', 'assigned', 'unassigned')", name="event"),
    sa.Index(None, "entity", "entity_id"),
)
for _events in (certification_events, mentor_status_events, roster_events):
    sa.Index(f"ix_{_events.name}_occurred_at", _events.c.occurred_at, postgresql_using="brin")

# What the jobs own.

notifications = sa.Table(
    "notifications",
    metadata,
    _id(),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("mentor_id", sa.BigInteger, nullable=False),
    sa.Column("certification_expiry", sa.Date, nullable=False),
    sa.Column("threshold_day", sa.Integer),
    sa.Column("pause_ordinal", sa.Integer),
    sa.Column("coordinator_id", sa.BigInteger),
    sa.Column("idempotency_key", sa.Text, nullable=False),
    sa.Column("status", sa.Text, nullable=False, server_default="pending"),
    sa.Column("attempt", sa.Integer, nullable=False, server_default="0"),
    sa.Column("not_before", sa.DateTime(timezone=True)),
    sa.Column("last_error", sa.Text),
    sa.Column("message_id", sa.Text),
    sa.Column("caused_by_run", sa.Uuid, index=True),
    sa.Column("claimed_by_run", sa.Uuid),
    _moment("created_at", default=True),
    _moment("sent_at"),
    sa.Column("added", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.Column("channel", sa.Text),
    sa.Column("handled_by", sa.Text),
    sa.Column("handled_reason", sa.Text),
    _moment("handled_at"),
    sa.UniqueConstraint(
        "mentor_id",
        "kind",
        "certification_expiry",
        "threshold_day",
        "pause_ordinal",
        "coordinator_id",
        name="uq_notifications_cause_recipient",
        postgresql_nulls_not_distinct=True,
    ),
    sa.CheckConstraint(
        "kind = 'pause' AND pause_ordinal IS NOT NULL AND threshold_day IS NULL"
        " OR kind = 'reminder' AND threshold_day IS NOT NULL AND pause_ordinal IS NULL",
        name="cause",
    ),
    sa.CheckConstraint(
        "status IN ('pending', 'sending', 'sent', 'failed', 'dead', 'unknown',"
        " 'suppressed', 'superseded', 'discarded')",
        name="status",
    ),
)
sa.Index(
    "ix_notifications_open",
    notifications.c.id,
    postgresql_where=sa.text("status IN ('pending', 'sending', 'failed')"),
)

sa.Index("ix_notifications_created_at", notifications.c.created_at, postgresql_using="brin")
sa.Index("ix_notifications_dead", notifications.c.id, postgresql_where=sa.text("status = 'dead'"))
sa.Index("ix_notifications_unknown", notifications.c.id, postgresql_where=sa.text("status = 'unknown'"))

cert_expiry_reminders = sa.Table(
    "cert_expiry_reminders",
    metadata,
    sa.Column("certification_expiry", sa.Date, primary_key=True),
    sa.Column("mentor_id", sa.BigInteger, primary_key=True, index=True),
    sa.Column("threshold_day", sa.Integer, primary_key=True),
    sa.Column("status", sa.Text, nullable=False),
    sa.Column("recipients", sa.Integer, nullable=False, server_default="0"),
    sa.Column("decided_on", sa.Date, nullable=False),
    sa.Column("run_id", sa.Uuid, index=True),
    _moment("created_at", default=True),
    sa.CheckConstraint("status IN ('due', 'superseded')", name="status"),
)

reminder_dispatch_log = sa.Table(
    "reminder_dispatch_log",
    metadata,
    _id(),
    sa.Column("notification_id", sa.BigInteger, nullable=False),
    sa.Column("run_id", sa.Uuid, index=True),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("mentor_id", sa.BigInteger, nullable=False, index=True),
    sa.Column("threshold_day", sa.Integer),
    sa.Column("certification_expiry", sa.Date, nullable=False),
    sa.Column("coordinator_id", sa.BigInteger),
    sa.Column("attempt", sa.Integer, nullable=False),
    sa.Column("channel", sa.Text),
    sa.Column("outcome", sa.Text, nullable=False),
    sa.Column("message_id", sa.Text),
    sa.Column("error", sa.Text),
    _moment("occurred_at", default=True),
    sa.UniqueConstraint("notification_id", "attempt"),
    sa.CheckConstraint("outcome IN ('sent', 'failed', 'limited', 'refused', 'unknown', 'interrupted')", name="outcome"),
)
sa.Index("ix_reminder_dispatch_log_occurred_at", reminder_dispatch_log.c.occurred_at, postgresql_using="brin")

notice_snoozes = sa.Table(
    "notice_snoozes",
    metadata,
    sa.Column("mentor_id", sa.BigInteger, primary_key=True),
    sa.Column("coordinator_id", sa.BigInteger, primary_key=True),
    sa.Column("threshold_day", sa.Integer, primary_key=True),
    sa.Column("until", sa.Date, nullable=False),
    sa.Column("reason", sa.Text),
    sa.Column("actor", sa.Text, nullable=False, server_default=sa.text("SESSION_USER")),
    _moment("created_at", default=True),
)

_OPEN = sa.text("status IN ('pending', 'failed')")

sync_queue = sa.Table(
    "sync_queue",
    metadata,
    _id(),
    sa.Column("mentor_id", sa.BigInteger, nullable=False, index=True),
    sa.Column("mentor_ref", sa.Text),
    sa.Column("organisation_id", sa.BigInteger, nullable=False),
    sa.Column("certification_expiry", sa.Date),
    sa.Column("operation", sa.Text, nullable=False),
    sa.Column("status", sa.Text, nullable=False, server_default="pending"),
    sa.Column("triggered_by_event", sa.Text, nullable=False),
    sa.Column("explained", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.Column("actor", sa.Text, nullable=False),
    sa.Column("caused_by_run", sa.Uuid),
    sa.Column("claimed_by_run", sa.Uuid, index=True),
    sa.Column("attempt", sa.Integer, nullable=False, server_default="0"),
    sa.Column("failures", sa.Integer, nullable=False, server_default="0"),
    sa.Column("sent", sa.Text),
    sa.Column("outcome", sa.Text),
    _moment("not_before"),
    _moment("leased_until"),
    sa.Column("last_error", sa.Text),
    _moment("created_at", default=True),
    _moment("finished_at"),
    _moment("let_through_at"),
    _moment("unsure_until"),
    sa.Column("handled_by", sa.Text),
    sa.Column("handled_reason", sa.Text),
    _moment("handled_at"),
    sa.CheckConstraint("operation IN ('remove', 'restore')", name="operation"),
    sa.CheckConstraint("sent IN ('remove', 'restore')", name="sent"),
    sa.CheckConstraint("status IN ('pending', 'processing', 'done', 'failed', 'dead', 'superseded')", name="status"),
)
sa.Index("uq_sync_queue_open", sync_queue.c.mentor_id, unique=True, postgresql_where=_OPEN)
sa.Index(
    "uq_sync_queue_processing",
    sync_queue.c.mentor_id,
    unique=True,
    postgresql_where=sa.text("status = 'processing'"),
)
sa.Index("ix_sync_queue_next", sync_queue.c.id, postgresql_where=_OPEN)
sa.Index(
    "ix_sync_queue_let_through",
    sync_queue.c.organisation_id,
    sync_queue.c.let_through_at,
    postgresql_where=sa.text("let_through_at IS NOT NULL"),
)
sa.Index("ix_sync_queue_unsure", sync_queue.c.mentor_id, postgresql_where=sa.text("unsure_until IS NOT NULL"))
sa.Index("ix_sync_queue_mentor_ref", sync_queue.c.mentor_ref, postgresql_where=sa.text("mentor_ref IS NOT NULL"))
sa.Index("ix_sync_queue_dead", sync_queue.c.id, postgresql_where=sa.text("status = 'dead'"))
sa.Index("ix_sync_queue_created_at", sync_queue.c.created_at, postgresql_using="brin")
sa.Index("ix_sync_queue_finished_at", sync_queue.c.finished_at, postgresql_using="brin")

website_listing = sa.Table(
    "website_listing",
    metadata,
    sa.Column("mentor_id", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("listed", sa.Boolean, nullable=False),
    _moment("acknowledged_at", default=True),
    sa.Column("operation_id", sa.BigInteger),
    sa.Column("run_id", sa.Uuid),
)

reconciliation_log = sa.Table(
    "reconciliation_log",
    metadata,
    _id(),
    sa.Column("finding", sa.Text, nullable=False),
    sa.Column("mentor_id", sa.BigInteger),
    sa.Column("certification_expiry_date", sa.Date),
    sa.Column("detail", sa.Text, nullable=False),
    sa.Column("done", sa.Text),
    sa.Column("actor", sa.Text, nullable=False),
    sa.Column("run_id", sa.Uuid),
    _moment("created_at", default=True),
    _moment("cleared_at"),
    sa.CheckConstraint(
        "finding IN ('missing', 'extra', 'unknown', 'duplicate', 'stuck', 'lagging', 'warning', 'unfinished',"
        " 'missed')",
        name="finding",
    ),
)
sa.Index(
    "ix_reconciliation_log_open",
    reconciliation_log.c.mentor_id,
    postgresql_where=sa.text("cleared_at IS NULL"),
)
sa.Index(
    "ix_reconciliation_log_uncleared",
    reconciliation_log.c.finding,
    reconciliation_log.c.id,
    postgresql_where=sa.text("cleared_at IS NULL"),
)
sa.Index("ix_reconciliation_log_created_at", reconciliation_log.c.created_at, postgresql_using="brin")

alerts = sa.Table(
    "alerts",
    metadata,
    _id(),
    sa.Column("class", sa.Text, nullable=False),
    sa.Column("number", sa.Integer, nullable=False),
    _moment("first_seen_at", default=True),
    _moment("last_sent_at"),
    _moment("cleared_at"),
)
sa.Index("uq_alerts_open", alerts.c["class"], unique=True, postgresql_where=alerts.c.cleared_at.is_(None))

forecasts = sa.Table(
    "forecasts",
    metadata,
    sa.Column("night", sa.Date, primary_key=True),
    sa.Column("job_name", sa.Text, primary_key=True),
    sa.Column("organisation_id", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("expected", sa.Integer, nullable=False),
    sa.Column("members", pg.ARRAY(sa.BigInteger), nullable=False, server_default=sa.text("'{}'::bigint[]")),
    sa.Column("run_id", sa.Uuid),
    _moment("created_at", default=True),
)

scheduler_run_log = sa.Table(
    "scheduler_run_log",
    metadata,
    sa.Column("run_id", sa.Uuid, primary_key=True),
    sa.Column("job_name", sa.Text, nullable=False),
    sa.Column("parent_run_id", sa.Uuid),
    sa.Column("trigger", sa.Text, nullable=False),
    sa.Column("as_of", sa.Date),
    _moment("started_at", default=True),
    _moment("finished_at"),
    _moment("heartbeat_at"),
    sa.Column("backend_pid", sa.Integer),
    sa.Column("backend_start", sa.DateTime(timezone=True)),
    sa.Column("status", sa.Text, nullable=False, server_default="running"),
    sa.Column("exit_code", sa.Integer),
    sa.Column("error_message", sa.Text),
    sa.Column("counts", pg.JSONB, nullable=False, server_default=sa.text("'{}'::jsonb")),
    sa.Column("host", sa.Text, nullable=False),
    sa.Column("version", sa.Text, nullable=False),
    sa.Column("actor", sa.Text, nullable=False),
    sa.Column("reason", sa.Text),
    sa.CheckConstraint(
        "status IN ('running', 'succeeded', 'partial', 'failed', 'skipped', 'abandoned')", name="status"
    ),
)
sa.Index("ix_scheduler_run_log_recent", scheduler_run_log.c.started_at.desc())
sa.Index("ix_scheduler_run_log_job", scheduler_run_log.c.job_name, scheduler_run_log.c.started_at.desc())
sa.Index(
    "ix_scheduler_run_log_running",
    scheduler_run_log.c.job_name,
    postgresql_where=scheduler_run_log.c.status == sa.literal_column("'running'"),
)
sa.Index(
    "ix_scheduler_run_log_succeeded",
    scheduler_run_log.c.job_name,
    scheduler_run_log.c.started_at.desc(),
    postgresql_where=scheduler_run_log.c.status == sa.literal_column("'succeeded'"),
)
sa.Index(
    "ix_scheduler_run_log_as_of",
    scheduler_run_log.c.job_name,
    scheduler_run_log.c.as_of,
    postgresql_where=scheduler_run_log.c.as_of.is_not(None),
)
sa.Index(
    "ix_scheduler_run_log_parent",
    scheduler_run_log.c.parent_run_id,
    postgresql_where=scheduler_run_log.c.parent_run_id.is_not(None),
)

job_lock = sa.Table(
    "job_lock",
    metadata,
    sa.Column("job_name", sa.Text, primary_key=True),
    sa.Column("run_id", sa.Uuid, nullable=False),
    sa.Column("fencing_token", sa.BigInteger, nullable=False),
    sa.Column("holder", sa.Text, nullable=False),
    sa.Column("backend_pid", sa.Integer, nullable=False),
    sa.Column("backend_start", sa.DateTime(timezone=True), nullable=False),
    _moment("started_at", default=True),
    _moment("heartbeat_at"),
)

fencing_tokens = sa.Sequence("job_lock_fencing_token", metadata=metadata, data_type=sa.BigInteger)

guarded_sets = sa.Table(
    "guarded_sets",
    metadata,
    _id(),
    sa.Column("hash", sa.Text, nullable=False, unique=True),
    sa.Column("job_name", sa.Text, nullable=False),
    sa.Column("organisation_id", sa.BigInteger, nullable=False),
    sa.Column("size", sa.Integer, nullable=False),
    sa.Column("run_id", sa.Uuid),
    _moment("refused_at", default=True),
    sa.Column("approved_by", sa.Text),
    sa.Column("reason", sa.Text),
    _moment("approved_at"),
    _moment("approved_until"),
)

guarded_set_members = sa.Table(
    "guarded_set_members",
    metadata,
    sa.Column("mentor_id", sa.BigInteger, primary_key=True),
    sa.Column("certification_expiry", sa.Date, primary_key=True),
    sa.Column("guarded_set_id", sa.ForeignKey("guarded_sets.id", ondelete="CASCADE"), primary_key=True, index=True),
)

# Who may see which mentors.

coordinator_logins = sa.Table(
    "coordinator_logins",
    metadata,
    _id(),
    sa.Column("login", sa.Text, nullable=False),
    sa.Column(
        "coordinator_id",
        sa.BigInteger,
        sa.ForeignKey("coordinators.id", ondelete="CASCADE"),
        nullable=False,
        index=True,
    ),
    *_granted(),
)
sa.Index(
    "uq_coordinator_logins_login",
    coordinator_logins.c.login,
    unique=True,
    postgresql_where=coordinator_logins.c.revoked_at.is_(None),
)

claim_keys = sa.Table(
    "claim_keys",
    metadata,
    _id(),
    sa.Column("issuer", sa.Text, nullable=False),
    sa.Column("key_id", sa.Text, nullable=False),
    sa.Column("modulus", sa.LargeBinary, nullable=False),
    *_granted(),
    sa.CheckConstraint("octet_length(modulus) BETWEEN 256 AND 1024 AND get_byte(modulus, 0) >= 128", name="modulus"),
)
sa.Index(
    "uq_claim_keys_key",
    claim_keys.c.issuer,
    claim_keys.c.key_id,
    unique=True,
    postgresql_where=claim_keys.c.revoked_at.is_(None),
)

ROSTER_TABLES = (
    organisations,
    chapters,
    coordinators,
    peer_mentors,
    coordinator_assignments,
    certifications,
)
