"""Stand-ins for a dry-run: they record what would have been done."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from certjobs.ports import Notice


class RecordingNotifier:
    """Take every notice and send none."""

    name = "dry-run"

    def __init__(self, *, honours_keys: bool) -> None:
        self.honours_keys = honours_keys

    def send(self, notice: Notice) -> str:
        """Pretend that the notice went out."""
        return f"dry-run-{notice.idempotency_key[:16]}"
