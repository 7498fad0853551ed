"""Reading the run log."""

from __future__ import annotations

from typing import Annotated

import typer

from certjobs.cli.commands import Commands
from certjobs.cli.options import ADMIN_EXITS, Debug, Json, Local, job_names


def register(app: typer.Typer) -> None:
    """Add ``runs`` and ``runs show``."""
    group = Commands(
        help="What happened: the latest runs, or one of them.", invoke_without_command=True, epilog=ADMIN_EXITS
    )
    group.callback()(latest)
    group.command("show", epilog=ADMIN_EXITS)(show)
    app.add_typer(group, name="runs")


def latest(
    ctx: typer.Context,
    job: Annotated[
        str | None, typer.Option("--job", metavar="JOB", help="Only this job.", autocompletion=job_names)
    ] = None,
    failed: Annotated[
        bool, typer.Option("--failed", help="Only runs that failed, ended partial or were abandoned.")
    ] = False,
    limit: Annotated[int, typer.Option("--limit", min=1, max=1000, help="How many at most.")] = 20,
    local: Local = False,
    json: Json = False,
    debug: Debug = False,  # noqa: ARG001 - read by main
) -> None:
    r"""List the latest runs, newest first.

    \b
    Examples:
      certjobs runs
      certjobs runs --failed --json
      certjobs runs show 3f2a9c1e
    """
    if ctx.invoked_subcommand is not None:
        return
    from certjobs import bootstrap
    from certjobs.cli import output, render

    with (
        bootstrap.environment(bootstrap.Request(local=local, json=json), output.progress()) as env,
        env.administration() as database,
        database.transaction() as store,
    ):
        names = bootstrap.job_names(job) if job else ()
        found = store.runs.recent(job_names=names, failed=failed, limit=limit)
    render.runs(found, as_json=json)


def show(
    run_id: Annotated[str, typer.Argument(metavar="RUN_ID", help="A run's id, or how it begins.")],
    local: Local = False,
    json: Json = False,
    debug: Debug = False,  # noqa: ARG001 - read by main
) -> None:
    r"""Show one run: when, who, why, how it ended and what it counted.

    \b
    Example:
      certjobs runs show 3f2a9c1e
    """
    from certjobs import bootstrap
    from certjobs.cli import output, render
    from certjobs.errors import UsageError

    with (
        bootstrap.environment(bootstrap.Request(local=local, json=json), output.progress()) as env,
        env.administration() as database,
        database.transaction() as store,
    ):
        found = store.runs.find(run_id)
    if len(found) != 1:
        msg = f"{'No run' if not found else 'More than one run'} has an id that begins {run_id[:40]!r}."
        raise UsageError(msg, hint="`certjobs runs` lists the ids.")
    render.run(found[0], as_json=json)
