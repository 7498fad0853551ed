"""Where everything of a night's pictures stands. How it looks is the template's.

Each picture is worked out twice, for a wide screen and for a phone, so that its letters keep their size on both.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from zoneinfo import ZoneInfo

    from certjobs.domain.night import ComingNight, Night, PastRun

DAY = timedelta(days=1)
MONDAY = 0
FORECAST_NIGHTS = 92  # in the picture: a quarter of a year; the table has every night
LABEL_WIDTH = 46  # of a day on an axis
LETTER = 7.8  # width of a letter of a job's name
NUMBERED = 20  # width from which a bar carries its number


@dataclass(frozen=True, slots=True)
class Canvas:
    """How much room there is: the width, the height of bars, the nights of history, and the width of a job's name."""

    name: str
    width: int
    bars: int
    nights: int
    names: int


WIDE = Canvas("wide", 880, 180, 35, 150)
NARROW = Canvas("narrow", 358, 150, 14, 106)


@dataclass(frozen=True, slots=True)
class Label:
    """A day on an axis, and where it stands along it."""

    at: float
    day: date


@dataclass(frozen=True, slots=True)
class Bar:
    """A night of the forecast. ``parts`` are what it is about, from where, and how high."""

    night: ComingNight
    x: float
    top: float
    total: int
    parts: Sequence[tuple[str, float, float]]


@dataclass(frozen=True, slots=True)
class Bars:
    """The coming weeks, a bar a night."""

    name: str
    width: int
    height: int
    left: int
    base: int
    bar: float
    numbered: bool
    levels: Sequence[tuple[float, int]]
    labels: Sequence[Label]
    bars: Sequence[Bar]


@dataclass(frozen=True, slots=True)
class Cell:
    """A job on a night: the run that counts (None where there was none), out of so many."""

    night: date
    run: PastRun | None
    runs: int
    expected: bool

    @property
    def status(self) -> str | None:
        """Return how it went; None where no run was."""
        return self.run.status if self.run else None


@dataclass(frozen=True, slots=True)
class Grid:
    """The weeks gone by, a row a job and a column a night."""

    name: str
    width: int
    height: int
    size: float
    symbol: float
    labels: Sequence[Label]
    rows: Sequence[tuple[float, str, Sequence[tuple[float, Cell]]]]
    last: float
    first_day: date
    last_day: date
    numbers: Mapping[str | None, int]


@dataclass(frozen=True, slots=True)
class History:
    """The weeks gone by as a table: the jobs, and each night with a cell a job, the latest first."""

    jobs: Sequence[str]
    nights: Sequence[tuple[date, Sequence[Cell]]]


def local(value: datetime, zone: ZoneInfo) -> datetime:
    """Return a moment by the clock of a place; one that names no zone is UTC."""
    return (value if value.tzinfo else value.replace(tzinfo=UTC)).astimezone(zone)


def _ceiling(most: int) -> int:
    """Return the number at the top of an axis: round, and even, so that its half is a number as well."""
    power = 1
    while True:
        for step in (2, 4, 6, 8, 10):
            if most <= step * power:
                return step * power
        power *= 10


def bars(night: Night, canvas: Canvas) -> Bars | None:
    """Return the picture of the coming weeks; None where nothing is to come."""
    by_night = {each.night: each for each in night.forecast}
    count = min((night.forecast_last - night.forecast_first).days + 1, FORECAST_NIGHTS)
    days = [night.forecast_first + each * DAY for each in range(count)]
    totals = {day: _total(by_night[day]) for day in days if day in by_night}
    if not any(totals.values()):
        return None
    top = _ceiling(max(totals.values()))
    left, head = 14 + 8 * len(str(top)), 18
    slot = (canvas.width - left) / count
    bar = min(slot * 0.72, 24.0)
    base = head + canvas.bars
    scale = canvas.bars / top
    found = []
    for place, day in enumerate(days):
        if not totals.get(day):
            continue
        each, at = by_night[day], float(base)
        parts = []
        for what, number in (
            ("reminder", sum(each.reminders.values())),
            ("pause", each.pauses),
            ("guarded", each.guarded),
        ):
            if number:
                height = number * scale
                at -= height
                parts.append((what, round(at, 1), round(height, 1)))
        found.append(Bar(each, round(left + (place + 0.5) * slot - bar / 2, 1), round(at, 1), totals[day], parts))
    return Bars(
        canvas.name,
        canvas.width,
        base + 24,
        left,
        base,
        round(bar, 1),
        slot >= NUMBERED,
        [(round(base - level * scale, 1), level) for level in (0, top // 2, top)],
        _labels(days, left, slot, canvas.width),
        found,
    )


def _total(each: ComingNight) -> int:
    return sum(each.reminders.values()) + each.pauses + each.guarded


def _labels(days: Sequence[date], left: float, slot: float, width: float) -> Sequence[Label]:
    """Return the days that an axis names: Mondays, as many as there is room for; the first day where no Monday is."""
    found: list[Label] = []
    for place, day in enumerate(days):
        at = left + (place + 0.5) * slot
        near = found and at - found[-1].at < LABEL_WIDTH
        if day.weekday() == MONDAY and not near and at + LABEL_WIDTH / 2 <= width:
            found.append(Label(round(at, 1), day))
    return found or [Label(round(left + slot / 2, 1), days[0])]


def nights(night: Night, zone: ZoneInfo, most: int = WIDE.nights) -> History:
    """Return the latest weeks of the history; no nights where no run is known.

    Of several runs in a night the last counts, but one that was skipped only where all were: it did nothing. A night
    without a run is a gap only where the job belongs to the night; what people start by hand has none.
    """
    by_cell: dict[tuple[str, date], list[PastRun]] = {}
    for run in night.history:
        by_cell.setdefault((run.job, local(run.started_at, zone).date()), []).append(run)
    if not by_cell:
        return History((), ())
    ran = {day for _, day in by_cell}
    last = max(ran)
    first = max(min(ran), last - (most - 1) * DAY)
    of_the_night = list(dict.fromkeys(["nightly", *(step.job for step in night.steps)]))
    seen = {job for job, day in by_cell if day >= first}
    jobs = [job for job in of_the_night if job in seen] + sorted(seen.difference(of_the_night))
    days = [last - each * DAY for each in range((last - first).days + 1)]
    return History(
        jobs,
        [
            (day, [_cell(by_cell.get((job, day), ()), day, expected=job in of_the_night) for job in jobs])
            for day in days
        ],
    )


def _cell(runs: Sequence[PastRun], day: date, *, expected: bool) -> Cell:
    counting = [run for run in runs if run.status != "skipped"] or list(runs)
    return Cell(day, counting[-1] if counting else None, len(runs), expected)


def grid(night: Night, zone: ZoneInfo, canvas: Canvas) -> Grid | None:
    """Return the picture of the weeks gone by; None where no run is known."""
    found = nights(night, zone, canvas.nights)
    if not found.nights:
        return None
    days = [day for day, _ in reversed(found.nights)]
    slot = (canvas.width - canvas.names) / canvas.nights
    height, head = 28, 24
    rows = []
    letters = int(canvas.names / LETTER)
    for row, job in enumerate(found.jobs):
        cells = [
            (round(canvas.names + (place + 0.5) * slot, 1), cells[row])
            for place, (_, cells) in enumerate(reversed(found.nights))
        ]
        name = job if len(job) <= letters else f"{job[: letters - 1]}…"
        rows.append((head + (row + 0.5) * height, name, cells))
    numbers = Counter(cell.status for _, _, cells in rows for _, cell in cells if cell.run or cell.expected)
    return Grid(
        canvas.name,
        canvas.width,
        head + len(found.jobs) * height + 4,
        round(slot, 1),
        round(min(slot - 3, 18.0), 1),
        _labels(days, canvas.names, slot, canvas.width),
        rows,
        round(canvas.names + (len(days) - 1) * slot, 1),
        days[0],
        days[-1],
        dict(numbers.most_common()),
    )
