"""What people and programs see: tables and sentences, or one JSON document. Data on stdout, bars on stderr."""

from __future__ import annotations

import json
import os
import sys
from contextlib import contextmanager
from dataclasses import asdict
from datetime import date, datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID

from certjobs.domain.text import printable
from certjobs.errors import ExitCode

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from rich.console import Console

    from certjobs.admin.approvals import Approved
    from certjobs.admin.mentors import Changed
    from certjobs.admin.roster import Exported, Imported
    from certjobs.db.organisations import Organisation
    from certjobs.db.runs import Run
    from certjobs.db.schema import Step
    from certjobs.harness import Report
    from certjobs.ports import Advance, Progress

PLAIN_WIDTH = 110  # of tables in a pipe, where there is no terminal to ask


def _console() -> Console:
    from rich.console import Console

    width = None if sys.stdout.isatty() else PLAIN_WIDTH
    return Console(file=sys.stdout, width=width, highlight=False, markup=False, emoji=False)


def _table(title: str, headings: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    from rich import box
    from rich.table import Table

    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, title_style="bold")
    for position, heading in enumerate(headings):
        numbers = bool(rows) and all(
            isinstance(row[position], int) and not isinstance(row[position], bool) for row in rows
        )
        table.add_column(heading, justify="right" if numbers else "left", overflow="fold")
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


def _json(document: object) -> None:
    def plain(value: object) -> str:
        if isinstance(value, (date, datetime)):
            return value.isoformat()
        if isinstance(value, UUID):
            return str(value)
        raise TypeError

    print(json.dumps(document, ensure_ascii=False, default=plain))


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
        _say(f"Runs until {found.until:%Y-%m-%d %H:%M} UTC may pause them. Next: certjobs run {guarded.job_name}")


def _listed(refs: Sequence[str], total: int) -> str:
    more = f" and {total - len(refs)} more" if total > len(refs) else ""
    return f"{', '.join(refs)}{more}"


def imported(found: Imported, *, rejects: Path | None, dry_run: bool, as_json: bool) -> None:
    """Say what an import changed, or would change."""
    changes = found.changes
    if as_json:
        _json({"rows": found.rows, "rejected": found.rejected, "dry_run": dry_run, **asdict(changes)})
        return
    would = "Dry-run: nothing was written. " if dry_run else ""
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
            f"{found.rejected} lines were rejected and stand in {rejects} with the reasons.",
            f"Correct them there, and then: certjobs roster import {rejects}",
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


def mentor_changed(found: Changed, *, dry_run: bool, as_json: bool) -> None:
    """Say what became of one mentor."""
    mentor = found.mentor
    if as_json:
        _json(
            {
                "mentor_ref": mentor.ref,
                "organisation": mentor.organisation,
                "status": mentor.status,
                "pause_reason": mentor.pause_reason,
                "certification_expiry": mentor.certification_expiry,
                "changed": found.changed,
                "note": found.note,
                "dry_run": dry_run,
            }
        )
        return
    done = "would be" if dry_run else "is now"
    if found.changed:
        _say(f"{mentor.ref} {done} {mentor.status}.")
    if found.note:
        _say(f"{mentor.ref}: {found.note}")


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
        ("code", "time zone", "auto_pause", "remind", "website_sync", "fallback address"),
        [
            (
                each.code,
                each.time_zone,
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
