"""roster import of many rows, beside COPY into the same staging table and the same merge from psql."""

from __future__ import annotations

import csv
import os
import subprocess
import sys
import time
from datetime import date, timedelta
from typing import TYPE_CHECKING

import psycopg

from benchmarks import server
from benchmarks.figures import Figure
from certjobs.db import sqlfiles
from certjobs.domain.roster_row import COLUMNS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MERGES = ("organisations", "chapters", "coordinators", "mentors", "assignments", "certifications")
MEGABYTES = 120


def importing(address: str, rows: int, directory: Path) -> list[Figure]:
    """Measure once each, on databases of their own: a run takes minutes, and what it does dwarfs what disturbs it."""
    file, copied = directory / "roster.csv", directory / "roster.copy"
    with server.database(address, "bench_template") as template:
        server.migrate(template)
        with psycopg.connect(template, autocommit=True) as connection:
            connection.execute("VACUUM (ANALYZE)")
        with file.open("w", encoding="utf-8", newline="") as out:
            writer = csv.writer(out)
            writer.writerow(COLUMNS)
            writer.writerows(_rows(rows))
        with copied.open("w", encoding="utf-8") as plain:
            for number, row in enumerate(_rows(rows), start=2):
                plain.write("\t".join([str(number), *row[:4], *_arrays(row[4]), *row[5:8], "\\N"]) + "\n")
        with server.database(address, "bench_import", "bench_template") as url:
            taken, peak = _import(url, file)
        with server.database(address, "bench_merge", "bench_template") as url:
            bare = _bare(url, copied)
    name = f"{rows:,}".replace(",", " ")
    return [
        Figure(f"roster import, {name} rows", taken, "COPY and merge in psql", bare, at_most=2),
        Figure("its peak memory", peak, "what was promised", MEGABYTES, at_most=1, unit="MB"),
    ]


def _rows(count: int) -> Iterator[tuple[str, ...]]:
    """Yield rows as a roster has them: a mentor each, two coordinators of five in each of 400 chapters."""
    coordinators = [
        [f"Koordinator Øst {chapter}-{n} <k{chapter}.{n}@example.org>" for n in range(5)] for chapter in range(400)
    ]
    first = date(2026, 1, 1)
    for number in range(count):
        of_chapter = coordinators[number % 400]
        expires = first + timedelta(days=number * 7919 % 1500)
        yield (
            f"M-{number:07}",
            f"Mentor Prøvesen {number}",
            "HLF",
            f"Lag {number % 400}",
            "|".join(sorted({of_chapter[number // 400 % 5], of_chapter[(number // 2000 + 1) % 5]})),
            f"C-{number:07}",
            (expires - timedelta(days=730)).isoformat(),
            expires.isoformat(),
            "",
        )


def _arrays(cell: str) -> tuple[str, str]:
    pairs = [each.rstrip(">").split(" <") for each in cell.split("|")]
    return tuple("{" + ",".join(f'"{pair[part]}"' for pair in pairs) + "}" for part in range(2))  # type: ignore[return-value]


def _import(url: str, file: Path) -> tuple[float, float]:
    """Run the command as a process of its own; return its milliseconds, start included, and peak memory in MB."""
    command = [sys.executable, "-m", "certjobs", "roster", "import", str(file), "--json"]
    began = time.perf_counter()
    with subprocess.Popen(
        command,
        env=os.environ | {"CERTJOBS_DATABASE_URL": server.login(url, "certjobs_admin")},
        stdout=subprocess.DEVNULL,
    ) as process:
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"roster import ended with {process.returncode}")
    return (time.perf_counter() - began) * 1000, used.ru_maxrss / 1024


def _bare(url: str, copied: Path) -> float:
    """Run COPY and the same statements in psql, in one transaction; return their milliseconds."""

    def of(name: str) -> str:
        return (sqlfiles.DIRECTORY / f"{name}.sql").read_text(encoding="utf-8")

    script = [
        "BEGIN;",
        f"{of('roster_staging')};",
        f"\\copy roster_staging from '{copied}'",
        "ANALYZE roster_staging;",
        *(f"{of(f'merge_{table}')};" for table in MERGES),
        "COMMIT;",
    ]
    return sum(server.psql(url, "\n".join(script)))
