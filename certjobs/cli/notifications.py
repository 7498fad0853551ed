"""Notices by hand."""

from __future__ import annotations

from datetime import datetime  # noqa: TC003 - typer reads the annotations
from typing import Annotated

import typer

from certjobs.cli.administration import administering
from certjobs.cli.commands import group
from certjobs.cli.options import (
    ADMIN_EXITS,
    AsOf,
    Debug,
    DryRun,
    Json,
    Limit,
    Local,
    MentorRef,
    Org,
    Reason,
    among,
    clean_reason,
)

app = group("notifications")


def _statuses(incomplete: str) -> list[str]:
    from certjobs.admin.notices import STATUSES

    return among(*STATUSES)(incomplete)


COLUMNS = ("id", "kind", "mentor_ref", "certification_expiry", "threshold_day", "coordinator", "status", "last_error")
LAST = 2**63 - 1  # what a number in the database can be
Numbers = Annotated[
    list[int], typer.Argument(min=1, max=LAST, metavar="NUMBER...", help="The notices' numbers, as in the list.")
]


@app.command("list", epilog=ADMIN_EXITS)
def list_(
    status: Annotated[
        str | None,
        typer.Option(
            metavar="STATUS",
            help="Only these: open (pending, sending, failed), sent, dead, unknown, suppressed, superseded, discarded.",
            autocompletion=_statuses,
        ),
    ] = None,
    kind: Annotated[
        str | None,
        typer.Option(metavar="pause|reminder", help="Only this kind.", autocompletion=among("pause", "reminder")),
    ] = None,
    mentor: Annotated[str | None, typer.Option(metavar="MENTOR", help="Only about this mentor.")] = None,
    coordinator: Annotated[str | None, typer.Option(metavar="ADDRESS", help="Only to this coordinator.")] = None,
    org: Org = None,
    limit: Limit = None,
    local: Local = False,
    json: Json = False,
    debug: Debug = False,  # noqa: ARG001 - read by main
) -> None:
    r"""List notices, the newest first: to whom, about whom, and what became of each.

    \b
    Examples:
      certjobs notifications list --status open
      certjobs notifications list --status dead --org HLF
      certjobs notifications list --mentor HLF-0042 --json
    """
    from certjobs.admin import notices
    from certjobs.cli import render_roster as render

    with (
        administering(local=local, json=json) as (_, transaction),
        notices.listed(
            transaction,
            status=status,
            kind=kind,
            mentor=mentor,
            coordinator=coordinator,
            org=org,
            limit=render.fetched(limit, as_json=json),
        ) as found,
    ):
        render.listed("Notices, newest first", found, limit=limit, as_json=json, columns=COLUMNS)


@app.command("show", epilog=ADMIN_EXITS)
def show(
    number: Annotated[
        int, typer.Argument(min=1, max=LAST, metavar="NUMBER", help="The notice's number, as in the list.")
    ],
    local: Local = False,
    json: Json = False,
    debug: Debug = False,  # noqa: ARG001 - read by main
) -> None:
    r"""Show one notice and every attempt to send it.

    \b
    Example:
      certjobs notifications show 117
    """
    from certjobs.admin import notices
    from certjobs.cli import render_notices as render

    with administering(local=local, json=json) as (_, transaction):
        found = notices.show(transaction, number)
    render.notice(found, as_json=json)


@app.command("retry", epilog=ADMIN_EXITS)
def retry(
    numbers: Numbers,
    reason: Reason,
    dry_run: DryRun = False,
    local: Local = False,
    json: Json = False,
    debug: Debug = False,  # noqa: ARG001 - read by main
) -> None:
    r"""Let the next run send notices that failed, were refused, discarded, or may not have arrived.

    They go out with the next `remind`, pauses by webhook with `expiry-check` too, under the same key as before. One
    whose fate is unknown may arrive twice. The run looks again first: what no longer holds is not sent.

    \b
    Example:
      certjobs notifications retry 117 118 --reason "the address was corrected"
    """
    from certjobs.admin import notices
    from certjobs.cli import render_notices as render

    with administering(local=local, json=json, dry_run=dry_run, reason=reason) as (env, transaction):
        found = notices.retry(transaction, numbers, actor=env.actor, reason=clean_reason(reason))
    render.handled(found, "owed again", dry_run=dry_run, as_json=json)


@app.command("discard", epilog=ADMIN_EXITS)
def discard(
    numbers: Numbers,
    reason: Reason,
    dry_run: DryRun = False,
    local: Local = False,
    json: Json = False,
    debug: Debug = False,  # noqa: ARG001 - read by main
) -> None:
    r"""Give up on notices that are owed, refused, or may not have arrived: they are never sent.

    \b
    Example:
      certjobs notifications discard 117 --reason "told by telephone"
    """
    from certjobs.admin import notices
    from certjobs.cli import render_notices as render

    with administering(local=local, json=json, dry_run=dry_run, reason=reason) as (env, transaction):
        found = notices.discard(transaction, numbers, actor=env.actor, reason=clean_reason(reason))
    render.handled(found, "discarded", dry_run=dry_run, as_json=json)


@app.command("snooze", epilog=ADMIN_EXITS)
def snooze(
    mentor: MentorRef,
    address: Annotated[str, typer.Argument(metavar="ADDRESS", help="The coordinator's e-mail address.")],
    threshold: Annotated[
        int, typer.Option(metavar="DAYS", min=0, help="The one threshold that is covered, as 30; not the smaller ones.")
    ],
    until: Annotated[
        datetime, typer.Option(formats=["%Y-%m-%d"], metavar="DATE", help="The day from which it is told again.")
    ],
    reason: Reason,
    as_of: AsOf = None,
    dry_run: DryRun = False,
    local: Local = False,
    json: Json = False,
    debug: Debug = False,  # noqa: ARG001 - read by main
) -> None:
    r"""Do not tell one coordinator of one threshold of one mentor before a day.

    It is told from that day on, if it still holds then. A day that has come already ends a snooze.

    \b
    Example:
      certjobs notifications snooze HLF-0042 kari@example.org --threshold 30 --until 2026-12-10 --reason "course booked"
    """
    from certjobs.admin import notices
    from certjobs.cli import render_roster as render

    with administering(local=local, json=json, dry_run=dry_run, as_of=as_of, reason=reason) as (env, transaction):
        found = notices.snooze(
            transaction,
            mentor,
            address,
            threshold=threshold,
            until=until.date(),
            calendar=env.calendar,
            actor=env.actor,
            reason=clean_reason(reason),
        )
    render.facts("Would be snoozed" if dry_run else "Snoozed", found, as_json=json)


@app.command("snoozes", epilog=ADMIN_EXITS)
def snoozes(
    limit: Limit = None,
    local: Local = False,
    json: Json = False,
    debug: Debug = False,  # noqa: ARG001 - read by main
) -> None:
    r"""List who is not told of what until when.

    \b
    Example:
      certjobs notifications snoozes
    """
    from certjobs.admin import notices
    from certjobs.cli import render_roster as render

    with (
        administering(local=local, json=json) as (_, transaction),
        notices.snoozes(transaction, render.fetched(limit, as_json=json)) as found,
    ):
        render.listed("Snoozes", found, limit=limit, as_json=json)
