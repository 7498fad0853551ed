"""What people and programs see: tables and sentences, or one JSON document. Data on stdout, bars on stderr."""

from __future__ import annotations

import json
import os
import sys
from contextlib import contextmanager
from dataclasses import asdict, fields
from datetime import date, datetime
from itertools import islice
from shlex import quote
from typing import TYPE_CHECKING, Any
from uuid import UUID

from certjobs.domain.text import counted, printable
from certjobs.errors import ExitCode

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from rich.console import Console

    from certjobs.admin.approvals import Approved
    from certjobs.admin.certifications import CertificationChanged
    from certjobs.admin.coordinators import CoordinatorChanged
    from certjobs.admin.mentors import Changed, Shown
    from certjobs.admin.roster import Exported, Imported
    from certjobs.db.mentors import MentorState
    from certjobs.db.organisations import Organisation
    from certjobs.db.runs import Run
    from certjobs.db.schema import Step
    from certjobs.harness import Report
    from certjobs.ports import Advance, Progress

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
}
PLAIN_WIDTH = 110  # of tables in a pipe, where there is no terminal to ask


def _console() -> Console:
    from rich.console import Console

    width = None if sys.stdout.isatty() else PLAIN_WIDTH
    return Console(file=sys.stdout, width=width, highlight=False, markup=False, emoji=False)


def _table(title: str, headings: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    from rich import box
    from rich.table import Table

    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, title_style="bold", show_header=any(headings))
    for position, heading in enumerate(headings):
        numbers = bool(rows) and all(
            isinstance(row[position], int) and not isinstance(row[position], bool) for row in rows
        )
        days = any(isinstance(row[position], date) for row in rows)
        table.add_column(heading, justify="right" if numbers else "left", overflow="fold", no_wrap=days)
    for row in rows:
        table.add_row(*(_cell(value) for value in row))
    _console().print(table)


def _cell(value: object) -> str:
    if value is None or value == "":
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M:%S}"
    return printable(str(value))


def _plain(value: object) -> str:
    if isinstance(value, (date, datetime)):
        return value.isoformat()
    if isinstance(value, UUID):
        return str(value)
    raise TypeError


def _json(document: object) -> None:
    print(json.dumps(document, ensure_ascii=False, default=_plain))


@contextmanager
def shown() -> Iterator[None]:
    """Show what a run did without letting a reader who went away, or a full disk, change the run's exit code."""
    try:
        yield
        sys.stdout.flush()
    except OSError as exc:
        # What is still buffered would fail once more when the interpreter ends, and turn the exit code into 120.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        print(f"certjobs: The report could not be printed: {exc.strerror}. See `certjobs runs`.", file=sys.stderr)


def _say(*sentences: str) -> None:
    console = _console()
    for sentence in sentences:
        console.print(printable(sentence), soft_wrap=True)


class _NoProgress:
    @contextmanager
    def track(self, description: str, total: int, *, unit: str = "steps") -> Iterator[Advance]:  # noqa: ARG002 - the Protocol's names
        yield lambda _steps: None


class _RichProgress:
    @contextmanager
    def track(self, description: str, total: int, *, unit: str = "steps") -> Iterator[Advance]:
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            DownloadColumn,
            MofNCompleteColumn,
            Progress,
            TextColumn,
            TimeElapsedColumn,
            TimeRemainingColumn,
        )

        if not total:
            yield lambda _steps: None
            return
        done = DownloadColumn() if unit == "bytes" else MofNCompleteColumn()
        columns = (TextColumn("{task.description}"), BarColumn(), done, TimeElapsedColumn(), TimeRemainingColumn())
        with Progress(*columns, console=Console(stderr=True)) as bar:
            task = bar.add_task(description, total=total)
            yield lambda steps: bar.advance(task, steps)


def progress() -> Progress:
    """Return a progress bar on stderr when that is a terminal, and none in a pipe."""
    return _RichProgress() if sys.stderr.isatty() else _NoProgress()


def report(found: Report, *, as_json: bool) -> None:
    """Show how a run went."""
    if as_json:
        _json(found.as_json())
        return
    outcome = found.outcome
    details = outcome.details
    if found.dry_run:
        _say("Dry-run: nothing was written and nobody was told.")
    if details.get("organisations"):
        headings = ("organisation", "today", "expired", "paused", "refused", "failed", "open", "never certified")
        keys = ("organisation", "today", "expired", "paused", "refused", "failed", "open", "never_certified")
        _table(
            f"{found.job_name}, by organisation",
            headings,
            [[each[key] for key in keys] for each in details["organisations"]],
        )
    if details.get("paused"):
        _paused(details["paused"], outcome.counts.get("paused", 0), dry_run=found.dry_run)
    elif details.get("organisations"):
        _say("Nobody was paused." if not found.dry_run else "Nobody would be paused.")
    _notices(outcome.counts, details.get("channel"))
    for name, number in outcome.counts.items():
        if name.endswith("_deleted") and number:
            would = "would be deleted" if found.dry_run else "deleted"
            _say(f"{name.removesuffix('_deleted').replace('_', ' ')}: {number} {would}")
    for each in details.get("failed", ()):
        _say(f"Not paused, because the database refused it: {each}")
    for each in details.get("guarded", ()):
        _say(f"Refused by the guard, {each['organisation']}: {_listed(each['mentors'], each['size'])}")
    _verdict(found)


def _notices(counts: Mapping[str, int], channel: str | None) -> None:
    found = {name.removeprefix("notices_"): number for name, number in counts.items() if name.startswith("notices_")}
    if not any(found.values()):
        return
    parts = ", ".join(
        f"{number} {'still owed' if name == 'open' else name}" for name, number in found.items() if number
    )
    why = " No channel is set, so they stay owed: see CERTJOBS_NOTIFY_CHANNEL." if channel == "none" else ""
    _say(f"Notices to coordinators: {parts}.{why}")


def _paused(mentors: Sequence[dict[str, Any]], total: int, *, dry_run: bool) -> None:
    more = f" (the first {len(mentors)} of {total})" if total > len(mentors) else ""
    _table(
        f"{'Would be paused' if dry_run else 'Paused'}{more}",
        ("mentor", "organisation", "chapter", "last valid day", "notices"),
        [
            (each["mentor_ref"], each["organisation"], each["chapter"], each["certification_expiry"], each["notices"])
            for each in mentors
        ],
    )


def _verdict(found: Report) -> None:
    code = found.outcome.exit_code
    sentence = f"{found.job_name} {code.status} (exit {int(code)}) in {found.seconds:.1f} s, run {found.run_id}."
    _say(*(line for line in (sentence, found.outcome.message, found.outcome.hint) if line))


def runs(found: Sequence[Run], *, as_json: bool) -> None:
    """List runs."""
    if as_json:
        _json([_run_document(each) for each in found])
        return
    if not found:
        _say("No such runs.")
        return
    _table(
        "Runs, newest first",
        ("run", "job", "started (UTC)", "seconds", "status", "exit", "what happened"),
        [
            (
                str(each.run_id)[:8],
                each.job_name,
                each.started_at,
                _seconds(each),
                each.status,
                each.exit_code,
                each.error_message or _counted(each.counts),
            )
            for each in found
        ],
    )


def _seconds(each: Run) -> str | None:
    return f"{(each.finished_at - each.started_at).total_seconds():.1f}" if each.finished_at else None


def _counted(counts: dict[str, Any]) -> str:
    return (
        ", ".join(f"{name.replace('_', ' ')} {number}" for name, number in counts.items() if number) or "nothing to do"
    )


def _run_document(each: Run) -> dict[str, Any]:
    return asdict(each)


def run(found: Run, *, as_json: bool) -> None:
    """Show one run."""
    if as_json:
        _json(_run_document(found))
        return
    facts = [(name.replace("_", " "), value) for name, value in asdict(found).items() if name != "counts"]
    facts += [(f"counted: {name.replace('_', ' ')}", number) for name, number in found.counts.items()]
    if found.exit_code is not None:
        facts.append(("who acts", ExitCode(found.exit_code).who_acts))
    _table("Run", ("", ""), [(name, _cell(value)) for name, value in facts if value is not None])


def approved(found: Approved, *, dry_run: bool, as_json: bool) -> None:
    """Say what was approved, and for how long."""
    guarded = found.guarded
    if as_json:
        _json(asdict(guarded) | {"approved_until": found.until, "mentors": list(found.mentors), "dry_run": dry_run})
        return
    _say(
        f"{'Dry-run: nothing was approved. The set is' if dry_run else 'Approved:'} {guarded.size} mentors of"
        f" {guarded.organisation} in {guarded.job_name}, refused on {guarded.refused_at:%Y-%m-%d %H:%M} UTC:",
        f"  {_listed(found.mentors, guarded.size)}",
    )
    if not dry_run:
        _say(f"Runs until {found.until:%Y-%m-%d %H:%M} UTC may pause them. Next: certjobs {guarded.job_name}")


def _listed(refs: Sequence[str], total: int) -> str:
    more = f" and {total - len(refs)} more" if total > len(refs) else ""
    return f"{', '.join(refs)}{more}"


def imported(found: Imported, *, rejects: Path | None, again: str, dry_run: bool, as_json: bool) -> None:
    """Say what an import changed, or would change; ``again`` are the options that the rejects need too."""
    changes = found.changes
    if as_json:
        _json({"rows": found.rows, "rejected": found.rejected, "dry_run": dry_run, **asdict(changes)})
        return
    would = "Dry-run: nothing was written to the roster. " if dry_run else ""
    if changes.nothing:
        _say(
            f"{would}{found.rows} rows read; the roster {'already is' if dry_run else 'already was'} as the file says."
        )
    else:
        _say(f"{would}{found.rows} rows read.")
        things = ("organisations", "chapters", "coordinators", "mentors", "assignments", "certifications")
        counts = asdict(changes)
        _table(
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
        _say(
            f"{counted(found.rejected, 'line')} {'would be' if dry_run else ''} rejected; see {rejects} for why.",
            f"Correct them there, and then: certjobs roster import {quote(str(rejects))}{again}",
        )


def exported(found: Exported, *, file: str, as_json: bool) -> None:
    """Say what was exported, on stderr where the roster itself went to stdout."""
    if as_json:
        _json(
            {
                "rows": found.rows,
                "not_importable": found.not_importable,
                "examples": [{"mentor_ref": ref, "reason": reason} for ref, reason in found.examples],
            }
        )
        return
    to = sys.stderr if file == "-" else sys.stdout
    if file != "-":
        _say(f"{found.rows} rows went to {file}.")
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


def listed(title: str, found: Iterator[Any], *, limit: int | None, as_json: bool) -> None:
    """Show a list of dataclasses: a table of the first, or all as one JSON array written while it is read."""
    if as_json:
        separator = "["
        for each in found:
            print(separator, json.dumps(asdict(each), ensure_ascii=False, default=_plain), sep="", end="")
            separator = ",\n"
        print("[]" if separator == "[" else "]")
        return
    most = limit or TABLE_ROWS
    rows: list[Any] = list(islice(found, most + 1))
    if not rows:
        _say("None.")
        return
    headings = [each.name for each in fields(rows[0])]
    _table(
        title,
        [HEADINGS.get(name, name.replace("_", " ")) for name in headings],
        [[getattr(each, name) for name in headings] for each in rows[:most]],
    )
    if len(rows) > most:
        _say(f"These are the first {most}. Narrow the list, or see more with --limit, all with --json.")


def facts(title: str, found: Any, *, as_json: bool) -> None:
    """Show one dataclass, a line a field."""
    if as_json:
        _json(asdict(found))
        return
    _table(title, ("", ""), [(name.replace("_", " "), value) for name, value in asdict(found).items()])


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
        _json(about | {name: [asdict(each) for each in part] for name, part in parts.items()})
        return
    _table("Mentor", ("", ""), [(name.replace("_", " "), value) for name, value in about.items()])
    _table(
        "Certifications",
        ("certificate ref", "issued on", "expires on", "withdrawn on", "ends on", "days left"),
        [
            (each.certificate_ref, each.issued_on, each.expires_on, each.withdrawn_on, each.ends_on, each.days_left)
            for each in found.certifications
        ],
    )
    _table(
        "Coordinators",
        ("name", "address", "language"),
        [(each.name, each.address, each.language) for each in found.coordinators],
    )
    _table(
        "What happened, newest first (UTC)",
        ("when", "what", "detail", "why", "who"),
        [(each.occurred_at, each.what, each.detail, each.reason, each.actor) for each in found.history],
    )


def mentor_changed(found: Changed, *, dry_run: bool, as_json: bool, what: str | None = None) -> None:
    """Say what became of one mentor: the status, ``what`` instead, or where that is empty only the note."""
    state = found.mentor
    if as_json:
        _json(
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
        _say("Dry-run: nothing was written.")
    if found.changed and what != "":
        _say(f"{state.ref} {what or f'{would} {state.status}'}.")
    if found.note:
        _say(f"{state.ref}: {found.note}")


def mentor_erased(found: MentorState, *, dry_run: bool, as_json: bool) -> None:
    """Say that a mentor is no more."""
    if as_json:
        _json({"mentor_ref": found.ref, "organisation": found.organisation, "erased": True, "dry_run": dry_run})
        return
    _say(
        f"Dry-run: nothing was erased. {found.ref} would be." if dry_run else f"{found.ref} was erased.",
        "Erase the mentor where the roster comes from as well, or the next import brings the mentor back.",
    )


def certification_changed(found: CertificationChanged, *, dry_run: bool, as_json: bool) -> None:
    """Say what a certification is after a command."""
    if as_json:
        _json(asdict(found.certification) | {"changed": found.changed, "note": found.note, "dry_run": dry_run})
        return
    if dry_run:
        _say("Dry-run: nothing was written.")
    cert = found.certification
    withdrawn = f", withdrawn from {cert.withdrawn_on} on" if cert.withdrawn_on else ""
    verb = ("would be" if dry_run else "is now") if found.changed else "is"
    _say(
        f"{cert.certificate_ref} of {cert.mentor_ref} {verb} valid from {cert.issued_on} to {cert.ends_on}{withdrawn}."
    )
    if found.note:
        _say(found.note)


def coordinator_changed(found: CoordinatorChanged, *, dry_run: bool, as_json: bool, removed: bool = False) -> None:
    """Say what became of one coordinator."""
    coordinator = found.coordinator
    if as_json:
        marks = {"changed": found.changed, "removed": removed, "note": found.note, "dry_run": dry_run}
        _json(asdict(coordinator) | marks)
        return
    if dry_run:
        _say("Dry-run: nothing was written.")
    if removed:
        _say(f"{coordinator.address} {'would be' if dry_run else 'was'} removed.")
    elif found.changed:
        mentors = counted(coordinator.mentors, "mentor")
        _say(f"{coordinator.name} <{coordinator.address}>, {coordinator.language}, {mentors}.")
    if found.note:
        _say(found.note)


def organisations(found: Sequence[Organisation], *, dry_run: bool = False, as_json: bool) -> None:
    """List organisations with their settings."""
    if as_json:
        marked = {"dry_run": True} if dry_run else {}
        _json([{name: value for name, value in asdict(each).items() if name != "id"} | marked for each in found])
        return
    if dry_run:
        _say("Dry-run: nothing was written.")
    _table(
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


def upgraded(steps: Sequence[Step], version: str | None, *, as_json: bool) -> None:
    """Say which migrations ran."""
    if as_json:
        _json({"version": version, "ran": [asdict(step) for step in steps]})
        return
    if steps:
        _table("Migrations that ran", ("version", "what"), [(step.revision, step.title) for step in steps])
    _say(f"The schema is at {version}." if steps else f"The schema is at {version} already; nothing to do.")


def version(current: str | None, head: str, *, as_json: bool) -> None:
    """Say which version the schema has."""
    if as_json:
        _json({"version": current, "needed": head})
        return
    _say(f"The schema is at {current or 'nothing yet'}; this program needs {head}.")


def differences(found: Sequence[str], *, as_json: bool) -> None:
    """List where the schema differs."""
    if as_json:
        _json({"differences": list(found)})
        return
    _say(*(found or ["The schema is as this program needs it."]))
