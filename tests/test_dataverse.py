"""The portal in Dataverse, over real sockets. The first fourteen are the behaviours that the contract numbers."""

from __future__ import annotations

import email
import json
import logging
import re
import socket
import ssl
import sys
import threading
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import pytest
import stamina
import trustme
from hypothesis import given
from hypothesis import strategies as st

from certjobs import __version__, logs
from certjobs.adapters.dataverse import batch as batches
from certjobs.adapters.dataverse import wire
from certjobs.adapters.dataverse.auth import GRACE, ClientSecretTokens
from certjobs.adapters.dataverse.client import LONGEST_RESTS, NOT_IN_A_KEY, DataversePortal
from certjobs.errors import CertjobsError, ConfigurationError, CredentialsRejected, Terminated, Unavailable
from certjobs.ports import Answer, ListedPage, ListingChange, ListingResult
from tests.canaries import canary
from tests.children.scripted import (
    TOKEN,
    Reply,
    Request,
    Scripted,
    answer,
    error,
    granted,
    multipart,
    part,
    refusal,
    scripted,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from certjobs.ports import ListingPortal

START = datetime(2026, 11, 22, 2, 0, tzinfo=UTC)
SECRET = canary("client", "Zm9y~+/&=")
OLD = canary("client", "old")
TENANT, APP = "11111111-2222-3333-4444-555555555555", "66666666-7777-8888-9999-000000000000"
ROOT = "/api/data/v9.2/"
WHO = answer(200, {"BusinessUnitId": "b", "UserId": "u", "OrganizationId": "o"}, x_ms_dop_hint="4")
UNPUBLISH = ListingChange("HLF-0042", listed=False)
PUBLISH = ListingChange("HLF-0042", listed=True)


@dataclass
class Time:
    """A clock that stands still, and a sleep that moves it on."""

    moment: datetime = START
    slept: list[float] = field(default_factory=list)

    def now(self) -> datetime:
        return self.moment

    def sleep(self, seconds: float, until: threading.Event, /) -> None:
        del until
        self.slept.append(seconds)
        self.moment += timedelta(seconds=seconds)


@dataclass
class Told:
    """What a token provider of a test's own was asked."""

    renewed: list[str] = field(default_factory=list)

    def token(self) -> str:
        return f"{TOKEN}-{len(self.renewed)}"

    def renew(self, rejected: str) -> str:
        self.renewed.append(rejected)
        return self.token()


@pytest.fixture(autouse=True)
def _no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the developer's own proxies out of the tests."""
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture(autouse=True)
def _no_waiting() -> Iterator[None]:
    """Try again as often as in earnest, without the time between."""
    with stamina.set_testing(True, attempts=100, cap=True):
        yield


@pytest.fixture(autouse=True)
def _quiet(capsys: pytest.CaptureFixture[str]) -> Iterator[None]:
    """Whatever a test does, no secret and no token stands in anything that was logged or printed."""
    logs.configure(level="debug", json=True)
    yield
    printed = capsys.readouterr()
    for text in (printed.out, printed.err):
        assert SECRET not in text
        assert TOKEN not in text


def tokens(
    service: Scripted, when: Time | None = None, *, secret: Callable[[], str] = lambda: SECRET, **kwargs: Any
) -> ClientSecretTokens:
    found = when or Time()
    named = {"authority": service.url, "resource": service.url, "tenant": TENANT, "client_id": APP, "timeout": 5}
    return ClientSecretTokens(**{**named, **kwargs}, secret=secret, clock=found, sleep=found.sleep)


def portal(service: Scripted | str, when: Time | None = None, **kwargs: Any) -> DataversePortal:
    found = when or Time()
    named: dict[str, Any] = {
        "table": "contacts",
        "key_column": "new_mentorid",
        "listed_column": "new_listed",
        "id_column": "contactid",
        "tokens": Told(),
        "clock": found,
        "sleep": found.sleep,
        "timeout": 5,
    }
    return DataversePortal(service if isinstance(service, str) else service.url, **{**named, **kwargs})


def apply(made: ListingPortal, *changes: ListingChange) -> Answer:
    with made.session() as session:
        return session.apply(changes)


def outcomes(found: Answer) -> list[str]:
    return [result.outcome for result in found.results]


def many(signs: str) -> list[ListingChange]:
    """Return a change for each sign: + is to be listed, - is not."""
    return [ListingChange(f"HLF-{number:04}", listed=sign == "+") for number, sign in enumerate(signs)]


def text_of(exc: BaseException) -> str:
    """Return everything that an error could show, of itself and of what it came from."""
    texts = [f"{exc!r} {exc} {getattr(exc, 'hint', '')}"]
    for other in (exc.__cause__, None if exc.__suppress_context__ else exc.__context__):
        texts += [text_of(other)] if other is not None else []
    return " ".join(texts)


def rejected(call: Callable[[], object]) -> CredentialsRejected:
    with pytest.raises(CredentialsRejected) as caught:
        call()
    text = text_of(caught.value)
    assert SECRET not in text
    assert TOKEN not in text
    assert "words of another" not in text
    assert "Ola" not in text
    return caught.value


def test_01_the_token_request_and_when_it_is_renewed() -> None:
    """A token is asked for with exactly the four fields, kept while it is good, and renewed before it ends."""
    when = Time()
    with scripted() as service:
        provider = tokens(service, when)
        assert provider.token() == f"{TOKEN}-1"
        when.moment = START + timedelta(seconds=3600 - 301)
        assert provider.token() == f"{TOKEN}-1"
        when.moment = START + timedelta(seconds=3600 - 299)
        assert provider.token() == f"{TOKEN}-2"
    first, _ = service.token_requests
    assert first.target == f"/{TENANT}/oauth2/v2.0/token"
    assert first.headers["content-type"] == "application/x-www-form-urlencoded"
    assert first.form == {
        "client_id": [APP],
        "client_secret": [SECRET],
        "grant_type": ["client_credentials"],
        "scope": [f"{service.url}/.default"],
    }


@pytest.mark.parametrize(
    ("reply", "says", "does"),
    [
        (refusal(401, "invalid_client", 7000215), "client secret.*7000215", "rotate"),
        (refusal(401, "invalid_client", 7000222), "client secret.*expired", "new client secret"),
        (refusal(401, "invalid_client", 7000112), "client secret.*401, invalid_client, AADSTS7000112", "registration"),
        (refusal(400, "unauthorized_client", 700016), f"{APP} in the tenant {TENANT}", "client id or the tenant"),
        (refusal(400, "invalid_request", 90002), f"{APP} in the tenant {TENANT}", "client id or the tenant"),
        (refusal(400, "invalid_scope", 70011), "does not know the portal", "address of the portal"),
        (Reply(401), "client secret", "registration"),
        (answer(400, {"error": ["words of another"], "error_codes": "7000222"}), "client secret", "registration"),
    ],
)
def test_02_a_credential_that_is_not_accepted(reply: Reply, says: str, does: str) -> None:
    """It ends everything at once, says what to rotate or correct, repeats no secret, and nobody storms after it."""
    with scripted(grant=lambda _request, _number: reply) as service:
        provider = tokens(service)
        made = portal(service, tokens=provider)
        found = rejected(made.check)
        for call in (
            lambda: apply(made, UNPUBLISH),
            lambda: apply(made, *many("+-")),
            lambda: list(made.listed()),
        ):
            assert rejected(call).message == found.message
    assert re.search(says, found.message)
    assert does in str(found.hint)
    assert len(service.token_requests) == 1
    assert service.requests == []


def test_02_the_number_of_an_error_stands_only_in_its_words() -> None:
    """An expired secret is named as one also where the answer has no list of numbers."""
    said = {"error": "invalid_client", "error_description": "AADSTS7000222: words of another"}
    with scripted(grant=lambda _request, _number: answer(401, said)) as service:
        assert "expired" in rejected(tokens(service).token).message


def test_02_a_rejection_is_remembered_for_a_minute() -> None:
    """The same secret is tried again after a minute, for it may have been mended on the other side."""
    when = Time()
    replies = iter([refusal(400, "unauthorized_client", 700016), granted(Request("", "", {}, b""), 2)])
    with scripted(grant=lambda _request, _number: next(replies)) as service:
        provider = tokens(service, when)
        rejected(provider.token)
        rejected(provider.token)
        when.moment += timedelta(seconds=61)
        assert provider.token() == f"{TOKEN}-2"


def test_03_the_secret_is_read_again() -> None:
    """Each request for a token reads the secret anew, so that one that was rotated works without a restart."""
    known = [canary("client", each) for each in ("first", "second", "third")]
    secrets = iter([*known, known[-1]])
    when = Time()

    def grant(request: Request, number: int) -> Reply:
        return refusal(401, "invalid_client", 7000222) if number == 2 else granted(request, number)

    with scripted(grant=grant) as service:
        provider = tokens(service, when, secret=lambda: next(secrets))
        provider.token()
        when.moment += timedelta(hours=2)
        rejected(provider.token)
        assert provider.token() == f"{TOKEN}-3"
    assert [request.form["client_secret"] for request in service.token_requests] == [[each] for each in known]


def test_03_grace_for_a_secret_that_has_just_changed() -> None:
    """A secret that differs from the one rejected is given some seconds to become known, and then works."""
    when, secret = Time(), iter([OLD, *[SECRET] * 20])
    answers = {OLD: 0, SECRET: 0}

    def grant(request: Request, number: int) -> Reply:
        (sent,) = request.form["client_secret"]
        answers[sent] += 1
        return granted(request, number) if answers[SECRET] == 3 else refusal(401, "invalid_client", 7000215)

    with scripted(grant=grant) as service:
        assert tokens(service, when, secret=lambda: next(secret)).token() == f"{TOKEN}-4"
    assert answers == {OLD: 1, SECRET: 3}
    assert when.slept == list(GRACE[:3])


def test_03_grace_is_bounded_and_for_changed_secrets_only() -> None:
    """A new secret that never works is given up after twenty seconds; one that did not change is at once."""
    when, secret = Time(), iter([OLD, *[SECRET] * 20])
    with scripted(grant=lambda _request, _number: refusal(401, "invalid_client", 7000215)) as service:
        rejected(tokens(service, when, secret=lambda: next(secret)).token)
        assert len(service.token_requests) == len(GRACE) + 1
        assert sum(when.slept) <= 20
        when.slept.clear()
        rejected(tokens(service, when).token)
        assert when.slept == []
    assert len(service.token_requests) == len(GRACE) + 2


def test_03_grace_where_the_old_secret_had_worked() -> None:
    """A secret that replaces one that worked gets the same grace; an expired one, or one of another app, gets none."""
    when, secret, refusals = Time(), [OLD], [7000215, 7000222]

    def grant(request: Request, number: int) -> Reply:
        sent = request.form["client_secret"] == [OLD]
        return granted(request, number) if sent else refusal(401, "invalid_client", refusals.pop(0))

    with scripted(grant=grant) as service:
        provider = tokens(service, when, secret=lambda: secret[0])
        provider.token()
        secret[0] = SECRET
        when.moment += timedelta(hours=2)
        assert "expired" in rejected(provider.token).message
    assert when.slept == [GRACE[0]]


def test_04_a_token_that_is_not_accepted() -> None:
    """On 401 the token is renewed once and the same sent once more; on a second one everything stops."""
    replies = [Reply(401, {"WWW-Authenticate": "Bearer authorization_uri=x"}), Reply(), Reply(401), Reply(401)]
    with scripted(lambda _request: replies.pop(0)) as service:
        made = portal(service, tokens=tokens(service))
        assert outcomes(apply(made, UNPUBLISH)) == ["done"]
        first, second = service.requests
        assert (first.method, first.target, first.body) == (second.method, second.target, second.body)
        assert [each.headers["authorization"] for each in service.requests] == [
            f"Bearer {TOKEN}-1",
            f"Bearer {TOKEN}-2",
        ]
        assert "application user" in str(rejected(lambda: apply(made, UNPUBLISH)).hint)
    assert (len(service.requests), len(service.token_requests)) == (4, 3)


@pytest.mark.parametrize("call", ["check", "apply", "batch", "listed"])
def test_04_not_allowed(call: str) -> None:
    """On 403 everything stops at the first request, and says which right is missing."""
    with scripted(lambda _request: error(403, "0x80040220")) as service:
        made = portal(service)
        calls: dict[str, Callable[[], object]] = {
            "check": made.check,
            "apply": lambda: apply(made, UNPUBLISH),
            "batch": lambda: apply(made, *many("--")),
            "listed": lambda: list(made.listed()),
        }
        assert "security role" in str(rejected(calls[call]).hint)
    assert len(service.requests) == 1


def test_04_not_allowed_inside_a_batch() -> None:
    """One 403 of several is that mentor's; where every part answered says so, everything stops."""
    replies = [multipart(part(403), part(204)), multipart(part(403), part(403), end=False)]
    with scripted(lambda _request: replies.pop(0)) as service:
        made = portal(service)
        assert outcomes(apply(made, *many("--"))) == ["refused", "done"]
        rejected(lambda: apply(made, *many("---")))


def test_04_one_renewal_for_all_threads() -> None:
    """However many threads were refused the same token, one asks for another and all get that."""
    with scripted() as service:
        provider = tokens(service)
        old = provider.token()
        got: list[str] = []
        threads = [threading.Thread(target=lambda: got.append(provider.renew(old))) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert got == [f"{TOKEN}-2"] * 8
    assert len(service.token_requests) == 2


NO_TABLE = "Resource not found for the segment 'contacts'."


@pytest.mark.parametrize(
    ("reply", "setting"),
    [
        (error(404, "0x8006088a", NO_TABLE), "CERTJOBS_DATAVERSE_TABLE"),
        (error(400, "0x80060888"), "CERTJOBS_DATAVERSE_KEY_COLUMN"),
        (error(400, ""), "CERTJOBS_DATAVERSE_LISTED_COLUMN"),
    ],
)
def test_05_a_wrong_name_is_found_out_before_anything_is_sent(reply: Reply, setting: str) -> None:
    """A table, key or column that is not there is one error that names the setting, not one of every mentor."""
    replies = [WHO, reply]
    with scripted(lambda _request: replies.pop(0)) as service, pytest.raises(ConfigurationError) as found:
        portal(service).check()
    assert setting in str(found.value.hint)


def test_05_rests_before_a_run_are_short() -> None:
    """A portal that asks for a long rest before anything was sent is left until later."""
    when = Time()
    with scripted(lambda _request: error(429, Retry_After="1500")) as service, pytest.raises(Unavailable):
        portal(service, when).check()
    assert when.slept == []


@pytest.mark.parametrize(
    ("hint", "found"), [("4", 4), (" 52 ", 52), ("0", None), ("", None), ("many", None), ("-1", None), ("9" * 99, None)]
)
def test_05_the_check_before_a_run(hint: str, found: int | None) -> None:
    """The check asks for a token, who we are and for a row that nobody has; it returns what parallelism is advised."""
    who = Reply(200, {**WHO.headers, "x-ms-dop-hint": hint}, WHO.body)
    with scripted(lambda _request: who) as service:
        assert portal(service, tokens=tokens(service)).check() == found
    row = f"GET {ROOT}contacts(new_mentorid='certjobs-check')?$select=new_mentorid,new_listed,contactid"
    assert service.order == [f"POST /{TENANT}/oauth2/v2.0/token", f"GET {ROOT}WhoAmI", row]
    request = service.requests[0]
    wanted = {"accept": "application/json", "odata-version": "4.0", "odata-maxversion": "4.0", "if-none-match": "null"}
    assert wanted.items() <= request.headers.items()
    assert {each.headers["user-agent"] for each in service.requests} == {f"certjobs/{__version__}"}


def test_05_no_hint_and_no_dataverse() -> None:
    """Without the header nothing is recommended; what answers and is no Dataverse is a matter of configuration."""
    nobody = error(404, "0x80060891")
    replies = [answer(200, {"UserId": "u"}), nobody, answer(200, {}), Reply(200, {}, b"<html>"), Reply(302), error(404)]
    with scripted(lambda _request: replies.pop(0)) as service:
        made = portal(service)
        assert made.check() is None
        for expected in (ConfigurationError, CertjobsError, ConfigurationError, ConfigurationError):
            with pytest.raises(expected):
                made.check()


def test_06_no_row_is_made_and_what_its_absence_means() -> None:
    """Both ways update and never create; a mentor who is not there is as good as off, and can never be listed."""
    code = "0x80060891"

    def missing(request: Request) -> Reply:
        return error(404, code) if request.method == "PATCH" else multipart(*[part(404, code)] * len(request.parts))

    with scripted(missing) as service:
        made = portal(service)
        assert apply(made, UNPUBLISH).results == [ListingResult("absent")]
        (found,) = apply(made, PUBLISH).results
        assert outcomes(apply(made, *many("+-"))) == ["refused", "absent"]
    assert found.outcome == "refused"
    assert "HLF-0042" in str(found.error)
    assert code in str(found.error)
    for request in service.requests:
        head = request.body.decode() if request.method == "POST" else f"If-Match: {request.headers['if-match']}\r\n"
        assert head.count("If-Match: *\r\n") == max(1, len(request.parts))
    bodies = [re.findall(rb"\{.*\}", request.body) for request in service.requests]
    assert bodies == [
        [b'{"new_listed":false}'],
        [b'{"new_listed":true}'],
        [b'{"new_listed":true}', b'{"new_listed":false}'],
    ]


@pytest.mark.parametrize("listed", [False, True])
def test_06_a_table_that_is_not_there(listed: bool) -> None:
    """A wrong table name takes nobody off the site, so it is never taken for a mentor who is absent."""
    replies = [
        error(404, "0x80060888", "Resource not found for the segment 'contact'."),
        error(404, "", "Resource not found for the segment 'contact'."),
        Reply(404, {"Content-Type": "application/json"}, b'{"error":{"code":"", "message":"x"}}', "short"),
    ]
    with scripted(lambda _request: replies.pop(0)) as service:
        made = portal(service)
        found = [apply(made, ListingChange("HLF-0042", listed=listed)).results[0] for _ in range(3)]
    assert [each.outcome for each in found] == ["failed"] * 3
    assert "no table contacts" in str(found[0].error)


@pytest.mark.parametrize("wrong", [*sorted(NOT_IN_A_KEY), "\n", "\x00", "\ud800"])
def test_07_a_key_that_cannot_be_asked_for(wrong: str) -> None:
    """A key with such a character is refused before anything is sent, and the others are sent."""
    bad = ListingChange(f"HLF{wrong}1", listed=False)
    with scripted() as service:
        made = portal(service)
        found = apply(made, bad)
        assert outcomes(found) == ["refused"]
        assert repr(bad.mentor_ref) in str(found.results[0].error)
        assert service.requests == []
        assert outcomes(apply(made, bad, UNPUBLISH, bad)) == ["refused", "done", "refused"]
    assert [request.target for request in service.requests] == [f"{ROOT}contacts(new_mentorid='HLF-0042')"]


def test_07_keys_that_can() -> None:
    """Quotes are doubled, and every other character is encoded so that it stays in its place."""
    with scripted() as service:
        made = portal(service)
        for ref in ("O'Hara's", "Åse 1", "a=b", "(x)", "100$,;!"):
            apply(made, ListingChange(ref, listed=True))
        assert outcomes(apply(made, ListingChange(" ", listed=True), ListingChange("", listed=True))) == ["refused"] * 2
    keys = [request.target.removeprefix(f"{ROOT}contacts(new_mentorid=") for request in service.requests]
    assert keys[:2] == ["'O%27%27Hara%27%27s')", "'%C3%85se%201')"]
    assert keys[2:] == ["'a%3Db')", "'%28x%29')", "'100%24%2C%3B%21')"]


@pytest.mark.parametrize(
    ("retry_after", "rest"),
    [
        ("17", 17.0),
        ("300", 300.0),
        ("0", 1.0),
        ("99999", 3600.0),
        (None, 30.0),
        ("soon", 30.0),
        (format_datetime(START + timedelta(seconds=90), usegmt=True), 90.0),
    ],
)
def test_08_limits(retry_after: str | None, rest: float) -> None:
    """What is over a limit is limited and not failed, and tells for how long all should rest; it is sent once."""
    headers = {} if retry_after is None else {"Retry_After": retry_after}
    when = Time()
    inner = multipart(part(204), part(429, "0x80072321", **headers), part(204))
    replies = [error(429, "0x80072322", **headers), error(429, "0x80072326", **headers), inner]
    with scripted(lambda _request: replies.pop(0)) as service:
        made = portal(service, when)
        alone, outer, mixed = (
            apply(made, UNPUBLISH),
            apply(made, *many("++")),
            apply(made, *many("+++")),
        )
    assert (outcomes(alone), outcomes(outer)) == (["limited"], ["limited"] * 2)
    assert outcomes(mixed) == ["done", "limited", "done"]
    assert [each.rest for each in (alone, outer, mixed)] == [rest] * 3
    assert "0x80072322" in str(alone.results[0].error)
    assert (when.slept, len(service.requests)) == ([], 3)


def test_08_the_longest_rest_of_a_batch() -> None:
    """Of several rests the longest is asked for; a service that is down for a time it tells is let rest too."""
    replies = [
        multipart(part(429, Retry_After="5"), part(429, Retry_After="50"), part(429)),
        error(503, Retry_After="7"),
        error(503),
    ]
    with scripted(lambda _request: replies.pop(0)) as service:
        made = portal(service)
        assert apply(made, *many("+++")).rest == 50
        assert apply(made, UNPUBLISH) == Answer(
            [ListingResult("failed", "the portal answered 503")], 7, "the portal answered 503"
        )
        assert apply(made, UNPUBLISH).rest is None


def test_08_reading_rests_too() -> None:
    """Reading the listing rests as long as it is asked to, and gives up where that is too long in all."""
    when = Time()
    replies = [error(429, Retry_After="300"), answer(200, {"value": []}), *[error(429, Retry_After="700")] * 3]
    with scripted(lambda _request: replies.pop(0)) as service:
        made = portal(service, when)
        assert list(made.listed()) == [ListedPage([], [])]
        assert when.slept == [300]
        with pytest.raises(Unavailable, match="429"):
            list(made.listed())
    assert when.slept == [300, 700, 700]
    assert sum(when.slept[1:]) <= LONGEST_RESTS


PASSING = [502, 503, 504]
FOR_NOW = [*PASSING, 408, 409, 423, 425, 500, 302, 599]


@pytest.mark.parametrize("status", FOR_NOW)
def test_09_what_may_work_later(status: int) -> None:
    """It has failed for now, alone, in a batch and as a batch; behind a gateway that gives up nobody knows.

    Who asked tries again, and not this adapter.
    """
    given_up = "unknown" if status in (502, 504) else "failed"
    replies = [error(status), error(status), multipart(part(status), part(204))]
    with scripted(lambda _request: replies.pop(0)) as service:
        made = portal(service)
        assert outcomes(apply(made, UNPUBLISH)) == [given_up]
        whole = apply(made, *many("-+"))
        assert outcomes(whole) == [given_up] * 2
        assert bool(whole.trouble) == (status in PASSING)
        assert outcomes(apply(made, *many("-+"))) == ["failed", "done"]
    assert len(service.requests) == 3


@pytest.mark.parametrize("way", ["drop", "hang", "drip"])
def test_09_no_answer(way: str) -> None:
    """Where a connection ends, or an answer never comes or never ends, nobody knows; the next one goes."""
    replies = [Reply(misbehaves=way), Reply(misbehaves=way), Reply()]
    with scripted(lambda _request: replies.pop(0)) as service:
        with portal(service, timeout=0.3).session() as session:
            assert outcomes(session.apply([UNPUBLISH])) == ["unknown"]
            assert outcomes(session.apply(many("+-"))) == ["unknown"] * 2
            assert outcomes(session.apply([UNPUBLISH])) == ["done"]
        service.released.set()


@pytest.mark.parametrize("status", [400, 405, 410, 412, 413, 422])
def test_09_what_never_works(status: int) -> None:
    """It is refused, alone and in a batch, with the service's code and none of its words, and is asked for once."""
    replies = [error(status, "0x80060882"), multipart(part(status, "0x80060882"), part(204))]
    with scripted(lambda _request: replies.pop(0)) as service:
        made = portal(service)
        for found in (apply(made, PUBLISH), apply(made, *many("++"))):
            assert found.results[0].outcome == "refused"
            assert f"{status} (0x80060882)" in str(found.results[0].error)
            assert "Ola" not in str(found.results)
    assert len(service.requests) == 2


@pytest.mark.parametrize(
    "reply",
    [
        error(502),
        error(503),
        error(504),
        Reply(misbehaves="drop"),
        Reply(200, {}, b'{"value": []}', "short"),
        Reply(200, {}, b'{"value": []}  ', "short"),
    ],
)
def test_09_reading_tries_again(reply: Reply) -> None:
    """Reading is tried four times where the trouble may pass, and then the portal is unavailable."""
    replies = [reply, reply, reply, answer(200, {"value": []}), *[reply] * 4]
    with scripted(lambda _request: replies.pop(0)) as service:
        made = portal(service)
        assert list(made.listed()) == [ListedPage([], [])]
        with pytest.raises(Unavailable, match="tried"):
            list(made.listed())
    assert len(service.requests) == 8


@pytest.mark.parametrize("status", [400, 404, 412, 500, 302])
def test_09_reading_does_not_try_again(status: int) -> None:
    """What will not pass is asked for once, and says so with the service's code."""
    with scripted(lambda _request: error(status, "0x80060888")) as service:
        with pytest.raises(CertjobsError, match=f"{status}{' .0x80060888.' if status >= 400 else ''}") as caught:
            list(portal(service).listed())
        assert type(caught.value) is (Unavailable if status == 500 else ConfigurationError)
    assert len(service.requests) == 1


def test_09_backoff_grows_and_differs(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Between attempts it rests longer each time, never twice the same, and logs why in words of our own."""
    slept: list[float] = []
    monkeypatch.setattr(time, "sleep", slept.append)
    with stamina.set_testing(False), scripted(lambda _request: error(502)) as service:
        for _ in range(2):
            with pytest.raises(Unavailable):
                portal(service).check()
    assert len(slept) == len(set(slept)) == 6
    for seconds, least in zip(slept, [0.5, 1, 2] * 2, strict=True):
        assert least <= seconds <= least + 1
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert [line["reason"] for line in lines] == ["the portal answered 502"] * 6
    assert service.url not in str(lines)


def test_09_entra_for_now() -> None:
    """Where Entra ID fails for now, or answers something else, it is asked four times, and then is unavailable."""
    replies = [
        *[Reply(503), Reply(429), Reply(misbehaves="drop"), answer(400, {"error": "temporarily_unavailable"})],
        *[answer(200, {}), Reply(200, {}, b"[]"), answer(200, {"access_token": "a b", "expires_in": 1})],
        answer(200, {"access_token": "ab", "expires_in": -1}),
        *[Reply(500), granted(Request("", "", {}, b""), 9)],
    ]
    with scripted(grant=lambda _request, _number: replies.pop(0)) as service:
        provider = tokens(service)
        for says in ("400", "something else"):
            with pytest.raises(Unavailable, match=says):
                provider.token()
        assert provider.token() == f"{TOKEN}-9"
    assert len(service.token_requests) == 10


def rows(*names: str | None) -> list[dict[str, Any]]:
    return [{"@odata.etag": 'W/"1"', "new_mentorid": name, "contactid": f"id-{name}"} for name in names]


def pages(service: Scripted, *links: str | None, names: Sequence[Sequence[str | None]] = ()) -> list[Any]:
    """Answer a page a request, each with its link, and read them all."""
    replies = [
        answer(
            200,
            {"value": rows(*page)} | ({} if link is None else {"@odata.nextLink": link.replace("ROOT", service.url)}),
        )
        for link, page in zip(links, names or [[str(number)] for number in range(len(links))], strict=True)
    ]
    service.answer = lambda _request: replies.pop(0)
    return list(portal(service).listed())


def test_10_where_the_next_page_is() -> None:
    """A link is followed as it is given, absolute or relative to the request; every page is asked for in full size."""
    opaque = f"{ROOT}contacts?$skiptoken=%3ccookie%20p=%22a+b%22%2f%3e"
    with scripted() as service:
        found = pages(
            service,
            f"ROOT{opaque}",
            "contacts?$skiptoken=2",
            "?$skiptoken=3",
            None,
            names=[["a", None], ["b"], [], ["c"]],
        )
    assert found == [
        ListedPage(["a", None], ["id-a", "id-None"]),
        ListedPage(["b"], ["id-b"]),
        ListedPage([], []),
        ListedPage(["c"], ["id-c"]),
    ]
    assert [request.target for request in service.requests] == [
        f"{ROOT}contacts?$select=new_mentorid,contactid&$filter=new_listed%20eq%20true",
        opaque,
        f"{ROOT}contacts?$skiptoken=2",
        f"{ROOT}contacts?$skiptoken=3",
    ]
    assert {request.headers["prefer"] for request in service.requests} == {"odata.maxpagesize=5000"}


@pytest.mark.parametrize(
    "link",
    [
        "https://elsewhere.example.org/api/data/v9.2/contacts",
        "//elsewhere.example.org/contacts",
        "http://127.0.0.1:1/api/data/v9.2/contacts",
        "https://127.0.0.1/api/data/v9.2/contacts",
        "http://user:geheim@127.0.0.1/contacts",
        "file:///etc/hostname",
        "http://[::1",
        "",
    ],
)
def test_10_a_link_to_another_place(link: str) -> None:
    """A link to another scheme, host or port is not followed: our token would go there."""
    with scripted() as service, pytest.raises(CertjobsError, match="another place") as caught:
        pages(service, link)
    assert "geheim" not in text_of(caught.value)
    assert len(service.requests) == 1


@pytest.mark.parametrize(
    "links", [["?$skiptoken=1", "?$skiptoken=1"], ["?$skiptoken=1", "?$skiptoken=2", "?$skiptoken=1"]]
)
def test_10_a_link_back(links: list[str]) -> None:
    """A link to a page that was read is an error, not an endless list."""
    with scripted() as service, pytest.raises(CertjobsError, match="back to a page"):
        pages(service, *links)
    assert len(service.requests) == len(links)


@pytest.mark.parametrize(
    "reply",
    [
        error(400),
        error(500),
        error(502),
        error(404),
        Reply(401),
        Reply(misbehaves="drop"),
        Reply(200, {}, b'{"value": []}', "short"),
        Reply(200, {}, b'{"value": ['),
        answer(200, {}),
        answer(200, {"value": {}}),
        answer(200, {"value": [1]}),
        answer(200, {"value": [{"new_mentorid": "x"}]}),
        answer(200, {"value": [{"new_mentorid": 1, "contactid": "x"}]}),
        answer(200, []),
    ],
)
def test_11_a_page_that_fails(reply: Reply) -> None:
    """Whatever goes wrong with a later page, the whole reading is an error and gives nothing at all."""
    first = answer(200, {"value": rows("a"), "@odata.nextLink": "?$skiptoken=1"})
    with (
        scripted(lambda request: reply if "skiptoken" in request.target else first) as service,
        pytest.raises(CertjobsError),
    ):
        portal(service).listed()


def test_11_pages_are_read_before_any_is_given() -> None:
    """Whoever gets the first page knows that the last one was read, and nothing more is asked for; a long list too."""
    many = [f"m{number:05}" for number in range(60_000)]
    pages = {"": many[:30_000], "1": many[30_000:]}

    def one(request: Request) -> Reply:
        token = request.target.partition("skiptoken=")[2]
        link = {} if token else {"@odata.nextLink": "?$skiptoken=1"}
        return answer(200, {"value": rows(*pages[token]), **link})

    with scripted(one) as service:
        reading = portal(service).listed()
        asked = len(service.requests)
        assert asked == len(pages)
        assert [ref for page in reading for ref in page.refs] == many
        assert len(service.requests) == asked


@pytest.mark.parametrize("relative", [False, True])
def test_12_what_a_batch_is(relative: bool) -> None:
    """A batch is, byte for byte, what the service takes; addresses in it are absolute, or relative where so set."""
    with scripted(lambda _request: multipart(part(204), part(204))) as service:
        assert outcomes(apply(portal(service, relative_urls=relative), *many("+-"))) == ["done", "done"]
    (request,) = service.requests
    assert (request.method, request.target) == ("POST", f"{ROOT}$batch")
    assert request.headers["accept"] == "multipart/mixed, application/json"
    assert request.headers["prefer"] == "odata.continue-on-error"
    boundary = request.headers["content-type"].removeprefix("multipart/mixed; boundary=")
    assert re.fullmatch(r"batch_[0-9a-f-]{36}", boundary)
    root = "" if relative else f"{service.url}{ROOT}"
    expected = "".join(
        f"--{boundary}\r\nContent-Type: application/http\r\nContent-Transfer-Encoding: binary\r\n\r\n"
        f"PATCH {root}contacts(new_mentorid='HLF-{number:04}') HTTP/1.1\r\nContent-Type: application/json\r\n"
        f'If-Match: *\r\n\r\n{{"new_listed":{flag}}}\r\n'
        for number, flag in enumerate(("true", "false"))
    )
    assert request.body.decode() == f"{expected}--{boundary}--\r\n"


def test_12_how_much_a_batch_holds() -> None:
    """A thousand changes go in one batch; more, and a size that allows more, are refused here."""
    with scripted(lambda request: multipart(*[part(204)] * len(request.parts))) as service:
        made = portal(service, batch=1000)
        assert outcomes(apply(made, *many("+" * 1000))) == ["done"] * 1000
        with pytest.raises(ValueError, match="1001"):
            apply(made, *many("+" * 1001))
        for size in (0, 1001):
            with pytest.raises(ConfigurationError):
                portal(service, batch=size)
        assert apply(made) == Answer([])
    assert len(service.requests) == 1


def test_13_what_a_batch_answers() -> None:
    """Outer statuses, fewer parts than requests, an answer that breaks off and one that is none are told apart."""
    two = part(204), part(412)
    cut = multipart(*two)
    replies = [
        (multipart(*two, status=400), ["done", "refused", "skipped"]),
        (multipart(*two, status=207), ["done", "refused", "skipped"]),
        (multipart(*two, status=500), ["done", "refused", "failed"]),
        (multipart(*two, status=429), ["done", "refused", "limited"]),
        (multipart(*two, end=False), ["done", "failed", "failed"]),
        (Reply(200, cut.headers, cut.body, "short", 60), ["done", "failed", "failed"]),
        (multipart(*two, part(204), part(204)), ["failed"] * 3),
        (multipart(), ["failed"] * 3),
        (Reply(200, {"Content-Type": "application/json"}, b"{}"), ["failed"] * 3),
        (error(400, "0x80048d19"), ["failed"] * 3),
        (multipart(part(204), b"nonsense", part(204)), ["done", "failed", "failed"]),
        (multipart(part(204), part(401), part(202)), ["done", "failed", "failed"]),
    ]
    scripts = [reply for reply, _ in replies]
    with scripted(lambda _request: scripts.pop(0)) as service:
        made = portal(service)
        for reply, expected in replies:
            assert outcomes(apply(made, *many("+++"))) == expected, reply


@pytest.mark.parametrize("status", [200, 201, 204])
def test_14_what_success_is_and_no_cookie(status: int) -> None:
    """All three are success, alone and in a batch, and a cookie is never sent back."""
    sticky = {"Set-Cookie": "ARRAffinity=server7; Path=/"}

    def reply(request: Request) -> Reply:
        made = multipart(part(status), part(status)) if request.method == "POST" else Reply(status)
        return Reply(made.status, {**made.headers, **sticky}, made.body)

    with scripted(reply) as service, portal(service).session() as session:
        for _ in range(2):
            assert outcomes(session.apply([UNPUBLISH])) == ["done"]
            assert outcomes(session.apply(many("+-"))) == ["done"] * 2
    assert len(service.requests) == 4
    assert all("cookie" not in request.headers for request in service.requests)


def test_nobody_there() -> None:
    """A portal or an Entra ID that cannot be reached is unavailable, names no place, and leaves nothing half done."""
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{closed.getsockname()[1]}"
        made = portal(url)
        lost = portal(url, tokens=tokens(Scripted(url=url)))
        calls: list[Callable[[], object]] = [
            lambda: apply(made, UNPUBLISH),
            lambda: apply(made, *many("++")),
            made.check,
            lambda: list(made.listed()),
            lambda: apply(lost, UNPUBLISH),
        ]
        for call in calls:
            with pytest.raises(Unavailable, match="reached") as caught:
                call()
            assert "127.0.0.1" not in text_of(caught.value)


def test_tls(tmp_path: Path) -> None:
    """Portal and Entra ID are believed by a certificate of an authority that is trusted, and by no other."""
    authority = trustme.CA()
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(server)
    ours, other = str(tmp_path / "ca.pem"), str(tmp_path / "other.pem")
    authority.cert_pem.write_to_path(ours)
    trustme.CA().cert_pem.write_to_path(other)
    with scripted(tls=server) as service:
        trusted = tokens(service, ca_file=ours)
        assert outcomes(apply(portal(service, tokens=trusted, ca_file=ours), UNPUBLISH)) == ["done"]
        for made in (
            portal(service, tokens=trusted, ca_file=other),
            portal(service, tokens=tokens(service, ca_file=other)),
        ):
            with pytest.raises(Unavailable, match="certificate"):
                apply(made, UNPUBLISH)
    for wrong in (tmp_path / "none.pem", tmp_path):
        with pytest.raises(ConfigurationError) as caught:
            portal("https://organisation.example.org", ca_file=str(wrong))
        assert str(tmp_path) not in text_of(caught.value)


def test_an_answer_that_is_longer_than_any(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of an answer that is longer than any can be, no more is read, and it is not taken for whole."""
    monkeypatch.setattr(wire, "LONGEST_ANSWER", 1000)
    long = multipart(*[part(204)] * 1000)
    with scripted(
        lambda request: long if request.method == "POST" else answer(200, {"value": rows(*"a" * 100)})
    ) as service:
        made = portal(service)
        found = outcomes(apply(made, *many("+" * 1000)))
        assert "failed" in found
        assert "skipped" not in found
        with pytest.raises(Unavailable, match="broke off"):
            list(made.listed())


@pytest.mark.parametrize("way", ["PATCH", "POST", "GET"])
def test_a_signal_between_attempts(way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """SIGTERM while something is under way goes through at once: it is nothing to try again."""

    tried: list[object] = []

    def terminated(*arguments: object) -> None:
        tried.append(arguments)
        raise Terminated

    monkeypatch.setattr("httpx.HTTPTransport.handle_request", terminated)
    made = portal("http://127.0.0.1", tokens=tokens(Scripted(url="http://127.0.0.1")) if way == "POST" else Told())
    with pytest.raises(Terminated):
        made.check() if way == "GET" else apply(made, UNPUBLISH)
    assert len(tried) == 1


@pytest.mark.parametrize(
    "url",
    [
        "http://geheim.example.org",
        "https://user:geheim@example.org",
        "http://127.0.0.1@geheim.example.org",
        "http://user:geheim@127.0.0.1",
        "https://example.org/geheim",
        "https://example.org/?geheim",
        "https://example.org/#geheim",
        "ftp://geheim.example.org",
        "geheim.example.org",
        "https://",
        "http://[::1/geheim",
        "https://127.0.0.1:geheim",
        "",
    ],
)
def test_an_address_that_is_none(url: str) -> None:
    """Only https:// and a host leaves this machine, for the portal, for Entra ID and in the scope; none is repeated."""
    calls: list[Callable[[], object]] = [
        lambda: portal(url),
        lambda: tokens(Scripted(url=url)),
        lambda: tokens(Scripted(url="http://127.0.0.1"), resource=url),
    ]
    for call in calls:
        with pytest.raises(ConfigurationError) as caught:
            call()
        assert "geheim" not in text_of(caught.value)


@pytest.mark.parametrize(
    "wrong",
    [
        {"table": "contacts(1)"},
        {"key_column": ""},
        {"listed_column": "a b"},
        {"id_column": "a,b"},
        {"api_version": "v9.2/../.."},
    ],
)
def test_a_name_that_is_none(wrong: dict[str, Any]) -> None:
    """A name that would change the address it stands in is refused at once."""
    with pytest.raises(ConfigurationError):
        portal("http://127.0.0.1", **wrong)
    for name in ("tenant", "client_id"):
        for value in ("", "a/b", "..", "a b"):
            named: dict[str, Any] = {name: value}
            with pytest.raises(ConfigurationError):
                tokens(Scripted(url="http://127.0.0.1"), **named)


def test_an_empty_secret() -> None:
    """An empty secret is a matter of configuration, and is never sent."""
    with scripted() as service, pytest.raises(ConfigurationError, match="empty"):
        tokens(service, secret=lambda: "\n").token()
    assert service.token_requests == []


def test_an_authority_that_is_none() -> None:
    """Whoever answers a request for a token with a redirect or 404 is not Entra ID: a matter of configuration."""
    replies = [Reply(404), Reply(302, {"Location": "https://example.org"})]
    with scripted(grant=lambda _request, _number: replies.pop(0)) as service:
        for _ in range(2):
            with pytest.raises(ConfigurationError, match="gives none"):
                tokens(service).token()


def test_a_short_token_is_renewed_before_its_end() -> None:
    """A token of a minute is used for most of it, and not to its end."""
    when = Time()
    short = answer(200, {"access_token": TOKEN, "expires_in": "60"})
    with scripted(grant=lambda _request, _number: short) as service:
        provider = tokens(service, when)
        for seconds, asked in ((0, 1), (47, 1), (49, 2), (49 + 47, 2), (49 + 49, 3)):
            when.moment = START + timedelta(seconds=seconds)
            provider.token()
            assert len(service.token_requests) == asked


def test_a_proxy_that_does_not_know_us(monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy that asks who we are is a matter of credentials, its own, and of none that are repeated."""
    replies = [Reply(407)]
    with scripted(lambda _request: replies[0]) as service:
        monkeypatch.setenv("HTTPS_PROXY", service.url.replace("//", "//user:geheim@"))
        assert "HTTPS_PROXY" in str(rejected(lambda: apply(portal(service), UNPUBLISH)).hint)
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(10)

        def refuse() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(b"HTTP/1.1 407 Who are you\r\nContent-Length: 0\r\n\r\n")

        thread = threading.Thread(target=refuse)
        thread.start()
        monkeypatch.setenv("HTTPS_PROXY", f"http://user:geheim@127.0.0.1:{server.getsockname()[1]}")
        found = rejected(lambda: apply(portal("https://organisation.example.org"), UNPUBLISH))
        thread.join()
    assert "HTTPS_PROXY" in str(found.hint)
    assert "geheim" not in text_of(found)


def test_many_requests_on_one_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    """A session keeps its connection, whatever is answered."""
    opened: list[object] = []
    real = socket.create_connection

    def connect(*args: Any, **kwargs: Any) -> socket.socket:
        opened.append(args)
        return real(*args, **kwargs)

    monkeypatch.setattr(socket, "create_connection", connect)
    replies = [Reply(), error(404), error(429), multipart(part(204), part(404)), error(503), Reply()]
    with scripted(lambda _request: replies.pop(0)) as service, portal(service).session() as session:
        for changes in ([UNPUBLISH], [UNPUBLISH], [UNPUBLISH], many("++"), [UNPUBLISH], [UNPUBLISH]):
            session.apply(changes)
    assert (len(service.requests), len(opened)) == (6, 1)


def test_nothing_secret_is_shown(capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture) -> None:
    """No log line at any level, no error and no repr of any part holds the secret, the token or an address of ours."""
    caplog.set_level(logging.WARNING, "httpx")
    caplog.set_level(logging.WARNING, "httpcore")
    shown: list[str] = []
    replies = [
        Reply(misbehaves="drop"),
        *[error(502)] * 8,
        *[Reply(401, {"WWW-Authenticate": f"Bearer {TOKEN}"}, TOKEN.encode())] * 2,
        error(403, message=f"{SECRET} {TOKEN}"),
        error(400, code=TOKEN, message=f"{SECRET} {TOKEN}"),
        answer(200, {"value": rows("a"), "@odata.nextLink": f"https://{TOKEN}.example.org"}),
        *[Reply(200, {}, TOKEN.encode())] * 2,
    ]
    with scripted(lambda _request: replies.pop(0)) as service:
        provider = tokens(service)
        made = portal(service, tokens=provider)
        with made.session() as session:
            shown += [repr(provider), repr(made), repr(session), repr(made.service), str(vars(made.service))]
            shown += [repr(session.apply([UNPUBLISH]))]
            calls: list[Callable[[], object]] = [
                *[made.check] * 2,
                *[lambda: session.apply([UNPUBLISH])] * 2,
                *[lambda: list(made.listed())] * 3,
                made.check,
            ]
            for call in calls:
                try:
                    shown.append(repr(call()))
                except CertjobsError as exc:
                    shown.append(text_of(exc))
    assert replies == []
    printed = capsys.readouterr()
    assert "portal.retried" in printed.err
    everything = " ".join([*shown, printed.out, printed.err, caplog.text, *sys.argv])
    assert "Dataverse" in everything
    for secret in (SECRET, TOKEN, APP, "Ola"):
        assert secret not in everything
    assert service.url not in printed.err + caplog.text


BOUNDARY = st.text("abcXYZ019'()+_,-./:=?", min_size=1, max_size=20).map(lambda text: f"batchresponse_{text}")
STATUSES = st.lists(st.sampled_from([200, 201, 204, 400, 403, 404, 412, 429, 500, 503]), max_size=12)
CODES = {404: "0x80060891", 412: "0x80060882", 429: "0x80072321"}


@dataclass
class Drawn:
    """An answer of a batch, put together from what a server may choose, and what it truly says."""

    content_type: str
    body: bytes
    parts: list[batches.Part]


@st.composite
def answers(draw: st.DrawFn) -> Drawn:
    """Draw how a server writes: line ends, the case of headers, quotes, blank lines, a preamble, change sets."""
    line = draw(st.sampled_from([b"\r\n", b"\n"]))
    statuses, boundary = draw(STATUSES), draw(BOUNDARY)
    changed: Callable[[str], str] = draw(st.sampled_from([str.swapcase, str.lower, str.upper]))
    quoted = draw(st.booleans()) or not re.fullmatch(r"[A-Za-z0-9_.'+-]+", boundary)

    def case(header: str) -> str:
        name, _, value = header.partition(": ")
        return f"{changed(name)}: {value}"

    def named(inner: str) -> str:
        return case("Content-Type: multipart/mixed; boundary=" + (f'"{inner}"' if quoted else inner))

    def one(status: int) -> bytes:
        body = f'{{"error":{{"code":"{CODES.get(status, "")}","message":"HTTP/1.1 204"}}}} --{boundary}'
        lines = [case("Content-Type: application/http"), case("Content-Transfer-Encoding: binary"), ""]
        lines += [f"HTTP/1.1 {status} Any", case("OData-Version: 4.0")]
        lines += [case("Retry-After: 7")] if status == 429 else []
        return line.join(text.encode() for text in [*lines, "", body if status >= 400 else ""])

    def joined(inner: str, pieces: list[bytes]) -> bytes:
        delimiter = f"--{inner}".encode() + draw(st.sampled_from([b"", b" ", b"\t"]))
        end = f"--{inner}--".encode() + draw(st.sampled_from([b"", line]))
        return b"".join(delimiter + line + piece + line for piece in pieces) + end

    pieces: list[bytes] = []
    left = list(statuses)
    while left:
        size = draw(st.integers(0, len(left)))
        if size == 0:
            pieces.append(one(left.pop(0)))
            continue
        inner, taken = f"{boundary}{draw(st.sampled_from(['1', '-', '_changeset']))}", left[:size]
        head = line.join([named(inner).encode(), b"", b""])
        pieces.append(head + joined(inner, [one(status) for status in taken]))
        left = left[size:]
    preamble = draw(st.sampled_from([b"", line, b"preamble" + line]))
    parts = [
        batches.Part(status, "7" if status == 429 else None, CODES.get(status))
        if status >= 400
        else batches.Part(status)
        for status in statuses
    ]
    return Drawn(named(boundary).split(": ", 1)[1], preamble + joined(boundary, pieces), parts)


def test_13_a_change_set_that_has_no_end() -> None:
    """What follows a change set that breaks off is not read: nobody knows how many requests the set answered."""
    head = "--b\r\nContent-Type: multipart/mixed; boundary=c\r\n\r\n"
    inner = f"--c\r\nContent-Type: application/http\r\n\r\n{part(204).decode()}\r\n"
    after = f"--b\r\nContent-Type: application/http\r\n\r\n{part(404).decode()}\r\n--b--\r\n"
    for broken in (f"{head}{inner}{inner}{after}", f"{head.replace('=c', '')}{inner}{after}"):
        found = batches.parse("multipart/mixed; boundary=b", broken.encode(), 5)
        assert not found.whole
        assert [each.status for each in found.parts] in ([204], [])
    deeper = (
        head + head.replace("--b", "--c").replace("=c", "=d") + inner.replace("--c", "--d") + "--d--\r\n--c--\r\n--b--"
    )
    assert batches.parse("multipart/mixed; boundary=b", deeper.encode(), 5) == batches.Answered([], whole=False)


@given(answers(), st.integers(0, 3))
def test_13_any_way_to_write_an_answer(drawn: Drawn, unanswered: int) -> None:
    """However a server writes it, each part is read as what it is, in its place, and the answer as whole."""
    found = batches.parse(drawn.content_type, drawn.body, len(drawn.parts) + unanswered)
    assert list(found.parts) == drawn.parts
    assert found.whole


@given(answers(), st.data())
def test_13_an_answer_that_breaks_off_anywhere(drawn: Drawn, data: st.DataObject) -> None:
    """Wherever it breaks off, what is read is the beginning of the truth, and it is not taken for whole."""
    end = data.draw(st.integers(0, max(0, len(drawn.body.rstrip()) - 1)))
    found = batches.parse(drawn.content_type, drawn.body[:end], len(drawn.parts))
    assert list(found.parts) == drawn.parts[: len(found.parts)]
    assert not found.whole


@given(answers(), st.data())
def test_13_an_answer_that_says_too_much(drawn: Drawn, data: st.DataObject) -> None:
    """An answer to more than was asked for says nothing: nobody knows which part is whose."""
    if drawn.parts:
        asked = data.draw(st.integers(0, len(drawn.parts) - 1))
        assert batches.parse(drawn.content_type, drawn.body, asked) == batches.Answered((), whole=False)


@given(
    st.text(max_size=60) | BOUNDARY.map("multipart/mixed;boundary={}".format),
    st.binary(max_size=300),
    st.integers(0, 5),
)
def test_13_any_bytes(content_type: str, body: bytes, expected: int) -> None:
    """No bytes and no content type make the parser raise, or say more than was asked."""
    assert len(batches.parse(content_type, body, expected).parts) <= expected


@given(answers(), st.data())
def test_13_any_damage(drawn: Drawn, data: st.DataObject) -> None:
    """An answer with a byte changed anywhere raises nothing, and never says more than was asked."""
    at = data.draw(st.integers(0, len(drawn.body) - 1))
    body = drawn.body[:at] + data.draw(st.binary(min_size=1, max_size=3)) + drawn.body[at + 1 :]
    assert len(batches.parse(drawn.content_type, body, len(drawn.parts)).parts) <= len(drawn.parts)


@given(st.lists(st.tuples(st.from_regex(r"[!-~]{1,60}", fullmatch=True), st.booleans()), min_size=1, max_size=20))
def test_12_any_batch(requests: list[tuple[str, bool]]) -> None:
    """An independent parser finds in a batch each address and body, in their order, and every line ends as it must."""
    content_type, body = batches.build([(url, json.dumps({"flag": flag}).encode()) for url, flag in requests])
    assert b"\n" not in body.replace(b"\r\n", b"")
    assert body.endswith(b"--\r\n")
    found = email.message_from_bytes(b"Content-Type: " + content_type.encode() + b"\r\n\r\n" + body)
    assert not found.defects
    payloads = [str(each.get_payload()).replace("\r\n", "\n") for each in list(found.walk())[1:]]
    assert payloads == [
        f"PATCH {url} HTTP/1.1\nContent-Type: application/json\nIf-Match: *\n\n{json.dumps({'flag': flag})}"
        for url, flag in requests
    ]


@given(st.text(max_size=30))
def test_07_any_key(ref: str) -> None:
    """Any key is refused, or gives an address that holds it and nothing else, and is read back as what it was."""
    made = portal("http://127.0.0.1")
    change = ListingChange(ref, listed=True)
    if made.refusal(change) is not None:
        assert NOT_IN_A_KEY.intersection(ref) or not ref.strip() or not ref.isprintable()
        return
    address = made.address(change)
    assert re.fullmatch(r"[A-Za-z0-9:/.=()_'~%-]+", address)
    key = address.removeprefix(f"http://127.0.0.1{ROOT}contacts(new_mentorid='").removesuffix("')")
    assert "'" not in key
    assert unquote(key).replace("''", "'") == ref


def test_a_batch_is_quick() -> None:
    """Making a batch of a hundred and reading its answer takes well under two milliseconds at best."""
    requests = [(f"https://example.org/contacts(new_mentorid='HLF-{number:04}')", b"{}") for number in range(100)]
    found = multipart(*[part(204)] * 50, *[part(404, "0x80060891")] * 50)

    def once() -> float:
        begun = time.perf_counter()
        batches.build(requests)
        assert len(batches.parse(found.headers["Content-Type"], found.body, 100).parts) == 100
        return time.perf_counter() - begun

    assert min(once() for _ in range(20)) < 0.002
