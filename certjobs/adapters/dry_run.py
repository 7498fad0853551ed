"""Stand-ins for a dry-run: they record what would have been done."""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from certjobs.ports import Message, Notifier


class RecordingNotifier:
    """Take every message of a channel and send none. One sender, for a dry-run has one connection, and all at once."""

    concurrency = 1
    batch = 500

    def __init__(self, channel: Notifier) -> None:
        self.name = channel.name
        self.honours_keys = channel.honours_keys
        self.gathers = channel.gathers

    def sender(self) -> AbstractContextManager[RecordingNotifier]:
        """Return what records: itself."""
        return nullcontext(self)

    def send(self, message: Message) -> str:
        """Pretend that the message went out."""
        return f"dry-run-{message.key[:16]}"
