"""What the jobs need from outside the process, as Protocols. The database is not among them: it is always real."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from contextlib import AbstractContextManager
    from datetime import date, datetime
    from threading import Event
    from uuid import UUID


class Clock(Protocol):
    """The one place where time comes from."""

    def now(self) -> datetime:
        """Return the present moment, aware, in UTC."""


class Sleep(Protocol):
    """The one place where a run waits for time to pass."""

    def __call__(self, seconds: float, until: Event, /) -> None:
        """Wait so long, or until the event is set."""


@dataclass(frozen=True, slots=True)
class Notice:
    """One notice ready to be sent: because of what, about whom.

    ``kind`` is ``pause`` or ``reminder``; a reminder has the ``threshold_day`` it was due for, and ``days_left`` counts
    from the day it is sent on (negative once expired). ``idempotency_key`` is the same at every attempt and derives
    from what the notice is; ``failures`` counts the attempts that failed. The name is personal data: it goes to the
    recipient's channel, never into a log.
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
    threshold_day: int | None
    days_left: int
    failures: int = 0


@dataclass(frozen=True, slots=True)
class Message:
    """What one recipient is sent at once: one notice, or all of theirs where the channel gathers.

    ``key`` derives from the keys of its notices and is stored before the message is sent. ``language`` is ``nb``,
    ``nn`` or ``en``. Name and address are personal data.
    """

    key: str
    today: date
    recipient_name: str
    recipient_address: str
    language: str
    notices: tuple[Notice, ...]


class Sender(Protocol):
    """Sends messages one after the other; used by one thread."""

    def send(self, message: Message) -> str:
        """Send one message and return the channel's message id.

        Raises DeliveryFailed when it may work later, DeliveryRefused when it never will, DeliveryUnknown when nobody
        can tell whether it arrived, RateLimited when the channel asks for a rest, ChannelDown when it cannot be reached
        at all, and CredentialsRejected when it does not know us.
        """


class Notifier(Protocol):
    """A channel that carries notices.

    ``honours_keys`` says whether the channel drops a second message with the same key; only then may a notice whose
    sending was cut short be sent again. ``gathers``: whether one message carries all notices of a recipient.
    ``concurrency`` is how many senders may work at once, and ``batch`` how many messages one of them may have in hand:
    more than one only where keys are honoured.
    """

    name: str
    honours_keys: bool
    gathers: bool
    concurrency: int
    batch: int

    def sender(self) -> AbstractContextManager[Sender]:
        """Open what sends: a connection, kept for many messages. It may connect only at the first message."""


@runtime_checkable
class Reachable(Protocol):
    """A service that can be connected to without telling it anything."""

    def reach(self) -> None:
        """Connect and log in as for a message, and send none.

        Raises Unavailable, CredentialsRejected or ConfigurationError where that is not possible.
        """


@dataclass(frozen=True, slots=True)
class ListingChange:
    """One change to make on the public listing: this mentor is to be listed there, or not to be."""

    mentor_ref: str
    listed: bool


@dataclass(frozen=True, slots=True)
class ListingResult:
    """What became of one change.

    ``outcome`` is ``done``; ``absent``: to be taken off, and the portal does not know the mentor, which is as good;
    ``failed``: not now; ``unknown``: nobody knows, and the portal may still be at it: the same again is safe, the
    opposite is not; ``refused``: never; ``limited``: the portal asks for a rest; ``skipped``: not tried. ``error``
    is safe to store and to log: no secret, name or address in it.
    """

    outcome: str
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """The portal's answer to a request: a result for each change, in their order.

    ``rest`` is how many seconds the portal asks every worker to rest, or None where it does not ask. ``trouble`` says
    what kept the portal as a whole from answering, if so: nothing of the changes is to blame then.
    """

    results: Sequence[ListingResult]
    rest: float | None = None
    trouble: str | None = None


class ListedPage(NamedTuple):
    """A page of those whom the portal lists: our key of each there, where it has one, and the portal's own id."""

    refs: Sequence[str | None]
    entries: Sequence[str]


class PortalSession(Protocol):
    """Makes changes on the listing, one request after the other; used by one thread."""

    def apply(self, changes: Sequence[ListingChange]) -> Answer:
        """Ask for changes in one request, and return what became of each.

        The same changes again are safe. Never waits for a rest, nor tries again what failed: the caller does, who knows
        what else changed meanwhile. Raises Unavailable when the portal cannot be reached at all and nothing left, and
        CredentialsRejected when it does not accept us; then nothing is known to be done.
        """


class ListingPortal(Protocol):
    """The public listing of mentors.

    ``batch`` is how many changes one request may carry, ``concurrency`` how many requests may be under way at once,
    ``patience`` how many seconds one call of ``apply`` takes at most.
    """

    name: str
    batch: int
    concurrency: int
    patience: float

    def check(self) -> int | None:
        """Make sure that the portal accepts us; return how many requests at once it recommends, where it says so.

        Raises CredentialsRejected when it does not, ConfigurationError where the listing is not as the settings say,
        and Unavailable when it cannot be asked.
        """

    def refusal(self, change: ListingChange) -> ListingResult | None:
        """Return why a change cannot even be asked for, if so; nothing is sent for it."""

    def session(self) -> AbstractContextManager[PortalSession]:
        """Open what makes changes: a connection, kept for many requests. It connects only at the first."""

    def listed(self) -> Iterable[ListedPage]:
        """Read everyone who is listed; then give them, page by page, as often as asked for.

        All or nothing: every page has been read when it returns, and nothing outside is asked after that. Raises
        Unavailable, CredentialsRejected or CertjobsError where any page fails.
        """


class PublicSite(Protocol):
    """What the public sees of the listing, which follows the portal some minutes behind."""

    def read(self) -> None:
        """Read all of it. Raises Unavailable where that is not possible."""

    def shown(self, refs: Sequence[str]) -> Sequence[str]:
        """Return which of these mentors it shows, as it was read."""


@dataclass(frozen=True, slots=True)
class Alert:
    """What operations people are told: one class of trouble, one run, no personal data.

    ``run_id``: None where a command tells that is no run.
    """

    kind: str
    job: str
    run_id: UUID | None
    exit_code: int
    status: str
    message: str
    hint: str | None
    counts: Mapping[str, int]


class Alerter(Protocol):
    """Tells operations people."""

    def check(self) -> None:
        """Raise ConfigurationError where it cannot tell anybody as it is set; nothing is sent."""

    def alert(self, alert: Alert) -> None:
        """Send the alert, or raise; the caller never lets that change the job's own outcome."""


@dataclass(frozen=True, slots=True)
class Ping:
    """A sign of life of a run: that it began or, where there is an exit code, how it ended.

    ``summary`` is a few lines for people, without personal data.
    """

    job: str
    run_id: UUID
    exit_code: int | None = None
    summary: str = ""


class Pinger(Protocol):
    """Tells a monitor, which tells people where no sign of life comes."""

    def ping(self, ping: Ping) -> None:
        """Send the ping, or raise; the caller never lets that change the job's own outcome."""


@dataclass(frozen=True, slots=True)
class Measured:
    """How the last run of a job went, as numbers."""

    job: str
    exit_code: int
    seconds: float
    counts: Mapping[str, int]


class Meter(Protocol):
    """Keeps how the last run of each job went where a monitoring system reads it."""

    def write(self, measured: Measured) -> None:
        """Keep it, or raise; the caller never lets that change the job's own outcome."""


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
