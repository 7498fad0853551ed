"""Where output goes: tables and sentences for people or one JSON document on stdout, bars on stderr."""

from __future__ import annotations

import json
import os
import sys
from contextlib import contextmanager
from dataclasses import asdict, is_dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID

from certjobs.domain.text import printable

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rich.console import Console

    from certjobs.ports import Advance, Progress

PLAIN_WIDTH = 110  # of tables in a pipe, where there is no terminal to ask


def _console() -> Console:
    from rich.console import Console

    width = None if sys.stdout.isatty() else PLAIN_WIDTH
    return Console(file=sys.stdout, width=width, highlight=False, markup=False, emoji=False)


def width() -> int:
    """Return how many characters a line of a table may have."""
    return _console().width


def table(title: str, headings: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print a table; one whose headings are all empty is shown without them."""
    from rich import box
    from rich.table import Table

    made = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, title_style="bold", show_header=any(headings))
    for position, heading in enumerate(headings):
        numbers = bool(rows) and all(
            isinstance(row[position], int) and not isinstance(row[position], bool) for row in rows
        )
        whole = any(isinstance(row[position], date) for row in rows) if any(headings) else position == 0
        made.add_column(heading, justify="right" if numbers else "left", overflow="fold", no_wrap=whole)
    for row in rows:
        made.add_row(*(cell(value) for value in row))
    _console().print(made)


def cell(value: object) -> str:
    """Return a value as a table shows it."""
    if value is None or value == "":
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M:%S}"
    return printable(str(value))


def plain(value: object) -> Any:
    """Return a value that JSON has no form for as text, or as its parts. Raises TypeError for one nobody expects."""
    if isinstance(value, (date, datetime)):
        return value.isoformat()
    if isinstance(value, UUID):
        return str(value)
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    raise TypeError


def document(value: object) -> None:
    """Print one JSON document."""
    print(json.dumps(value, ensure_ascii=False, default=plain))


@contextmanager
def shown() -> Iterator[None]:
    """Show what a run did without letting a reader who went away, or a full disk, change the run's exit code."""
    try:
        yield
        sys.stdout.flush()
    except OSError as exc:
        # What is still buffered would fail once more when the interpreter ends, and turn the exit code into 120.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        print(f"certjobs: The report could not be printed: {exc.strerror}. See `certjobs runs`.", file=sys.stderr)


def say(*sentences: str) -> None:
    """Print sentences for people."""
    console = _console()
    for sentence in sentences:
        console.print(printable(sentence), soft_wrap=True)


class _NoProgress:
    @contextmanager
    def track(self, description: str, total: int, *, unit: str = "steps") -> Iterator[Advance]:  # noqa: ARG002 - the Protocol's names
        yield lambda _steps: None


class _RichProgress:
    @contextmanager
    def track(self, description: str, total: int, *, unit: str = "steps") -> Iterator[Advance]:
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            DownloadColumn,
            MofNCompleteColumn,
            Progress,
            TextColumn,
            TimeElapsedColumn,
            TimeRemainingColumn,
        )

        if not total:
            yield lambda _steps: None
            return
        done = DownloadColumn() if unit == "bytes" else MofNCompleteColumn()
        columns = (TextColumn("{task.description}"), BarColumn(), done, TimeElapsedColumn(), TimeRemainingColumn())
        with Progress(*columns, console=Console(stderr=True)) as bar:
            task = bar.add_task(description, total=total)
            yield lambda steps: bar.advance(task, steps)


def progress() -> Progress:
    """Return a progress bar on stderr when that is a terminal, and none in a pipe."""
    return _RichProgress() if sys.stderr.isatty() else _NoProgress()
