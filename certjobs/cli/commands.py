"""Groups of commands whose help texts keep the lines of their examples."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from collections.abc import Callable

    from typer.models import CommandFunctionType


# The groups of commands by name. Help of the whole program says no more of them, so it need not load their modules.
GROUPS = {
    "roster": "Bring the roster in from a file, and out to one.",
    "certs": "List, add, renew and withdraw certifications.",
    "coordinators": "List, add, change and remove coordinators.",
    "mentors": "List, show, pause, reinstate, assign, move and erase mentors.",
    "access": "Which coordinator's a database login is, and whose word counts.",
    "orgs": "What the jobs may do for each organisation.",
    "notifications": "See what coordinators are told; try again, give up, wait.",
    "queue": "See what the website is to be told; try again, give up.",
    "db": "Create, update and check the schema.",
}


class Commands(typer.Typer):
    r"""A group of commands. In a docstring ``\b`` on a line of its own keeps the paragraph after it as it stands."""

    def command(self, name: str | None = None, **settings: Any) -> Callable[[CommandFunctionType], CommandFunctionType]:
        """Add the decorated function as a command."""
        return _with_help(super().command, name, **settings)

    def callback(self, **settings: Any) -> Callable[[CommandFunctionType], CommandFunctionType]:
        """Add the decorated function as what the group itself does."""
        return _with_help(super().callback, **settings)


def _with_help(
    add: Callable[..., Callable[[CommandFunctionType], CommandFunctionType]], *names: str | None, **settings: Any
) -> Callable[[CommandFunctionType], CommandFunctionType]:
    def decorate(function: CommandFunctionType) -> CommandFunctionType:
        # Docstrings are raw, so that the mark stands in them as two characters; Click's is one, the backspace.
        text = (inspect.getdoc(function) or "").replace("\\b\n", "\b\n")
        return add(*names, help=text, **settings)(function)

    return decorate


def group(name: str) -> Commands:
    """Return a group of commands that has none yet."""
    return Commands(help=GROUPS[name], no_args_is_help=True)
