"""Organisations' settings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from certjobs.domain.days import is_time_zone
from certjobs.domain.roster_row import is_address
from certjobs.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from contextlib import AbstractContextManager

    from certjobs.db.organisations import Organisation
    from certjobs.db.store import Store

    Transaction = Callable[[], AbstractContextManager[Store]]


def list_organisations(transaction: Transaction) -> Sequence[Organisation]:
    """Return every organisation with its settings."""
    with transaction() as store:
        return store.organisations.all()


def set_organisation(transaction: Transaction, code: str, given: Mapping[str, Any]) -> Organisation:
    """Change the settings that are given (not None) and return the organisation as it is now.

    Raises UsageError for an unknown organisation, a time zone that does not exist, or what is no address.
    """
    changes = {name: value for name, value in given.items() if value is not None}
    if not changes:
        msg = "Nothing to set."
        raise UsageError(msg, hint="See `certjobs orgs set --help`.")
    if "fallback_address" in changes:
        changes["fallback_address"] = changes["fallback_address"].strip().lower()
        if not is_address(changes["fallback_address"]):
            msg = "The fallback address is not an e-mail address."
            raise UsageError(msg, hint="Write it as name@example.org.")
    with transaction() as store:
        zone = changes.get("time_zone")
        if zone is not None and not (is_time_zone(zone) and store.organisations.knows_time_zone(zone)):
            msg = f"There is no time zone {zone[:60]!r}."
            raise UsageError(msg, hint="Use a name as Europe/Oslo.")
        if not store.organisations.update(code, changes):
            known = ", ".join(each.code for each in store.organisations.all())
            msg = f"There is no organisation {code[:60]!r}."
            raise UsageError(msg, hint=f"Known: {known}.")
        return next(each for each in store.organisations.all() if each.code == code)
