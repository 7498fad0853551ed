"""A mail server on this machine that keeps what it is given: where the demo's mail goes, and nobody's real mail."""

from __future__ import annotations

from contextlib import contextmanager
from email import message_from_bytes
from email.policy import default
from typing import TYPE_CHECKING, Any

from aiosmtpd.controller import Controller

if TYPE_CHECKING:
    from collections.abc import Iterator
    from email.message import EmailMessage

    from aiosmtpd.smtp import SMTP, Envelope, Session

HOST = "127.0.0.1"


class Mailbox:
    """The messages that arrived, in order."""

    def __init__(self) -> None:
        self.messages: list[EmailMessage] = []
        self.port = 0

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802 - aiosmtpd's name
        """Keep a message, and say so."""
        content = envelope.content
        data = content.encode() if isinstance(content, str) else content or b""
        self.messages.append(message_from_bytes(data, policy=default))
        return "250 kept"


class _Server(Controller):
    """The server, on a port that is free."""

    def _trigger_server(self) -> None:
        sockets: Any = getattr(self.server, "sockets", None)
        self.port = sockets[0].getsockname()[1]
        super()._trigger_server()  # type: ignore[no-untyped-call] # aiosmtpd leaves it untyped


@contextmanager
def mailbox() -> Iterator[Mailbox]:
    """Run the server on a free port until the block ends."""
    kept = Mailbox()
    controller = _Server(kept, hostname=HOST, port=0, decode_data=False)
    controller.start()
    try:
        kept.port = controller.port
        yield kept
    finally:
        controller.stop()


def as_read(message: EmailMessage) -> str:
    """Return a message as its reader sees it: who, to whom, what about, and the text."""
    body = message.get_body(preferencelist=("plain",))
    text = body.get_content() if body is not None else ""
    heads = "\n".join(f"{name}: {message[name]}" for name in ("From", "To", "Subject"))
    files = [part.get_filename() for part in message.iter_attachments()]
    attached = f"\n[attached: {', '.join(name for name in files if name)}]\n" if any(files) else ""
    return f"{heads}\n\n{text.rstrip()}\n{attached}"
