"""The command tree. Every module here holds signatures; what they do is imported when they are called."""

from __future__ import annotations

from typing import Annotated

import typer

from certjobs import __version__
from certjobs.cli import db, guard, jobs, local, mentors, orgs, roster, runs
from certjobs.cli.options import exits
from certjobs.errors import ExitCode

EPILOG = """\b
Examples:
  certjobs demo                                  see it work, on this machine
  certjobs db upgrade                            create or update the schema
  certjobs roster import mentors.csv --dry-run   what a file would change
  certjobs expiry-check --dry-run                whom tonight would pause
  certjobs runs --failed                         what went wrong lately

""" + exits(*ExitCode)

app = typer.Typer(
    help="Nightly jobs that keep expired peer mentors off the public website and warn their coordinators in time.",
    epilog=EPILOG,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["--help", "-h"], "max_content_width": 100},
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"certjobs {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    _version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Stand for the program itself."""


jobs.register(app)
runs.register(app)
guard.register(app)
local.register(app)
for name, group in (("roster", roster.app), ("mentors", mentors.app), ("orgs", orgs.app), ("db", db.app)):
    app.add_typer(group, name=name)
