"""The roster: organisations, chapters, coordinators, mentors, certifications.

The application owns these tables. Where they are absent they are created; where they are present they are checked and
refused with the list of what is missing. Either way ``peer_mentors.certification_expiry`` is kept by trigger from here
on, and HLF exists: with every flag on where this migration is the one that adds it.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql as pg

from certjobs.db.migration_support import create_or_adopt, drop_created, run_sql
from certjobs.db.tables import NAMING

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

metadata = sa.MetaData(naming_convention=NAMING)


def _id() -> sa.Column[int]:
    return sa.Column("id", sa.BigInteger, sa.Identity(always=True), primary_key=True)


def _flag(name: str) -> sa.Column[bool]:
    return sa.Column(name, sa.Boolean, nullable=False, server_default=sa.false())


TABLES = (
    sa.Table(
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
    ),
    sa.Table(
        "chapters",
        metadata,
        _id(),
        sa.Column("organisation_id", sa.ForeignKey("organisations.id"), nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.UniqueConstraint("organisation_id", "name"),
    ),
    sa.Table(
        "coordinators",
        metadata,
        _id(),
        sa.Column("address", sa.Text, nullable=False, unique=True),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("language", sa.Text, nullable=False, server_default="nb"),
    ),
    sa.Table(
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
    ),
    sa.Table(
        "coordinator_assignments",
        metadata,
        sa.Column("mentor_id", sa.ForeignKey("peer_mentors.id"), primary_key=True),
        sa.Column("coordinator_id", sa.ForeignKey("coordinators.id"), primary_key=True, index=True),
    ),
    sa.Table(
        "certifications",
        metadata,
        _id(),
        sa.Column("external_ref", sa.Text, nullable=False, unique=True),
        sa.Column("mentor_id", sa.ForeignKey("peer_mentors.id"), nullable=False, index=True),
        sa.Column("issued_on", sa.Date, nullable=False),
        sa.Column("expires_on", sa.Date, nullable=False),
        sa.Column("withdrawn_on", sa.Date),
    ),
)


def upgrade() -> None:
    """Create or adopt the roster, compute every certification_expiry, keep it by trigger."""
    create_or_adopt(TABLES)
    run_sql("rules.v1")
    run_sql("certification_expiry.v1")
    op.execute(
        "INSERT INTO organisations (code, auto_pause, remind, website_sync) VALUES ('HLF', true, true, true)"
        " ON CONFLICT (code) DO NOTHING"
    )


def downgrade() -> None:
    """Remove the triggers and rules, and the tables that were created here."""
    run_sql("certification_expiry.down.v1")
    drop_created(TABLES)
    run_sql("rules.down.v1")
