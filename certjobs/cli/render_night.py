"""What people see of a whole night, and of the nights before it that were missed."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from certjobs.cli.output import say, table
from certjobs.domain.findings import MEANING
from certjobs.domain.text import counted, lasted

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from certjobs.domain.night import Night

NAMED = 3  # mentors that a cell names
DAYS = 7  # of the nights to come


def told(details: Mapping[str, Any], *, dry_run: bool) -> None:
    """Show the night: its steps, and what it came to."""
    steps = details["steps"]
    table(
        "Tonight" if not dry_run else "Tonight, as it would be",
        ("job", "status", "exit", "seconds", "what happened"),
        [
            (
                each["job"],
                each["status"],
                each["exit_code"],
                f"{each['seconds']:.1f}",
                each["message"] or _happened(each["counts"]),
            )
            for each in steps
        ],
    )
    for each in steps:
        for equation in each["equations"]:
            wrong = f"; {equation['remainder']} are accounted for nowhere" if equation["remainder"] else ""
            say(f"{each['job']}: {equation['what']}{wrong}.")
    night: Night | None = details.get("night")
    if night is not None:
        _night(night, dry_run=dry_run)


def _happened(counts: Mapping[str, int]) -> str:
    words: dict[str, Callable[[int], str]] = {
        "paused": lambda number: f"{number} paused",
        "reminders": lambda number: counted(number, "reminder"),
        "notices_sent": lambda number: f"{counted(number, 'notice')} sent",
        "removed": lambda number: f"{number} taken off",
        "restored": lambda number: f"{number} listed",
        "queued": lambda number: f"{counted(number, 'difference')} queued",
        "findings_new": lambda number: counted(number, "new finding"),
    }
    return ", ".join(say(counts[name]) for name, say in words.items() if counts.get(name)) or "nothing to do"


def _night(night: Night, *, dry_run: bool) -> None:
    if night.paused:
        more = (
            f" (the first {len(night.paused)} of {night.paused_total})"
            if night.paused_total > len(night.paused)
            else ""
        )
        table(
            f"{'Would be paused' if dry_run else 'Paused'}{more}",
            ("mentor", "organisation", "chapter", "last valid day", "notices"),
            [
                (each.mentor_ref, each.organisation, each.chapter, each.last_valid_day, each.notices)
                for each in night.paused
            ],
        )
    missed([asdict(each) for each in night.missed])
    volumes([asdict(each) for each in night.volumes])
    if night.exposed:
        more = (
            f" (the longest {len(night.exposed)} of {night.exposed_total})"
            if night.exposed_total > len(night.exposed)
            else ""
        )
        table(
            f"Expired and still on the website{more}",
            ("mentor", "organisation", "since", "for"),
            [(each.mentor_ref, each.organisation, each.since, lasted(each.minutes * 60)) for each in night.exposed],
        )
    if night.findings:
        table(
            "Findings that are open",
            ("kind", "open", "new", "what it is"),
            [(each.finding, each.open, each.new, MEANING[each.finding][1]) for each in night.findings],
        )
    coming = [each for each in night.forecast if (each.night - night.forecast_first).days < DAYS]
    if coming:
        table(
            f"The coming {DAYS} nights",
            ("night", "reminders", "pauses", "guarded"),
            [(each.night, sum(each.reminders.values()), each.pauses, each.guarded) for each in coming],
        )
    _sentences(night)


def _sentences(night: Night) -> None:
    queue = night.queue
    waiting = f"{counted(queue.open, 'operation')} waiting" if queue.open else "nothing waiting"
    oldest = f", the oldest for {lasted(queue.oldest_open_seconds)}" if queue.oldest_open_seconds is not None else ""
    dead = f", {counted(queue.dead, 'dead letter')}" if queue.dead else ""
    say(f"On the way to the website: {waiting}{oldest}{dead}.")
    if not night.exposed:
        say("Nobody whose certification has expired is on the website, as far as is known.")
    if not night.compared:
        say("The website was not compared tonight: nobody knows whether it shows what it should.")
    elif not night.findings:
        say("Website, ledger and database agree: no finding is open.")


def missed(found: Sequence[Mapping[str, Any]]) -> None:
    """Show nights that were missed: what each would have done, and who was paused or told of later than promised."""
    if found:
        table(
            "Nights missed, and what came later than promised because of it",
            ("night", "job", "pauses", "reminders", "of"),
            [
                (each["night"], each["job"], each["pauses_total"], each["reminders_total"], _named(each))
                for each in found
            ],
        )


def _named(each: Mapping[str, Any]) -> str:
    refs = [*each["pauses"]]
    for reminder in each["reminders"]:
        ref, days = (reminder["mentor_ref"], reminder["threshold"]) if isinstance(reminder, dict) else reminder
        refs.append(f"{ref} ({counted(days, 'day')})")
    total = each["pauses_total"] + each["reminders_total"]
    more = f" and {total - NAMED} more" if total > NAMED else ""
    return f"{', '.join(refs[:NAMED])}{more}" or "nobody"


def volumes(found: Sequence[Mapping[str, Any]]) -> None:
    """Say where a night did something else than was expected of it."""
    for each in found:
        if each["unexpected"]:
            say(
                f"{each['organisation']}: {each['actual']} {each['what']}, {each['expected']} were expected, and"
                " nothing in the roster tells why."
            )
