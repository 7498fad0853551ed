"""The command tree. The modules beside this hold signatures; what they do is imported when they are called."""

from __future__ import annotations

import os
from importlib import import_module
from typing import TYPE_CHECKING, Annotated

import typer

from certjobs import __version__
from certjobs.cli.commands import GROUPS, Commands, group
from certjobs.cli.options import exits
from certjobs.errors import ExitCode

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    Part = Callable[[typer.Typer], None]

EPILOG = """\b
Examples:
  certjobs demo                                  see it work, on this machine
  certjobs doctor                                what is wrong with an installation
  certjobs db upgrade                            create or update the schema
  certjobs roster import mentors.csv --dry-run   what a file would change
  certjobs nightly --dry-run                     what tonight would do, step by step
  certjobs nightly                               the whole night
  certjobs status                                how things stand
  certjobs explain HLF-0042                      why one mentor is not listed
  certjobs forecast                              the coming nights
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


def _commands(module: str) -> Part:
    """Return the commands that stand beside the groups in a module of this package."""
    register: Part = import_module(f"certjobs.cli.{module}").register
    return register


def _group(name: str, *, whole: bool = True) -> Part:
    """Return a group with its commands, or by name alone."""
    made: Commands = import_module(f"certjobs.cli.{name}").app if whole else group(name)
    return lambda tree: tree.add_typer(made, name=name)


_MODULES = {
    "expiry-check": "jobs",
    "remind": "jobs",
    "sync": "jobs",
    "reconcile": "night",
    "nightly": "night",
    "force-sync": "force",
    "prune": "jobs",
    "run": "jobs",
    "runs": "runs",
    "explain": "explain",
    "approve": "guard",
    "unlock": "unlock",
    "status": "status",
    "doctor": "doctor",
    "forecast": "forecast",
    "demo": "local",
    "simulator": "local",
}


def whole() -> typer.Typer:
    """Return the whole tree."""
    return _tree(whole=True)


def app_for(arguments: Sequence[str]) -> typer.Typer:
    """Return the part of the tree that the arguments ask for; what is not asked for is neither loaded nor built."""
    asked = arguments[0] if arguments else ""
    if asked in _MODULES:
        return _make([_commands(_MODULES[asked])])
    if asked in GROUPS:
        return _make([_group(asked)])
    return _tree(whole="_CERTJOBS_COMPLETE" in os.environ)  # a shell that completes asks without arguments


def _tree(*, whole: bool) -> typer.Typer:
    modules = dict.fromkeys(_MODULES.values())
    return _make([*map(_commands, modules), *(_group(name, whole=whole) for name in GROUPS)])
