"""Every measurement, one table; ``--json`` for programs.

Each figure is the median of runs that alternate with its yardstick's, so that whatever else the machine does falls on
both.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

from certjobs.db import engine as db_engine
from certjobs.db import schema
from certjobs.local import postgres

if TYPE_CHECKING:
    from collections.abc import Sequence

PYTHON = sys.executable


@dataclass(frozen=True)
class Figure:
    """One line of the table: what, how long in milliseconds, beside what, how long that; and what was promised."""

    what: str
    milliseconds: float
    yardstick: str
    yardstick_milliseconds: float
    promised: str

    @property
    def ratio(self) -> float:
        """Return how many times the yardstick."""
        return self.milliseconds / self.yardstick_milliseconds


def alternate(rounds: int, *commands: Sequence[str]) -> list[float]:
    """Run commands in turn, for so many rounds after one to warm up, and return each one's median in milliseconds."""
    times: list[list[float]] = [[] for _ in commands]
    for number in range(rounds + 1):
        for command, taken in zip(commands, times, strict=True):
            began = time.perf_counter()
            done = subprocess.run(command, capture_output=True, check=False)
            if done.returncode:
                raise SystemExit(done.stderr.decode() or done.stdout.decode())
            if number:
                taken.append((time.perf_counter() - began) * 1000)
    return [median(each) for each in times]


def measure(rounds: int) -> list[Figure]:
    """Measure everything on an embedded server of its own."""
    with (
        tempfile.TemporaryDirectory(prefix="certjobs-bench-") as directory,
        postgres.database(Path(directory)) as address,
    ):
        os.environ["CERTJOBS_DATABASE_URL"] = address
        engine = db_engine.create_engine(
            db_engine.database_url(address), application_name="bench", statement_timeout=60, lock_timeout=10
        )
        schema.upgrade(engine)
        engine.dispose()
        return [*start(rounds), *empty_run(rounds, address, Path(directory))]


def start(rounds: int) -> list[Figure]:
    """Measure how long help takes."""
    helped, nothing = alternate(rounds, [PYTHON, "-m", "certjobs", "--help"], [PYTHON, "-c", "pass"])
    return [Figure("certjobs --help", helped, "python -c pass", nothing, "at most 8 times")]


def empty_run(rounds: int, address: str, directory: Path) -> list[Figure]:
    """Measure a run of a job that does nothing, cold and warm."""
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
        Figure("a job that does nothing, cold", cold, "same imports and statements", yardstick, "under 2 s; 1.1 times"),
        Figure("its dispatch, warm", dispatch, "the whole cold run", cold, "under 50 ms"),
        Figure("its lock, row and record, warm", database, "the whole cold run", cold, "under 500 ms"),
    ]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.add_argument("--rounds", type=int, default=15, help="runs of each command (default 15)")
    options = parser.parse_args()
    figures = measure(options.rounds)
    if options.json:
        print(json.dumps([asdict(each) | {"ratio": each.ratio} for each in figures]))
        return
    print(f"{'what':34}{'ms':>9}   {'beside':30}{'ms':>9}{'ratio':>8}   promised")
    for each in figures:
        print(
            f"{each.what:34}{each.milliseconds:9.1f}   {each.yardstick:30}{each.yardstick_milliseconds:9.1f}"
            f"{each.ratio:8.2f}   {each.promised}"
        )


if __name__ == "__main__":
    main()
