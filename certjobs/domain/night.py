"""What a night came to: everything its report tells, gathered once, for the terminal and for the page."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import date, datetime

    from certjobs.domain.coverage import Equation


@dataclass(frozen=True, slots=True)
class Step:
    """A job of the night: how it went, what it counted, and the equations that prove it left nothing out.

    ``status`` is that of the run log; ``exit_code`` and ``message`` are the run's. ``seconds`` is how long it took.
    """

    job: str
    run_id: str
    status: str
    exit_code: int
    message: str | None
    hint: str | None
    seconds: float
    counts: Mapping[str, int]
    equations: Sequence[Equation]


@dataclass(frozen=True, slots=True)
class Missed:
    """A night on which a job did not run to a good end, and what it would have done then.

    ``pauses`` are references of mentors who were paused later than promised; ``reminders`` are (reference, threshold in
    days) whose coordinators were told later than promised. Both tell of at most so many; the totals of all.
    """

    night: date
    job: str
    pauses: Sequence[str]
    reminders: Sequence[tuple[str, int]]
    pauses_total: int
    reminders_total: int


@dataclass(frozen=True, slots=True)
class PausedMentor:
    """A mentor who was paused tonight. ``name`` is None unless names were asked for."""

    mentor_ref: str
    organisation: str
    chapter: str
    last_valid_day: date
    notices: int
    name: str | None = None


@dataclass(frozen=True, slots=True)
class ComingNight:
    """A night to come: reminders by threshold in days, pauses, and pauses that the guard will ask about."""

    night: date
    reminders: Mapping[int, int]
    pauses: int
    guarded: int


@dataclass(frozen=True, slots=True)
class PastRun:
    """A run of the last weeks."""

    job: str
    started_at: datetime
    status: str
    exit_code: int | None
    seconds: float | None


@dataclass(frozen=True, slots=True)
class Exposed:
    """A mentor whom the website still shows, as far as is known, though their certification has expired.

    ``since`` is when they should have left it, ``minutes`` how long ago that is.
    """

    mentor_ref: str
    organisation: str
    since: datetime
    minutes: int


@dataclass(frozen=True, slots=True)
class Queue:
    """The operations that are on their way to the website. ``oldest_open_seconds``: None where nothing waits."""

    open: int
    processing: int
    dead: int
    oldest_open_seconds: float | None
    done_last_hour: int


@dataclass(frozen=True, slots=True)
class Finding:
    """A class of findings of ``reconcile``: how many are open, how many are new tonight, and some of them in words."""

    finding: str
    open: int
    new: int
    examples: Sequence[str]


@dataclass(frozen=True, slots=True)
class Volume:
    """What was expected of tonight, beside what was done; ``unexpected``: far enough apart to be looked at.

    ``what`` is ``paused`` or ``reminders``.
    """

    organisation: str
    what: str
    expected: int
    actual: int
    unexpected: bool


@dataclass(frozen=True, slots=True)
class Night:
    """A whole night, as its report tells it. Mentors stand by reference alone, unless names were asked for.

    ``today`` is the first organisation's date when the run began, ``time_zone`` that organisation's; ``paused`` and
    ``exposed`` tell of the first so many, ``paused_total`` and ``exposed_total`` count all. ``forecast`` has a row for
    each coming night with something to do, between ``forecast_first`` and ``forecast_last``. ``history`` is ordered by
    when the runs started, oldest first.
    ``compared``: whether the website was compared with the rule tonight; else nobody knows whether it agrees.
    """

    run_id: str
    started_at: datetime
    time_zone: str
    today: date
    dry_run: bool
    status: str
    exit_code: int
    message: str | None
    hint: str | None
    seconds: float
    steps: Sequence[Step]
    missed: Sequence[Missed]
    paused: Sequence[PausedMentor]
    paused_total: int
    forecast_first: date
    forecast_last: date
    forecast: Sequence[ComingNight]
    history: Sequence[PastRun]
    queue: Queue
    exposed: Sequence[Exposed]
    exposed_total: int
    findings: Sequence[Finding]
    volumes: Sequence[Volume]
    compared: bool

    def nameless(self) -> Night:
        """Return the night without anybody's name: what is not for the page of whoever asked for names."""
        return replace(self, paused=[replace(each, name=None) for each in self.paused])
