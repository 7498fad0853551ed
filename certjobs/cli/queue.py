"""Operations on the website by hand."""

from __future__ import annotations

from typing import Annotated

import typer

from certjobs.cli.administration import administering
from certjobs.cli.commands import group
from certjobs.cli.options import ADMIN_EXITS, Debug, DryRun, Json, Limit, Local, Org, Reason, among, clean_reason
from certjobs.errors import UsageError

app = group("queue")

LAST = 2**63 - 1  # what a number in the database can be
Numbers = typer.Argument(min=1, max=LAST, metavar="NUMBER...", help="The operations' numbers, as in the list.")
Mentor = Annotated[str | None, typer.Option("--mentor", metavar="MENTOR", help="Only about this mentor.")]
Operation = Annotated[
    str | None,
    typer.Option(
        "--operation",
        metavar="remove|restore",
        help="Only what was queued as this.",
        autocompletion=among("remove", "restore"),
    ),
]


def _statuses(incomplete: str) -> list[str]:
    from certjobs.admin.operations import STATUSES

    return among(*STATUSES)(incomplete)


@app.command("list", epilog=ADMIN_EXITS)
def list_(
    status: Annotated[
        str | None,
        typer.Option(
            metavar="STATUS",
            help="Only these: open (pending, failed), processing, dead, done, superseded.",
            autocompletion=_statuses,
        ),
    ] = None,
    mentor: Mentor = None,
    org: Org = None,
    operation: Operation = None,
    limit: Limit = None,
    local: Local = False,
    json: Json = False,
    debug: Debug = False,  # noqa: ARG001 - read by main
) -> None:
    r"""List operations on the website, the newest first, and how long the whole queue is.

    Below the list stands how many operations are open, under way and dead, how long the oldest open one has waited,
    and how many were done lately.

    \b
    Examples:
      certjobs queue list --status dead
      certjobs queue list --status open --operation remove --org HLF
      certjobs queue list --mentor HLF-0042 --json
    """
    from certjobs.admin import operations
    from certjobs.cli import render_queue as render
    from certjobs.cli.render_roster import fetched

    with (
        administering(local=local, json=json) as (_, transaction),
        operations.listed(
            transaction,
            status=status,
            mentor=mentor,
            org=org,
            operation=operation,
            limit=fetched(limit, as_json=json),
        ) as (found, backlog),
    ):
        render.listed(found, backlog, limit=limit, as_json=json)


@app.command("show", epilog=ADMIN_EXITS)
def show(
    number: Annotated[
        int, typer.Argument(min=1, max=LAST, metavar="NUMBER", help="The operation's number, as in the list.")
    ],
    local: Local = False,
    json: Json = False,
    debug: Debug = False,  # noqa: ARG001 - read by main
) -> None:
    r"""Show everything about one operation, and what the rule wants and the website said last.

    \b
    Example:
      certjobs queue show 117
    """
    from certjobs.admin import operations
    from certjobs.cli import render_queue as render

    with administering(local=local, json=json) as (_, transaction):
        found = operations.show(transaction, number)
    render.operation(found, as_json=json)


@app.command("retry", epilog=ADMIN_EXITS)
def retry(
    reason: Reason,
    numbers: Annotated[list[int] | None, Numbers] = None,
    everything: Annotated[
        bool, typer.Option("--all", help="All that are dead or failed and pass the filters, as the list shows them.")
    ] = False,
    status: Annotated[
        str | None,
        typer.Option(metavar="dead|failed", help="Only these, with --all.", autocompletion=among("dead", "failed")),
    ] = None,
    mentor: Mentor = None,
    org: Org = None,
    operation: Operation = None,
    limit: Annotated[
        int | None, typer.Option("--limit", metavar="N", min=1, help="How many at most, the newest first.")
    ] = None,
    dry_run: DryRun = False,
    local: Local = False,
    json: Json = False,
    debug: Debug = False,  # noqa: ARG001 - read by main
) -> None:
    r"""Let the next sync send operations that are dead or failed, at once and as if they had never failed.

    They are decided from the rule when they are sent, as all are, and the guard looks at removals once more, unless a
    pause by expiry-check or an approval explains them. What a later operation of the same mentor has taken the place of
    is superseded instead. What is done, superseded or under way is refused, and then nothing is changed.

    \b
    Examples:
      certjobs queue retry 117 118 --reason "the portal has the mentor now"
      certjobs queue retry --all --status dead --reason "the key column was mended" --dry-run
      certjobs queue retry --all --org HLF --limit 10 --reason "ten to begin with"
    """
    from certjobs.admin import operations
    from certjobs.cli import render_queue as render

    filters = {"status": status, "mentor": mentor, "org": org, "operation": operation, "limit": limit}
    _one_way(numbers, everything, narrowed=any(filters.values()))
    with administering(local=local, json=json, dry_run=dry_run, reason=reason) as (env, transaction):
        if everything:
            found = operations.retry_all(transaction, filters, actor=env.actor, reason=clean_reason(reason))
        else:
            found = operations.retry(transaction, numbers or (), actor=env.actor, reason=clean_reason(reason))
    render.retried(found, dry_run=dry_run, as_json=json)


@app.command("discard", epilog=ADMIN_EXITS)
def discard(
    numbers: Annotated[list[int], Numbers],
    reason: Reason,
    dry_run: DryRun = False,
    local: Local = False,
    json: Json = False,
    debug: Debug = False,  # noqa: ARG001 - read by main
) -> None:
    r"""Give up on operations that are dead or open: they are never sent.

    The website goes on showing what it shows, until the mentor changes again. What is done, superseded or under way is
    refused, and then nothing is changed.

    \b
    Example:
      certjobs queue discard 117 --reason "taken off the website by hand"
    """
    from certjobs.admin import operations
    from certjobs.cli import render_queue as render

    with administering(local=local, json=json, dry_run=dry_run, reason=reason) as (env, transaction):
        found = operations.discard(transaction, numbers, actor=env.actor, reason=clean_reason(reason))
    render.discarded(found, dry_run=dry_run, as_json=json)


def _one_way(numbers: list[int] | None, everything: bool, *, narrowed: bool) -> None:
    """Refuse a command that names operations in two ways, or in none."""
    if not numbers and not everything:
        msg = "Which operations are to be tried again?"
        raise UsageError(msg, hint="Give their numbers, or --all with or without filters.")
    if numbers and (everything or narrowed):
        msg = "Operations are named by their numbers or by --all with filters, not both."
        raise UsageError(msg, hint="Leave one of the two out.")
