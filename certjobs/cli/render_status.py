"""What people and programs see of how things stand."""

from __future__ import annotations

import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from certjobs.admin.status import NIGHTS
from certjobs.cli.output import document, say, table
from certjobs.cli.render_queue import lengths
from certjobs.domain.text import counted, lasted, printable
from certjobs.errors import ExitCode

if TYPE_CHECKING:
    from datetime import datetime, timedelta

    from certjobs.admin.status import JobStatus, Status
    from certjobs.db.overview import Lock


def status(found: Status, *, as_json: bool) -> None:
    """Show how things stand; what is overdue is said on stderr as well."""
    message = found.message
    if as_json:
        document(_document(found, message))
    else:
        _nights(found)
        _held(found)
        _waiting(found)
        _on_the_website(found)
        _to_be_looked_at(found)
    if message:
        print(printable(f"certjobs: {message}"), file=sys.stderr)


def _document(found: Status, message: str | None) -> dict[str, Any]:
    code = ExitCode.PARTIAL if message else ExitCode.OK
    queue, undelivered = found.queue, found.undelivered
    return {
        "at": found.at,
        "time_zone": found.time_zone,
        "exit_code": int(code),
        "message": message,
        "max_age_seconds": found.max_age.total_seconds() if found.max_age else None,
        "overdue": [{"job": each.job, "since": _since(each, found.max_age)} for each in found.overdue],
        "jobs": [_job(each, found.at) for each in found.jobs],
        "locks": [
            {
                "job": each.job,
                "run_id": each.run_id,
                "holder": each.holder,
                "since": each.since,
                "heartbeat_at": each.heartbeat_at,
                "session_there": each.session_there,
                "alive": not each.dead,
            }
            for each in found.locks
        ],
        "queue": {
            "open": queue.open,
            "processing": queue.processing,
            "oldest_open_seconds": queue.oldest_open_seconds,
            "done_last_hour": queue.done_last_hour,
            "done_per_minute": queue.done_per_minute,
        },
        "dead_letters": {
            "operations_dead": queue.dead - queue.overtaken,
            "notices_dead": undelivered.dead,
            "notices_unknown": undelivered.unknown,
        },
        "exposed_total": found.exposed_total,
        "exposed": [asdict(each) for each in found.exposed],
        "findings": [asdict(each) for each in found.findings],
        "expectations": [asdict(each) for each in found.expectations],
    }


def _since(each: JobStatus, max_age: timedelta | None) -> datetime | None:
    """Return since when a job is overdue; None where it never succeeded."""
    last = each.runs.succeeded_started_at
    return last + max_age if last is not None and max_age is not None else None


def _job(each: JobStatus, now: datetime) -> dict[str, Any]:
    runs = each.runs
    succeeded, last = runs.succeeded_started_at, runs.started_at
    return {
        "job": runs.job,
        "overdue": each.overdue,
        "first_run_at": runs.first_started_at,
        "last_success": None
        if succeeded is None
        else {
            "run_id": runs.succeeded_run_id,
            "started_at": succeeded,
            "finished_at": runs.succeeded_finished_at,
            "age_seconds": (now - succeeded).total_seconds(),
        },
        "last_run": None
        if last is None
        else {
            "run_id": runs.run_id,
            "started_at": last,
            "finished_at": runs.finished_at,
            "status": runs.status,
            "exit_code": runs.exit_code,
            "message": runs.error_message,
        },
        "missed_nights": list(each.missed),
        "counted_run_id": runs.counted_run_id,
        "equations": [
            {
                "what": one.what,
                "total": one.total,
                "parts": dict(one.parts),
                "remainder": one.remainder,
                "text": str(one),
            }
            for one in each.equations
        ],
    }


def _nights(found: Status) -> None:
    """Show how the jobs went, what they missed, and whether they add up."""
    asked = found.max_age is not None
    table(
        "Jobs (times in UTC)",
        ("job", "last success", "ago", "last run", "status", "exit", *(("overdue",) if asked else ())),
        [
            (
                each.job,
                _moment_of(each.runs.succeeded_started_at),
                _ago(each.runs.succeeded_started_at, found.at),
                _moment_of(each.runs.started_at),
                each.runs.status or "never ran",
                each.runs.exit_code,
                *((each.overdue,) if asked else ()),
            )
            for each in found.jobs
        ],
    )
    for each in found.jobs:
        for equation in each.equations:
            left = f", and {equation.remainder} that nobody accounts for" if equation.remainder else ""
            say(f"{each.job}, run of {_moment_of(each.runs.counted_started_at)}: {equation}{left}.")
    missed = [each for each in found.jobs if each.missed]
    for each in missed:
        nights = ", ".join(f"{night}" for night in each.missed)
        say(f"{each.job} came to no good end on {counted(len(each.missed), 'night')} of the last {NIGHTS}: {nights}.")
    if not missed:
        say(f"None of the last {NIGHTS} nights was missed since each job's first run.")
    if found.expectations:
        table(
            "The last night foretold",
            ("job", "night", "expected", "done"),
            [(each.job, each.night, each.expected, each.done) for each in found.expectations],
        )


def _held(found: Status) -> None:
    """Show who holds locks."""
    if not found.locks:
        say("No job holds a lock.")
        return
    table(
        "Locks (times in UTC)",
        ("job", "holder", "since", "last sign of life", "owner"),
        [
            (each.job, each.holder, _moment_of(each.since), _ago(each.heartbeat_at, found.at), _how_alive(each))
            for each in found.locks
        ],
    )


def _how_alive(lock: Lock) -> str:
    if not lock.dead:
        return "alive"
    return "silent" if lock.session_there else "gone"


def _waiting(found: Status) -> None:
    """Say what waits for the website, and what nobody sends any more unless a person decides so."""
    say(*lengths(found.queue))
    dead, notices = found.queue.dead - found.queue.overtaken, found.undelivered
    looked_at = (
        (dead, "dead operation", "certjobs queue list --status dead"),
        (notices.dead, "dead notice", "certjobs notifications list --status dead"),
        (notices.unknown, "unknown notice", "certjobs notifications list --status unknown"),
    )
    for number, what, command in looked_at:
        if number:
            say(f"{counted(number, what)} to be looked at: {command}")


def _on_the_website(found: Status) -> None:
    """Show who is exposed."""
    if not found.exposed:
        say("As far as is known, the website shows nobody whose certification has expired.")
        return
    table(
        "Exposed, longest first (times in UTC)",
        ("mentor", "organisation", "since", "for", "minutes"),
        [
            (each.mentor_ref, each.organisation, _moment_of(each.since), lasted(60 * each.minutes), each.minutes)
            for each in found.exposed
        ],
    )
    shown, total = len(found.exposed), found.exposed_total
    more = f" These are the first {shown}." if shown < total else ""
    who = counted(total, "mentor")
    say(f"As far as is known, the website shows {who} whose certification has expired.{more}")


def _to_be_looked_at(found: Status) -> None:
    """Show the open findings."""
    if not found.findings:
        say("There are no open findings.")
        return
    table(
        "Open findings (times in UTC)",
        ("finding", "open", "oldest"),
        [(each.finding, each.open, _moment_of(each.oldest)) for each in found.findings],
    )


def _moment_of(moment: datetime | None) -> str | None:
    return f"{moment:%Y-%m-%d %H:%M:%S}" if moment is not None else None


def _ago(moment: datetime | None, now: datetime) -> str | None:
    return lasted((now - moment).total_seconds()) if moment is not None else None
