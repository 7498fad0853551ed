"""Who may see which mentors: whose database login is which coordinator's, and whose signature says who somebody is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import sqlalchemy as sa

from certjobs.db.tables import claim_keys, coordinator_logins, coordinators

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

# What the database itself obeys; see the migration that makes the roles.
_LOGIN = sa.text(
    "SELECT pg_has_role(r.oid, 'certjobs_coordinator', 'USAGE') AS bound,"
    " EXISTS (SELECT 1 FROM pg_roles w WHERE pg_has_role(r.oid, w.oid, 'MEMBER')"
    " AND (w.rolsuper OR w.rolbypassrls OR w.rolcreaterole"
    " OR w.rolname IN ('certjobs_job', 'certjobs_admin', 'certjobs_read')"
    " OR w.oid IN (SELECT c.relowner FROM pg_class c JOIN pg_policy p ON p.polrelid = c.oid"
    " WHERE p.polname = 'certjobs_own_rows'))) AS more"
    " FROM pg_roles r WHERE r.rolname = :login AND r.rolcanlogin"
)


@dataclass(frozen=True, slots=True)
class Login:
    """A database login. ``bound``: it has the role certjobs_coordinator; ``more``: it is, or may be, more than that."""

    bound: bool
    more: bool


@dataclass(frozen=True, slots=True)
class Granted:
    """What lets somebody see mentors: a login and the coordinator it belongs to, or an issuer's key."""

    kind: str
    who: str
    what: str
    granted_by: str
    granted_at: datetime
    reason: str


class Access:
    """Logins and keys, on one transaction. What is revoked is kept, and has no effect."""

    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection

    def login(self, name: str) -> Login | None:
        """Return what a database login is; None where there is none of the name."""
        row = self._connection.execute(_LOGIN, {"login": name}).one_or_none()
        return Login(row.bound, row.more) if row else None

    def coordinator_of(self, login: str) -> int | None:
        """Return whose coordinator's a login is now."""
        found: int | None = self._connection.scalar(
            sa.select(coordinator_logins.c.coordinator_id).where(
                coordinator_logins.c.login == login, coordinator_logins.c.revoked_at.is_(None)
            )
        )
        return found

    def grant(self, login: str, coordinator_id: int, *, by: str, reason: str) -> None:
        """Let a login see a coordinator's mentors."""
        self._connection.execute(
            sa.insert(coordinator_logins).values(
                login=login, coordinator_id=coordinator_id, granted_by=by, reason=reason
            )
        )

    def revoke(self, login: str, *, by: str, reason: str) -> bool:
        """Take that back, and tell whether there was anything to take."""
        return self._revoke(coordinator_logins, coordinator_logins.c.login == login, by, reason)

    def key(self, issuer: str, key_id: str) -> bytes | None:
        """Return the modulus of a key that is trusted now."""
        found: bytes | None = self._connection.scalar(
            sa.select(claim_keys.c.modulus).where(
                claim_keys.c.issuer == issuer, claim_keys.c.key_id == key_id, claim_keys.c.revoked_at.is_(None)
            )
        )
        return bytes(found) if found is not None else None

    def trust(self, issuer: str, key_id: str, modulus: bytes, *, by: str, reason: str) -> None:
        """Believe what is signed by a key."""
        self._connection.execute(
            sa.insert(claim_keys).values(issuer=issuer, key_id=key_id, modulus=modulus, granted_by=by, reason=reason)
        )

    def distrust(self, issuer: str, key_id: str, *, by: str, reason: str) -> bool:
        """Believe it no longer, and tell whether it was believed."""
        return self._revoke(
            claim_keys, sa.and_(claim_keys.c.issuer == issuer, claim_keys.c.key_id == key_id), by, reason
        )

    def _revoke(self, table: sa.Table, which: sa.ColumnElement[bool], by: str, reason: str) -> bool:
        done = self._connection.execute(
            sa.update(table)
            .where(which, table.c.revoked_at.is_(None))
            .values(revoked_by=by, revoked_reason=reason, revoked_at=sa.func.clock_timestamp())
        )
        return bool(done.rowcount)

    def granted(self) -> Sequence[Granted]:
        """Return what is granted now: logins by name, then keys by issuer."""
        logins = (
            sa.select(
                sa.literal("login"),
                coordinator_logins.c.login,
                coordinators.c.address,
                coordinator_logins.c.granted_by,
                coordinator_logins.c.granted_at,
                coordinator_logins.c.reason,
            )
            .join(coordinators, coordinators.c.id == coordinator_logins.c.coordinator_id)
            .where(coordinator_logins.c.revoked_at.is_(None))
            .order_by(coordinator_logins.c.login)
        )
        keys = (
            sa.select(
                sa.literal("key"),
                claim_keys.c.issuer,
                claim_keys.c.key_id,
                claim_keys.c.granted_by,
                claim_keys.c.granted_at,
                claim_keys.c.reason,
            )
            .where(claim_keys.c.revoked_at.is_(None))
            .order_by(claim_keys.c.issuer, claim_keys.c.key_id)
        )
        return [Granted(*row) for query in (logins, keys) for row in self._connection.execute(query)]
