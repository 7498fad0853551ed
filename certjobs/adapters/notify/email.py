"""The channel ``email``: one mail a recipient with all their notices, over SMTP.

Which way each failure falls. Before the dot that ends a mail was sent the server has accepted nothing, so the mail
failed and stays owed; after it, and before the answer, nobody knows. A server's own words may quote an address or say
who we are, so an error holds its codes alone.
"""

from __future__ import annotations

import re
import smtplib
import socket
import ssl
from base64 import b64encode
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from email.errors import HeaderParseError
from email.header import Header, decode_header, make_header
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime, parseaddr
from typing import TYPE_CHECKING, Literal, NamedTuple

from certjobs.domain.delivery import rehearsed
from certjobs.domain.roster_row import is_address
from certjobs.domain.text import printable
from certjobs.errors import (
    ChannelDown,
    ConfigurationError,
    CredentialsRejected,
    DeliveryError,
    DeliveryFailed,
    DeliveryRefused,
    DeliveryUnknown,
    RateLimited,
    Unavailable,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from certjobs.adapters.notify.letter import Letter
    from certjobs.ports import Clock, Message

PORTS = {"starttls": 587, "tls": 465, "none": 25}
READY, LOGGED_IN, CHALLENGE, GO_AHEAD = 220, 235, 334, 354  # replies of SMTP
CLOSING = 421  # the server ends the connection, whatever it was asked
BUSY = frozenset({450, 451, 452})
LOGIN_NEEDED = 530
KEY_CHARACTERS = 40  # of a message's key, in its Message-ID

_ENHANCED = re.compile(r"[245]\.\d{1,3}\.\d{1,3}\b")
_TOO_FAST = re.compile(r"\brate\b|too (?:many|much|fast)|throttl|slow down", re.IGNORECASE)
_GREYLISTED = re.compile(r"gr[ea]y.?list", re.IGNORECASE)
_ABOUT_LOGIN = re.compile(r"authentic|log ?in\b|credential", re.IGNORECASE)
_PLAIN = re.compile(r"[A-Za-z0-9 .,&'()\[\]-]{1,60}")
_UNTRUSTED = {  # by OpenSSL's code
    10: "it has expired",
    18: "it vouches for itself",
    19: "its authority is not known here",
    20: "its authority is not known here",
    62: "it is for another name",
    64: "it is for another address",
}


@dataclass(frozen=True, slots=True)
class MailServer:
    """Where mail is handed in. ``timeout`` is the longest wait for a connection or for any one answer, in seconds."""

    host: str
    port: int | None = None
    security: Literal["starttls", "tls", "none"] = "starttls"
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    timeout: float = 15.0


class Mailbox(NamedTuple):
    """An address and the name before it; its domain is in ASCII."""

    name: str
    address: str


class Mail(NamedTuple):
    """A mail as it travels: to whom, its bytes, and whether the server must know SMTPUTF8 to take it."""

    message_id: str
    recipient: str
    content: bytes
    utf8: bool


class EmailNotifier:
    """Send each recipient one mail.

    Nobody drops a second mail with the same Message-ID for sure, so it honours no keys. A rehearsal sends everything
    to ``redirect_to``. Raises ConfigurationError on settings that cannot work or would not keep mail secret.
    """

    name = "email"
    honours_keys = False
    gathers = True
    batch = 1

    def __init__(
        self,
        server: MailServer,
        *,
        mail_from: str,
        clock: Clock,
        reply_to: str | None = None,
        redirect_to: str | None = None,
        concurrency: int = 1,
    ) -> None:
        self.server = _checked(server)
        self.concurrency = concurrency
        self._clock = clock
        self._from = _mailbox(mail_from, "CERTJOBS_MAIL_FROM")
        self._reply_to = _mailbox(reply_to, "CERTJOBS_MAIL_REPLY_TO") if reply_to else None
        self._redirect_to = _mailbox(redirect_to, "CERTJOBS_REDIRECT_ALL_TO") if redirect_to else None

    @property
    def mail_from(self) -> str:
        """The address that mail comes from."""
        return self._from.address

    @contextmanager
    def sender(self) -> Iterator[SmtpSender]:
        """Open what sends; it connects at the first message and says goodbye at the end."""
        sender = SmtpSender(self)
        try:
            yield sender
            sender.leave()
        finally:
            sender.drop()

    def reach(self) -> None:
        """Connect, log in and say goodbye, with no mail in between, as ``ports.Reachable`` says."""
        sender = SmtpSender(self)
        try:
            sender.greet()
            sender.leave()
        except DeliveryError as exc:
            msg = f"{exc.reason[0].upper()}{exc.reason[1:]}."
            hint = "Check CERTJOBS_SMTP_HOST, CERTJOBS_SMTP_PORT and CERTJOBS_SMTP_SECURITY, and that it is up."
            raise Unavailable(msg, hint=hint) from None
        finally:
            sender.drop()

    def message_id(self, key: str) -> str:
        """Return the Message-ID of the message with this key: the same at every attempt."""
        return f"<certjobs.{re.sub(r'[^A-Za-z0-9_-]', '-', key[:KEY_CHARACTERS])}@{self._domain}>"

    def write(self, message: Message) -> Mail:
        """Write the mail of a message. Raises DeliveryRefused where its address cannot be one."""
        from certjobs.adapters.notify.letter import render

        recipient = self._redirect_to or _recipient(message)
        letter = render(
            message,
            domain=self._domain,
            rehearsal=self._redirect_to is not None,
            may_reply=self._reply_to is not None,
        )
        message_id = self.message_id(
            rehearsed(message.key, self._redirect_to.address) if self._redirect_to else message.key
        )
        headers = [
            ("From", _written(self._from)),
            ("To", _written(recipient)),
            *([("Reply-To", _written(self._reply_to))] if self._reply_to else []),
            ("Subject", _encoded(letter.subject, "Subject")),
            ("Date", format_datetime(self._clock.now())),
            ("Message-ID", message_id),
            ("Content-Language", letter.language),
            ("Auto-Submitted", "auto-generated"),
            ("X-Auto-Response-Suppress", "All"),
        ]
        head = "".join(f"{name}: {value}\r\n" for name, value in headers)
        return Mail(
            message_id,
            recipient.address,
            head.encode() + _body(letter),
            utf8=not recipient.address.isascii(),
        )

    @property
    def _domain(self) -> str:
        return self._from.address.rpartition("@")[2]


class SmtpSender:
    """One connection, made when first needed and made again when the server ended it between two mails."""

    def __init__(self, notifier: EmailNotifier) -> None:
        self._notifier = notifier
        self._smtp: smtplib.SMTP | None = None
        self._limited: str | None = None

    def send(self, message: Message) -> str:
        """Send one message and return its Message-ID; raises as ``ports.Sender.send`` says.

        A refused recipient leaves the connection fit for the next message. A message that is asked to wait a second
        time in a row fails by itself, for it may be what the server objects to: it must not keep all others waiting.
        """
        mail = self._notifier.write(message)
        try:
            smtp = self._begin(mail)
            _expect(smtp.rcpt(mail.recipient), "RCPT")
            _expect(smtp.docmd("DATA"), "DATA", GO_AHEAD)
            smtp.send(re.sub(rb"(?m)^\.", b"..", mail.content))
            smtp.send(b".\r\n")
            _expect(self._last_answer(smtp), "the end of the mail")
        except _Negative as exc:
            self._reset(exc)
            raise self._judged(exc, message.key) from None
        except DeliveryRefused:
            raise  # before anything was said about it
        except smtplib.SMTPException as exc:
            self.drop()
            raise DeliveryFailed(_ended(exc)) from None
        except BaseException:
            self.drop()
            raise
        self._limited = None
        return mail.message_id

    def greet(self) -> None:
        """Connect, log in where we do, and ask for nothing. Raises as ``send`` does."""
        self._smtp = self._connect()
        with _reaching():
            _expect(self._smtp.noop(), "NOOP")

    def leave(self) -> None:
        """Say goodbye, where the server still listens."""
        if self._smtp is not None:
            with suppress(smtplib.SMTPException):
                self._smtp.docmd("QUIT")

    def drop(self) -> None:
        """Close the connection, if there is one."""
        if self._smtp is not None:
            self._smtp.close()
            self._smtp = None

    def _begin(self, mail: Mail) -> smtplib.SMTP:
        """Return a connection on which the server takes mail from us: the one there is, else a new one."""
        if self._smtp is not None:
            try:
                return self._from_us(self._smtp, mail)
            except _Negative as exc:
                if exc.code != CLOSING:
                    raise
            except smtplib.SMTPServerDisconnected:
                pass
            self.drop()
        self._smtp = self._connect()
        try:
            return self._from_us(self._smtp, mail)
        except smtplib.SMTPServerDisconnected as exc:
            raise ChannelDown(_ended(exc)) from None

    def _from_us(self, smtp: smtplib.SMTP, mail: Mail) -> smtplib.SMTP:
        if mail.utf8 and not smtp.has_extn("smtputf8"):
            msg = "the mail server takes no address of this kind (SMTPUTF8)"
            raise DeliveryRefused(msg)
        options = ["SMTPUTF8", "BODY=8BITMIME"] if mail.utf8 else []
        try:
            _expect(smtp.mail(self._notifier.mail_from, options), "MAIL")
        except _Negative as exc:
            if exc.permanent and not mail.utf8:
                raise _unwelcome(exc) from None
            raise
        return smtp

    def _last_answer(self, smtp: smtplib.SMTP) -> tuple[int, bytes]:
        """Return the answer to a whole mail. Raises DeliveryUnknown where there is none that can be understood."""
        try:
            code, text = smtp.getreply()
        except smtplib.SMTPException as exc:
            msg = f"the mail was sent whole, and then {_ended(exc)}"
            raise DeliveryUnknown(msg) from None
        if code // 100 not in {2, 4, 5}:
            msg = "the mail was sent whole, and the answer made no sense"
            raise DeliveryUnknown(msg)
        return code, text

    def _connect(self) -> smtplib.SMTP:
        server = self._notifier.server
        smtp: smtplib.SMTP | None = None
        with _reaching():
            try:
                smtp = _open(server)
                _expect(smtp.ehlo(), "EHLO")
                if server.security == "starttls":
                    _start_tls(smtp)
                if server.username is not None:
                    _log_in(smtp, server.username, server.password or "")
            except BaseException:
                if smtp is not None:
                    smtp.close()
                raise
        return smtp

    def _reset(self, exc: _Negative) -> None:
        """Make the connection fit for the next message, or give it up."""
        if self._smtp is None:
            return
        try:
            if not exc.orderly or self._smtp.rset()[0] // 100 != 2:  # noqa: PLR2004 - 2xx is yes
                self.drop()
        except smtplib.SMTPException:
            self.drop()

    def _judged(self, exc: _Negative, key: str) -> Exception:
        """Return what a negative answer to one message means."""
        if exc.limits and self._limited != key:
            self._limited = key
            return RateLimited(exc.reason, None)
        if exc.code == LOGIN_NEEDED:
            return _stranger(exc)
        return DeliveryRefused(exc.reason) if exc.permanent else DeliveryFailed(exc.reason)


class _Negative(Exception):
    """The server answered, and not as it had to. Its text is for judging alone: it never becomes part of an error."""

    def __init__(self, code: int, text: bytes, step: str) -> None:
        super().__init__()
        self.code = code
        self.step = step
        self._text = text.decode("ascii", "replace")

    @property
    def permanent(self) -> bool:
        """Whether it will be the same next time."""
        return self.code // 100 == 5  # noqa: PLR2004 - 5xx is no

    @property
    def orderly(self) -> bool:
        """Whether the conversation can go on."""
        return self.code // 100 in {4, 5} and self.code != CLOSING

    @property
    def limits(self) -> bool:
        """Whether the server wants less of us. Greylisting does not: it wants the same mail again, much later."""
        if self.code not in BUSY:
            return self.code == CLOSING
        busy = self._enhanced.startswith("4.7.") or _TOO_FAST.search(self._text) is not None
        return busy and _GREYLISTED.search(self._text) is None

    @property
    def about_login(self) -> bool:
        """Whether it says that we have to log in, or not like this."""
        return self.code in {LOGIN_NEEDED, 534, 535} or _ABOUT_LOGIN.search(self._text) is not None

    @property
    def reason(self) -> str:
        """What is safe to store and log."""
        if not 200 <= self.code < 600:  # noqa: PLR2004 - what SMTP knows
            return f"an answer that is no SMTP at {self.step}"
        return " ".join(part for part in (f"SMTP {self.code}", self._enhanced, f"at {self.step}") if part)

    @property
    def _enhanced(self) -> str:
        found = _ENHANCED.match(self._text)
        return found[0] if found else ""


def _expect(answer: tuple[int, bytes], step: str, wanted: int | None = None) -> None:
    """Raise _Negative unless the answer is the one wanted, by default any 2xx."""
    code, text = answer
    if not (200 <= code < 300 if wanted is None else code == wanted):  # noqa: PLR2004 - 2xx is yes
        raise _Negative(code, text, step)


def _ended(exc: smtplib.SMTPException) -> str:
    """Say in safe words how a conversation ended."""
    if isinstance(exc, smtplib.SMTPResponseException):
        return "the mail server's answer made no sense"
    if isinstance(exc.__context__, TimeoutError):
        return "the mail server did not answer in time"
    return "the mail server ended the connection"


def _stranger(exc: _Negative) -> CredentialsRejected:
    msg = f"The mail server does not let us in ({exc.reason})."
    return CredentialsRejected(msg, hint="Check CERTJOBS_SMTP_USERNAME and CERTJOBS_SMTP_PASSWORD.")


def _unwelcome(exc: _Negative) -> CredentialsRejected | ConfigurationError:
    """Return what a refusal of our own address means: it is about no message, so none may die of it."""
    if exc.about_login:
        return _stranger(exc)
    msg = f"The mail server takes no mail from the address in CERTJOBS_MAIL_FROM ({exc.reason})."
    return ConfigurationError(msg, hint="Set an address that this login may send from.")


# Connecting.


def _open(server: MailServer) -> smtplib.SMTP:
    """Connect and read the greeting."""
    port = server.port or PORTS[server.security]
    try:
        if server.security == "tls":
            return smtplib.SMTP_SSL(server.host, port, timeout=server.timeout, context=_tls())
        return smtplib.SMTP(server.host, port, timeout=server.timeout)
    except smtplib.SMTPConnectError as exc:
        raise _Negative(exc.smtp_code, _bytes(exc.smtp_error), "the greeting") from None


def _bytes(text: bytes | str) -> bytes:
    return text if isinstance(text, bytes) else text.encode("ascii", "replace")


def _tls() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def _start_tls(smtp: smtplib.SMTP) -> None:
    """Go on in TLS, or not at all: who sits between must not be able to talk us out of it."""
    if not smtp.has_extn("starttls"):
        msg = "The mail server offers no STARTTLS."
        raise ConfigurationError(msg, hint="Set CERTJOBS_SMTP_SECURITY to tls, or ask whoever runs the server.")
    try:
        smtp.starttls(context=_tls())
    except smtplib.SMTPResponseException as exc:
        raise _Negative(exc.smtp_code, _bytes(exc.smtp_error), "STARTTLS") from None
    _expect(smtp.ehlo(), "EHLO")


def _log_in(smtp: smtplib.SMTP, username: str, password: str) -> None:
    """Log in by PLAIN, or LOGIN where that is all there is.

    By hand, for smtplib takes only ASCII, and quotes the password in its error when it is not.
    """
    offered = smtp.esmtp_features.get("auth", "").upper().split()
    if "PLAIN" in offered:
        answer = smtp.docmd("AUTH PLAIN", _base64(f"\0{username}\0{password}"))
    elif "LOGIN" in offered:
        answer = smtp.docmd("AUTH LOGIN")
        for word in (username, password):
            if answer[0] == CHALLENGE:
                answer = smtp.docmd(_base64(word))
    else:
        msg = "The mail server offers no login by PLAIN or LOGIN, and CERTJOBS_SMTP_USERNAME is set."
        raise ConfigurationError(msg, hint="Unset the username, or check host, port and CERTJOBS_SMTP_SECURITY.")
    try:
        _expect(answer, "AUTH", LOGGED_IN)
    except _Negative as exc:
        if exc.permanent:
            raise _stranger(exc) from None
        raise


def _base64(text: str) -> str:
    return b64encode(text.encode()).decode("ascii")


@contextmanager
def _reaching() -> Iterator[None]:
    """Turn whatever keeps us from a connection into a delivery error."""
    try:
        yield
    except _Negative as exc:
        if exc.limits:
            raise RateLimited(exc.reason, None) from None
        raise ChannelDown(exc.reason) from None
    except smtplib.SMTPException as exc:
        raise ChannelDown(_ended(exc)) from None
    except UnicodeError:
        msg = "The name of the mail server is none."
        raise ConfigurationError(msg, hint="Check CERTJOBS_SMTP_HOST.") from None
    except OSError as exc:
        raise ChannelDown(_unreachable(exc)) from None


def _unreachable(exc: OSError) -> str:
    if isinstance(exc, ssl.SSLCertVerificationError):
        why = _UNTRUSTED.get(exc.verify_code, f"OpenSSL's code {exc.verify_code}")
        return f"the mail server's certificate is not trusted: {why}"
    if isinstance(exc, ssl.SSLError):
        return f"TLS with the mail server failed ({exc.reason or type(exc).__name__})"
    if isinstance(exc, socket.gaierror):
        return "the mail server's name cannot be resolved"
    if isinstance(exc, TimeoutError):
        return "the mail server did not answer in time"
    return f"no connection to the mail server ({type(exc).__name__})"


# Writing.


def _checked(server: MailServer) -> MailServer:
    from certjobs.config import LOOPBACK_HOSTS

    if server.security == "none" and server.host not in LOOPBACK_HOSTS:
        msg = "CERTJOBS_SMTP_SECURITY may be none only where the mail server is on this machine."
        raise ConfigurationError(msg, hint="Set it to starttls or tls.")
    if server.username is not None and server.password is None:
        msg = "CERTJOBS_SMTP_USERNAME is set and CERTJOBS_SMTP_PASSWORD is not."
        raise ConfigurationError(msg, hint="Set both, or neither.")
    return server


def _mailbox(value: str, setting: str) -> Mailbox:
    """Read ``address`` or ``Name <address>`` from a setting."""
    name, address = parseaddr(value)
    with suppress(HeaderParseError, LookupError, ValueError):  # then the name is what it looks like
        name = str(make_header(decode_header(name)))
    try:
        found = Mailbox(printable(name), _in_ascii(address))
    except UnicodeError:
        found = Mailbox("", "")
    local, at, domain = found.address.partition("@")
    if not (local and at and domain and value.isprintable() and found.address.isascii()) or " " in found.address:
        msg = f"{setting} holds no address that mail servers everywhere take."
        raise ConfigurationError(msg, hint="Write it as mentors@example.org or Mentors <mentors@example.org>.")
    return found


def _recipient(message: Message) -> Mailbox:
    try:
        address = _in_ascii(message.recipient_address)
    except UnicodeError:
        address = ""
    if not is_address(address):
        msg = "the recipient's address is none"
        raise DeliveryRefused(msg)
    return Mailbox(printable(message.recipient_name).strip(), address)


def _in_ascii(address: str) -> str:
    """Return the address with its domain in ASCII, so that only what stands before it can need SMTPUTF8."""
    local, at, domain = address.rpartition("@")
    return f"{local}{at}{domain.encode('idna').decode('ascii')}" if domain else address


def _written(mailbox: Mailbox) -> str:
    if not mailbox.name:
        return mailbox.address
    if _PLAIN.fullmatch(mailbox.name):
        return f'"{mailbox.name}" <{mailbox.address}>'
    return f"{_encoded(mailbox.name, 'Reply-To', always=True)}\r\n <{mailbox.address}>"


def _encoded(text: str, header: str, *, always: bool = False) -> str:
    """Return a text as it stands in a header, folded.

    By the older of the two ways the standard library has: the newer one loses blanks between folded words, and takes
    a name that looks like an encoded word for one, line ends and all.
    """
    if not always and _PLAIN.fullmatch(text):
        return text
    return Header(text, "utf-8", maxlinelen=75, header_name=header).encode(linesep="\r\n")


def _body(letter: Letter) -> bytes:
    """Return the letter from its Content-Type on, in ASCII."""
    body = EmailMessage(policy=SMTP)
    body.set_content(letter.text, cte="quoted-printable")
    body.add_alternative(letter.html, subtype="html", cte="quoted-printable")
    if letter.calendar is not None:
        body.add_attachment(
            letter.calendar,
            maintype="text",
            subtype="calendar",
            filename=letter.calendar_name,
            params={"charset": "utf-8"},
        )
    return body.as_bytes()
