"""How things stand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from certjobs.cli.administration import administering
from certjobs.cli.options import Debug, Json, Local, exits, job_names
from certjobs.errors import ExitCode

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import timedelta

WHOLE_NIGHT = "nightly"  # the job that runs the nightly ones: it counts through them


def register(app: typer.Typer) -> None:
    """Add ``status``."""
    app.command("status", epilog=exits(ExitCode.PARTIAL))(status)


def status(
    max_age: Annotated[
        str | None,
        typer.Option(
            "--max-age",
            metavar="DURATION",
            help="Exit with 3 where a job has not succeeded for so long, as 26h, 90m or 2d.",
            show_default=False,
        ),
    ] = None,
    job: Annotated[
        list[str] | None,
        typer.Option(
            "--job",
            metavar="JOB",
            help="With --max-age: only this job counts; may be repeated.",
            autocompletion=job_names,
        ),
    ] = None,
    alert: Annotated[
        bool,
        typer.Option(
            "--alert", help="With --max-age: tell people of it, once a day, and once when nothing is overdue any more."
        ),
    ] = False,
    local: Local = False,
    json: Json = False,
    debug: Debug = False,  # noqa: ARG001 - read by main
) -> None:
    r"""Show how things stand: the nightly jobs, locks, the queue, and whom the website still shows. Nothing is written.

    Of each nightly job (expiry-check, remind, sync, reconcile): when it succeeded last, how its last run went, whether
    what it counted adds up, and which of the last 14 nights since its first run it missed. Below that who holds a lock,
    what waits and what is dead, mentors who are still on the website though their certification has expired, as far as
    is known, open findings, and what was expected of last night.

    With --max-age it watches over the nights: it exits with 3 and names each job of which no run that began within that
    time succeeded, or that never did. Jobs that nightly runs count each by itself.

    With --alert people are told of that as well, and of a database that does not answer, where
    CERTJOBS_ALERT_WEBHOOK_URL or CERTJOBS_ALERT_APPRISE_URL says how. That they were told is all that is written.

    \b
    Examples:
      certjobs status
      certjobs status --max-age 26h --alert
      certjobs status --max-age 90m --job sync --json
    """
    from certjobs.cli import render_status as render

    age = _duration(max_age)
    if age is None and (job or alert):
        msg = "goes with --max-age only"
        raise typer.BadParameter(msg, param_hint="--job" if job else "--alert")
    counting = _counting(job or [WHOLE_NIGHT]) if age is not None else ()
    if age is not None and alert:
        from certjobs import bootstrap, watchdog
        from certjobs.cli import output

        request = bootstrap.Request(local=local, json=json, reads_only=True)
        found = watchdog.look(request, output.progress(), max_age=age, counting=counting)
    else:
        from certjobs.admin import status as admin

        with administering(local=local, json=json, reads_only=True) as (_, transaction):
            found = admin.status(transaction, max_age=age, counting=counting)
    render.status(found, as_json=json)
    if found.overdue:
        raise typer.Exit(int(ExitCode.PARTIAL))


def _duration(text: str | None) -> timedelta | None:
    from certjobs.domain.durations import parse_duration

    if text is None:
        return None
    try:
        return parse_duration(text)
    except ValueError as exc:
        raise typer.BadParameter(str(exc), param_hint="--max-age") from None


def _counting(given: Sequence[str]) -> tuple[str, ...]:
    """Return the jobs' own names. Raises UsageError, which lists those there are, for a name that none has."""
    from certjobs import registry
    from certjobs.domain.coverage import NIGHTLY

    names: list[str] = []
    for each in given:
        if each == WHOLE_NIGHT:
            names += NIGHTLY
        else:
            names.append(each if each in NIGHTLY else registry.find(each).name)
    return tuple(dict.fromkeys(names))
