"""certjobs in a process of its own for which time goes HASTE times as fast wherever a run rests or a watcher waits."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import stamina

from certjobs import watch
from certjobs.adapters.clock import SystemClock
from certjobs.cli import main

if TYPE_CHECKING:
    from threading import Event


def hasten(times: float) -> None:
    """Shorten every rest, and every wait of a watcher but for what it is told of."""
    sleep = SystemClock.sleep

    def hastily(clock: SystemClock, seconds: float, until: Event, /) -> None:
        sleep(clock, seconds / times, until)

    SystemClock.sleep = hastily  # type: ignore[method-assign]
    for name, value in {"AWAY": tuple(each / times for each in watch.AWAY), "BEAT": watch.BEAT / times}.items():
        setattr(watch, name, value)
    watch.JOIN = float(os.environ.get("JOIN", watch.JOIN))
    stamina.set_testing(True, attempts=4)


if __name__ == "__main__":
    hasten(float(os.environ["HASTE"]))
    sys.exit(main(sys.argv[1:]))
