"""Operations on the website by hand: looking at the queue, trying again what is dead, giving up on some."""

from __future__ import annotations

from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from certjobs.admin import find
from certjobs.domain.roster_row import composed
from certjobs.errors import StatementFailed, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from certjobs.db.operations import Backlog, Listed, Named, Shown
    from certjobs.db.store import Store, UnitOfWork

OPEN = ("pending", "failed")
STATUSES = ("open", *OPEN, "processing", "dead", "done", "superseded")
OPERATIONS = ("remove", "restore")
RETRIED = ("dead", "failed")
DISCARDED = (*OPEN, "dead")


@dataclass(frozen=True, slots=True)
class Handled:
    """Which operations a command changed, as they are now, and which it left as they were."""

    changed: Sequence[Named]
    unchanged: Sequence[Named]


@contextmanager
def listed(transaction: UnitOfWork, **filters: Any) -> Iterator[tuple[Iterator[Listed], Backlog]]:
    """Give the operations that pass the filters, newest first, as a stream that lasts as long as the block.

    With it how long the whole queue is. Raises UsageError for a status, operation, mentor or organisation that does not
    exist.
    """
    _known(filters)
    with transaction(bulk=True) as store:
        backlog = store.operations.backlog()
        with closing(store.operations.listed(**_filters(store, filters))) as found:
            yield found, backlog


def show(transaction: UnitOfWork, number: int) -> Shown:
    """Return everything about an operation. Raises UsageError where there is none of the number."""
    with transaction() as store:
        found = store.operations.show(number)
    if found is None:
        raise _missing([number])
    return found


def retry(transaction: UnitOfWork, numbers: Sequence[int], *, actor: str, reason: str) -> Handled:
    """Let operations that are dead or failed be pending and due at once, as if they had never failed.

    A dead one is superseded where a later operation of the same mentor has taken its place. What is pending stays as it
    is. Raises UsageError where one of them does not exist, is over or under way; then none is changed.
    """
    with _undisturbed(transaction) as store:
        found = store.operations.retry(numbers, actor=actor, reason=reason)
        _all_of(numbers, found)
        _refuse(found, (*RETRIED, "pending"), "Only what is dead or failed is tried again.")
    return _handled(found)


def retry_all(transaction: UnitOfWork, filters: dict[str, Any], *, actor: str, reason: str) -> Handled:
    """Do the same for every dead or failed operation that passes the filters: those that a list shows with them.

    Raises UsageError for filters that make no sense.
    """
    status = filters.get("status")
    _known(filters)
    if status not in (None, "open", *RETRIED):
        msg = f"What is {_in_words(status)} is not tried again."
        raise UsageError(msg, hint=f"With --all, --status is one of: {', '.join(RETRIED)}.")
    with _undisturbed(transaction) as store:
        statuses = {None: RETRIED, "open": ("failed",)}.get(status, (status,))
        wanted = _filters(store, filters) | {"statuses": statuses}
        numbers = [each.id for each in store.operations.listed(**wanted)]
        return _handled(store.operations.retry(numbers, actor=actor, reason=reason, strict=False))


def discard(transaction: UnitOfWork, numbers: Sequence[int], *, actor: str, reason: str) -> Handled:
    """Give up on operations that are dead or open: they are never sent.

    Raises UsageError where one of them does not exist, is over or under way; then none is changed.
    """
    with _undisturbed(transaction) as store:
        found = store.operations.discard(numbers, actor=actor, reason=reason)
        _all_of(numbers, found)
        _refuse(found, DISCARDED, "Only what is dead, pending or failed can be given up.")
    return _handled(found)


def _known(filters: dict[str, Any]) -> None:
    """Refuse a filter that nothing can pass."""
    for name, known in (("status", STATUSES), ("operation", OPERATIONS)):
        given = filters.get(name)
        if given is not None and given not in known:
            called = "with the status" if name == "status" else "called"
            msg = f"There are no operations {called} {given[:20]!r}."
            raise UsageError(msg, hint=f"Known: {', '.join(known)}.")


def _filters(store: Store, filters: dict[str, Any]) -> dict[str, Any]:
    """Return the filters as the repository takes them."""
    wanted = {name: value for name, value in filters.items() if name != "status"}
    status = filters.get("status")
    if status is not None:
        wanted["statuses"] = OPEN if status == "open" else (status,)
    if wanted.get("mentor"):
        wanted["mentor"] = _ref(store, wanted["mentor"])
    if wanted.get("org"):
        store.organisations.get(wanted["org"])
    return wanted


def _ref(store: Store, given: str) -> str:
    """Return the reference of a mentor who is there, or is gone and still to be taken off the website."""
    ref = composed(given)
    return ref if store.operations.keeps(ref) else find.mentor(store, given, lock=False).ref


@contextmanager
def _undisturbed(transaction: UnitOfWork) -> Iterator[Store]:
    """Open a unit of work, and say what to do where a sync queued something of the same mentor at that moment."""
    try:
        with transaction() as store:
            yield store
    except StatementFailed as exc:
        if "UniqueViolation" not in exc.reason:
            raise
        msg = "Something else was queued about one of these mentors at the same moment; nothing was changed."
        raise UsageError(msg, hint="Run the command again.") from exc


def _all_of(numbers: Sequence[int], found: Sequence[Named]) -> None:
    missing = sorted(set(numbers) - {each.id for each in found})
    if missing:
        raise _missing(missing)


def _missing(numbers: Sequence[int]) -> UsageError:
    msg = f"There is no operation {', '.join(map(str, numbers[:10]))}."
    return UsageError(msg, hint="Their numbers are those of `certjobs queue list`.")


def _refuse(found: Sequence[Named], statuses: Sequence[str], rule: str) -> None:
    """Refuse operations of another status than these."""
    wrong = [each for each in found if each.before not in statuses]
    if wrong:
        which = ", ".join(f"{each.id} is {_in_words(each.before)}" for each in wrong[:10])
        msg = f"{rule} Nothing was changed, because {which}."
        raise UsageError(msg, hint=f"Leave them out; see `certjobs queue show {wrong[0].id}`.")


def _in_words(status: str) -> str:
    return "under way" if status == "processing" else status


def _handled(found: Sequence[Named]) -> Handled:
    return Handled(
        [each for each in found if each.status != each.before], [each for each in found if each.status == each.before]
    )
