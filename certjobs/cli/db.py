"""The schema of the database."""

from __future__ import annotations

import typer

from certjobs.cli.commands import group
from certjobs.cli.options import ADMIN_EXITS, Debug, Json, Local

app = group("db")


@app.command("upgrade", epilog=ADMIN_EXITS)
def upgrade(local: Local = False, json: Json = False, debug: Debug = False) -> None:  # noqa: ARG001 - read by main
    r"""Bring the schema to the version that this program needs.

    Needs a user that may create tables and roles. Roster tables that are already there are checked column by column
    and refused with the list of what is missing; they are never altered silently. Again is nothing.

    \b
    Example:
      certjobs db upgrade
    """
    from certjobs import bootstrap
    from certjobs.cli import output, render

    with bootstrap.environment(bootstrap.Request(local=local, json=json), output.progress()) as env:
        steps, version = env.upgrade_schema()
    render.upgraded(steps, version, as_json=json)


@app.command("current", epilog=ADMIN_EXITS)
def current(local: Local = False, json: Json = False, debug: Debug = False) -> None:  # noqa: ARG001 - read by main
    r"""Say which version the schema has, and which one this program needs.

    \b
    Example:
      certjobs db current
    """
    from certjobs import bootstrap
    from certjobs.cli import output, render

    with bootstrap.environment(bootstrap.Request(local=local, json=json), output.progress()) as env:
        version, head = env.schema_version()
    render.version(version, head, as_json=json)


@app.command("check", epilog=ADMIN_EXITS)
def check(local: Local = False, json: Json = False, debug: Debug = False) -> None:  # noqa: ARG001 - read by main
    r"""Compare the schema with what this program needs; exit 78 and list what differs.

    \b
    Example:
      certjobs db check
    """
    from certjobs import bootstrap
    from certjobs.cli import output, render
    from certjobs.errors import ExitCode

    with bootstrap.environment(bootstrap.Request(local=local, json=json), output.progress()) as env:
        found = env.schema_differences()
    render.differences(found, as_json=json)
    raise typer.Exit(int(ExitCode.CONFIGURATION if found else ExitCode.OK))
