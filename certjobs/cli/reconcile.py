"""The whole night, and the proof that website, ledger and database agree."""

from __future__ import annotations

from typing import Annotated

import typer

from certjobs.cli.jobs import carry_out
from certjobs.cli.options import JOB_EXITS, AsOf, Debug, DryRun, Json, Local


def register(app: typer.Typer) -> None:
    """Add ``reconcile``."""
    app.command("reconcile", epilog=JOB_EXITS)(reconcile)


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
