"""Finding what an administrator named, or saying what there is instead."""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from certjobs.domain.roster_row import canonical, composed
from certjobs.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from certjobs.db.coordinators import Coordinator
    from certjobs.db.mentors import MentorState
    from certjobs.db.store import Store

KNOWN = 10  # names that an error lists


def mentor(store: Store, ref: str, *, lock: bool = True, for_removal: bool = False) -> MentorState:
    """Return a mentor by reference, locked unless it is only to be read. Raises UsageError where there is none."""
    found = store.mentors.find(composed(ref), lock=lock, for_removal=for_removal)
    if found is None:
        msg = f"There is no mentor with the reference {ref[:100]!r}."
        raise UsageError(
            msg, hint="References are those of the roster file's column mentor_ref: `certjobs mentors list`."
        )
    return found


def coordinator(store: Store, address: str) -> tuple[int, Coordinator]:
    """Lock and return a coordinator by address, with the id. Raises UsageError, which does not repeat the address."""
    found = store.coordinators.find_for_update(address.strip())
    if found is None:
        msg = "There is no coordinator with that address."
        raise UsageError(msg, hint="See `certjobs coordinators list`, or add one with `certjobs coordinators add`.")
    return found


def filters(store: Store, given: dict[str, Any]) -> dict[str, Any]:
    """Return the filters of a listing in the roster's spelling.

    Raises UsageError where it is to be narrowed to an organisation or chapter that does not exist.
    """
    org, chapter = given.get("org"), given.get("chapter")
    organisations = [store.organisations.get(org)] if org else store.organisations.all()
    if chapter is None:
        return given
    chapter = canonical(chapter)
    names = {name for each in organisations for name in store.organisations.chapters(each.id)}
    if chapter.lower() not in {name.lower() for name in names}:
        raise unknown_chapter(chapter, names)
    return given | {"chapter": chapter}


def unknown_chapter(name: str, known: Iterable[str]) -> UsageError:
    """Return the error for a chapter that does not exist, with those that look like it, or the first there are."""
    names = sorted(known)
    near = get_close_matches(name, names, KNOWN, 0.5) or names[:KNOWN]
    listed = ", ".join(near) or "none yet"
    return UsageError(f"There is no chapter {name[:80]!r}.", hint=f"There are: {listed}.")
