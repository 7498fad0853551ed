"""What people and programs see of the nights to come."""

from __future__ import annotations

import csv
import sys
from itertools import groupby
from typing import TYPE_CHECKING, Any

from certjobs.cli.output import document, say, table, width
from certjobs.domain.text import counted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from certjobs.jobs.forecasting import Asked, Event, Forecast, Group

COLUMNS = ("date", "event", "threshold", "mentor_ref", "organisation", "chapter")
HEADINGS = {"day": ("night",), "chapter": ("org", "chapter"), "coordinator": ("name", "address")}
LONGEST_BAR, SHORTEST_BAR = 50, 6
GAP = 3  # between the columns of a table
BLOCKS, PLAIN = ("█", "▒"), ("#", "-")
ASKED_SHOWN = 3


def rows(found: Forecast) -> None:
    """Print the events as CSV, one a line."""
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(COLUMNS)
    for each in found.events:
        writer.writerow((each.day, each.event, each.threshold_day, each.mentor_ref, each.organisation, each.chapter))


def as_document(found: Forecast, by: str) -> None:
    """Print everything as one JSON document: numbers by group, and by night whom they are about."""
    by_day = {day: list(each) for day, each in groupby(found.events, key=lambda event: event.day)}
    asked = {day: list(each) for day, each in groupby(found.asked, key=lambda each: each.day)}
    document(
        {
            "first": found.first,
            "last": found.last,
            "days": found.days,
            "organisations": [
                {
                    "organisation": each.organisation,
                    "today": each.today,
                    "thresholds": list(each.thresholds),
                    "auto_pause": each.auto_pause,
                    "remind": each.remind,
                }
                for each in found.organisations
            ],
            "totals": _numbers(found.totals()),
            "by": by,
            "groups": [dict(zip(_names(by), each.name, strict=True)) | _numbers(each) for each in _groups(found, by)],
            "nights": [
                {
                    "date": day,
                    "reminders": [
                        {"mentor_ref": each.mentor_ref, "threshold": each.threshold_day} | _where(each)
                        for each in by_day.get(day, ())
                        if each.threshold_day is not None
                    ],
                    "pauses": _mentors(by_day.get(day, ()), "pause"),
                    "guarded": _mentors(by_day.get(day, ()), "guarded"),
                    "guard_will_ask": [
                        {"organisation": each.organisation, "refused": each.refused, "allowed": each.allowed}
                        for each in asked.get(day, ())
                    ],
                }
                for day in sorted(by_day.keys() | asked.keys())
            ],
        }
    )


def _names(by: str) -> Sequence[str]:
    return {"day": ("date",), "chapter": ("organisation", "chapter"), "coordinator": ("name", "address")}[by]


def _where(event: Event) -> dict[str, Any]:
    return {"organisation": event.organisation, "chapter": event.chapter}


def _mentors(events: Sequence[Event], kind: str) -> list[dict[str, Any]]:
    return [{"mentor_ref": each.mentor_ref} | _where(each) for each in events if each.event == kind]


def _numbers(group: Group) -> dict[str, Any]:
    return {
        "reminders": {str(day): group.reminders[day] for day in sorted(group.reminders, reverse=True)},
        "pauses": group.pauses,
        "guarded": group.guarded,
        "notices": group.notices,
    }


def _groups(found: Forecast, by: str) -> Sequence[Group]:
    if by == "day":
        return found.by_day()
    return found.by_chapter() if by == "chapter" else found.by_coordinator()


def chart(found: Forecast, by: str) -> None:
    """Show the numbers with a bar each, and say in sentences what they come to."""
    groups = _groups(found, by)
    if groups:
        _table(found, groups, by)
    say(*_sentences(found))


def _table(found: Forecast, groups: Sequence[Group], by: str) -> None:
    total = found.totals()
    thresholds = sorted(total.reminders, reverse=True)
    asked = {each.day for each in found.asked} if by == "day" else set()
    headings = [*HEADINGS[by], *(_days(day) for day in thresholds), "pauses"]
    numbers: list[list[object]] = [
        [*each.name, *(each.reminders.get(day, 0) for day in thresholds), each.pauses] for each in groups
    ]
    if total.guarded:
        headings.append("guarded")
        for row, each in zip(numbers, groups, strict=True):
            row.append(each.guarded)
    headings.append("notices")
    for row, each in zip(numbers, groups, strict=True):
        row.append(each.notices)
    if asked:
        headings.append("guard")
        for row, each in zip(numbers, groups, strict=True):
            row.append("will ask" if each.name[0] in asked else "")
    taken = sum(
        GAP + max(len(heading), *(len(str(row[place] or "-")) for row in numbers))
        for place, heading in enumerate(headings)
    )
    cells = max(SHORTEST_BAR, min(LONGEST_BAR, width() - taken - GAP - 1))
    most = max(_size(each) for each in groups)
    reminder, pause = BLOCKS if "utf" in (sys.stdout.encoding or "").lower() else PLAIN
    for row, each in zip(numbers, groups, strict=True):
        row.append(_bar(sum(each.reminders.values()), each.pauses + each.guarded, most, cells, (reminder, pause)))
    headings.append("")
    table(f"What the coming nights will do, by {by} ({reminder} reminders, {pause} pauses)", headings, numbers)


def _days(threshold: int) -> str:
    return "last day" if threshold == 0 else counted(threshold, "day")


def _size(group: Group) -> int:
    return sum(group.reminders.values()) + group.pauses + group.guarded


def _bar(reminders: int, pauses: int, most: int, cells: int, blocks: tuple[str, str]) -> str:
    """Return a bar in two shades, as long as its share of the longest; what is there is seen, however little it is."""
    whole = max(1, round((reminders + pauses) * cells / max(most, cells)))
    dark = round(whole * reminders / (reminders + pauses))
    if reminders and pauses and whole > 1:
        dark = min(max(dark, 1), whole - 1)
    return blocks[0] * dark + blocks[1] * (whole - dark)


def _sentences(found: Forecast) -> Sequence[str]:
    total = found.totals()
    nights = "tonight" if found.days == 1 else f"{counted(found.days, 'night')} from {found.first} to {found.last}"
    said = []
    if not found.events:
        said.append(f"Nobody is due: {nights}.")
    else:
        told = sum(total.reminders.values())
        parts = ", ".join(
            f"{total.reminders[day]} on the last day"
            if day == 0
            else f"{total.reminders[day]} at {counted(day, 'day')}"
            for day in sorted(total.reminders, reverse=True)
        )
        said.append(
            f"{nights[0].upper()}{nights[1:]}: {counted(told, 'reminder')}{f' ({parts})' if parts else ''},"
            f" {counted(total.pauses, 'pause')}, {counted(total.notices, 'notice')} to coordinators."
        )
    said += _asks(found.asked, total.guarded)
    if found.nothing_for:
        who = ", ".join(found.nothing_for)
        said.append(f"Not foretold, because neither auto_pause nor remind is on: {who}.")
    said.append("This holds if the jobs run every night and nothing in the roster changes.")
    return said


def _asks(asked: Sequence[Asked], guarded: int) -> Sequence[str]:
    firsts: dict[str, Asked] = {}
    for each in asked:
        firsts.setdefault(each.organisation, each)
    said = [
        f"{each.organisation}: the guard will ask on {each.day}, when {each.refused} mentors would be paused and"
        f" {each.allowed} is the most a night pauses by itself."
        for each in list(firsts.values())[:ASKED_SHOWN]
    ]
    if said:
        said.append(f"It asks again every night, and {counted(guarded, 'pause')} will wait until somebody approves.")
    return said
