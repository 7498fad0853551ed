"""Every measurement, one table; ``--json`` for programs.

Each figure stands beside its yardstick, measured in the same run, so that whatever else the machine does falls on both.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks import server
from benchmarks.delivering import delivering
from benchmarks.importing import importing
from benchmarks.looking import looking
from benchmarks.pausing import pausing
from benchmarks.reconciling import reconciling
from benchmarks.reminding import LARGEST, reminding
from benchmarks.starting import empty_run, start
from benchmarks.syncing import syncing
from benchmarks.watching import watching

if TYPE_CHECKING:
    from benchmarks.figures import Figure

ALL = "start,pause,remind,deliver,sync,watch,reconcile,look,import"
SIZES = "100000,1000000,5000000"
LISTED = "100000,1000000"


def measure(options: argparse.Namespace) -> list[Figure]:
    """Measure what was asked for on an embedded server of its own."""
    asked = set(options.only.split(","))
    sizes = [int(size) for size in options.sizes.split(",")]
    figures: list[Figure] = []
    with (
        tempfile.TemporaryDirectory(prefix="certjobs-bench-") as directory,
        server.server(Path(directory)) as address,
    ):
        if "start" in asked:
            _say("start: help, and a job that does nothing")
            figures += start(options.rounds)
            with server.database(address, "bench_empty") as url:
                server.migrate(url)
                figures += empty_run(options.rounds, url, Path(directory))
        if "pause" in asked:
            _say(f"pause: rosters of {', '.join(map(str, sizes))}")
            figures += pausing(address, sizes, max(3, options.rounds // 3))
        if "remind" in asked:
            _say(f"remind: rosters of {', '.join(str(size) for size in sizes if size <= LARGEST)}")
            figures += reminding(address, sizes, max(3, options.rounds // 3))
        if "deliver" in asked:
            _say(f"deliver: {options.notices} notices")
            figures += delivering(address, options.notices, max(3, options.rounds // 3))
        if "sync" in asked:
            _say(f"sync: {options.operations} operations")
            figures += syncing(address, options.operations, max(1, options.rounds // 5), Path(directory))
        if "watch" in asked:
            _say(f"watch: {options.changes} changes")
            figures += watching(address, options.changes)
        if "reconcile" in asked:
            _say(f"reconcile: {options.listed} rows")
            rows = [int(number) for number in options.listed.split(",")]
            figures += reconciling(address, rows, max(1, options.rounds // 3))
        if "look" in asked:
            _say(f"look: rosters of {', '.join(str(size) for size in sizes if size <= LARGEST)}")
            figures += looking(address, sizes, options.rounds)
        if "import" in asked:
            _say(f"import: {options.rows} rows")
            figures += importing(address, options.rows, Path(directory))
    return figures


def _say(what: str) -> None:
    print(what, file=sys.stderr, flush=True)


def show(figures: list[Figure]) -> None:
    """Print the table."""
    print(f"{'what':38}{'':>11}   {'beside':34}{'':>11}{'ratio':>9}   promised")
    for each in figures:
        kept = {True: "", False: "   MISSED", None: ""}[each.kept]
        print(
            f"{each.what:38}{each.value:9.1f} {each.unit}   {each.yardstick:34}{each.yardstick_value:9.1f} {each.unit}"
            f"{each.ratio:8.3f}   {each.promised}{kept}"
        )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.add_argument(
        "--rounds", type=int, default=15, help="runs of each command (default 15), of each night a third"
    )
    parser.add_argument("--only", default=ALL, help=f"some of {ALL}")
    parser.add_argument("--sizes", default=SIZES, help=f"mentors in the rosters (default {SIZES})")
    parser.add_argument("--rows", type=int, default=1_000_000, help="rows to import (default 1000000)")
    parser.add_argument("--notices", type=int, default=3000, help="notices to deliver (default 3000)")
    parser.add_argument("--listed", default=LISTED, help=f"rows of the websites to compare (default {LISTED})")
    parser.add_argument("--changes", type=int, default=500, help="changes to watch for (default 500)")
    parser.add_argument("--operations", type=int, default=20_000, help="operations to send to a portal (default 20000)")
    options = parser.parse_args()
    figures = measure(options)
    if options.json:
        extra = [{"ratio": each.ratio, "promised": each.promised, "kept": each.kept} for each in figures]
        print(json.dumps([asdict(each) | more for each, more in zip(figures, extra, strict=True)]))
    else:
        show(figures)


if __name__ == "__main__":
    main()
