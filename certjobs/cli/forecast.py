"""What the coming nights will do."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from certjobs.cli.administration import administering
from certjobs.cli.options import ADMIN_EXITS, AnyDay, Debug, Json, Local, Org

if TYPE_CHECKING:
    from certjobs.cli.commands import Commands


class By(StrEnum):
    """What the numbers are grouped by."""

    DAY = "day"
    CHAPTER = "chapter"
    COORDINATOR = "coordinator"


def register(app: Commands) -> None:
    """Add ``forecast``."""
    app.command("forecast", epilog=ADMIN_EXITS)(forecast)


def forecast(
    days: Annotated[int, typer.Option("--days", metavar="DAYS", min=1, max=3650, help="How many nights.")] = 60,
    by: Annotated[By, typer.Option("--by", help="What the numbers are grouped by.")] = By.DAY,
    org: Org = None,
    as_of: AnyDay = None,
    local: Local = False,
    json: Json = False,
    csv: Annotated[
        bool, typer.Option("--csv", help="Print a row for each reminder and pause, for spreadsheets.")
    ] = False,
    debug: Debug = False,  # noqa: ARG001 - read by main
) -> None:
    r"""Say who will be reminded and paused on which of the coming nights, tonight first. Nothing is written.

    It holds if expiry-check and remind run every night and nothing changes in the roster or the settings. A reminder or
    pause stands on the night that decides it; quiet hours, send days and snoozes may let the notice wait. Where a night
    would pause more than the guard allows, it pauses nobody until a person has approved that.

    \b
    Examples:
      certjobs forecast
      certjobs forecast --days 14 --by coordinator --org HLF
      certjobs forecast --csv > nights.csv
      certjobs forecast --as-of 2027-06-01 --days 30 --json
    """
    from certjobs.cli import render_forecast as render
    from certjobs.jobs import forecasting

    if json and csv:
        msg = "and --csv exclude each other"
        raise typer.BadParameter(msg, param_hint="--json")
    with administering(local=local, json=json or csv, as_of=as_of, reads_only=True) as (env, transaction):
        defaults = env.job_defaults
        found = forecasting.forecast(
            transaction,
            days=days,
            org=org,
            calendar=env.calendar,
            guard=env.guard,
            thresholds=defaults["thresholds"],
            per_organisation=defaults["per_organisation_thresholds"],
        )
    if csv:
        render.rows(found)
    elif json:
        render.as_document(found, by.value)
    else:
        render.chart(found, by.value)
