"""Options that several commands share, and the exit statuses that end each help text."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer

from certjobs.errors import ExitCode

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import date


def among(*words: str) -> Callable[[str], list[str]]:
    """Return what a shell that completes is offered where one of these words is to stand."""

    def offered(incomplete: str) -> list[str]:
        return [word for word in words if word.startswith(incomplete)]

    return offered


def job_names(incomplete: str) -> list[str]:
    """Return the names of jobs that begin so, for a shell that completes: from the code, never from a database."""
    from certjobs.registry import JOBS

    return among(*(spec.name for spec in JOBS))(incomplete)


Local = Annotated[bool, typer.Option("--local", help="Work on an embedded PostgreSQL on this machine (extra 'local').")]
DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Do everything, say what would happen, and roll all of it back.")
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document, for programs.")]
Debug = Annotated[
    bool, typer.Option("--debug", help="Show tracebacks. They may hold names and addresses: not for logs.")
]
AsOf = Annotated[
    datetime | None,
    typer.Option(
        "--as-of",
        formats=["%Y-%m-%d"],
        metavar="DATE",
        help="The day to take for today, as 2026-11-22. A day to come needs --dry-run or --local.",
    ),
]
AnyDay = Annotated[
    datetime | None,
    typer.Option(
        "--as-of",
        formats=["%Y-%m-%d"],
        metavar="DATE",
        help="The day to take for today, as 2026-11-22; past or to come.",
    ),
]
CREDENTIALS = "--credentials"
STDIN = "-"
ASKED_FOR = ""  # the option without a file
Reason = Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why, for the audit. Name nobody in it.")]
Org = Annotated[str | None, typer.Option("--org", metavar="CODE", help="Only this organisation, as HLF.")]
Chapter = Annotated[str | None, typer.Option("--chapter", metavar="NAME", help="Only this chapter.")]
Within = Annotated[
    int | None,
    typer.Option(
        "--expiring-within", metavar="DAYS", min=0, max=36_500, help="Only what ends from today to so many days ahead."
    ),
]
Limit = Annotated[
    int | None,
    typer.Option("--limit", metavar="N", min=1, help="How many at most; a table shows 100, --json all of them."),
]
Job = Annotated[
    str,
    typer.Argument(
        metavar="JOB", help="A job's name, or the name its scheduler knows it by.", autocompletion=job_names
    ),
]
MentorRef = Annotated[str, typer.Argument(metavar="MENTOR", help="The mentor's reference, as in the roster file.")]


def as_date(moment: datetime | None) -> date | None:
    """Return the day of an option."""
    return moment.date() if moment else None


def with_a_file(arguments: Sequence[str]) -> list[str]:
    """Return arguments in which the option has its value: none where none was given, which is to be asked for."""
    found = list(arguments)
    for position, argument in enumerate(found):
        if argument == "--":
            break
        following = found[position + 1] if position + 1 < len(found) else "--"
        if argument == CREDENTIALS and following.startswith("-") and following != STDIN:
            found[position] = f"{CREDENTIALS}={ASKED_FOR}"
    return found


def clean_reason(reason: str) -> str:
    """Return a reason on one line, or refuse one that says nothing."""
    cleaned = " ".join(reason.split())
    if not cleaned or not cleaned.isprintable():
        msg = "is empty: say why, for the audit" if not cleaned else "holds control characters"
        raise typer.BadParameter(msg, param_hint="--reason")
    return cleaned[:500]


def exits(*codes: ExitCode) -> str:
    """Return the exit statuses of a command for the end of its help text."""
    always = (ExitCode.OK, ExitCode.FAILED, ExitCode.USAGE, ExitCode.UNAVAILABLE, ExitCode.CREDENTIALS)
    lines = [f"  {int(code):>3}  {code.meaning}" for code in sorted({*always, ExitCode.CONFIGURATION, *codes})]
    return "\b\n" + "\n".join(["Exit status:", *lines])


JOB_EXITS = exits(ExitCode.PARTIAL, ExitCode.GUARD, ExitCode.LOCKED, ExitCode.INTERRUPTED, ExitCode.TERMINATED)
SYNC_EXITS = exits(ExitCode.PARTIAL, ExitCode.GUARD, ExitCode.INTERRUPTED, ExitCode.TERMINATED)  # never locked
ADMIN_EXITS = exits()
