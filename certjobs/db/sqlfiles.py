"""The set-based statements of this package, a file each, read once."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import sqlalchemy as sa

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping

T = TypeVar("T")

# A foreign key that would be looked at only at the end is looked at now: a dry-run has no end.
CHECK_NOW = sa.text("SET CONSTRAINTS ALL IMMEDIATE")
PAGE = 2000  # rows fetched at a time of a result that may be as long as the roster
DIRECTORY = Path(__file__).parent / "sql"


@cache
def statement(*names: str) -> sa.TextClause:
    """Return the statement in ``sql/<name>.sql``, or in several that go on from each other; parameters as ``:name``."""
    return sa.text("".join((DIRECTORY / f"{name}.sql").read_text(encoding="utf-8") for name in names))


def stream(
    connection: sa.Connection, query: sa.TextClause, values: Mapping[str, Any], make: Callable[..., T]
) -> Generator[T]:
    """Yield what a query finds, made of its columns, in memory that does not grow with it.

    Its cursor is open until the last one was taken or the generator is closed.
    """
    with connection.execute(query, values, execution_options={"yield_per": PAGE}) as rows:
        for row in rows:
            yield make(*row)
