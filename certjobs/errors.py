"""What can go wrong, as exit codes and as exceptions.

The exit codes are the contract with the scheduler; this table is the only one, and README, failure policy and
help texts are tested against it. Every error a command raises on purpose is a ``CertjobsError``:

    CertjobsError                1   cause unknown to us
    ├── UsageError               2   wrong usage, unknown job, no such mentor
    ├── DryRunExpired            3   a dry-run ran out of its time
    ├── InputRejected           65   the input file was rejected, nothing was written
    ├── Unavailable             69   database, portal or notifier unreachable
    ├── LockHeld                75   another live run holds the lock
    ├── CredentialsRejected     77   somebody must rotate them
    └── ConfigurationError      78   configuration or schema is not as needed
    StatementFailed                  one unit of work failed, the session is fine: the caller bisects
    DeliveryError                    one message was not delivered
    ├── DeliveryFailed               for now: it stays owed
    │   ├── RateLimited              the channel asks for a rest, and all senders take it
    │   └── ChannelDown              the channel cannot be reached at all
    ├── DeliveryRefused              for good: it is dead
    └── DeliveryUnknown              it may have arrived: a person has to look
    Terminated (KeyboardInterrupt)   SIGTERM: 143

Messages are sentences for a tired administrator: what happened, to what, what to do. They never hold a secret, a
name or an address.
"""

from __future__ import annotations

from enum import IntEnum
from typing import ClassVar, NamedTuple


class ExitCode(IntEnum):
    """The exit code of a command. What each tells the scheduler stands in ``EXITS``."""

    OK = 0
    FAILED = 1
    USAGE = 2
    PARTIAL = 3
    GUARD = 4
    INPUT = 65
    UNAVAILABLE = 69
    LOCKED = 75
    CREDENTIALS = 77
    CONFIGURATION = 78
    INTERRUPTED = 130
    TERMINATED = 143

    @property
    def status(self) -> str:
        """What the run-log row says."""
        return EXITS[self].status

    @property
    def meaning(self) -> str:
        """What happened, for people."""
        return EXITS[self].meaning

    @property
    def who_acts(self) -> str:
        """Who has to do something about it."""
        return EXITS[self].who_acts

    @property
    def retry_helps(self) -> bool:
        """Whether the same again may end better, without anybody doing anything."""
        return EXITS[self].retry_helps


class Exit(NamedTuple):
    """A line of the table of exit codes."""

    status: str
    meaning: str
    who_acts: str
    retry_helps: bool


EXITS: dict[ExitCode, Exit] = {
    ExitCode.OK: Exit("succeeded", "done, also when there was nothing to do", "nobody", retry_helps=False),
    ExitCode.FAILED: Exit("failed", "cause unknown", "look", retry_helps=True),
    ExitCode.USAGE: Exit("failed", "wrong usage, unknown job", "the caller", retry_helps=False),
    ExitCode.PARTIAL: Exit(
        "partial", "work owed is still open at the end", "a retry, then the next run", retry_helps=True
    ),
    ExitCode.GUARD: Exit("failed", "refused by the guard against mass change", "a person approves", retry_helps=False),
    ExitCode.INPUT: Exit("failed", "input file rejected, nothing written", "the caller", retry_helps=False),
    ExitCode.UNAVAILABLE: Exit("failed", "database, portal or notifier unreachable", "retry later", retry_helps=True),
    ExitCode.LOCKED: Exit("skipped", "another live run holds the lock", "nobody", retry_helps=True),
    ExitCode.CREDENTIALS: Exit("failed", "credentials rejected", "rotate them", retry_helps=False),
    ExitCode.CONFIGURATION: Exit(
        "failed", "configuration missing or invalid, schema not at head", "the operator", retry_helps=False
    ),
    ExitCode.INTERRUPTED: Exit("failed", "interrupted; work committed so far stays", "nobody", retry_helps=True),
    ExitCode.TERMINATED: Exit("failed", "terminated; work committed so far stays", "nobody", retry_helps=True),
}


class CertjobsError(Exception):
    """An error with an exit code and, where there is one, the command or step that mends it.

    ``message`` says what happened and to what; ``hint`` says what to do. Both are safe to log.
    """

    exit_code: ClassVar[ExitCode] = ExitCode.FAILED

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class UsageError(CertjobsError):
    """The command was asked for something that does not exist or makes no sense."""

    exit_code = ExitCode.USAGE


class DryRunExpired(CertjobsError):
    """A dry-run used up the time in which it may hold locks; it was rolled back."""

    exit_code = ExitCode.PARTIAL


class InputRejected(CertjobsError):
    """An input file was rejected as a whole; nothing was written."""

    exit_code = ExitCode.INPUT


class Unavailable(CertjobsError):
    """Something outside this process cannot be reached; later may help."""

    exit_code = ExitCode.UNAVAILABLE


class LockHeld(CertjobsError):
    """Another live run holds the lock, or has taken it over from this one."""

    exit_code = ExitCode.LOCKED


class CredentialsRejected(CertjobsError):
    """Somebody must rotate or correct a credential; retrying cannot help."""

    exit_code = ExitCode.CREDENTIALS


class ConfigurationError(CertjobsError):
    """A setting is missing or invalid, or the database is not as this version needs it."""

    exit_code = ExitCode.CONFIGURATION


class StatementFailed(Exception):
    """A statement failed and its transaction was rolled back; the database itself is reachable.

    ``reason`` names the error class and SQLSTATE only: the server's own words may quote a row. ``busy`` says that
    another session was in the way, so that the same again may work.
    """

    def __init__(self, reason: str, *, busy: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.busy = busy


class DeliveryError(Exception):
    """A message did not reach its recipient; ``reason`` is safe to store and log: no name, address or secret in it."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class DeliveryFailed(DeliveryError):
    """The channel failed for now: the message stays owed."""


class RateLimited(DeliveryFailed):
    """The channel asks for a rest of ``seconds`` (None where it does not say); that is no failed attempt."""

    def __init__(self, reason: str, seconds: float | None) -> None:
        super().__init__(reason)
        self.seconds = seconds


class ChannelDown(DeliveryFailed):
    """The channel could not be reached; nothing of this message left."""


class DeliveryRefused(DeliveryError):
    """The channel refused this message for good: it is dead."""


class DeliveryUnknown(DeliveryError):
    """The connection ended after all was sent and before the channel answered: nobody knows whether it arrived."""


class Terminated(KeyboardInterrupt):
    """SIGTERM arrived. A KeyboardInterrupt, so that libraries cancel what they are waiting for."""
