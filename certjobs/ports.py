"""What the jobs need from outside the process, as Protocols. The database is not among them: it is always real."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping
    from contextlib import AbstractContextManager
    from datetime import date, datetime
    from uuid import UUID


class Clock(Protocol):
    """The one place where time comes from."""

    def now(self) -> datetime:
        """Return the present moment, aware, in UTC."""


@dataclass(frozen=True, slots=True)
class Notice:
    """One notice ready to be sent: because of what, about whom, to whom.

    ``idempotency_key`` is the same at every attempt and derives from what the notice is. Name and address are
    personal data: they go to the recipient's channel, never into a log.
    """

    id: int
    kind: str
    idempotency_key: str
    attempt: int
    mentor_ref: str
    mentor_name: str
    organisation: str
    chapter: str
    certification_expiry: date
    recipient_name: str
    recipient_address: str
    language: str


class Notifier(Protocol):
    """A channel that carries notices.

    ``honours_keys`` says whether the channel drops a second message with the same idempotency key; only then may a
    notice whose sending was cut short be sent again.
    """

    name: str
    honours_keys: bool

    def send(self, notice: Notice) -> str:
        """Send one notice and return the channel's message id.

        Raises DeliveryFailed when it may work later and DeliveryRefused when it never will.
        """


@dataclass(frozen=True, slots=True)
class Alert:
    """What operations people are told: one class of trouble, one run, no personal data."""

    kind: str
    job: str
    run_id: UUID
    exit_code: int
    status: str
    message: str
    hint: str | None
    counts: Mapping[str, int]


class Alerter(Protocol):
    """Tells operations people."""

    def alert(self, alert: Alert) -> None:
        """Send the alert, or raise; the caller never lets that change the job's own outcome."""


class Progress(Protocol):
    """Shows a person how far a long piece of work has come."""

    def track(self, description: str, total: int, *, unit: str = "steps") -> AbstractContextManager[Advance]:
        """Show a bar for ``total`` steps, or bytes where ``unit`` says so, until the context ends."""


class Advance(Protocol):
    """Moves one progress bar."""

    def __call__(self, steps: int, /) -> None:
        """Say that this many more steps are done."""


class Log(Protocol):
    """The part of a structured logger that jobs use: an event name and plain values."""

    def info(self, event: str, **values: Any) -> Any:
        """Log what happened."""

    def warning(self, event: str, **values: Any) -> Any:
        """Log what a person should look at."""
