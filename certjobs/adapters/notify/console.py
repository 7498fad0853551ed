"""The console channel: for local work, a line a notice."""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING, TextIO

from certjobs.domain.delivery import PAUSE
from certjobs.domain.text import counted, printable
from certjobs.errors import DeliveryFailed

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from certjobs.ports import Message, Notice


class ConsoleNotifier:
    """Print each notice. Printing twice shows twice, so it honours no keys."""

    name = "console"
    honours_keys = False
    gathers = False
    concurrency = 1
    batch = 1

    def __init__(self, stream: TextIO, redirect_to: str | None = None) -> None:
        self._stream = stream
        self._redirect_to = redirect_to

    def sender(self) -> AbstractContextManager[ConsoleNotifier]:
        """Return what prints: itself."""
        return nullcontext(self)

    def send(self, message: Message) -> str:
        """Print one message, a line a notice; raises DeliveryFailed when the stream does not take it."""
        to = f"To {message.recipient_name} <{message.recipient_address}>"
        if self._redirect_to:
            to = f"To {self._redirect_to} (a rehearsal, for {message.recipient_name} <{message.recipient_address}>)"
        try:
            for notice in message.notices:
                print(printable(f"{to}: {_told(notice)}"), file=self._stream)
            self._stream.flush()
        except OSError as exc:
            msg = f"The console did not take the notice ({type(exc).__name__})."
            raise DeliveryFailed(msg) from exc
        return f"console-{message.key[:16]}-{message.notices[0].attempt}"


def _told(notice: Notice) -> str:
    who = f"{notice.mentor_name} ({notice.mentor_ref}, {notice.organisation} {notice.chapter})"
    day = f"{notice.certification_expiry:%Y-%m-%d}"
    if notice.kind == PAUSE:
        return f"{who} was paused; the certification ended on {day}."
    when = "today" if notice.days_left == 0 else f"in {counted(notice.days_left, 'day')}"
    return f"the certification of {who} ends {when}, on {day}."
