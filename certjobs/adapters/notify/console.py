"""The console channel: for local work, a line a notice."""

from __future__ import annotations

from typing import TYPE_CHECKING, TextIO

from certjobs.domain.text import printable
from certjobs.errors import DeliveryFailed

if TYPE_CHECKING:
    from certjobs.ports import Notice


class ConsoleNotifier:
    """Print each notice. Printing twice shows twice, so it honours no keys."""

    name = "console"
    honours_keys = False

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def send(self, notice: Notice) -> str:
        """Print one notice; raises DeliveryFailed when the stream does not take it."""
        line = (
            f"To {notice.recipient_name} <{notice.recipient_address}>: {notice.mentor_name} ({notice.mentor_ref},"
            f" {notice.organisation} {notice.chapter}) was paused; the certification ended on"
            f" {notice.certification_expiry:%Y-%m-%d}."
        )
        try:
            print(printable(line), file=self._stream, flush=True)
        except OSError as exc:
            msg = f"The console did not take the notice ({type(exc).__name__})."
            raise DeliveryFailed(msg) from exc
        return f"console-{notice.idempotency_key[:16]}-{notice.attempt}"
