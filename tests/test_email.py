"""The channel email: over real sockets, against a real mail server and against some that misbehave."""

from __future__ import annotations

import asyncio
import html
import smtplib
import socket
import ssl
import struct
import subprocess
import sys
import threading
import traceback
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from email import message_from_bytes
from email.header import decode_header, make_header
from email.policy import default
from email.utils import formataddr
from typing import TYPE_CHECKING, Any, Self

import icalendar
import pytest
import trustme
from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword

from certjobs.adapters.notify.email import EmailNotifier, MailServer
from certjobs.adapters.notify.letter import render
from certjobs.errors import (
    ChannelDown,
    ConfigurationError,
    CredentialsRejected,
    DeliveryError,
    DeliveryFailed,
    DeliveryRefused,
    DeliveryUnknown,
    RateLimited,
)
from certjobs.ports import Message, Notice
from tests.canaries import canary

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from email.message import EmailMessage
    from pathlib import Path

    from aiosmtpd.smtp import Envelope, Session

TODAY = date(2026, 11, 22)
NOW = datetime(2026, 11, 22, 5, 30, tzinfo=UTC)
FROM = "Likepersoner i Prøveby <likepersoner@example.org>"
USER, PASSWORD = "innsender", canary("smtp", "blåbær-41")
KARI = "kari@example.org"


class FixedClock:
    def now(self) -> datetime:
        return NOW


def pause(name: str = "Hilde Tiurleikåsen", days: int = -4, ref: str = "HLF-0001") -> Notice:
    expiry = TODAY + timedelta(days=days)
    return Notice(1, "pause", f"key-{ref}", 1, ref, name, "HLF", "Prøveby", expiry, None, days)


def reminder(name: str = "Åse Tyttebær", days: int = 7, ref: str = "HLF-0002") -> Notice:
    expiry = TODAY + timedelta(days=days)
    return Notice(2, "reminder", f"key-{ref}", 1, ref, name, "HLF", "Prøveby", expiry, 7, days)


def message(
    *notices: Notice, to: str = KARI, name: str = "Kari Eksempel", language: str = "nb", key: str = "5f" * 32
) -> Message:
    return Message(key, TODAY, name, to, language, notices or (pause(),))


# A real mail server.


@dataclass
class Mailroom:
    """What a server has received."""

    port: int = 0
    connections: int = 0
    envelopes: list[Envelope] = field(default_factory=list)
    logged_in: list[bool] = field(default_factory=list)

    @property
    def contents(self) -> list[bytes]:
        found = [each.content for each in self.envelopes]
        assert all(isinstance(each, bytes) for each in found)
        return [each for each in found if isinstance(each, bytes)]

    @property
    def mails(self) -> list[EmailMessage]:
        return [message_from_bytes(each, policy=default) for each in self.contents]

    @property
    def mail(self) -> EmailMessage:
        (one,) = self.mails
        return one


class Clerk:
    """What aiosmtpd asks. Not the room itself, for aiosmtpd looks at every attribute."""

    def __init__(self, room: Mailroom) -> None:
        self._room = room

    async def handle_RCPT(  # noqa: N802 - aiosmtpd's name
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        if address.startswith("nobody"):
            return f"550 5.1.1 <{address}> is unknown here"
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 fine"

    async def handle_DATA(self, _server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802 - aiosmtpd's name
        self._room.envelopes.append(envelope)
        self._room.logged_in.append(bool(session.authenticated))
        return "250 2.0.0 taken"


@contextmanager
def mailroom(*, implicit_tls: ssl.SSLContext | None = None, **options: Any) -> Iterator[Mailroom]:
    """Run aiosmtpd on a free port of this machine; ``options`` are those of its SMTP."""
    room = Mailroom()
    loop = asyncio.new_event_loop()

    def connection() -> SMTP:
        room.connections += 1
        return SMTP(Clerk(room), loop=loop, hostname="localhost", **options)

    server = loop.run_until_complete(loop.create_server(connection, "127.0.0.1", 0, ssl=implicit_tls))
    room.port = server.sockets[0].getsockname()[1]
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        yield room
    finally:
        asyncio.run_coroutine_threadsafe(_stop(server), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()


async def _stop(server: asyncio.Server) -> None:
    server.close()
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)
    await asyncio.sleep(0)  # lets transports end


def knows_us(_server: SMTP, _session: Session, _envelope: Envelope, _mechanism: str, data: Any) -> AuthResult:
    return AuthResult(success=data == LoginPassword(USER.encode(), PASSWORD.encode()), handled=False)


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def tls(authority: trustme.CA, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> ssl.SSLContext:
    """Return the server's context, of an authority that the client trusts."""
    authority.cert_pem.write_to_path(tmp_path / "authority.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "authority.pem"))
    return context_of(authority, "localhost")


def context_of(authority: trustme.CA, *names: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(*names).configure_cert(context)
    return context


def notifier(port: int, security: Any = "none", **options: Any) -> EmailNotifier:
    server = MailServer(
        "localhost" if security != "none" else "127.0.0.1",
        port,
        security,
        options.pop("username", None),
        options.pop("password", None),
        timeout=options.pop("timeout", 5.0),
    )
    return EmailNotifier(server, mail_from=options.pop("mail_from", FROM), clock=FixedClock(), **options)


def send(channel: EmailNotifier, *messages: Message) -> list[str]:
    with channel.sender() as sender:
        return [sender.send(each) for each in messages]


def part(mail: EmailMessage, subtype: str) -> str:
    (found,) = [each for each in mail.walk() if each.get_content_type() == f"text/{subtype}"]
    content = found.get_content()
    assert isinstance(content, str)
    return content.replace("\r\n", "\n")


def received(*notices: Notice, **options: Any) -> EmailMessage:
    """Send one message over a real server and return what came out."""
    channel = {name: options.pop(name) for name in ("redirect_to", "reply_to") if name in options}
    with mailroom() as room:
        send(notifier(room.port, **channel), message(*notices, **options))
    return room.mail


# Connections.


def test_starttls_and_login(tls: ssl.SSLContext) -> None:
    """A mail goes out after STARTTLS and a login, with a password that is not ASCII."""
    with mailroom(tls_context=tls, require_starttls=True, authenticator=knows_us, auth_required=True) as room:
        send(notifier(room.port, "starttls", username=USER, password=PASSWORD), message())
    assert room.logged_in == [True]
    assert room.envelopes[0].mail_from == "likepersoner@example.org"
    assert room.envelopes[0].rcpt_tos == [KARI]


def test_tls_from_the_first_byte_and_login_by_login(tls: ssl.SSLContext) -> None:
    """A server that speaks TLS at once and knows no PLAIN takes the mail too."""
    options: dict[str, Any] = {"auth_exclude_mechanism": ["PLAIN"], "auth_require_tls": False}
    with mailroom(implicit_tls=tls, authenticator=knows_us, **options) as room:
        send(notifier(room.port, "tls", username=USER, password=PASSWORD), message())
    assert room.logged_in == [True]


@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN"])
def test_a_rejected_login_says_so_and_never_the_password(tls: ssl.SSLContext, mechanism: str) -> None:
    """A wrong password is CredentialsRejected, and stands in no text of the error or of the server's settings."""
    wrong = canary("smtp", "tyttebær-42")
    exclude = ["LOGIN" if mechanism == "PLAIN" else "PLAIN"]
    with mailroom(tls_context=tls, authenticator=knows_us, auth_exclude_mechanism=exclude) as room:
        channel = notifier(room.port, "starttls", username=USER, password=wrong)
        with pytest.raises(CredentialsRejected, match=r"SMTP 535 5\.7\.8 at AUTH") as caught:
            send(channel, message())
    told = "".join(traceback.format_exception(caught.value)) + repr(caught.value) + str(caught.value.hint)
    assert wrong not in told + repr(channel) + repr(channel.server)
    assert USER not in told
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


def test_a_server_without_login_or_without_starttls_is_a_wrong_configuration() -> None:
    """Where a username is set and no login offered, or STARTTLS is asked for and not offered, nothing is sent."""
    with mailroom() as room:
        with pytest.raises(ConfigurationError, match="no login"):
            send(notifier(room.port, username=USER, password=PASSWORD), message())
        with pytest.raises(ConfigurationError, match="no STARTTLS"):
            send(notifier(room.port, "starttls", username=USER, password=PASSWORD), message())
    assert not room.envelopes


@pytest.mark.usefixtures("tls")
@pytest.mark.parametrize("security", ["starttls", "tls"])
@pytest.mark.parametrize(
    ("stranger", "name", "why"),
    [(True, "localhost", "authority is not known"), (False, "other.example.org", "another name")],
)
def test_a_certificate_that_is_not_trusted_ends_it(
    authority: trustme.CA, *, security: str, stranger: bool, name: str, why: str
) -> None:
    """A certificate of an unknown authority, or for another name, is ChannelDown with that reason."""
    context = context_of(trustme.CA() if stranger else authority, name)
    options: dict[str, Any] = {"tls_context": context} if security == "starttls" else {"implicit_tls": context}
    with mailroom(**options) as room, pytest.raises(ChannelDown, match=f"not trusted.*{why}"):
        send(notifier(room.port, security), message())
    assert not room.envelopes


def test_a_server_that_speaks_no_tls_ends_it() -> None:
    """TLS with a server that answers in plain text is ChannelDown."""
    with mailroom() as room, pytest.raises(ChannelDown, match="TLS with the mail server failed"):
        send(notifier(room.port, "tls"), message())


def test_no_server_no_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """A port on which nobody listens and a name that resolves to nothing are ChannelDown; a name that is none, 78."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(ChannelDown, match=r"ConnectionRefusedError"):
        send(notifier(port), message())
    with pytest.raises(ConfigurationError, match="name of the mail server"):
        send(EmailNotifier(MailServer("mail..example.org"), mail_from=KARI, clock=FixedClock()), message())

    failures = [socket.gaierror(socket.EAI_NONAME, "mail.example.org"), TimeoutError("mail.example.org")]

    def nothing(*_arguments: Any, **_options: Any) -> None:
        raise failures.pop()

    monkeypatch.setattr(socket, "getaddrinfo", nothing)
    for why in ("did not answer in time", "cannot be resolved"):
        with pytest.raises(ChannelDown, match=why):
            send(EmailNotifier(MailServer("mail.example.org"), mail_from=KARI, clock=FixedClock()), message())


def test_settings_that_cannot_work_are_refused_at_once() -> None:
    """No security away from this machine, a username without password, and a sender that is no address exit with 78."""
    clock = FixedClock()
    with pytest.raises(ConfigurationError, match="only where the mail server is on this machine"):
        EmailNotifier(MailServer("mail.example.org", security="none"), mail_from=KARI, clock=clock)
    with pytest.raises(ConfigurationError, match="CERTJOBS_SMTP_PASSWORD is not"):
        EmailNotifier(MailServer("mail.example.org", username=USER), mail_from=KARI, clock=clock)
    for wrong in (
        "nobody",
        "a b@example.org",
        "blåbær@example.org",
        "a@example.org\r\nBcc: b@example.org",
        f"a@{'x' * 70}ø.no",
    ):
        with pytest.raises(ConfigurationError, match="CERTJOBS_MAIL_FROM"):
            EmailNotifier(MailServer("mail.example.org"), mail_from=wrong, clock=clock)


def test_loading_the_channel_loads_no_library() -> None:
    """Importing the channel imports nothing but the standard library; templates and dates load with the first mail."""
    program = "import sys, certjobs.adapters.notify.email\nprint(*{name.partition('.')[0] for name in sys.modules})"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert {"jinja2", "babel", "icalendar", "pydantic", "httpx"}.isdisjoint(done.stdout.split())


# Many messages on one connection.


def test_a_refused_recipient_harms_no_other() -> None:
    """Of three messages on one connection the refused one is DeliveryRefused and both others arrive."""
    with mailroom() as room, notifier(room.port).sender() as sender:
        sender.send(message(key="1" * 64))
        with pytest.raises(DeliveryRefused) as caught:
            sender.send(message(to="nobody@example.org", key="2" * 64))
        sender.send(message(to="ola@example.org", key="3" * 64))
    assert caught.value.reason == "SMTP 550 5.1.1 at RCPT"
    assert [each.rcpt_tos for each in room.envelopes] == [[KARI], ["ola@example.org"]]
    assert room.connections == 1


def test_nothing_connects_before_the_first_message() -> None:
    """A sender that gets nothing to send connects to nobody."""
    with mailroom() as room, notifier(room.port).sender():
        pass
    assert room.connections == 0


def test_an_address_beyond_ascii() -> None:
    """A domain beyond ASCII travels in ASCII; what stands before it needs SMTPUTF8, else that mail alone is refused."""
    odd = message(to="blåbær@example.org", key="2" * 64)
    with mailroom(enable_SMTPUTF8=True) as room:
        send(notifier(room.port), message(to="kari@blåbær.example.org"), odd, message(key="3" * 64))
    assert [each.smtp_utf8 for each in room.envelopes] == [False, True, False]
    assert [each.rcpt_tos for each in room.envelopes] == [
        ["kari@xn--blbr-roah.example.org"],
        ["blåbær@example.org"],
        [KARI],
    ]
    assert "<blåbær@example.org>".encode() in room.contents[1]
    with mailroom(enable_SMTPUTF8=False) as room, notifier(room.port).sender() as sender:
        with pytest.raises(DeliveryRefused, match="SMTPUTF8"):
            sender.send(odd)
        sender.send(message())
    assert [each.rcpt_tos for each in room.envelopes] == [[KARI]]


@pytest.mark.parametrize(
    "address", ["", "kari", "kari@example.org\r\nRCPT TO:<ola@example.org>", "a b@example.org", "a@x..no"]
)
def test_an_address_that_is_none_is_refused_without_a_word_to_the_server(address: str) -> None:
    """What cannot be an address is DeliveryRefused, and its text is not repeated."""
    with mailroom() as room, pytest.raises(DeliveryRefused) as caught:
        send(notifier(room.port), message(to=address))
    assert caught.value.reason == "the recipient's address is none"
    assert room.connections == 0


# Servers that misbehave.

CLOSE, HANG, RESET_IN_BODY, HANG_IN_BODY = b"", b"\0hang", b"\0reset", b"\0stall"
GREETING, EHLO, YES, GO_ON = b"220 here", b"250-here\r\n250 8BITMIME", b"250 2.0.0 fine", b"354 go on"
UP = (GREETING, EHLO)
TO_DATA = (*UP, YES, YES)
SENT = (*TO_DATA, GO_ON)
GARBAGE, ENDLESS = b"kari@example.org?", b"250 " + b"x" * 9000
LEAK = b" <kari@example.org> of Kari Eksempel"


class Scripted:
    """A server that answers each line of each connection as told, whatever was asked."""

    def __init__(self, connections: Sequence[Sequence[bytes]]) -> None:
        self.lines: list[list[bytes]] = []
        self.bodies: list[bytes] = []
        self.halves = 0
        self._connections = connections
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._serve)
        self.port = self._listener.getsockname()[1]

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join(10)
        self._listener.close()

    def _serve(self) -> None:
        for answers in self._connections:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.lines.append([])
            with connection, connection.makefile("rb") as stream:
                self._converse(connection, stream, answers)

    def _converse(self, connection: socket.socket, stream: Any, answers: Sequence[bytes]) -> None:
        body = False
        for number, answer in enumerate(answers):
            if body:
                if answer in {RESET_IN_BODY, HANG_IN_BODY}:
                    self._misbehave(connection, stream, answer)
                    return
                if not self._body(stream):
                    return
            elif number:
                self.lines[-1].append(stream.readline())
            if answer == CLOSE:
                return
            if answer == HANG:
                stream.read()
                return
            connection.sendall(answer + b"\r\n")
            body = answer.startswith(b"354") and not body
        self.lines[-1] += filter(None, [stream.readline()])

    def _body(self, stream: Any) -> bool:
        lines: list[bytes] = []
        for line in stream:
            if line == b".\r\n":
                self.bodies.append(b"".join(lines))
                return True
            lines.append(line)
        self.halves += 1
        return False

    def _misbehave(self, connection: socket.socket, stream: Any, how: bytes) -> None:
        stream.readline()
        if how == HANG_IN_BODY:
            self._over.wait(10)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


@pytest.mark.parametrize(
    ("answers", "error", "reason"),
    [
        # for now
        ((*UP, b"450 4.2.1 later"), DeliveryFailed, "SMTP 450 4.2.1 at MAIL"),
        ((*UP, YES, b"451 4.3.0 later"), DeliveryFailed, "SMTP 451 4.3.0 at RCPT"),
        ((*UP, YES, b"452 later"), DeliveryFailed, "SMTP 452 at RCPT"),
        ((*TO_DATA, b"451 4.3.0 later"), DeliveryFailed, "SMTP 451 4.3.0 at DATA"),
        ((*SENT, b"451 4.3.0 later"), DeliveryFailed, "SMTP 451 4.3.0 at the end of the mail"),
        ((*UP, YES, b"450 4.7.1 Greylisted"), DeliveryFailed, "SMTP 450 4.7.1 at RCPT"),
        # slower
        ((b"421 4.7.0 too many connections",), RateLimited, "SMTP 421 4.7.0 at the greeting"),
        ((*UP, b"421 4.3.2 closing"), RateLimited, "SMTP 421 4.3.2 at MAIL"),
        ((*UP, YES, b"421 closing"), RateLimited, "SMTP 421 at RCPT"),
        ((*UP, YES, b"450 4.7.1 later"), RateLimited, "SMTP 450 4.7.1 at RCPT"),
        ((*UP, b"452 too many messages"), RateLimited, "SMTP 452 at MAIL"),
        ((*SENT, b"451 4.7.28 unusual rate"), RateLimited, "SMTP 451 4.7.28 at the end of the mail"),
        # for good
        ((*UP, YES, b"550 5.1.1 unknown"), DeliveryRefused, "SMTP 550 5.1.1 at RCPT"),
        ((*TO_DATA, b"554 5.5.1 none"), DeliveryRefused, "SMTP 554 5.5.1 at DATA"),
        ((*SENT, b"554 5.7.1 spam"), DeliveryRefused, "SMTP 554 5.7.1 at the end of the mail"),
        # no channel
        ((b"554 5.3.2 no service",), ChannelDown, "SMTP 554 5.3.2 at the greeting"),
        ((GREETING, b"502 what"), ChannelDown, "SMTP 502 at EHLO"),
        ((CLOSE,), ChannelDown, "the mail server ended the connection"),
        ((HANG,), ChannelDown, "the mail server did not answer in time"),
        ((GREETING, CLOSE), ChannelDown, "the mail server ended the connection"),
        ((GREETING, ENDLESS), ChannelDown, "the mail server's answer made no sense"),
        ((*UP, CLOSE), ChannelDown, "the mail server ended the connection"),
        ((*UP, HANG), ChannelDown, "the mail server did not answer in time"),
        # before the dot: nothing was accepted
        ((*UP, YES, CLOSE), DeliveryFailed, "the mail server ended the connection"),
        ((*UP, YES, HANG), DeliveryFailed, "the mail server did not answer in time"),
        ((*UP, YES, GARBAGE), DeliveryFailed, "an answer that is no SMTP at RCPT"),
        ((*UP, YES, ENDLESS), DeliveryFailed, "the mail server's answer made no sense"),
        ((*TO_DATA, CLOSE), DeliveryFailed, "the mail server ended the connection"),
        ((*TO_DATA, YES), DeliveryFailed, "SMTP 250 2.0.0 at DATA"),
        ((*SENT, RESET_IN_BODY), DeliveryFailed, "the mail server ended the connection"),
        ((*SENT, HANG_IN_BODY), DeliveryFailed, "the mail server did not answer in time"),
        # after the dot: nobody knows
        ((*SENT, CLOSE), DeliveryUnknown, "the mail was sent whole, and then the mail server ended the connection"),
        ((*SENT, HANG), DeliveryUnknown, "the mail was sent whole, and then the mail server did not answer in time"),
        ((*SENT, GARBAGE), DeliveryUnknown, "the mail was sent whole, and the answer made no sense"),
        ((*SENT, GO_ON), DeliveryUnknown, "the mail was sent whole, and the answer made no sense"),
        ((*SENT, ENDLESS), DeliveryUnknown, "the mail was sent whole, and then the mail server's answer made no sense"),
    ],
)  # fmt: skip
def test_what_each_answer_means(answers: Sequence[bytes], error: type[DeliveryError], reason: str) -> None:
    """Each answer of a server, and each way to give none, is the right error, in words that quote nobody."""
    said = [each + LEAK if each[:1].isdigit() and each[:1] > b"3" else each for each in answers]
    big = "x" * 1_500_000 if answers[-1] in {RESET_IN_BODY, HANG_IN_BODY} else "Hilde"
    hangs = answers[-1] in {HANG, HANG_IN_BODY}
    with Scripted([said]) as server, pytest.raises(DeliveryError) as caught:
        send(notifier(server.port, timeout=0.5 if hangs else 10), message(replace(pause(), chapter=big)))
    assert type(caught.value) is error
    assert caught.value.reason == reason
    assert KARI not in "".join(traceback.format_exception(caught.value))
    if isinstance(caught.value, RateLimited):
        assert caught.value.seconds is None


@pytest.mark.parametrize(
    ("answers", "error", "code"),
    [
        ((*UP, b"530 5.7.0 log in first"), CredentialsRejected, "SMTP 530 5.7.0 at MAIL"),
        ((*UP, b"550 5.7.1 authentication required"), CredentialsRejected, "SMTP 550 5.7.1 at MAIL"),
        ((*UP, YES, b"530 5.7.0 log in first"), CredentialsRejected, "SMTP 530 5.7.0 at RCPT"),
        ((*UP, b"553 5.7.1 not your address"), ConfigurationError, "SMTP 553 5.7.1 at MAIL"),
    ],
)
def test_what_is_about_us_kills_no_message(answers: Sequence[bytes], error: type[Exception], code: str) -> None:
    """A server that wants a login, or takes nothing from our address, ends the sending: no notice dies of it."""
    with Scripted([[*answers[:-1], answers[-1] + LEAK]]) as server, pytest.raises(error, match=code) as caught:
        send(notifier(server.port), message())
    assert KARI not in str(caught.value)


@pytest.mark.parametrize(
    ("answer", "error", "reason"),
    [
        (b"454 4.7.0 not now", ChannelDown, "SMTP 454 4.7.0 at AUTH"),
        (b"421 4.7.0 slower", RateLimited, "SMTP 421 4.7.0 at AUTH"),
    ],
)
def test_a_login_that_is_not_possible_now(answer: bytes, error: type[DeliveryError], reason: str) -> None:
    """A login put off says nothing of the password: it is no CredentialsRejected."""
    script = [GREETING, b"250-here\r\n250 AUTH PLAIN", answer]
    with Scripted([script]) as server, pytest.raises(error) as caught:
        send(notifier(server.port, username=USER, password=PASSWORD), message())
    assert caught.value.reason == reason


def test_starttls_that_is_not_possible_now_sends_nothing_in_the_open() -> None:
    """A server that offers STARTTLS and then declines gets neither login nor mail."""
    script = [GREETING, b"250-here\r\n250-AUTH PLAIN\r\n250 STARTTLS", b"454 4.7.0 not now"]
    with Scripted([script]) as server, pytest.raises(ChannelDown, match=r"SMTP 454 4\.7\.0 at STARTTLS"):
        send(notifier(server.port, "starttls", username=USER, password=PASSWORD), message())
    assert server.lines[0][1:] == [b"STARTTLS\r\n"]


@pytest.mark.parametrize("end", [CLOSE, b"421 4.4.2 idle for too long"])
def test_a_connection_that_ended_between_two_mails_is_made_again(end: bytes) -> None:
    """A server that ends an idle connection costs nothing: the next mail goes over a new one, once."""
    with Scripted([(*SENT, YES, end), (*SENT, YES)]) as server:
        send(notifier(server.port), message(key="1" * 64), message(key="2" * 64))
    assert [body.count(b"Message-ID") for body in server.bodies] == [1, 1]
    with Scripted([(*SENT, YES, end), (*UP, b"421 4.3.2 closing")]) as server, notifier(server.port).sender() as sender:
        sender.send(message(key="1" * 64))
        with pytest.raises(RateLimited):
            sender.send(message(key="2" * 64))


def test_a_connection_that_is_still_there_is_not_made_again() -> None:
    """Any other answer to a mail over a kept connection counts as it stands."""
    with Scripted([(*SENT, YES, b"450 4.2.1 later", YES)]) as server, notifier(server.port).sender() as sender:
        sender.send(message(key="1" * 64))
        with pytest.raises(DeliveryFailed, match=r"SMTP 450 4\.2\.1 at MAIL"):
            sender.send(message(key="2" * 64))
    assert len(server.lines) == 1


def test_a_connection_that_ends_in_a_mail_is_not_tried_again() -> None:
    """Once the server knows the recipient, a mail is tried again only by a later attempt; the next mail goes on."""
    with Scripted([(*SENT, YES, YES, CLOSE), (*SENT, YES)]) as server, notifier(server.port).sender() as sender:
        sender.send(message(key="1" * 64))
        with pytest.raises(DeliveryFailed):
            sender.send(message(key="2" * 64))
        sender.send(message(key="3" * 64))
    assert [(b"1" * 40 in body, b"3" * 40 in body) for body in server.bodies] == [(True, False), (False, True)]


def test_an_unknown_outcome_harms_no_later_mail() -> None:
    """After a mail whose fate nobody knows the next goes over a new connection."""
    with Scripted([(*SENT, GARBAGE), (*SENT, YES)]) as server, notifier(server.port).sender() as sender:
        with pytest.raises(DeliveryUnknown):
            sender.send(message(key="1" * 64))
        sender.send(message(key="2" * 64))
    assert len(server.bodies) == 2


def test_after_a_failed_mail_the_conversation_starts_afresh() -> None:
    """A failed mail is followed by RSET; where even that fails the connection is given up."""
    no = b"451 4.3.0 later"
    with Scripted([(*UP, YES, no, YES, YES, YES, GO_ON, YES)]) as server, notifier(server.port).sender() as sender:
        with pytest.raises(DeliveryFailed):
            sender.send(message())
        sender.send(message())
    assert [line[:4].upper() for line in server.lines[0]] == [
        b"EHLO",
        b"MAIL",
        b"RCPT",
        b"RSET",
        b"MAIL",
        b"RCPT",
        b"DATA",
        b"QUIT",
    ]
    for reset in (CLOSE, no):
        with Scripted([(*UP, YES, no, reset), (*SENT, YES)]) as server, notifier(server.port).sender() as sender:
            with pytest.raises(DeliveryFailed):
                sender.send(message())
            sender.send(message())
        assert len(server.bodies) == 1


def test_one_message_that_is_always_limited_keeps_no_other_waiting() -> None:
    """A message limited twice in a row fails by itself; the next one may be limited again."""
    slower = b"450 4.7.1 slower"
    script = (*UP, *([YES, slower, YES] * 3), YES, YES, GO_ON, YES)
    with Scripted([script]) as server, notifier(server.port).sender() as sender:
        with pytest.raises(RateLimited):
            sender.send(message(key="1" * 64))
        with pytest.raises(DeliveryFailed) as caught:
            sender.send(message(key="1" * 64))
        assert type(caught.value) is DeliveryFailed
        with pytest.raises(RateLimited):
            sender.send(message(key="2" * 64))
        sender.send(message(key="2" * 64))


def test_an_interrupted_mail_is_not_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    """A signal in the middle of a mail closes the connection without a dot: no half mail is taken for a whole one."""
    whole = smtplib.SMTP.send

    def interrupted(smtp: smtplib.SMTP, data: Any) -> None:
        if b"Message-ID" in (data if isinstance(data, bytes) else b""):
            whole(smtp, data[:200])
            raise KeyboardInterrupt
        whole(smtp, data)

    monkeypatch.setattr(smtplib.SMTP, "send", interrupted)
    with Scripted([(*SENT, YES)]) as server, pytest.raises(KeyboardInterrupt):
        send(notifier(server.port), message())
    assert server.halves == 1
    assert not server.bodies


# What is in a mail.


def test_the_headers() -> None:
    """A mail says from and to whom by name, where answers go, when, that a machine wrote it, and in which language."""
    mail = received(pause(), name="Øystein Tæååsen 🎉", reply_to="Kontoret <kontoret@example.org>")
    assert mail["From"] == FROM
    assert mail["To"] == f"Øystein Tæååsen 🎉 <{KARI}>"
    assert mail["Reply-To"] == "Kontoret <kontoret@example.org>"
    assert mail["Date"].datetime == NOW
    assert mail["Auto-Submitted"] == "auto-generated"
    assert mail["X-Auto-Response-Suppress"] == "All"
    assert mail["Content-Language"] == "nb"
    assert mail["MIME-Version"] == "1.0"
    assert len(set(mail.keys())) == len(mail.keys())


def test_the_settings_own_spelling_of_a_name_is_understood() -> None:
    """A sender as the settings hand it on, its name encoded, arrives as it was meant."""
    with mailroom() as room:
        send(notifier(room.port, mail_from=formataddr(("Blåbær & sønner", "post@example.org"))), message(name=""))
    assert room.mail["From"] == "Blåbær & sønner <post@example.org>"
    assert room.mail["To"] == KARI


def test_the_message_id_is_the_same_at_every_attempt() -> None:
    """The Message-ID derives from the message's key and the sender's domain, and send returns it."""
    key = "0123456789abcdef" * 4
    with mailroom() as room:
        channel = notifier(room.port)
        sent = send(channel, message(key=key), message(key=key))
    expected = f"<certjobs.{key[:40]}@example.org>"
    assert sent == [expected, expected]
    assert channel.message_id(key) == expected
    assert [mail["Message-ID"] for mail in room.mails] == sent
    assert channel.message_id("a b>\r\n") == "<certjobs.a-b---@example.org>"


@pytest.mark.parametrize(
    "name",
    [
        "Kari\r\nBcc: ola@example.org",
        "Kari\nBcc: ola@example.org\n\nHei",
        "=?utf-8?q?Kari=0D=0ABcc:_ola=40example.org?=",
        '"Kari" <ola@example.org>, Ola',
        "Kari\u202e\u0000\u2028",
        "Ø" * 300,
        "Kari \ud800",
    ],
)
def test_a_hostile_name_stays_a_name(name: str) -> None:
    """A name with line ends, encoded words, addresses or control characters adds no header and no recipient."""
    plain, mail = received(pause()), received(pause(name=name), name=name)
    assert mail.keys() == plain.keys()
    assert [each.addr_spec for each in mail["To"].addresses] == [KARI]
    assert "\n" not in mail["To"].addresses[0].display_name
    assert mail["Subject"] == plain["Subject"]
    shown = part(mail, "plain")
    assert "\nBcc" not in shown
    assert not {"\u202e", "\u0000", "\u2028"} & set(shown + part(mail, "html"))


@pytest.mark.parametrize("name", ["Øystein 🎉 " * 20, "A" * 200, "日本 語" * 40, "=?utf-8?q?x?=", "[Prøve] (x)"])
def test_a_long_or_odd_name_arrives_whole(name: str) -> None:
    """A name of any length or script is folded so that it comes out as it went in, blanks included."""
    with mailroom() as room:
        send(notifier(room.port), message(name=name))
    head = room.contents[0].partition(b"\r\n\r\n")[0]
    to = message_from_bytes(head)["To"].rpartition("<")[0].strip()
    assert str(make_header(decode_header(to))) == name.strip()
    assert max(map(len, head.split(b"\r\n"))) <= 78


def test_html_in_a_name_is_shown_and_not_obeyed() -> None:
    """Markup in a name, a chapter or a reference is text in the HTML; the plain text has it as it is."""
    evil = "<script>alert(1)</script><img src=x>&"
    mail = received(replace(pause(name=evil, ref=evil), chapter=evil), name=evil, redirect_to="test@example.org")
    shown = part(mail, "html")
    assert "<script" not in shown
    assert "<img" not in shown
    assert shown.count("&lt;script&gt;alert(1)&lt;/script&gt;&lt;img src=x&gt;&amp;") == 5
    assert part(mail, "plain").count(evil) == 5


def test_a_line_that_begins_with_a_dot_arrives() -> None:
    """A line that begins with a dot is doubled on the way and single on arrival, and ends no mail."""
    with Scripted([(*SENT, YES)]) as server, notifier(server.port).sender() as sender:
        sender.send(message(replace(pause(), chapter="." * 200)))
    (body,) = server.bodies
    stuffed = [line for line in body.split(b"\r\n") if line.startswith(b".")]
    assert len(stuffed) >= 4
    assert all(line.startswith(b"..") for line in stuffed)
    assert "." * 200 in part(received(replace(pause(), chapter="." * 200)), "plain")


def test_both_parts_say_the_same_and_fetch_nothing() -> None:
    """A mail has plain text and HTML with the same facts, neither of which needs anything from elsewhere."""
    mail = received(pause(), reminder())
    assert [each.get_content_type() for each in mail.walk()] == [
        "multipart/mixed",
        "multipart/alternative",
        "text/plain",
        "text/html",
        "text/calendar",
    ]
    for subtype in ("plain", "html"):
        shown = part(mail, subtype)
        for fact in (
            "Hilde Tiurleikåsen",
            "HLF-0001",
            "Prøveby",
            "onsdag 18. november 2026",
            "søndag 29. november 2026",
        ):
            assert fact in shown
    shown = part(mail, "html")
    assert not [each for each in ("http", "src=", "url(", "<script", "<link", "@import") if each in shown]
    assert max(map(len, shown.splitlines())) < 998


def test_the_most_urgent_comes_first() -> None:
    """Pauses come before reminders, reminders by the days left, and by name on the same day."""
    notices = (
        reminder("Bjørn", 30, "R4"),
        reminder("Dag", 1, "R2"),
        pause("Mons", -1, "P2"),
        reminder("anna", 7, "R3"),
        reminder("Cato", 1, "R1"),
        pause("Hilde", -4, "P1"),
    )
    mail = received(*notices)
    expected = ["Hilde", "Mons", "Cato", "Dag", "anna", "Bjørn"]
    for subtype in ("plain", "html"):
        shown = part(mail, subtype)
        assert sorted(expected, key=shown.index) == expected
    assert mail["Subject"] == "2 likepersoner er satt på pause, 4 sertifiseringer går ut, den første i morgen"


SUBJECTS = [
    ("nb", (pause(),), "1 likeperson er satt på pause"),
    ("nn", (pause(), pause()), "2 likepersonar er sette på pause"),
    ("en", (pause(), pause()), "2 mentors have been paused"),
    ("nb", (reminder(days=0),), "1 sertifisering går ut i dag"),
    ("nn", (reminder(days=1),), "1 sertifisering går ut i morgon"),
    ("en", (reminder(days=14),), "1 certification expires in 14 days"),
    ("nb", (reminder(days=7), reminder(days=7)), "2 sertifiseringer går ut om 7 dager"),
    ("nn", (reminder(days=7), reminder(days=3)), "2 sertifiseringar går ut, den første om 3 dagar"),
    ("en", (reminder(days=7), reminder(days=1)), "2 certifications expire, the first tomorrow"),
    ("nb", (reminder(days=-1),), "1 sertifisering gikk ut i går"),
    ("nn", (reminder(days=-2),), "1 sertifisering gjekk ut for 2 dagar sidan"),
    ("en", (reminder(days=-2), reminder(days=9)), "2 certifications expire soon or have expired"),
    ("en", (pause(), reminder(days=1)), "1 mentor has been paused, 1 certification expires tomorrow"),
]


@pytest.mark.parametrize(("language", "notices", "subject"), SUBJECTS)
def test_the_subject_says_what_it_is_about(language: str, notices: tuple[Notice, ...], subject: str) -> None:
    """The subject counts, the most urgent first, in the recipient's language; the text begins with the same."""
    mail = received(*notices, language=language)
    assert mail["Subject"] == subject
    assert f"\n\n{subject}.\n" in part(mail, "plain")
    assert f">{subject}</h1>" in part(mail, "html")


@pytest.mark.parametrize(
    ("language", "expected"),
    [
        (
            "nb",
            """Hei, Kari Eksempel!

1 likeperson er satt på pause, 1 sertifisering går ut om 7 dager.


SATT PÅ PAUSE (1)

Sertifiseringen har gått ut, og likepersonen vises ikke lenger på nettsiden.

  * Hilde Tiurleikåsen
    HLF · Prøveby · ref. HLF-0001
    Siste gyldige dag: onsdag 18. november 2026 (for 4 dager siden)

Dette gjør du:
  1. Forny sertifiseringen hvis likepersonen skal fortsette.
  2. Registrer den nye sertifiseringen.
  3. Aktiver likepersonen igjen. Det skjer ikke av seg selv når sertifiseringen fornyes.


GÅR SNART UT (1)

  * Åse Tyttebær
    HLF · Prøveby · ref. HLF-0002
    Siste gyldige dag: søndag 29. november 2026 (om 7 dager)

Dette gjør du:
  1. Forny sertifiseringen senest siste gyldige dag.
  2. Registrer den nye sertifiseringen innen samme frist.

Ellers settes likepersonen på pause natten etter og forsvinner fra nettsiden.
Datoen ligger ved som en kalenderfil.

--\N{SPACE}
Du får denne e-posten fordi du følger opp disse likepersonene. Den er sendt automatisk.
Spørsmål? Svar på denne e-posten.
""",
        ),
        (
            "nn",
            """Hei, Kari Eksempel!

1 likeperson er sett på pause, 1 sertifisering går ut om 7 dagar.


SETT PÅ PAUSE (1)

Sertifiseringa har gått ut, og likepersonen blir ikkje lenger vist på nettsida.

  * Hilde Tiurleikåsen
    HLF · Prøveby · ref. HLF-0001
    Siste gyldige dag: onsdag 18. november 2026 (for 4 dagar sidan)

Dette gjer du:
  1. Forny sertifiseringa dersom likepersonen skal halde fram.
  2. Registrer den nye sertifiseringa.
  3. Aktiver likepersonen igjen. Det skjer ikkje av seg sjølv når sertifiseringa blir fornya.


GÅR SNART UT (1)

  * Åse Tyttebær
    HLF · Prøveby · ref. HLF-0002
    Siste gyldige dag: søndag 29. november 2026 (om 7 dagar)

Dette gjer du:
  1. Forny sertifiseringa seinast siste gyldige dag.
  2. Registrer den nye sertifiseringa innan same frist.

Elles blir likepersonen sett på pause natta etter og forsvinn frå nettsida.
Datoen ligg ved som ei kalenderfil.

--\N{SPACE}
Du får denne e-posten fordi du følgjer opp desse likepersonane. Han er send automatisk.
Spørsmål? Svar på denne e-posten.
""",
        ),
        (
            "en",
            """Hello Kari Eksempel,

1 mentor has been paused, 1 certification expires in 7 days.


PAUSED (1)

The certification has expired, and the mentor is no longer shown on the website.

  * Hilde Tiurleikåsen
    HLF · Prøveby · ref. HLF-0001
    Last valid day: Wednesday 18 November 2026 (4 days ago)

What to do:
  1. Renew the certification if the mentor is to continue.
  2. Register the new certification.
  3. Reinstate the mentor. A renewal alone does not do that.


EXPIRING SOON (1)

  * Åse Tyttebær
    HLF · Prøveby · ref. HLF-0002
    Last valid day: Sunday 29 November 2026 (in 7 days)

What to do:
  1. Renew the certification no later than its last valid day.
  2. Register the new certification by then.

Otherwise the mentor is paused the night after and leaves the website.
The date is attached as a calendar file.

--\N{SPACE}
You get this message because you look after these mentors. It was sent automatically.
Questions? Reply to this message.
""",
        ),
    ],
)
def test_the_whole_text(language: str, expected: str) -> None:
    """The plain text, word by word, in each language."""
    mail = received(pause(), reminder(), language=language, reply_to="kontoret@example.org")
    assert part(mail, "plain") == expected
    assert f'<html lang="{language}">' in part(mail, "html")


def test_of_one_mentor_it_speaks_in_the_singular() -> None:
    """One pause alone has no calendar, no part about reminders, and one mentor in its words."""
    mail = received(pause(), name="")
    shown = part(mail, "plain")
    assert shown.startswith("Hei!\n")
    assert shown.endswith("fordi du følger opp denne likepersonen. Den er sendt automatisk.\n")
    assert "GÅR SNART UT" not in shown
    assert mail.get_content_type() == "multipart/alternative"


def test_a_rehearsal_goes_to_one_address_and_says_for_whom() -> None:
    """With a redirect only that address gets the mail, whose subject and first line say that, and for whom it was."""
    with mailroom() as room:
        send(notifier(room.port, redirect_to="Prøve <test@example.org>"), message(name="Kari <3"))
    assert room.envelopes[0].rcpt_tos == ["test@example.org"]
    assert room.mail["To"] == "Prøve <test@example.org>"
    assert room.mail["Subject"] == "[rehearsal] 1 likeperson er satt på pause"
    first = "Prøvekjøring: Denne e-posten var til Kari <3 <kari@example.org>."
    assert part(room.mail, "plain").startswith(f"{first}\n")
    assert html.escape(first) in part(room.mail, "html")


def test_an_unknown_language_is_written_in_bokmaal() -> None:
    """A coordinator whose language no letter is written in is told all the same, in bokmål."""
    with mailroom() as room:
        send(notifier(room.port), message(language="sv"))
    assert room.mail["Content-Language"] == "nb"


def test_a_rehearsal_has_a_message_id_of_its_own() -> None:
    """A mail that was rehearsed and then sent is two messages to whoever has both."""
    with mailroom() as room:
        ids = [send(notifier(room.port, redirect_to=to), message())[0] for to in ("test@example.org", None)]
    assert len(set(ids)) == 2


# The calendar.


def calendar(mail: EmailMessage) -> Any:
    (found,) = mail.iter_attachments()
    assert found.get_filename() == "sertifiseringer.ics"
    content = found.get_payload(decode=True)
    assert isinstance(content, bytes)
    return icalendar.Calendar.from_ical(content)


def test_the_calendar_has_each_last_valid_day() -> None:
    """Each reminder is an event of its whole last valid day, with the mentor in it; pauses are not in the calendar."""
    found = calendar(received(reminder(days=7), reminder("Øyvind; X, Y\nBEGIN:VEVENT", 1, "HLF-0003"), pause()))
    assert "METHOD" not in found
    first, second = found.walk("VEVENT")
    assert first["SUMMARY"] == "Siste gyldige dag: sertifiseringen til Øyvind; X, Y\ufffdBEGIN:VEVENT"
    assert (first.decoded("DTSTART"), first.decoded("DTEND")) == (date(2026, 11, 23), date(2026, 11, 24))
    assert second.decoded("DTSTART") == date(2026, 11, 29)
    assert "ref. HLF-0002" in second["DESCRIPTION"]
    assert second.decoded("DTSTAMP") == datetime(2026, 11, 22, tzinfo=UTC)
    assert [each.decoded("TRIGGER") for each in found.walk("VALARM")] == [timedelta(hours=-15)] * 2


def test_a_later_reminder_is_the_same_event() -> None:
    """The event of a mentor's day has the same identifier in every mail, and another when the day changes."""
    soon = replace(reminder(), id=9, threshold_day=14, days_left=2, idempotency_key="other")
    later = replace(reminder(), certification_expiry=TODAY + timedelta(days=300))
    first, again, other = (calendar(received(each)).walk("VEVENT")[0]["UID"] for each in (reminder(), soon, later))
    assert first == again != other
    assert first.endswith("@example.org")
    assert len(calendar(received(reminder(), soon)).walk("VEVENT")) == 1


@pytest.mark.parametrize("language", ["nb", "nn", "en"])
def test_the_same_message_is_the_same_letter(language: str) -> None:
    """Nothing in a letter depends on the moment or on chance."""
    one, again = (
        render(message(reminder(), pause(), language=language), domain="example.org", rehearsal=False, may_reply=True)
        for _ in range(2)
    )
    assert one == again
