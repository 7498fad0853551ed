"""What every administrator's command does around its work: say who asks and why, and open the database."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from certjobs.cli.options import as_date, clean_reason

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
    from certjobs.cli import render

    request = bootstrap.Request(
        local=local,
        dry_run=dry_run,
        as_of=as_date(as_of),
        json=json,
        reason=clean_reason(reason) if reason is not None else None,
        reads_only=reads_only,
    )
    with bootstrap.environment(request, render.progress()) as env, env.administration() as database:
        yield env, database.transaction
