"""Letting a coordinator see the mentors assigned to them, and no others: by a login, or by an application's word."""

from __future__ import annotations

import re
from shlex import quote
from typing import TYPE_CHECKING

from certjobs.admin import find
from certjobs.domain.claim_keys import read_keys
from certjobs.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from certjobs.db.access import Granted
    from certjobs.db.store import UnitOfWork

MOST_ISSUER = 200


def granted(transaction: UnitOfWork) -> Sequence[Granted]:
    """Return which logins and keys let coordinators see their mentors."""
    with transaction() as store:
        return store.access.granted()


def grant(transaction: UnitOfWork, login: str, address: str, *, actor: str, reason: str) -> bool:
    """Say whose a database login is, and tell whether that changed anything. Again is nothing.

    From then on the login sees the mentors assigned to that coordinator. Raises UsageError for an unknown coordinator,
    for a login that does not exist, has not the coordinators' role or has more than that, and for one that is another
    coordinator's.
    """
    with transaction() as store:
        coordinator_id, _ = find.coordinator(store, address)
        found = store.access.login(login)
        if found is None:
            msg = f"The database has no login {login[:100]!r}."
            raise UsageError(
                msg, hint=f"As the owner: CREATE ROLE {_quoted(login)} LOGIN IN ROLE certjobs_coordinator;"
            )
        if found.more:
            msg = f"The login {login} is more than a coordinator's: it has another role of certjobs, or sees every row."
            raise UsageError(msg, hint="Take a login that has the role certjobs_coordinator and none of the others.")
        if not found.bound:
            msg = f"The login {login} has not the role certjobs_coordinator."
            raise UsageError(msg, hint=f"As the owner: GRANT certjobs_coordinator TO {_quoted(login)};")
        held = store.access.coordinator_of(login)
        if held not in {None, coordinator_id}:
            msg = f"The login {login} is another coordinator's."
            raise UsageError(msg, hint=f"Take it back first: certjobs access revoke {quote(login)} --reason TEXT")
        if held is None:
            store.access.grant(login, coordinator_id, by=actor, reason=reason)
        return held is None


def _quoted(login: str) -> str:
    """Return a name as SQL writes it."""
    return login if re.fullmatch(r"[a-z_][a-z0-9_]*", login) else '"' + login.replace('"', '""') + '"'


def revoke(transaction: UnitOfWork, login: str, *, actor: str, reason: str) -> None:
    """Let a login see nobody any more. Raises UsageError where it was nobody's."""
    with transaction() as store:
        if not store.access.revoke(login, by=actor, reason=reason):
            msg = f"The login {login[:100]!r} is no coordinator's."
            raise UsageError(msg, hint="See `certjobs access list`.")


def trust(transaction: UnitOfWork, issuer: str, text: str, *, actor: str, reason: str) -> Sequence[str]:
    """Believe who an application says that a coordinator is, if it signs with one of its keys, and return the new ones.

    Again is nothing. Raises UsageError where ``text`` is no public key as ``read_keys`` says, and where a key of that
    id is another.
    """
    issuer = issuer.strip()
    if not 0 < len(issuer) <= MOST_ISSUER or not issuer.isprintable():
        msg = "That is no issuer: it is empty, too long, or holds control characters."
        raise UsageError(msg, hint="Give what the application writes as `iss` in its tokens.")
    try:
        keys = read_keys(text)
    except ValueError as exc:
        msg = f"That is no public key: {exc}."
        raise UsageError(msg, hint="Give the application's JSON Web Key, or its set of them, as a file.") from None
    added = []
    with transaction() as store:
        for each in keys:
            held = store.access.key(issuer, each.key_id)
            if held is not None and held != each.modulus:
                msg = f"The key {each.key_id} of that issuer is another one."
                raise UsageError(msg, hint="A new key needs an id of its own; or take the old one back first.")
            if held is None:
                store.access.trust(issuer, each.key_id, each.modulus, by=actor, reason=reason)
                added.append(each.key_id)
    return added


def distrust(transaction: UnitOfWork, issuer: str, key_id: str, *, actor: str, reason: str) -> None:
    """Believe a key no longer. Raises UsageError where it was not believed."""
    with transaction() as store:
        if not store.access.distrust(issuer.strip(), key_id, by=actor, reason=reason):
            msg = "No such key of that issuer is trusted."
            raise UsageError(msg, hint="See `certjobs access list`.")
