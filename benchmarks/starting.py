"""How long it takes before the work begins: help, and a run of a job that does nothing."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from statistics import median
from typing import TYPE_CHECKING

from benchmarks.figures import Figure, alternate

if TYPE_CHECKING:
    from pathlib import Path

PYTHON = sys.executable


def start(rounds: int) -> list[Figure]:
    """Measure how long help takes."""
    helped, nothing = alternate(rounds, [PYTHON, "-m", "certjobs", "--help"], [PYTHON, "-c", "pass"])
    return [Figure("certjobs --help", helped, "python -c pass", nothing, at_most=8)]


def empty_run(rounds: int, address: str, directory: Path) -> list[Figure]:
    """Measure a run of a job that does nothing, cold and warm, on a migrated database."""
    os.environ["CERTJOBS_DATABASE_URL"] = address
    noop = [PYTHON, "-m", "benchmarks.noop"]
    found = json.loads(subprocess.run([*noop, "--statements"], capture_output=True, check=True).stdout)
    recorded = directory / "statements.json"
    recorded.write_text(json.dumps(found["statements"]), encoding="utf-8")
    bare = [PYTHON, "-m", "benchmarks.bare", address, str(recorded)]
    cold, yardstick = alternate(rounds, noop, bare)
    warm = [
        json.loads(subprocess.run([*noop, "--warm"], capture_output=True, check=True).stdout) for _ in range(rounds)
    ]
    database = median(each["database"] for each in warm) * 1000
    dispatch = median(each["total"] - each["database"] for each in warm) * 1000
    return [
        Figure("a job that does nothing, cold", cold, "same imports and statements", yardstick, at_most=1.1),
        Figure("its dispatch, warm", dispatch, "the whole cold run", cold),
        Figure("its lock, row and record, warm", database, "the whole cold run", cold),
    ]
