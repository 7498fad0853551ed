"""A job carried out by the command line inside this process, so that its parts can be timed."""

from __future__ import annotations

import io
import json
import sys
import time
from contextlib import contextmanager, redirect_stdout
from typing import TYPE_CHECKING, Any

from certjobs.cli import main

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def timed(owner: Any, name: str) -> Iterator[list[float]]:
    """Yield a list that takes the milliseconds of every call of a function, as long as the block runs."""
    original, taken = getattr(owner, name), list[float]()

    def wrapper(*args: Any, **kwargs: Any) -> Any:
        began = time.perf_counter()
        result = original(*args, **kwargs)
        taken.append((time.perf_counter() - began) * 1000)
        return result

    setattr(owner, name, wrapper)
    try:
        yield taken
    finally:
        setattr(owner, name, original)


def run(*arguments: str, counts: dict[str, int]) -> None:
    """Run a job, and stop where it fails or counts something else."""
    printed = io.StringIO()
    with redirect_stdout(printed):
        code = main([*arguments, "--json"])
    found = json.loads(printed.getvalue() or "{}").get("counts", {})
    if code or {name: found.get(name, 0) for name in counts} != counts:
        sys.exit(f"certjobs {' '.join(arguments)} ended with {code}: {printed.getvalue()[:2000]}")
