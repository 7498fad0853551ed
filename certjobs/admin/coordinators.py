"""Coordinators by hand: who they are, how they are addressed, and taking one out."""

from __future__ import annotations

from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from certjobs.admin import find
from certjobs.domain.roster_row import MAX_COORDINATOR_NAME, canonical, hidden, is_address
from certjobs.domain.text import counted
from certjobs.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from certjobs.db.coordinators import Coordinator
    from certjobs.db.store import UnitOfWork

LANGUAGES = ("nb", "nn", "en")


@dataclass(frozen=True, slots=True)
class CoordinatorChanged:
    """A coordinator after the command, whether it changed anything, and what the administrator should know."""

    coordinator: Coordinator
    changed: bool
    note: str | None = None


@contextmanager
def listed(transaction: UnitOfWork, **filters: Any) -> Iterator[Iterator[Coordinator]]:
    """Give the coordinators that pass the filters, as a stream that lasts as long as the block.

    Raises UsageError for an organisation or chapter that does not exist.
    """
    with transaction(bulk=True) as store:
        filters = find.filters(store, filters)
        with closing(store.coordinators.listed(**filters)) as found:
            yield found


def add(transaction: UnitOfWork, address: str, name: str, language: str) -> CoordinatorChanged:
    """Add a coordinator. The same again is nothing.

    Raises UsageError for what is no address, name or language, and where the address is another coordinator's.
    """
    address, name, language = _address(address), _name(name), _language(language)
    with transaction() as store:
        there = store.coordinators.find_for_update(address)
        if there is None:
            store.coordinators.add(address, name, language)
            return CoordinatorChanged(find.coordinator(store, address)[1], changed=True)
    found = there[1]
    if (found.name, found.language) != (name, language):
        msg = "There is a coordinator with that address already, of another name or language."
        raise UsageError(msg, hint="Change that one: `certjobs coordinators set`.")
    return CoordinatorChanged(found, changed=False, note="Was there already.")


def change(
    transaction: UnitOfWork, address: str, *, name: str | None, language: str | None, new_address: str | None
) -> CoordinatorChanged:
    """Change what is given of a coordinator. Again is nothing.

    Raises UsageError for an unknown coordinator, for what is no address, name or language, and where the new address
    is another coordinator's.
    """
    given = {
        "name": _name(name) if name is not None else None,
        "language": _language(language) if language is not None else None,
        "address": _address(new_address) if new_address is not None else None,
    }
    values = {key: value for key, value in given.items() if value is not None}
    if not values:
        msg = "Nothing to set."
        raise UsageError(msg, hint="See `certjobs coordinators set --help`.")
    with transaction() as store:
        coordinator_id, found = find.coordinator(store, address)
        if "address" in values:
            other = store.coordinators.find_for_update(values["address"])
            if other is not None and other[0] != coordinator_id:
                msg = "The new address is another coordinator's."
                raise UsageError(msg, hint="Assign the mentors to that one: `certjobs mentors assign`.")
        store.coordinators.change(coordinator_id, **values)
        after = find.coordinator(store, values.get("address", found.address))[1]
    if after == found:
        return CoordinatorChanged(found, changed=False, note="Was so already.")
    return CoordinatorChanged(after, changed=True)


def remove(transaction: UnitOfWork, address: str) -> CoordinatorChanged:
    """Take a coordinator out, with name and address. Notices still owed go to the mentors' other coordinators.

    An address in several spellings is one. Raises UsageError for an unknown coordinator.
    """
    with transaction() as store:
        store.coordinators.lock_mentors_of(address.strip())
        coordinator_id, found = find.coordinator(store, address)
        alone = store.coordinators.remove(coordinator_id)
        while (other := store.coordinators.find_for_update(found.address)) is not None:  # in another spelling
            alone += store.coordinators.remove(other[0])
    see = "see `certjobs mentors list --without-coordinator`"
    note = f"{counted(alone, 'mentor')} without a coordinator now: {see}." if alone else None
    return CoordinatorChanged(replace(found, mentors=0), changed=True, note=note)


def _address(text: str) -> str:
    address = text.strip().lower()
    if not is_address(address):
        msg = "That is not an e-mail address."
        raise UsageError(msg, hint="Write it as name@example.org.")
    return address


def _name(text: str) -> str:
    name = canonical(text)
    if not name or len(name) > MAX_COORDINATOR_NAME or hidden(name):
        msg = "That is not a coordinator's name: it is empty, too long, or holds control characters."
        raise UsageError(msg, hint="Give --name as the coordinator is to be addressed.")
    return name


def _language(text: str) -> str:
    if text not in LANGUAGES:
        msg = f"There is no language {text[:20]!r} that notices are written in."
        raise UsageError(msg, hint=f"Known: {', '.join(LANGUAGES)}.")
    return text
