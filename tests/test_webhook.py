"""The channel webhook, over real sockets."""

from __future__ import annotations

import socket
import ssl
import threading
from contextlib import contextmanager, suppress
from datetime import UTC, date, datetime, timedelta
from email.utils import format_datetime
from typing import TYPE_CHECKING, Any

import pytest
import trustme
from hypothesis import given
from hypothesis import strategies as st

from certjobs import __version__
from certjobs.adapters.notify.webhook import WebhookNotifier
from certjobs.errors import (
    CertjobsError,
    ChannelDown,
    ConfigurationError,
    CredentialsRejected,
    DeliveryError,
    DeliveryFailed,
    DeliveryRefused,
    RateLimited,
)
from certjobs.ports import Message, Notice
from tests.children.receiver import PATH, SECRET, Answer, Receiver, receiver

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NOW = datetime(2026, 11, 22, 2, 0, 0, 500_000, tzinfo=UTC)
HOSTILE = "Åse 🦊\r\nX-Evil: 1\u202e"


@pytest.fixture(autouse=True)
def _no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the developer's own proxies out of the tests."""
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


def _trusted(host: str, directory: Path, monkeypatch: pytest.MonkeyPatch) -> ssl.SSLContext:
    """Return what a server of that name needs for TLS, and let its authority be the trusted one."""
    authority = trustme.CA()
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(host).configure_cert(server)
    authority.cert_pem.write_to_path(str(directory / "ca.pem"))
    monkeypatch.setenv("SSL_CERT_FILE", str(directory / "ca.pem"))
    return server


class Clock:
    def now(self) -> datetime:
        return NOW


def message(kind: str = "reminder", *, attempt: int = 1, name: str = "Ola Eksempel", key: str = "k" * 64) -> Message:
    notice = Notice(
        1,
        kind,
        key,
        attempt,
        "HLF-0042",
        name,
        "HLF",
        "Prøveby",
        date(2026, 12, 22),
        30 if kind == "reminder" else None,
        30,
    )
    return Message(key, NOW.date(), "Kari Eksempel", "kari@example.org", "nn", (notice,))


def channel(
    url: str, secret: str | None = SECRET, *, timeout: float = 5, redirect_to: str | None = None
) -> WebhookNotifier:
    return WebhookNotifier(url, secret, timeout=timeout, concurrency=1, redirect_to=redirect_to, clock=Clock())


def send(found: Receiver | str, *messages: Message, secret: str | None = SECRET, timeout: float = 5) -> list[str]:
    """Send messages one after the other by one sender."""
    url = found if isinstance(found, str) else found.url
    with channel(url, secret, timeout=timeout).sender() as sender:
        return [sender.send(each) for each in messages or (message(),)]


def test_what_is_posted() -> None:
    """A reminder and a pause are posted as JSON, each with its key, signed so that an independent check agrees."""
    with receiver() as found:
        assert send(found, message(), message("pause", key="p" * 64)) == ["k" * 64, "p" * 64]
    reminder, pause = found.requests
    assert reminder.json == {
        "type": "certification.expiring",
        "data": {
            "mentor": {"ref": "HLF-0042", "name": "Ola Eksempel", "organisation": "HLF", "chapter": "Prøveby"},
            "certification_expiry": "2026-12-22",
            "threshold_day": 30,
            "recipient": {"name": "Kari Eksempel", "address": "kari@example.org", "language": "nn"},
        },
    }
    assert (pause.json["type"], pause.json["data"]["threshold_day"]) == ("mentor.paused", None)
    for request in found.requests:
        assert request.signed_with(SECRET)
        assert not request.signed_with("whsec_" + "A" * 32)
        assert request.headers["webhook-id"] == request.key
        assert request.headers["user-agent"] == f"certjobs/{__version__}"
        assert request.headers["webhook-timestamp"] == str(int(NOW.timestamp()))


def test_the_vector_of_the_scheme() -> None:
    """The signature of the scheme's published example is the published one."""

    class Then:
        def now(self) -> datetime:
            return datetime.fromtimestamp(1614265330, UTC)

    made = WebhookNotifier(
        "http://127.0.0.1/",
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        timeout=1,
        concurrency=1,
        redirect_to=None,
        clock=Then(),
    )
    headers = made.headers("msg_p5jXN8AQM9LWM0D4loKWxJek", b'{"test": 2432232314}')
    assert headers["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_the_same_at_every_attempt() -> None:
    """Key and body do not change with the attempt: a receiver that compares them sees the same message."""
    with receiver() as found:
        send(found, message(attempt=1), message(attempt=7))
    first, second = found.requests
    assert (first.key, first.body) == (second.key, second.body)


def test_a_hostile_name_stays_in_its_place() -> None:
    """Emoji, line ends and direction marks in a name arrive as they are, inside the JSON and nowhere else."""
    with receiver() as found:
        send(found, message(name=HOSTILE))
    (request,) = found.requests
    assert request.json["data"]["mentor"]["name"] == HOSTILE
    assert "x-evil" not in request.headers


def test_a_rehearsal() -> None:
    """In a rehearsal the recipient's address is the rehearsal's, and the body says whose message it was."""
    with receiver() as found, channel(found.url, redirect_to="me@example.org").sender() as sender:
        sender.send(message())
    data = found.requests[0].json["data"]
    assert data["recipient"]["address"] == "me@example.org"
    assert data["rehearsal_for"] == {"name": "Kari Eksempel", "address": "kari@example.org"}


def test_a_rehearsal_has_keys_of_its_own() -> None:
    """The service that had a rehearsal does not take the real message for its repetition; the same again it does."""
    with receiver() as found:
        for redirect_to in ("me@example.org", None, "me@example.org", "you@example.org"):
            with channel(found.url, redirect_to=redirect_to).sender() as sender:
                sender.send(message())
    rehearsal, real, again, other = [request.key for request in found.requests]
    assert real == message().key
    assert rehearsal == again
    assert len({rehearsal, real, other}) == 3


ANSWERS: list[tuple[int, dict[str, str], type[Exception] | None]] = [
    (200, {}, None),
    (202, {}, None),
    (204, {}, None),
    (301, {"Location": "https://example.org/"}, DeliveryFailed),
    (307, {"Location": "http://127.0.0.1/"}, DeliveryFailed),
    (400, {}, DeliveryRefused),
    (401, {}, CredentialsRejected),
    (403, {}, CredentialsRejected),
    (404, {}, DeliveryRefused),
    (407, {}, CredentialsRejected),
    (408, {}, DeliveryFailed),
    (409, {}, DeliveryFailed),
    (410, {}, DeliveryRefused),
    (413, {}, DeliveryRefused),
    (422, {}, DeliveryRefused),
    (425, {}, DeliveryFailed),
    (429, {}, RateLimited),
    (500, {}, DeliveryFailed),
    (503, {}, DeliveryFailed),
    (503, {"Retry-After": "5"}, RateLimited),
    (599, {}, DeliveryFailed),
]


@pytest.mark.parametrize(("status", "headers", "expected"), ANSWERS)
def test_what_an_answer_means(status: int, headers: dict[str, str], expected: type[Exception] | None) -> None:
    """Each status is taken, tried later, rested for, refused for good, or a matter of credentials, as documented."""
    with receiver(lambda _request: Answer(status, headers, b"kari@example.org")) as found:
        if expected is None:
            assert send(found) == ["k" * 64]
            return
        with pytest.raises(expected) as caught:
            send(found)
    assert type(caught.value) is expected
    text = f"{caught.value!r} {caught.value}"
    assert "example.org" not in text
    assert SECRET not in text
    assert str(status) in text
    assert len(found.requests) == 1


@pytest.mark.parametrize(
    ("given", "seconds"),
    [
        ("30", 30.0),
        ("0", 0.0),
        (format_datetime(NOW.replace(microsecond=0) + timedelta(seconds=90), usegmt=True), 89.5),
        (format_datetime(NOW.replace(microsecond=0) - timedelta(hours=1), usegmt=True), 0.0),
        ("soon", None),
        ("-5", None),
        ("1e9", None),
        ("9" * 400, None),
        (None, None),
    ],
)
def test_how_long_a_rest_is(given: str | None, seconds: float | None) -> None:
    """Retry-After is read as whole seconds or a date, is never negative, and is unknown where it is neither."""
    headers = {} if given is None else {"Retry-After": given}
    with receiver(lambda _request: Answer(429, headers)) as found, pytest.raises(RateLimited) as caught:
        send(found)
    assert caught.value.seconds == seconds


@given(st.text(max_size=40))
def test_any_retry_after(text: str) -> None:
    """Whatever stands there, a rest is a number of seconds that is not negative, or unknown."""
    with pytest.raises(RateLimited) as caught:
        channel("http://127.0.0.1/").judge(429, text)
    assert caught.value.seconds is None or caught.value.seconds >= 0


@pytest.mark.parametrize("way", ["hang", "drop"])
def test_no_answer_after_the_body_was_read(way: str) -> None:
    """A service that read the message and hangs, or drops the connection, has failed for now; the next one goes."""
    answers = iter([Answer(misbehaves=way), Answer()])
    with receiver(lambda _request: next(answers)) as found:
        with channel(found.url, timeout=0.3).sender() as sender:
            with pytest.raises(DeliveryFailed) as caught:
                sender.send(message())
            assert not isinstance(caught.value, ChannelDown)
            assert sender.send(message()) == "k" * 64
        found.released.set()
    assert len({each.key for each in found.requests}) == 1


def test_an_answer_that_drips() -> None:
    """A status is enough: an answer whose body never ends holds no sender, and the message counts as taken."""
    with receiver(lambda _request: Answer(200, misbehaves="drip")) as found:
        assert send(found, timeout=0.3) == ["k" * 64]


@contextmanager
def dripping(first: bytes, again: bytes, *, pause: float = 0.01, tls: ssl.SSLContext | None = None) -> Iterator[str]:
    """Serve one answer that goes on for as long as it is listened to: each part comes well before the time-out."""
    over = threading.Event()
    plain = socket.create_server(("127.0.0.1", 0))
    with tls.wrap_socket(plain, server_side=True) if tls else plain as server:
        server.settimeout(10)

        def serve() -> None:
            connection, _ = server.accept()
            with connection, suppress(OSError):
                connection.recv(65536)
                connection.sendall(first)
                while not over.wait(pause):
                    connection.sendall(again)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield f"{'https' if tls else 'http'}://127.0.0.1:{server.getsockname()[1]}/"
        finally:
            over.set()
            thread.join()


@pytest.mark.timeout(20)
@pytest.mark.parametrize(
    ("first", "again", "pause"),
    [
        (b"HTTP/1.1 200 OK\r\nX-Long: ", b"a", 0.01),
        (b"HTTP/1.1 ", b"2", 0.01),
        (b"", b"HTTP/1.1 100 Continue\r\n\r\n", 0),
    ],
)
@pytest.mark.parametrize("encrypted", [False, True])
def test_an_answer_that_never_comes_to_its_end(
    first: bytes, again: bytes, pause: float, encrypted: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The wait for an answer is bounded in all, not only for each part of it, under TLS too."""
    tls = _trusted("127.0.0.1", tmp_path, monkeypatch) if encrypted else None
    with (
        dripping(first, again, pause=pause, tls=tls) as url,
        channel(url, timeout=0.3).sender() as sender,
        pytest.raises(DeliveryFailed, match="in time") as caught,
    ):
        sender.send(message())
    assert type(caught.value) is DeliveryFailed


@pytest.mark.timeout(20)
def test_a_body_that_never_comes_to_its_start() -> None:
    """A status is enough also where the body's first part never comes, however much is said before it."""
    with dripping(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;x=", b"a") as url:
        assert send(url, timeout=0.3) == ["k" * 64]


def test_each_message_has_its_own_patience() -> None:
    """What an earlier message took of the time is not missing for a later one on the same connection."""
    with receiver() as found, channel(found.url).sender() as sender:
        sender.send(message())
        sender._patience.until = 0.0  # as if that was long ago
        assert sender.send(message()) == "k" * 64


@pytest.mark.parametrize(("body", "connections"), [(b"thank you", 1), (b"x" * 100_000, 20)])
def test_many_messages_on_one_connection(body: bytes, connections: int) -> None:
    """A sender keeps its connection, also where answers have a body; one that is long it does not read to its end."""
    with receiver(lambda _request: Answer(200, body=body)) as found:
        opened: list[object] = []
        real = socket.create_connection

        def connect(*args: Any, **kwargs: Any) -> socket.socket:
            opened.append(args)
            return real(*args, **kwargs)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(socket, "create_connection", connect)
            send(found, *(message(key=f"{number:064}") for number in range(20)))
    assert len(found.accepted) == 20
    assert len(opened) == connections


def test_nobody_there() -> None:
    """A service that cannot be reached is down, and the reason names no place."""
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
        with pytest.raises(ChannelDown) as caught:
            send(f"http://127.0.0.1:{port}/")
    assert str(port) not in caught.value.reason
    with pytest.raises(ChannelDown):
        send("https://nowhere.invalid/")


@contextmanager
def proxy(port: int | None) -> Iterator[tuple[str, list[bytes]]]:
    """Serve one CONNECT, whatever for, to a port of this machine, or refuse it; yields where, and what was asked."""
    asked: list[bytes] = []

    def copy(source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while part := source.recv(65536):
                target.sendall(part)
            target.shutdown(socket.SHUT_WR)

    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(10)

        def serve() -> None:
            client, _ = server.accept()
            with client:
                asked.append(client.recv(65536))
                if port is None:
                    client.sendall(b"HTTP/1.1 407 Who are you\r\nContent-Length: 0\r\n\r\n")
                    return
                client.sendall(b"HTTP/1.1 200 Go on\r\n\r\n")
                with socket.create_connection(("127.0.0.1", port)) as service:
                    back = threading.Thread(target=copy, args=(service, client))
                    back.start()
                    copy(client, service)
                    back.join()

        thread = threading.Thread(target=serve)
        thread.start()
        yield f"127.0.0.1:{server.getsockname()[1]}", asked
        thread.join()


def test_through_a_proxy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A message goes through the proxy that the environment names, also without http:// before it, and under TLS."""
    server = _trusted("service.example.org", tmp_path, monkeypatch)
    with receiver(tls=server) as found, proxy(int(found.url.split(":")[2].split("/")[0])) as (address, asked):
        monkeypatch.setenv("HTTPS_PROXY", address)
        assert send(f"https://service.example.org{PATH}") == ["k" * 64]
    assert asked[0].startswith(b"CONNECT service.example.org:443 ")
    assert b"HLF-0042" not in asked[0]
    assert found.requests[0].signed_with(SECRET)


def test_a_proxy_that_does_not_know_us(monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy that asks who we are is a matter of credentials, its own, and of none that are repeated."""
    with proxy(None) as (address, _):
        monkeypatch.setenv("HTTPS_PROXY", f"http://user:geheim@{address}")
        with pytest.raises(CredentialsRejected, match=r"proxy.*407") as caught:
            send("https://service.example.org/")
    assert "HTTPS_PROXY" in str(caught.value.hint)
    assert "geheim" not in f"{caught.value!r} {caught.value.hint}"


@pytest.mark.parametrize("named", ["socks5://u:geheim@127.0.0.1:1080", "http://", "http://u:geheim@h:port"])
def test_a_proxy_that_is_none(named: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy that cannot be used is a matter of configuration, said before anything is sent, without its password."""
    monkeypatch.setenv("ALL_PROXY", named)
    with pytest.raises(ConfigurationError, match="proxy") as caught:
        channel("https://service.example.org/")
    assert "geheim" not in f"{caught.value!r} {caught.value.hint}"
    monkeypatch.setenv("NO_PROXY", "service.example.org")
    channel("https://service.example.org/")


def test_no_proxy_to_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """What stays on this machine goes through no proxy, whatever the environment names."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://proxy.invalid:3128")
    with receiver() as found:
        assert send(found) == ["k" * 64]


def test_tls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A certificate of an authority that is trusted is accepted, one of another is not, and the reason says so."""
    server = _trusted("127.0.0.1", tmp_path, monkeypatch)
    other = tmp_path / "other.pem"
    trustme.CA().cert_pem.write_to_path(str(other))
    with receiver(tls=server) as found:
        assert send(found) == ["k" * 64]
        monkeypatch.setenv("SSL_CERT_FILE", str(other))
        with pytest.raises(ChannelDown, match="certificate"):
            send(found)
    assert len(found.requests) == 1


@pytest.mark.parametrize(
    "secret", ["", "whsec_", "whsec_short", "sec_" + "geheim" * 7, "whsec_" + "geheim" * 70, "whsec_ø" + "geheim" * 7]
)
def test_a_secret_that_is_none(secret: str) -> None:
    """What is no secret of the scheme is refused at once, and not repeated."""
    with pytest.raises(ConfigurationError) as caught:
        channel("http://127.0.0.1/", secret)
    assert len(secret) < 8 or secret not in f"{caught.value!r} {caught.value.hint}"


def test_a_secret_is_needed_off_this_machine() -> None:
    """Without a secret nothing is posted to another machine; on this one it goes unsigned."""
    with pytest.raises(ConfigurationError):
        channel("https://service.example.org/", None)
    with receiver() as found:
        send(found, secret=None)
    assert "webhook-signature" not in found.requests[0].headers


@pytest.mark.parametrize(
    "url",
    [
        "http://geheim.example.org/",
        "http://127.0.0.1@geheim.example.org/",
        "ftp://geheim.example.org/",
        "geheim.example.org",
        "https://",
        "http://[::1/geheim",
        "https://127.0.0.1:port/geheim",
        "https://user:geheim@service.example.org/",
        "",
    ],
)
def test_an_address_that_is_none(url: str) -> None:
    """Only https:// leaves this machine, secret or not; anything else is refused at once, and not repeated."""
    with pytest.raises(ConfigurationError) as caught:
        channel(url)
    assert "geheim" not in f"{caught.value!r} {caught.value.hint}"


def test_a_host_that_cannot_be_asked_for() -> None:
    """A host whose name is too long for any name server is one that cannot be reached."""
    with pytest.raises(ChannelDown):
        send("https://" + "a" * 70 + ".invalid/")


def test_no_error_escapes_as_another() -> None:
    """Whatever the service does on the wire, what is raised is one of the errors that delivery knows."""
    for garbage in (b"", b"nonsense\r\n\r\n", b"HTTP/1.1 999 odd\r\nContent-Length: x\r\n\r\n", b"\x00" * 50):
        with socket.create_server(("127.0.0.1", 0)) as server:

            def serve(answer: bytes = garbage) -> None:
                connection, _ = server.accept()
                with connection:
                    connection.recv(65536)
                    connection.sendall(answer)

            thread = threading.Thread(target=serve)
            thread.start()
            with pytest.raises((DeliveryError, CertjobsError)):
                send(f"http://127.0.0.1:{server.getsockname()[1]}/", timeout=1)
            thread.join()
