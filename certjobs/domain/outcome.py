"""What a job returns, and which of several outcomes counts."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from certjobs.errors import ExitCode

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

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
class Outcome:
    """How a job went: the exit code, its counts for the run log, and what a person or program may want to see.

    ``counts`` are plain numbers by name; ``message`` is one line where the job did not end well
    and ``hint`` what to do about it; ``details`` is JSON-ready and names people by reference only,
    but for a dry-run's ``recipients``, which a person asked to see.
    """

    exit_code: ExitCode = ExitCode.OK
    counts: Mapping[str, int] = field(default_factory=dict)
    message: str | None = None
    hint: str | None = None
    details: Mapping[str, Any] = field(default_factory=dict)


def worst(codes: Iterable[ExitCode]) -> ExitCode:
    """Return the outcome that counts among several; OK where there are none."""
    return min(codes, key=_WORST_FIRST.index, default=ExitCode.OK)
