"""The whole night, and the proof that website, ledger and database agree."""

from __future__ import annotations

from contextlib import nullcontext, suppress
from dataclasses import replace
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, BinaryIO

import typer

from certjobs.cli.jobs import carried_out, carry_out, show
from certjobs.cli.options import JOB_EXITS, STDIN, AsOf, Debug, DryRun, Json, Local
from certjobs.errors import ExitCode

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from certjobs.domain.night import Night
    from certjobs.domain.outcome import Report


class Language(StrEnum):
    """The languages of the page."""

    NB = "nb"
    NN = "nn"
    EN = "en"


class _NoNight(Exception):
    """There is nothing that a page could tell."""


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("nightly", epilog=JOB_EXITS)(nightly)
    app.command("reconcile", epilog=JOB_EXITS)(reconcile)


def nightly(
    report: Annotated[
        str | None,
        typer.Option(
            "--report", metavar="FILE", help="Write the night's report as a page for the browser.", show_default=False
        ),
    ] = None,
    with_names: Annotated[
        bool, typer.Option("--with-names", help="Name in that page who was paused; else they stand by reference.")
    ] = False,
    language: Annotated[Language, typer.Option("--language", help="The language of that page.")] = Language.NB,
    as_of: AsOf = None,
    dry_run: DryRun = False,
    local: Local = False,
    json: Json = False,
    debug: Debug = False,
) -> None:
    r"""Do the whole night: expiry-check, remind, sync and reconcile, one after the other.

    Each is a run of its own, with its own row, lock and alert; one that fails stops none after it, and the worst of
    their exit codes is the night's. They all take the same day for today. In a dry-run the later ones see what the
    earlier ones would have done.

    The last screen is the night's report. With --report it is written as one page as well, which needs nothing but
    itself and is readable by its owner alone.

    \b
    Examples:
      certjobs nightly
      certjobs nightly --dry-run
      certjobs nightly --report /var/lib/certjobs/night.html --language en
      certjobs nightly --json
    """
    for given, option in ((with_names, "--with-names"), (report == STDIN, "--report")):
        if given and report in (None, STDIN):
            msg = (
                "needs --report FILE" if option == "--with-names" else "needs a file: the screen tells the night anyway"
            )
            raise typer.BadParameter(msg, param_hint=option)
    written = report is None
    with suppress(_NoNight), _file(report) as out:
        done = carried_out(
            "nightly",
            {"with_names": with_names or None},
            as_of=as_of,
            dry_run=dry_run,
            local=local,
            json=json,
            debug=debug,
        )
        night: Night | None = done.outcome.details.get("night")
        show(_nameless(done, night), json=json)
        if out is not None:
            _write(night, out, language)
            written = True
    raise typer.Exit(int(done.outcome.exit_code) or int(ExitCode.OK if written else ExitCode.FAILED))


def _file(report: str | None) -> AbstractContextManager[BinaryIO | None]:
    """Open the page's file before anything is done: a place that cannot be written to is no surprise at the end."""
    if report is None:
        return nullcontext()
    from certjobs.cli import files

    return files.output(report)


def _nameless(done: Report, night: Night | None) -> Report:
    """Return a report for the screen: names are for the page alone, which only its owner can read."""
    if night is None:
        return done
    details = {**done.outcome.details, "night": night.nameless()}
    return replace(done, outcome=replace(done.outcome, details=details))


def _write(night: Night | None, out: BinaryIO, language: Language) -> None:
    """Write the page. Raises _NoNight where the run never came to what it would tell."""
    from certjobs.cli.night_page import page

    if night is None:
        typer.echo("The report was not written: the night never came to what it would tell.", err=True)
        raise _NoNight
    out.write(page(night, language=language.value, zone=night.time_zone).encode())


def reconcile(
    report_only: Annotated[
        bool, typer.Option("--report-only", help="Say what differs and log it; queue nothing and send nothing.")
    ] = False,
    adopt: Annotated[
        bool,
        typer.Option(
            "--adopt", help="First contact with a live website: keep what it shows, and change nothing there."
        ),
    ] = False,
    as_of: AsOf = None,
    dry_run: DryRun = False,
    local: Local = False,
    json: Json = False,
    debug: Debug = False,
) -> None:
    r"""Prove that website, ledger and database agree, and mend what differs.

    The whole listing is read, every page or nothing, and compared with the rule in one step. Who is listed and should
    not be is taken off, who is missing is listed again; an entry that no mentor has is only reported. Mentors with an
    operation on its way are left alone, and so is what was given up before. Where more is missing than the guard
    believes, or the website shows nobody at all, nobody is listed again until a person approves the set it names.

    It also looks for what the database shows by itself: notices sent twice, mentors paused twice, operations and
    notices that are stuck, runs that never ended, nights without a successful run; and, where CERTJOBS_PUBLIC_SITE_URL
    is set, for mentors whom the public still sees. Every finding stands in reconciliation_log until it is over. People
    are alerted once when a kind of finding begins, and once when it is over.

    \b
    Examples:
      certjobs reconcile
      certjobs reconcile --dry-run
      certjobs reconcile --report-only --json
      certjobs reconcile --adopt
    """
    if adopt and report_only:
        msg = "and --report-only exclude each other"
        raise typer.BadParameter(msg, param_hint="--adopt")
    carry_out(
        "reconcile",
        {"report_only": report_only or None, "adopt": adopt or None},
        as_of=as_of,
        dry_run=dry_run,
        local=local,
        json=json,
        debug=debug,
    )
