"""SIGTERM and SIGINT while something runs: when they may interrupt it, and what becomes of them until then."""

from __future__ import annotations

import signal
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

from certjobs.errors import Terminated

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType


class Signals:
    """SIGTERM and SIGINT as exceptions, where they may interrupt, and remembered where they may not."""

    def __init__(self) -> None:
        self._raising = False
        self._shields = 0
        self._pending: KeyboardInterrupt | None = None

    @contextmanager
    def installed(self) -> Iterator[None]:
        """Catch the signals until the block ends. Outside the main thread the process's owner keeps them."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {number: signal.signal(number, self._arrived) for number in (signal.SIGTERM, signal.SIGINT)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
            # What came too late to interrupt this run is for whoever has the runs carried out, where somebody has.
            outer = getattr(before[signal.SIGTERM], "__self__", None)
            if self._pending is not None and isinstance(outer, Signals):
                outer.hand_on(self._pending)

    @contextmanager
    def raised(self) -> Iterator[None]:
        """Let a signal interrupt the block."""
        self._raising = True
        try:
            self._raise_pending()
            yield
        finally:
            self._raising = False

    @contextmanager
    def shield(self) -> Iterator[None]:
        """Let the block finish first when a signal arrives in it."""
        self._shields += 1
        try:
            yield
        finally:
            self._shields -= 1
        self._raise_pending()

    def hand_on(self, pending: KeyboardInterrupt) -> None:
        """Take what arrived while others had the signals."""
        self._pending = pending
        self._raise_pending()

    def _arrived(self, number: int, _frame: FrameType | None) -> None:
        self._pending = Terminated() if number == signal.SIGTERM else KeyboardInterrupt()
        self._raise_pending()

    def _raise_pending(self) -> None:
        if self._pending is not None and self._raising and not self._shields:
            pending, self._pending = self._pending, None
            raise pending
