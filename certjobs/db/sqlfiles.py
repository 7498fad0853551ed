"""The set-based statements of this package, a file each, read once."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import sqlalchemy as sa

IN_PAGES = {"yield_per": 2000}  # for results that may be as long as the roster: fetched as they are read
DIRECTORY = Path(__file__).parent / "sql"


@cache
def statement(name: str) -> sa.TextClause:
    """Return the statement in ``sql/<name>.sql``; its parameters are written ``:name``."""
    return sa.text((DIRECTORY / f"{name}.sql").read_text(encoding="utf-8"))
