"""Trying it out: the demo."""

from __future__ import annotations

import typer

from certjobs.cli.options import ADMIN_EXITS, Debug


def register(app: typer.Typer) -> None:
    """Add ``demo``."""
    app.command("demo", epilog=ADMIN_EXITS)(demo)


def demo(debug: Debug = False) -> None:  # noqa: ARG001 - read by main
    r"""Show a first night on an embedded PostgreSQL with a sample roster, and a second one that changes nothing.

    Needs the extra 'local'. Everything happens in a database of the demo's own, made anew each time.

    \b
    Example:
      certjobs demo
    """
    from certjobs.local import demo as demonstration

    raise typer.Exit(demonstration.run())
