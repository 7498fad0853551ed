"""Groups of commands whose help texts keep the lines of their examples."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from collections.abc import Callable

    from typer.models import CommandFunctionType


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
