"""What every administrator's command does around its work: say who asks and why, and open the database."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

import typer

from certjobs.cli.options import as_date, clean_reason
from certjobs.errors import StatementFailed, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from certjobs.bootstrap import Environment
    from certjobs.db.store import UnitOfWork


@contextmanager
def administering(
    *,
    local: bool,
    json: bool,
    dry_run: bool = False,
    as_of: datetime | None = None,
    reason: str | None = None,
    reads_only: bool = False,
) -> Iterator[tuple[Environment, UnitOfWork]]:
    """Give the environment of a command and the way to open its units of work; ``reads_only`` lets the day be any."""
    from certjobs import bootstrap
    from certjobs.cli import output

    request = bootstrap.Request(
        local=local,
        dry_run=dry_run,
        as_of=as_date(as_of),
        json=json,
        reason=clean_reason(reason) if reason is not None else None,
        reads_only=reads_only,
    )
    try:
        with bootstrap.environment(request, output.progress()) as env, env.administration() as database:
            yield env, database.transaction
    except StatementFailed as exc:
        raise _in_words(exc) from exc


def _in_words(exc: StatementFailed) -> Exception:
    """Say what an administrator can do about a statement that the database refused."""
    if "UniqueViolation" in exc.reason:
        msg = "Somebody else took that name at the same moment; nothing was changed."
        return UsageError(msg, hint="Look at what is there now, and run the command again where it still fits.")
    if "ForeignKeyViolation" in exc.reason or "RestrictViolation" in exc.reason:
        msg = "Other tables of the application still refer to it; nothing was changed."
        return UsageError(msg, hint="Remove it in the application first.")
    return exc


def confirmed(question: str) -> None:
    """Ask a person who sits at a terminal; a script is taken at its word."""
    if sys.stdin and sys.stdin.isatty():
        typer.confirm(question, abort=True)
