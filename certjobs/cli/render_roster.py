"""What people and programs see of the roster: its files, its lists, and what a command changed in it."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict, fields
from itertools import islice
from shlex import quote
from typing import TYPE_CHECKING, Any

from certjobs.cli.output import document, plain, say, table
from certjobs.domain.text import counted, printable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from certjobs.admin.certifications import CertificationChanged
    from certjobs.admin.coordinators import CoordinatorChanged
    from certjobs.admin.mentors import Changed, Shown
    from certjobs.admin.roster import Exported, Imported
    from certjobs.db.mentors import MentorState
    from certjobs.db.organisations import Organisation

TABLE_ROWS = 100  # of a list, unless --limit says otherwise
HEADINGS = {
    "certification_expiry": "valid to",
    "mentor_ref": "mentor",
    "certificate_ref": "certificate",
    "organisation": "org",
    "issued_on": "issued",
    "expires_on": "expires",
    "withdrawn_on": "withdrawn",
    "ends_on": "valid to",
    "days_left": "days",
    "threshold_day": "days",
    "last_error": "why",
}


def imported(found: Imported, *, rejects: Path | None, again: str, dry_run: bool, as_json: bool) -> None:
    """Say what an import changed, or would change; ``again`` are the options that the rejects need too."""
    changes = found.changes
    if as_json:
        document({"rows": found.rows, "rejected": found.rejected, "dry_run": dry_run, **asdict(changes)})
        return
    would = "Dry-run: nothing was written to the roster. " if dry_run else ""
    if changes.nothing:
        say(f"{would}{found.rows} rows read; the roster {'already is' if dry_run else 'already was'} as the file says.")
    else:
        say(f"{would}{found.rows} rows read.")
        things = ("organisations", "chapters", "coordinators", "mentors", "assignments", "certifications")
        counts = asdict(changes)
        table(
            "Would change" if dry_run else "Changed",
            ("", "added", "updated", "removed"),
            [
                (
                    thing,
                    counts[f"{thing}_added"],
                    counts.get(f"{thing}_updated", 0),
                    counts.get(f"{thing}_removed", 0),
                )
                for thing in things
            ],
        )
    if found.rejected:
        say(
            f"{counted(found.rejected, 'line')} {'would be' if dry_run else ''} rejected; see {rejects} for why.",
            f"Correct them there, and then: certjobs roster import {quote(str(rejects))}{again}",
        )


def exported(found: Exported, *, file: str, as_json: bool) -> None:
    """Say what was exported, on stderr where the roster itself went to stdout."""
    if as_json:
        document(
            {
                "rows": found.rows,
                "not_importable": found.not_importable,
                "examples": [{"mentor_ref": ref, "reason": reason} for ref, reason in found.examples],
            }
        )
        return
    to = sys.stderr if file == "-" else sys.stdout
    if file != "-":
        say(f"{found.rows} rows went to {file}.")
    for ref, reason in found.examples:
        print(printable(f"{ref}: {reason}"), file=to)
    if found.not_importable:
        print(
            f"{found.not_importable} rows stand in the file as they are in the roster, and import would not take them.",
            file=to,
        )


def fetched(limit: int | None, *, as_json: bool) -> int | None:
    """Return how many items of a list are worth fetching: one more than a table shows, to know whether there are."""
    return limit if as_json else (limit or TABLE_ROWS) + 1


def listed(
    title: str, found: Iterator[Any], *, limit: int | None, as_json: bool, columns: Sequence[str] | None = None
) -> None:
    """Show a list of dataclasses: a table of the first, or all as one JSON array written while it is read.

    ``columns`` are those of the table, where it would be too wide with all.
    """
    if as_json:
        array(found)
        return
    most = limit or TABLE_ROWS
    rows: list[Any] = list(islice(found, most + 1))
    if not rows:
        say("None.")
        return
    headings = columns or [each.name for each in fields(rows[0])]
    table(
        title,
        [HEADINGS.get(name, name.replace("_", " ")) for name in headings],
        [[getattr(each, name) for name in headings] for each in rows[:most]],
    )
    if len(rows) > most:
        say(f"These are the first {most}. Narrow the list, or see more with --limit, all with --json.")


def array(found: Iterator[Any]) -> None:
    """Print dataclasses as one JSON array, written while they are read."""
    separator = "["
    for each in found:
        print(separator, json.dumps(asdict(each), ensure_ascii=False, default=plain), sep="", end="")
        separator = ",\n"
    print("[]" if separator == "[" else "]")


def facts(title: str, found: Any, *, as_json: bool) -> None:
    """Show one dataclass, a line a field."""
    if as_json:
        document(asdict(found))
        return
    table(title, ("", ""), [(name.replace("_", " "), value) for name, value in asdict(found).items()])


def mentor(found: Shown, *, as_json: bool) -> None:
    """Show everything about one mentor."""
    state = found.mentor
    about = {
        "mentor_ref": state.ref,
        "name": found.name,
        "organisation": state.organisation,
        "chapter": state.chapter,
        "status": state.status,
        "pause_reason": state.pause_reason,
        "certification_expiry": state.certification_expiry,
        "days_left": found.days_left,
    }
    if as_json:
        parts: dict[str, Sequence[Any]] = {
            "certifications": found.certifications,
            "coordinators": found.coordinators,
            "history": found.history,
        }
        document(about | {name: [asdict(each) for each in part] for name, part in parts.items()})
        return
    table("Mentor", ("", ""), [(name.replace("_", " "), value) for name, value in about.items()])
    table(
        "Certifications",
        ("certificate ref", "issued on", "expires on", "withdrawn on", "ends on", "days left"),
        [
            (each.certificate_ref, each.issued_on, each.expires_on, each.withdrawn_on, each.ends_on, each.days_left)
            for each in found.certifications
        ],
    )
    table(
        "Coordinators",
        ("name", "address", "language"),
        [(each.name, each.address, each.language) for each in found.coordinators],
    )
    table(
        "What happened, newest first (UTC)",
        ("when", "what", "detail", "why", "who"),
        [(each.occurred_at, each.what, each.detail, each.reason, each.actor) for each in found.history],
    )


def mentor_changed(found: Changed, *, dry_run: bool, as_json: bool, what: str | None = None) -> None:
    """Say what became of one mentor: the status, ``what`` instead, or where that is empty only the note."""
    state = found.mentor
    if as_json:
        document(
            {
                "mentor_ref": state.ref,
                "organisation": state.organisation,
                "chapter": state.chapter,
                "status": state.status,
                "pause_reason": state.pause_reason,
                "certification_expiry": state.certification_expiry,
                "changed": found.changed,
                "note": found.note,
                "dry_run": dry_run,
            }
        )
        return
    would = "would be" if dry_run else "is now"
    if dry_run:
        say("Dry-run: nothing was written.")
    if found.changed and what != "":
        say(f"{state.ref} {what or f'{would} {state.status}'}.")
    if found.note:
        say(f"{state.ref}: {found.note}")


def mentor_erased(found: MentorState, *, dry_run: bool, as_json: bool) -> None:
    """Say that a mentor is no more."""
    if as_json:
        document({"mentor_ref": found.ref, "organisation": found.organisation, "erased": True, "dry_run": dry_run})
        return
    say(
        f"Dry-run: nothing was erased. {found.ref} would be." if dry_run else f"{found.ref} was erased.",
        "Erase the mentor where the roster comes from as well, or the next import brings the mentor back.",
    )


def certification_changed(found: CertificationChanged, *, dry_run: bool, as_json: bool) -> None:
    """Say what a certification is after a command."""
    if as_json:
        document(asdict(found.certification) | {"changed": found.changed, "note": found.note, "dry_run": dry_run})
        return
    if dry_run:
        say("Dry-run: nothing was written.")
    cert = found.certification
    withdrawn = f", withdrawn from {cert.withdrawn_on} on" if cert.withdrawn_on else ""
    verb = ("would be" if dry_run else "is now") if found.changed else "is"
    say(f"{cert.certificate_ref} of {cert.mentor_ref} {verb} valid from {cert.issued_on} to {cert.ends_on}{withdrawn}.")
    if found.note:
        say(found.note)


def coordinator_changed(found: CoordinatorChanged, *, dry_run: bool, as_json: bool, removed: bool = False) -> None:
    """Say what became of one coordinator."""
    coordinator = found.coordinator
    if as_json:
        marks = {"changed": found.changed, "removed": removed, "note": found.note, "dry_run": dry_run}
        document(asdict(coordinator) | marks)
        return
    if dry_run:
        say("Dry-run: nothing was written.")
    if removed:
        say(f"{coordinator.address} {'would be' if dry_run else 'was'} removed.")
    elif found.changed:
        mentors = counted(coordinator.mentors, "mentor")
        say(f"{coordinator.name} <{coordinator.address}>, {coordinator.language}, {mentors}.")
    if found.note:
        say(found.note)


def access_changed(said: str, facts: Mapping[str, object], *, dry_run: bool, as_json: bool) -> None:
    """Say who may see what from now on."""
    if as_json:
        document({**facts, "dry_run": dry_run})
        return
    if dry_run:
        say("Dry-run: nothing was written.")
    say(said)


def organisations(found: Sequence[Organisation], *, dry_run: bool = False, as_json: bool) -> None:
    """List organisations with their settings."""
    if as_json:
        marked = {"dry_run": True} if dry_run else {}
        document([{name: value for name, value in asdict(each).items() if name != "id"} | marked for each in found])
        return
    if dry_run:
        say("Dry-run: nothing was written.")
    table(
        "Organisations",
        ("code", "time zone", "thresholds", "auto_pause", "remind", "website_sync", "fallback address"),
        [
            (
                each.code,
                each.time_zone,
                ", ".join(str(day) for day in each.thresholds or ()),
                each.auto_pause,
                each.remind,
                each.website_sync,
                each.fallback_address,
            )
            for each in found
        ],
    )
