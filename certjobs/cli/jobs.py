"""The commands that carry out jobs."""

from __future__ import annotations

from pathlib import Path  # noqa: TC003 - typer reads the annotations
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from certjobs.cli.options import (
    CREDENTIALS,
    JOB_EXITS,
    SYNC_EXITS,
    AsOf,
    Debug,
    DryRun,
    Job,
    Json,
    Local,
    as_date,
    clean_reason,
)

if TYPE_CHECKING:
    from datetime import datetime

    from certjobs.domain.outcome import Report


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("expiry-check", epilog=JOB_EXITS)(expiry_check)
    app.command("remind", epilog=JOB_EXITS)(remind)
    app.command("sync", epilog=SYNC_EXITS)(sync)
    app.command("prune", epilog=JOB_EXITS)(prune)
    app.command("run", epilog=JOB_EXITS)(run)


def expiry_check(
    org: Annotated[str | None, typer.Option("--org", metavar="CODE", help="Only this organisation, as HLF.")] = None,
    batch_size: Annotated[
        int | None,
        typer.Option("--batch-size", min=1, max=10_000, help="Mentors paused in one transaction.", show_default=False),
    ] = None,
    baseline: Annotated[
        bool,
        typer.Option("--baseline", help="The first contact with a live roster: pause, and tell nobody of it."),
    ] = False,
    as_of: AsOf = None,
    dry_run: DryRun = False,
    local: Local = False,
    json: Json = False,
    debug: Debug = False,
) -> None:
    r"""Pause mentors whose certification has expired, and owe their coordinators a notice.

    Only organisations with auto_pause are touched, and mentors paused for another reason are left alone. A run that
    would pause unusually many stores the set, pauses none of them and exits 4 until a person approves it.

    On a roster that was never checked before, many may have expired long ago. With --baseline they are paused and their
    notices recorded as suppressed. A baseline pauses only what a person approved, however few: it stores the set and
    exits 4; approve the set it names, and run the same again.

    \b
    Examples:
      certjobs expiry-check
      certjobs expiry-check --baseline
      certjobs expiry-check --dry-run --as-of 2026-12-24
      certjobs expiry-check --org HLF --json
    """
    carry_out(
        "expiry-check",
        {"org": org, "batch_size": batch_size, "baseline": baseline},
        as_of=as_of,
        dry_run=dry_run,
        local=local,
        json=json,
        debug=debug,
    )


def remind(
    org: Annotated[str | None, typer.Option("--org", metavar="CODE", help="Only this organisation, as HLF.")] = None,
    baseline: Annotated[
        bool,
        typer.Option("--baseline", help="The first night on a live roster: what is due already is told to nobody."),
    ] = False,
    as_of: AsOf = None,
    dry_run: DryRun = False,
    local: Local = False,
    json: Json = False,
    debug: Debug = False,
) -> None:
    r"""Warn coordinators of certifications about to expire, once a threshold, and send every notice owed.

    Only organisations with remind are looked at. A mentor is due for the smallest threshold (30, 14 or 7 days) that
    covers the days left, once; after missed nights that is one reminder, not three. Notices owed because of pauses go
    out as well. What cannot be sent stays owed, and the exit code is 3.

    \b
    Examples:
      certjobs remind
      certjobs remind --dry-run
      certjobs remind --dry-run --as-of 2026-12-24 --org HLF
      certjobs remind --baseline
    """
    carry_out(
        "remind",
        {"org": org, "baseline": baseline or None},
        as_of=as_of,
        dry_run=dry_run,
        local=local,
        json=json,
        debug=debug,
    )


def sync(
    limit: Annotated[
        int | None,
        typer.Option("--limit", min=1, metavar="N", help="Send at most so many operations.", show_default=False),
    ] = None,
    watch: Annotated[
        bool, typer.Option("--watch", help="Stay, and send each change as soon as it is made, until SIGTERM or Ctrl-C.")
    ] = False,
    heartbeat_file: Annotated[
        Path | None,
        typer.Option(
            "--heartbeat-file",
            metavar="FILE",
            help="With --watch: touched at least every few seconds.",
            show_default=False,
        ),
    ] = None,
    credentials: Annotated[
        str | None,
        typer.Option(
            CREDENTIALS,
            metavar="[FILE]",
            help="Send with credentials given by hand: from a file, from standard input (-), or asked for.",
            show_default=False,
        ),
    ] = None,
    credentials_template: Annotated[
        bool, typer.Option("--credentials-template", help="Print what such a file looks like, and exit.")
    ] = False,
    reason: Annotated[
        str | None, typer.Option("--reason", metavar="TEXT", help="Why by hand, for the audit. Name nobody in it.")
    ] = None,
    yes: Annotated[
        bool, typer.Option("--yes", help="Do not ask before sending with credentials given by hand.")
    ] = False,
    as_of: AsOf = None,
    dry_run: DryRun = False,
    local: Local = False,
    json: Json = False,
    debug: Debug = False,
) -> None:
    r"""Carry status changes to the public website: take off who is no longer to be listed, restore who is again.

    Every change of status, certification or organisation queued its operation when it was made. Each is decided from
    the rule when it is sent, and the queue is worked through until it is empty. What fails rests and is tried again,
    by this run where that is soon; what the portal will not have is dead, with its reason. Credentials are checked
    first: where they are rejected nothing is tried and the exit code is 77.

    A run that would take unusually many mentors off the website whom no guarded pause explains stores the set, takes
    off none of them and exits 4 until a person approves it. With CERTJOBS_PORTAL=none everything stays in the queue.

    With --watch it stays: it hears of each change when it is committed and sends it at once, beside the nightly run and
    as many other watchers as wanted. A drain that had something to do is a run with its own row. Settings and secrets
    are read again each time; where database or portal is away it goes on when they are back. SIGTERM lets it finish the
    requests in hand.

    When the stored credentials are wrong and the website cannot wait, give others with --credentials: without a file
    the client secret is asked for, and not shown. They are checked before anything else, stay in memory, and count for
    this run alone. It works beside the nightly run and beside a watcher.

    \b
    Examples:
      certjobs sync
      certjobs sync --dry-run
      certjobs sync --limit 10 --json
      certjobs sync --watch --heartbeat-file /run/certjobs/watch
      certjobs sync --credentials --reason "the secret ended, a new one by phone"
      certjobs sync --credentials new.txt --yes --reason "the secret ended"
    """
    given = {"limit": limit}
    if credentials_template:
        from certjobs.domain.credentials import TEMPLATE

        typer.echo(TEMPLATE, nl=False)
        return
    if watch:
        if credentials is not None or dry_run or as_of is not None or limit is not None or yes:
            msg = "goes with --heartbeat-file, --reason, --json, --local and --debug only"
            raise typer.BadParameter(msg, param_hint="--watch")
        _watch(heartbeat_file, reason, local=local, json=json, debug=debug)
    alone = ((heartbeat_file, "--heartbeat-file", "--watch"), (yes and credentials is None, "--yes", CREDENTIALS))
    for given_alone, option, partner in alone:
        if given_alone:
            msg = f"goes with {partner} only"
            raise typer.BadParameter(msg, param_hint=option)
    if credentials is not None:
        from certjobs import bootstrap
        from certjobs.cli import break_glass

        request = bootstrap.Request(local=local, dry_run=dry_run, as_of=as_date(as_of), json=json, debug=debug)
        raise typer.Exit(break_glass.sync(credentials, given, request, reason, yes=yes))
    carry_out("sync", given, as_of=as_of, dry_run=dry_run, local=local, json=json, debug=debug, reason=reason)


def _watch(heartbeat: Path | None, reason: str | None, *, local: bool, json: bool, debug: bool) -> NoReturn:
    from certjobs import bootstrap, watch
    from certjobs.cli import output, render_sync

    request = bootstrap.Request(
        local=local, json=json, debug=debug, reason=clean_reason(reason) if reason is not None else None
    )

    def report(done: Report) -> None:
        with output.shown():
            render_sync.drained(done, as_json=json)

    if not json:
        output.say("Watching the queue; Ctrl-C ends it.")
    raise typer.Exit(int(watch.watch(request, heartbeat=heartbeat, report=report)))


def prune(
    as_of: AsOf = None,
    dry_run: DryRun = False,
    local: Local = False,
    json: Json = False,
    debug: Debug = False,
) -> None:
    r"""Delete history older than CERTJOBS_RETENTION_DAYS, and of what went wrong CERTJOBS_RETENTION_FAILURES_DAYS.

    That is audit, reminders, finished notices and attempts to send them, operations that are over, snoozes, runs,
    forecasts and refused sets. What went wrong (runs that failed, ended partial or were abandoned, notices that are
    dead or unknown, attempts that failed, dead operations, findings, alerts) is kept longer, three times as long where
    the second setting is unset.

    What is still open stays however old it is, and so do the reminders of a mentor's present expiry date and the pause
    a mentor is in. Where CERTJOBS_RETENTION_DAYS is unset, nothing is deleted.

    \b
    Examples:
      certjobs prune --dry-run
      certjobs prune
    """
    carry_out("prune", {}, as_of=as_of, dry_run=dry_run, local=local, json=json, debug=debug)


def run(
    job: Job,
    as_of: AsOf = None,
    dry_run: DryRun = False,
    local: Local = False,
    json: Json = False,
    debug: Debug = False,
) -> None:
    r"""Run any registered job by name, with its default options.

    \b
    Examples:
      certjobs run expiry-check
      certjobs run certification_expiry_check
    """
    carry_out(job, {}, as_of=as_of, dry_run=dry_run, local=local, json=json, debug=debug)


def carry_out(
    name: str,
    options: dict[str, Any],
    *,
    as_of: datetime | None,
    dry_run: bool,
    local: bool,
    json: bool,
    debug: bool,
    reason: str | None = None,
) -> NoReturn:
    """Carry out a run of a job, show its report, and exit with its code."""
    report = carried_out(
        name, options, as_of=as_of, dry_run=dry_run, local=local, json=json, debug=debug, reason=reason
    )
    show(report, json=json)
    raise typer.Exit(int(report.outcome.exit_code))


def carried_out(
    name: str,
    options: dict[str, Any],
    *,
    as_of: datetime | None,
    dry_run: bool,
    local: bool,
    json: bool,
    debug: bool,
    reason: str | None = None,
) -> Report:
    """Carry out a run of a job and return its report."""
    from certjobs import bootstrap
    from certjobs.cli import output

    request = bootstrap.Request(
        local=local,
        dry_run=dry_run,
        as_of=as_date(as_of),
        json=json,
        debug=debug,
        reason=clean_reason(reason) if reason is not None else None,
    )
    return bootstrap.run_job(name, options, request, output.progress())


def show(report: Report, *, json: bool) -> None:
    """Show how a run went."""
    from certjobs.cli import output, render

    with output.shown():
        render.report(report, as_json=json)
