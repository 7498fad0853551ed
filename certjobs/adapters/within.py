"""A bound on how long something outside may take in all: libraries bound parts of it, none the look-up of a name."""

from __future__ import annotations

from concurrent.futures import Future
from threading import Thread
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")


def within(seconds: float, work: Callable[[], T]) -> T:
    """Do work, and return or raise what it does. Raises TimeoutError when it takes longer, and lets it go."""
    done: Future[T] = Future()

    def do() -> None:
        try:
            done.set_result(work())
        except Exception as exc:  # noqa: BLE001 - it is raised again where it is waited for
            done.set_exception(exc)

    Thread(target=do, name="within", daemon=True).start()
    return done.result(seconds)
