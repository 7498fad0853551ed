"""Explaining one mentor."""

from __future__ import annotations

from datetime import datetime  # noqa: TC003 - typer reads the annotations
from typing import Annotated

import typer

from certjobs.cli.administration import administering
from certjobs.cli.options import ADMIN_EXITS, Debug, Json, Local, MentorRef


def register(app: typer.Typer) -> None:
    """Add ``explain``."""
    app.command("explain", epilog=ADMIN_EXITS)(explain)


def explain(
    mentor: MentorRef,
    on: Annotated[
        datetime | None,
        typer.Option(
            "--on",
            formats=["%Y-%m-%d"],
            metavar="DATE",
            help="The day to explain, as 2026-11-22, past or to come. Today otherwise.",
        ),
    ] = None,
    local: Local = False,
    json: Json = False,
    debug: Debug = False,  # noqa: ARG001 - read by main
) -> None:
    r"""Explain one mentor: what happened, and why they are (not) paused, reminded and listed on a day.

    First everything that is written of the mentor, the oldest first: certifications, pauses, reminders, notices,
    operations on the website, and the runs that did it. Then a sentence for each reason, with the rule, which the
    README describes, and the row it comes from. Nothing is written.

    Of a past day it says what the audit tells, and where that does not reach back. A day to come is as it will be if
    nothing changes before.

    \b
    Examples:
      certjobs explain HLF-0042
      certjobs explain HLF-0042 --on 2026-11-22
      certjobs explain HLF-0042 --json
    """
    from certjobs.admin import explain as admin
    from certjobs.cli import render_explain as render

    with administering(local=local, json=json, as_of=on, reads_only=True) as (env, transaction):
        found = admin.explain(
            transaction,
            mentor,
            calendar=env.calendar,
            thresholds=env.job_defaults["thresholds"],
            per_organisation_thresholds=env.job_defaults["per_organisation_thresholds"],
        )
    render.explained(found, as_json=json)
