"""The measurements run; what they find is for people to look at, never a test's to judge."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from tests.conftest import ROOT


@pytest.mark.parametrize(
    ("arguments", "measured"),
    [
        (["--only", "import", "--rows", "400"], ["roster import, 400 rows", "its peak memory"]),
        (
            ["--only", "pause", "--sizes", "30000", "--rounds", "3"],
            ["pausing 1000 of 30 000, in batches", "expiry-check, 1000 of 30 000"],
        ),
        (
            ["--only", "remind", "--sizes", "20000,24000", "--rounds", "3"],
            [
                "deciding for 2000 of 20 000",
                "deciding again, of 20 000",
                "deciding for 2000 of 24 000",
                "deciding for 2000 of 24 000",
                "deciding again, of 24 000",
            ],
        ),
        (
            ["--only", "watch", "--changes", "10"],
            [
                "change to request, median",
                "change to request, 99th percentile",
                "change to request, median",
            ],
        ),
        (
            ["--only", "reconcile", "--listed", "6000", "--rounds", "1"],
            ["reconcile, 6 000 rows", "the same", "its peak memory"],
        ),
        (["--only", "deliver", "--notices", "100", "--rounds", "3"], ["100 notices by webhook"]),
        (
            ["--only", "sync", "--operations", "300", "--rounds", "1"],
            [
                "sync, 300 packed",
                "the same",
                "the same",
                "sync, one by one",
                "sent within limits, first 5 minutes",
                "sent within limits, next 5 minutes",
            ],
        ),
    ],
)
def test_measures_beside_a_yardstick(arguments: list[str], measured: list[str]) -> None:
    """Each measurement runs from an empty server to a ratio beside its yardstick, on a small roster."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", "--json", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    figures = json.loads(done.stdout)
    assert [each["what"] for each in figures] == measured
    assert all(each["ratio"] > 0 for each in figures)
