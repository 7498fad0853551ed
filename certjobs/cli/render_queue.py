"""What people and programs see of the queue of operations on the website."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from certjobs.cli import render_roster
from certjobs.cli.output import document, say, table
from certjobs.domain.text import counted, lasted

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from certjobs.admin.operations import Handled
    from certjobs.db.operations import Backlog, Listed, Named, Shown

NAMED = 20  # operations that a sentence names; --json names all


@dataclass(frozen=True, slots=True)
class _Row:
    """An operation as the table shows one."""

    id: int
    mentor: str | None
    operation: str
    status: str
    because_of: str
    failures: int
    age: str
    why: str | None


def listed(found: Iterator[Listed], backlog: Backlog, *, limit: int | None, as_json: bool) -> None:
    """Show a list of operations, and how long the whole queue is."""
    if as_json:
        print('{"queue": ', json.dumps(asdict(backlog)), ', "operations": ', sep="", end="")
        render_roster.array(found)
        print("}")
        return
    rows = (
        _Row(
            each.id,
            each.mentor_ref,
            each.operation,
            each.status,
            each.triggered_by_event,
            each.failures,
            lasted(each.age_seconds),
            each.last_error,
        )
        for each in found
    )
    render_roster.listed("Operations, newest first", rows, limit=limit, as_json=False)
    say(*lengths(backlog))


def lengths(backlog: Backlog) -> Iterator[str]:
    """Say how long the queue is, how long its oldest operation has waited, and how fast they go out."""
    dead = f"{backlog.dead} dead"
    if backlog.overtaken:
        dead += f", {backlog.overtaken} of them overtaken since"
    yield f"The whole queue: {backlog.open} open, {backlog.processing} under way, {dead}."
    if backlog.oldest_open_seconds is not None:
        yield f"The oldest open one has waited for {lasted(backlog.oldest_open_seconds)}."
    hour, minute = backlog.done_last_hour, backlog.done_per_minute
    yield f"Done: {hour} in the last hour, {minute:g} a minute in the last five minutes."


def operation(found: Shown, *, as_json: bool) -> None:
    """Show everything about one operation."""
    if as_json:
        document(asdict(found))
        return
    is_open = found.status in ("pending", "failed")
    last = (
        None
        if found.listed is None
        else f"{'listed' if found.listed else 'not listed'}, {found.acknowledged_at:%Y-%m-%d %H:%M:%S}"
    )
    facts = {
        "mentor": found.mentor_ref or "gone, and the reference was not kept",
        "organisation": found.organisation,
        "valid to, when queued": found.certification_expiry,
        "queued as": found.operation,
        "the rule wants now": found.wanted or "nothing",
        "the website said last": last or "nothing yet",
        "status": found.status,
        "why": found.last_error,
        "because of": found.triggered_by_event,
        "explained to the guard": found.explained,
        "let through by the guard": found.let_through_at,
        "queued by": found.actor,
        "queued by run": found.caused_by_run,
        "queued": found.created_at,
        "due": (found.not_before or "now") if is_open else None,
        "sent last by run": found.claimed_by_run,
        "sent last": found.sent,
        "the portal's answer": found.outcome,
        "attempts": found.attempt,
        "failures": found.failures,
        "under way until": found.leased_until,
        "unsure until": found.unsure_until,
        "finished": found.finished_at,
        "handled by": found.handled_by,
        "handled": found.handled_at,
        "handled because": found.handled_reason,
        "later operation": f"{found.later_id}, {found.later_status}" if found.later_id else None,
    }
    table(f"Operation {found.id} (times in UTC)", ("", ""), [each for each in facts.items() if each[1] is not None])
    if found.status == "dead" and found.later_id:
        say(f"Operation {found.later_id} came later: nothing is left to do about this one.")
    elif found.status == "dead":
        say(
            "It is not sent again by itself. When what was wrong is mended:",
            f"  certjobs queue retry {found.id} --reason TEXT",
        )
    elif is_open and found.wanted == "remove" and not found.explained and found.let_through_at is None:
        say("No pause by expiry-check explains it, so the guard against mass change is asked before it is sent.")


def retried(found: Handled, *, dry_run: bool, as_json: bool) -> None:
    """Say which operations are to be tried again."""
    if as_json:
        _document(found, dry_run=dry_run)
        return
    if dry_run:
        say("Dry-run: nothing was written.")
    again = [each for each in found.changed if each.status == "pending"]
    if again:
        would = "would be pending" if dry_run else "pending"
        say(f"{counted(len(again), 'operation')} {would}, and due at once: {_named(again)}.")
        if not dry_run:
            say("`certjobs sync` sends what the rule wants by then.")
    would = "would be superseded" if dry_run else "is superseded"
    others = [each for each in found.changed if each.status != "pending"]
    for each in others[:NAMED]:
        if each.overtaken_by:
            say(f"{each.id} {would}: operation {each.overtaken_by} of the same mentor came later.")
        else:
            say(f"{each.id} {would}: the mentor is gone, and nobody knows any more whom to send.")
    if len(others) > NAMED:
        say(f"So it is with {len(others) - NAMED} more; --json names them.")
    for status in sorted({each.status for each in found.unchanged}):
        same = [each for each in found.unchanged if each.status == status]
        say(f"{_named(same)} {'stays as it is' if len(same) == 1 else 'stay as they are'}: {status}.")
    if not found.changed and not found.unchanged:
        say("Nothing is dead or failed there.")


def discarded(found: Handled, *, dry_run: bool, as_json: bool) -> None:
    """Say which operations were given up."""
    if as_json:
        _document(found, dry_run=dry_run)
        return
    if dry_run:
        say("Dry-run: nothing was written.")
    would = "would be given up, and never sent" if dry_run else "given up, and never sent"
    say(
        f"{counted(len(found.changed), 'operation')} {would}: {_named(found.changed)}.",
        "The website goes on showing what it shows, until something about the mentor changes.",
    )
    for each in found.changed:
        if each.gone and each.operation == "remove" and each.mentor_ref:
            say(f"{each.mentor_ref} is gone from the roster and may still stand on the website: take them off there.")


def _document(found: Handled, *, dry_run: bool) -> None:
    document(
        {
            "changed": [asdict(each) for each in found.changed],
            "unchanged": [asdict(each) for each in found.unchanged],
            "dry_run": dry_run,
        }
    )


def _named(operations: Sequence[Named]) -> str:
    named = ", ".join(str(each.id) for each in operations[:NAMED])
    more = len(operations) - NAMED
    return f"{named} and {more} more" if more > 0 else named
