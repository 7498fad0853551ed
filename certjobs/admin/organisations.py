"""Organisations' settings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from certjobs.domain.days import is_time_zone
from certjobs.domain.roster_row import is_address
from certjobs.domain.thresholds import parse_thresholds
from certjobs.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from certjobs.db.organisations import Organisation
    from certjobs.db.store import UnitOfWork


def list_organisations(transaction: UnitOfWork) -> Sequence[Organisation]:
    """Return every organisation with its settings."""
    with transaction() as store:
        return store.organisations.all()


def set_organisation(
    transaction: UnitOfWork, code: str, given: Mapping[str, Any], *, cleared: Collection[str] = ()
) -> Organisation:
    """Change the settings that are given (not None), empty those that are ``cleared``, and return what is now.

    Again is nothing. Raises UsageError for an unknown organisation, a time zone that does not exist, thresholds that
    are no list of days, or what is no address.
    """
    changes = {name: value for name, value in given.items() if value is not None} | dict.fromkeys(cleared)
    if not changes:
        msg = "Nothing to set."
        raise UsageError(msg, hint="See `certjobs orgs set --help`.")
    if changes.get("fallback_address") is not None:
        changes["fallback_address"] = changes["fallback_address"].strip().lower()
        if not is_address(changes["fallback_address"]):
            msg = "The fallback address is not an e-mail address."
            raise UsageError(msg, hint="Write it as name@example.org.")
    if changes.get("thresholds") is not None:
        try:
            changes["thresholds"] = list(parse_thresholds(changes["thresholds"]))
        except ValueError as exc:
            msg = f"These are no thresholds: {exc}."
            raise UsageError(msg, hint="Give days as 30,14,7.") from None
    with transaction() as store:
        zone = changes.get("time_zone")
        if zone is not None and not (is_time_zone(zone) and store.organisations.knows_time_zone(zone)):
            msg = f"There is no time zone {zone[:60]!r}."
            raise UsageError(msg, hint="Use a name as Europe/Oslo.")
        store.organisations.get(code)
        store.organisations.update(code, changes)
        return store.organisations.get(code)
