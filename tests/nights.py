"""Nights as their report tells them: one with something of everything, and one with nothing to tell. All invented."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

from certjobs.domain.coverage import Equation, equations
from certjobs.domain.night import (
    ComingNight,
    Exposed,
    Finding,
    Missed,
    Night,
    PastRun,
    PausedMentor,
    Queue,
    Step,
    Volume,
)

TODAY = date(2026, 11, 27)
STARTED = datetime(2026, 11, 27, 1, 15, 3, tzinfo=UTC)
DAY = timedelta(days=1)
JOBS = ("nightly", "expiry-check", "remind", "sync", "reconcile")
RUN = "5a1f6c0e-3b1d-4c0a-9f63-0c8d3f5e7a21"


def history(troubles: dict[tuple[str, int], tuple[str, int | None] | None]) -> list[PastRun]:
    """Return five weeks of runs; ``troubles``: how a job went so many nights ago, None where it did not run."""
    runs = []
    for ago in range(34, -1, -1):
        for place, job in enumerate(JOBS):
            went = troubles.get((job, ago), ("succeeded", 0))
            if went is not None:
                status, code = went
                at = STARTED - ago * DAY + timedelta(seconds=place)
                runs.append(PastRun(job, at, status, code, None if code is None else 4.5 + place))
    return runs


def full_night(*, dry_run: bool = False, names: bool = True) -> Night:
    """Return a night that went partly wrong, with something to tell in every part of its report."""
    steps = [
        Step(
            "expiry-check",
            "11111111-0000-4000-8000-000000000001",
            "succeeded",
            0,
            None,
            None,
            1.84,
            {"mentors": 1204, "expired": 5, "paused": 4, "open": 1, "never_certified": 10},
            equations("expiry-check", {"expired": 5, "paused": 4, "open": 1}),
        ),
        Step(
            "remind",
            "11111111-0000-4000-8000-000000000002",
            "partial",
            3,
            "1 notice was not sent: the mail server asked to wait",
            "The next run sends it; see `certjobs notifications list --status failed`.",
            252.4,
            {"notices_owed": 12, "owed_sent": 11, "owed_open": 1, "reminders": 9},
            equations("remind", {"notices_owed": 12, "owed_sent": 11, "owed_open": 1}),
        ),
        Step(
            "sync",
            "11111111-0000-4000-8000-000000000003",
            "succeeded",
            0,
            None,
            None,
            12.2,
            {"claimed": 9, "done": 6, "dead": 2},
            [Equation("operations taken", 9, [("done", 6), ("dead", 2), ("failed", 0)])],
        ),
        Step("reconcile", "11111111-0000-4000-8000-000000000004", "skipped", 75, None, None, 0.04, {}, []),
    ]
    paused = [
        PausedMentor("HLF-0041", "HLF", "Multedalen", date(2026, 11, 26), 2, "Kari Eksempel" if names else None),
        PausedMentor("HLF-0201", "HLF", "Multedalen", date(2026, 11, 26), 1, "Ola Oppdiktet" if names else None),
        PausedMentor("HLF-0388", "HLF", "Tyttebærstrand", date(2026, 11, 24), 1, None),
    ]
    troubles: dict[tuple[str, int], tuple[str, int | None] | None] = {
        **{(job, 7): None for job in JOBS},
        ("nightly", 0): ("partial", 3),
        ("remind", 0): ("partial", 3),
        ("reconcile", 0): ("skipped", 75),
        ("nightly", 12): ("failed", 69),
        ("sync", 12): ("failed", 69),
        ("nightly", 20): ("abandoned", None),
        ("remind", 20): ("abandoned", None),
        ("sync", 20): None,
        ("reconcile", 20): None,
    }
    runs = history(troubles)
    runs.insert(60, PastRun("force-sync", STARTED - 23 * DAY + timedelta(hours=9), "succeeded", 0, 2.0))
    forecast = [
        ComingNight(
            TODAY + ahead * DAY, {30: ahead % 4, 14: ahead % 3, 7: (ahead + 1) % 2}, ahead % 5 % 3, 31 * (ahead == 18)
        )
        for ahead in range(1, 31)
        if ahead % 7
    ]
    return Night(
        run_id=RUN,
        started_at=STARTED,
        time_zone="Europe/Oslo",
        today=TODAY,
        dry_run=dry_run,
        status="partial",
        exit_code=3,
        message="remind: 1 notice was not sent: the mail server asked to wait",
        hint="The next run sends it; see `certjobs notifications list --status failed`.",
        seconds=267.1,
        steps=steps,
        missed=[
            Missed(TODAY - 7 * DAY, "expiry-check", ["HLF-0007", "HLF-0113"], [], 2, 0),
            Missed(TODAY - 7 * DAY, "remind", [], [("HLF-0311", 30), ("HLF-0099", 7)], 0, 6),
            Missed(TODAY - 12 * DAY, "sync", [], [], 0, 0),
        ],
        paused=paused,
        paused_total=4,
        forecast_first=TODAY + DAY,
        forecast_last=TODAY + 30 * DAY,
        forecast=forecast,
        history=runs,
        queue=Queue(open=14, processing=2, dead=2, oldest_open_seconds=11_400.0, done_last_hour=1204),
        exposed=[
            Exposed("HLF-0113", "HLF", STARTED - timedelta(minutes=200), 200),
            Exposed("HLF-0007", "HLF", STARTED - timedelta(minutes=3080), 3080),
        ],
        exposed_total=2,
        findings=[
            Finding("stuck", 2, 1, ["HLF-0007: remove is dead after 8 attempts, the portal answered 400"]),
            Finding("unknown", 3, 0, ["key 90417 on the site belongs to no mentor"]),
            Finding("lagging", 14, 0, []),
        ],
        compared=True,
        volumes=[
            Volume("HLF", "paused", 4, 4, unexpected=False),
            Volume("HLF", "reminders", 41, 9, unexpected=True),
        ],
    )


def quiet_night() -> Night:
    """Return a night on which everything went well and nothing was to be done."""
    steps = [
        Step(job, f"22222222-0000-4000-8000-00000000000{place}", "succeeded", 0, None, None, 0.4 + place, {}, sums)
        for place, (job, sums) in enumerate(
            (
                ("expiry-check", equations("expiry-check", {"expired": 0})),
                ("remind", equations("remind", {"notices_owed": 0})),
                ("sync", equations("sync", {"claimed": 0})),
                ("reconcile", []),
            )
        )
    ]
    return Night(
        run_id=RUN,
        started_at=STARTED,
        time_zone="Europe/Oslo",
        today=TODAY,
        dry_run=False,
        status="succeeded",
        exit_code=0,
        message=None,
        hint=None,
        seconds=7.6,
        steps=steps,
        missed=[],
        paused=[],
        paused_total=0,
        forecast_first=TODAY + DAY,
        forecast_last=TODAY + 30 * DAY,
        forecast=[],
        history=history({}),
        queue=Queue(0, 0, 0, None, 0),
        exposed=[],
        exposed_total=0,
        findings=[],
        compared=True,
        volumes=[],
    )


def nothing() -> Night:
    """Return a night of which nothing at all is known but that it began."""
    return Night(
        run_id="",
        started_at=STARTED,
        time_zone="Europe/Oslo",
        today=TODAY,
        dry_run=False,
        status="",
        exit_code=0,
        message=None,
        hint=None,
        seconds=0,
        steps=[],
        missed=[],
        paused=[],
        paused_total=0,
        forecast_first=TODAY,
        forecast_last=TODAY,
        forecast=[],
        history=[],
        queue=Queue(0, 0, 0, None, 0),
        exposed=[],
        exposed_total=0,
        findings=[],
        compared=True,
        volumes=[],
    )


def everywhere(value: Any, text: str) -> Any:
    """Return a night with a text in the place of each that it has."""
    if isinstance(value, str):
        return text
    if is_dataclass(value) and not isinstance(value, type):
        return replace(value, **{each.name: everywhere(getattr(value, each.name), text) for each in fields(value)})
    if isinstance(value, Mapping):
        return {everywhere(key, text): everywhere(each, text) for key, each in value.items()}
    if isinstance(value, Sequence):
        return [everywhere(each, text) for each in value]
    return value
