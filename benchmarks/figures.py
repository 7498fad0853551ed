"""A measured line beside its yardstick, and how the two are measured alike."""

from __future__ import annotations

import subprocess
import time
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True)
class Figure:
    """One line of the table: what, how much, beside what, how much that, and the ratio that was promised.

    Times are in milliseconds, memory in MB. ``at_most`` and ``at_least`` bound the ratio; None promises nothing.
    """

    what: str
    value: float
    yardstick: str
    yardstick_value: float
    at_most: float | None = None
    at_least: float | None = None
    unit: str = "ms"

    @property
    def ratio(self) -> float:
        """Return how many times the yardstick."""
        return self.value / self.yardstick_value

    @property
    def kept(self) -> bool | None:
        """Tell whether the promise is kept; None where there is none."""
        if self.at_most is not None:
            return self.ratio <= self.at_most
        return self.ratio >= self.at_least if self.at_least is not None else None

    @property
    def promised(self) -> str:
        """Return the promise in words."""
        if self.at_most is not None:
            return f"at most {self.at_most:g}"
        return f"at least {self.at_least:g}" if self.at_least is not None else ""


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
