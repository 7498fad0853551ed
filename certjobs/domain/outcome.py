"""What a job returns, and which of several outcomes counts."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from certjobs.errors import ExitCode

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import date, datetime
    from uuid import UUID

# The worst first. Usage, input and signals end a process before there is anything to compare.
_WORST_FIRST = (
    ExitCode.INTERRUPTED,
    ExitCode.TERMINATED,
    ExitCode.USAGE,
    ExitCode.INPUT,
    ExitCode.FAILED,
    ExitCode.UNAVAILABLE,
    ExitCode.CREDENTIALS,
    ExitCode.CONFIGURATION,
    ExitCode.GUARD,
    ExitCode.PARTIAL,
    ExitCode.LOCKED,
    ExitCode.OK,
)


@dataclass(frozen=True, slots=True)
class Watch:
    """Trouble that lasts, as a run judged it: of which kind, how much of it there is (0: none), and what to say of it.

    People are told when it begins and when it is over, not every night, unless it ``repeats`` or they were told last
    before the moment ``again_since``. ``passed``: how much more there was that this run has put right; where nothing is
    left, people are told of it and that is all. Without a ``sentence`` it is over and there is nothing to say of that.
    ``alert`` and ``hint`` go into the alert.
    """

    kind: str
    number: int
    sentence: str | None
    passed: int = 0
    alert: str = "finding"
    hint: str | None = None
    repeats: bool = False
    again_since: datetime | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a job went: the exit code, its counts for the run log, and what a person or program may want to see.

    ``counts`` are plain numbers by name; ``message`` is one line where the job did not end well
    and ``hint`` what to do about it; ``details`` is JSON-ready and names people by reference only,
    but for a dry-run's ``recipients`` and the names for a night's page, which a person asked to see. ``watches`` is
    trouble that lasts, as it judged it.
    """

    exit_code: ExitCode = ExitCode.OK
    counts: Mapping[str, int] = field(default_factory=dict)
    message: str | None = None
    hint: str | None = None
    details: Mapping[str, Any] = field(default_factory=dict)
    watches: Sequence[Watch] = ()


@dataclass(frozen=True, slots=True)
class Report:
    """What a command reports of a run: to a person as tables, to a program as JSON."""

    run_id: UUID
    job_name: str
    dry_run: bool
    as_of: date | None
    seconds: float
    outcome: Outcome

    def as_json(self) -> dict[str, Any]:
        """Return the report as JSON-ready values; the names are part of the interface."""
        outcome = self.outcome
        return {
            "run_id": str(self.run_id),
            "job": self.job_name,
            "status": outcome.exit_code.status,
            "exit_code": int(outcome.exit_code),
            "message": outcome.message,
            "hint": outcome.hint,
            "dry_run": self.dry_run,
            "as_of": self.as_of.isoformat() if self.as_of else None,
            "seconds": round(self.seconds, 3),
            "counts": dict(outcome.counts),
            **outcome.details,
        }


def worst(codes: Iterable[ExitCode]) -> ExitCode:
    """Return the outcome that counts among several; OK where there are none."""
    return min(codes, key=_WORST_FIRST.index, default=ExitCode.OK)
