"""The command tree. Every module here holds signatures; what they do is imported when they are called."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from certjobs import __version__
from certjobs.cli import certs, coordinators, db, guard, jobs, local, mentors, notifications, orgs, roster, runs
from certjobs.cli.commands import Commands
from certjobs.cli.options import exits
from certjobs.errors import ExitCode

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    Part = Callable[[typer.Typer], None]

EPILOG = """\b
Examples:
  certjobs demo                                  see it work, on this machine
  certjobs db upgrade                            create or update the schema
  certjobs roster import mentors.csv --dry-run   what a file would change
  certjobs expiry-check --dry-run                whom tonight would pause
  certjobs remind --dry-run                      whose coordinators tonight would warn
  certjobs runs --failed                         what went wrong lately

""" + exits(*ExitCode)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"certjobs {__version__}")
        raise typer.Exit


def _root(
    _version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Nightly jobs that keep expired peer mentors off the public website and warn their coordinators in time."""


def _make(parts: Iterable[Part]) -> typer.Typer:
    made = Commands(
        epilog=EPILOG,
        no_args_is_help=True,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["--help", "-h"], "max_content_width": 100},
    )
    made.callback()(_root)
    for part in parts:
        part(made)
    return made


def _group(name: str, group: typer.Typer) -> Part:
    return lambda made: made.add_typer(group, name=name)


_PARTS: dict[tuple[str, ...], Part] = {
    ("expiry-check", "remind", "retention", "run"): jobs.register,
    ("runs",): runs.register,
    ("approve",): guard.register,
    ("demo",): local.register,
    ("roster",): _group("roster", roster.app),
    ("certs",): _group("certs", certs.app),
    ("coordinators",): _group("coordinators", coordinators.app),
    ("mentors",): _group("mentors", mentors.app),
    ("orgs",): _group("orgs", orgs.app),
    ("notifications",): _group("notifications", notifications.app),
    ("db",): _group("db", db.app),
}

app = _make(_PARTS.values())


def app_for(arguments: Sequence[str]) -> typer.Typer:
    """Return the part of the tree that the arguments ask for, or all of it: what is not asked for is not built."""
    asked = arguments[0] if arguments else ""
    for names, part in _PARTS.items():
        if asked in names:
            return _make([part])
    return app
