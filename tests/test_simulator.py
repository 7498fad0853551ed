"""The portal simulator, behaviour by behaviour: the number in a test's name is that of the contract's behaviour."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import ssl
import stat
import subprocess
import sys
import threading
import urllib.request
import uuid
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import httpx
import pytest
from azure.core.exceptions import ClientAuthenticationError
from azure.identity import ClientSecretCredential

from certjobs.errors import ConfigurationError, Unavailable
from certjobs.local.simulator import command
from certjobs.local.simulator.clock import SetClock
from certjobs.local.simulator.server import CLIENT_ID, SECRET, TENANT, Settings, Simulator, simulator
from certjobs.local.simulator.state import Table
from tests.canaries import canary

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from tests.conftest import Certjobs

STRANGERS, GUESTS = canary("client", "stranger"), canary("client", "guest")
LISTED = "new_listed"
KEY = "new_mentorid"


@dataclass
class Caller:
    """A simulator, its clock, and a client that has a token and keeps its connection."""

    sim: Simulator
    clock: SetClock
    http: httpx.Client

    def token(self, secret: str = SECRET, **fields: str) -> httpx.Response:
        """Ask for a token."""
        right = {
            "client_id": CLIENT_ID,
            "client_secret": secret,
            "grant_type": "client_credentials",
            "scope": f"{self.sim.url}/.default",
        }
        tenant = fields.pop("tenant", TENANT)
        sent = {name: value for name, value in {**right, **fields}.items() if value}
        return self.http.post(f"{self.sim.authority_url}/{tenant}/oauth2/v2.0/token", data=sent, headers=ANONYMOUS)

    def log_in(self) -> None:
        """Use a new token from now on."""
        self.http.headers["Authorization"] = f"Bearer {self.token().json()['access_token']}"

    def get(self, path: str, **headers: str) -> httpx.Response:
        return self.http.get(self.url(path), headers=headers)

    def patch(self, path: str, body: Any, **headers: str) -> httpx.Response:
        return self.http.patch(self.url(path), json=body, headers=headers)

    def row(self, key: str, body: Any = None, **headers: str) -> httpx.Response:
        """Change the row of a key: unlist it unless told otherwise."""
        return self.patch(by_key(key), {LISTED: False} if body is None else body, **headers)

    def url(self, path: str) -> str:
        return path if path.startswith("http") else self.sim.api_url + path

    def batch(self, parts: Sequence[bytes], *, go_on: bool = False, boundary: str = "batch_1") -> httpx.Response:
        return self.post_batch(multipart(parts, boundary), go_on=go_on, boundary=boundary)

    def post_batch(self, body: bytes, *, go_on: bool = False, boundary: str = "batch_1") -> httpx.Response:
        headers = {"Content-Type": f"multipart/mixed; boundary={boundary}"}
        if go_on:
            headers["Prefer"] = "odata.continue-on-error"
        return self.http.post(self.url("$batch"), content=body, headers=headers)

    def faults(self, **fault: Any) -> httpx.Response:
        return self.http.post(f"{self.sim.url}/simulator/faults", json=fault)


ANONYMOUS = {"Authorization": ""}


@contextmanager
def running(settings: Settings | None = None) -> Iterator[Caller]:
    """Run a simulator with three mentors on a clock that stands still."""
    clock = SetClock()
    with simulator(settings, clock=clock) as sim, httpx.Client(trust_env=False, verify=trust(sim)) as http:
        caller = Caller(sim, clock, http)
        for key in ("HLF-1", "HLF-2", "HLF-3"):
            if sim.state.by_key(key) is None:
                sim.state.add(key)
        caller.log_in()
        yield caller


@pytest.fixture
def caller() -> Iterator[Caller]:
    """Give the test a simulator with three mentors, all listed."""
    with running() as found:
        yield found


def trust(sim: Simulator) -> ssl.SSLContext | bool:
    return ssl.create_default_context(cadata=sim.ca_pem.decode()) if sim.ca_pem else True


def by_key(key: str) -> str:
    """Return the path of the row of a key, written as a client has to."""
    return f"contacts({KEY}='{quote(key.replace(chr(39), chr(39) * 2), safe=chr(39))}')"


def part(
    target: str, body: Any = None, *, method: str = "PATCH", content_id: str | None = None, **headers: str
) -> bytes:
    """Return one request of a batch."""
    outer = {"Content-Type": "application/http", "Content-Transfer-Encoding": "binary"}
    if content_id:
        outer["Content-ID"] = content_id
    inner = {"Content-Type": "application/json", **headers}
    lines = [*lines_of(outer), "", f"{method} {target} HTTP/1.1", *lines_of(inner), "", ""]
    content = b"" if method == "GET" else json.dumps({LISTED: False} if body is None else body).encode()
    return "\r\n".join(lines).encode() + content


def change_set(parts: Sequence[bytes], boundary: str = "changeset_1") -> bytes:
    return f"Content-Type: multipart/mixed; boundary={boundary}\r\n\r\n".encode() + multipart(parts, boundary)


def multipart(parts: Sequence[bytes], boundary: str) -> bytes:
    mark = b"--" + boundary.encode()
    return b"".join(mark + b"\r\n" + each + b"\r\n" for each in parts) + mark + b"--\r\n"


def lines_of(headers: Mapping[str, str]) -> list[str]:
    return [f"{name}: {value}" for name, value in headers.items()]


def statuses(answer: httpx.Response) -> list[int]:
    """Return the status of each part of a batch's answer."""
    return [int(each) for each in re.findall(rb"\r\n\r\nHTTP/1\.1 (\d{3}) ", answer.content)]


def code(answer: httpx.Response) -> str:
    """Return the service's own code of an error, whose shape is checked."""
    (error,) = answer.json().values()
    assert set(error) == {"code", "message"}
    found: str = error["code"]
    return found


# 15. Tokens


def test_15_a_token_is_of_the_documented_shape_and_opens_the_api(caller: Caller) -> None:
    """The four fields bring a bearer token with a life in seconds; without it the API tells where to get one."""
    answer = caller.token()
    assert answer.status_code == 200
    assert set(answer.json()) >= {"token_type", "expires_in", "access_token"}
    assert (answer.json()["token_type"], answer.json()["expires_in"]) == ("Bearer", 3599)
    assert caller.get("WhoAmI").status_code == 200
    refused = caller.get("WhoAmI", **ANONYMOUS)
    assert refused.status_code == 401
    assert refused.headers["WWW-Authenticate"].startswith(
        f"Bearer authorization_uri={caller.sim.authority_url}/{TENANT}/"
    )
    assert caller.sim.log.entries("token")[-1].fields == ("client_id", "client_secret", "grant_type", "scope")


@pytest.mark.parametrize(
    ("fields", "status", "error", "number"),
    [
        ({"secret": "wrong"}, 401, "invalid_client", 7000215),
        ({"client_id": str(uuid.UUID(int=1))}, 400, "unauthorized_client", 700016),
        ({"tenant": str(uuid.UUID(int=2))}, 400, "unauthorized_client", 700016),
        ({"scope": "https://elsewhere.example.org/.default"}, 400, "invalid_scope", 70011),
        ({"scope": "user.read"}, 400, "invalid_scope", 70011),
        ({"grant_type": "password"}, 400, "unsupported_grant_type", 70003),
        ({"secret": ""}, 401, "invalid_client", 7000218),
        ({"scope": ""}, 400, "invalid_request", 900144),
    ],
)
def test_15_the_token_table(caller: Caller, fields: dict[str, str], status: int, error: str, number: int) -> None:
    """Each wrong field has its HTTP status, OAuth error and number, in the authority's shape, and repeats no secret."""
    answer = caller.token(**fields)
    told = answer.json()
    assert (answer.status_code, told["error"], told["error_codes"]) == (status, error, [number])
    assert re.match(
        rf"AADSTS{number}: .*\r\nTrace ID: \S+\r\nCorrelation ID: \S+\r\nTimestamp: \S+ \S+Z$",
        told["error_description"],
    )
    assert set(told) >= {"timestamp", "trace_id", "correlation_id", "error_uri"}
    assert "wrong" not in answer.text


def test_15_tokens_expire(caller: Caller) -> None:
    """A token is good until expires_in seconds have passed, and not a moment longer."""
    caller.sim.authority.lifetime = 60
    caller.log_in()
    caller.clock.advance(59.9)
    assert caller.get("WhoAmI").status_code == 200
    caller.clock.advance(0.1)
    assert caller.get("WhoAmI").status_code == 401
    caller.log_in()
    assert caller.get("WhoAmI").status_code == 200


def test_15_two_secrets_at_once_and_a_delay_after_rotation(caller: Caller) -> None:
    """A new secret is wrong for some seconds, then both work; an expired one and one removed differ in their number."""
    authority = caller.sim.authority
    authority.propagation = 18.0
    authority.add_secret(CLIENT_ID, canary("client", "second"))
    assert caller.token(canary("client", "second")).json()["error_codes"] == [7000215]
    assert caller.token().status_code == 200
    caller.clock.advance(18)
    assert caller.token(canary("client", "second")).status_code == caller.token().status_code == 200
    authority.expire_secret(CLIENT_ID, SECRET)
    assert caller.token().json()["error_codes"] == [7000222]
    authority.remove_secret(CLIENT_ID, SECRET)
    assert caller.token().json()["error_codes"] == [7000215]
    assert caller.get("WhoAmI").status_code == 200


def test_15_a_signed_assertion_in_place_of_a_secret(caller: Caller) -> None:
    """A client assertion that was registered brings a token, another one does not."""
    kind = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
    caller.sim.authority.add_assertion(CLIENT_ID, "head.body.signature")
    fields = {"secret": "", "client_assertion_type": kind}
    assert caller.token(**fields, client_assertion="head.body.signature").status_code == 200
    refused = caller.token(**fields, client_assertion="head.body.forged")
    assert (refused.status_code, refused.json()["error"]) == (401, "invalid_client")


def test_15_a_client_without_a_user_in_the_environment(caller: Caller) -> None:
    """A token of a client that the environment has no user for opens nothing: 403 with its code."""
    caller.sim.authority.add_client("stranger", STRANGERS)
    caller.sim.authority.add_client("guest", GUESTS, member=False)
    token = caller.token(GUESTS, client_id="guest").json()["access_token"]
    answer = caller.get("WhoAmI", Authorization=f"Bearer {token}")
    assert (answer.status_code, code(answer)) == (403, "0x80072560")


# 16. Rows


@pytest.mark.parametrize("path", ["WhoAmI", "WhoAmI()", "WhoAmI%28%29"])
def test_16_who_am_i(caller: Caller, path: str) -> None:
    """WhoAmI with and without parentheses names user, business unit and organisation, and hints at parallelism."""
    answer = caller.get(path)
    assert answer.status_code == 200
    assert set(answer.json()) == {"@odata.context", "BusinessUnitId", "UserId", "OrganizationId"}
    assert answer.headers["x-ms-dop-hint"] == "4"
    assert answer.headers["OData-Version"] == "4.0"
    assert "ARRAffinity" in answer.headers["Set-Cookie"]


def test_16_patch_by_key_and_by_guid(caller: Caller) -> None:
    """With If-Match: * a row that is there changes under either name, and its ETag at every write."""
    guid = caller.get(by_key("HLF-1")).json()["contactid"]
    seen = {caller.get(by_key("HLF-1")).headers["ETag"]}
    for path in (by_key("HLF-1"), f"contacts({guid})", f"contacts({guid.upper()})", by_key("HLF-1")):
        answer = caller.patch(path, {LISTED: False}, **{"If-Match": "*"})
        assert (answer.status_code, answer.content) == (204, b"")
        assert answer.headers["OData-EntityId"] == caller.url(f"contacts({guid})")
        seen.add(caller.get(path).headers["ETag"])
    assert len(seen) == 5
    assert all(re.fullmatch(r'W/"\d+"', each) for each in seen)
    assert caller.sim.state.listed() == {"HLF-2", "HLF-3"}


def test_16_patch_of_a_row_that_is_not_there(caller: Caller) -> None:
    """With If-Match a missing row is 404, by key and by id with a code each; without, PATCH makes it."""
    nowhere = uuid.UUID(int=7)
    by_name = caller.row("HLF-9", **{"If-Match": "*"})
    by_id = caller.patch(f"contacts({nowhere})", {LISTED: True}, **{"If-Match": "*"})
    assert (by_name.status_code, code(by_name)) == (404, "0x80060891")
    assert (by_id.status_code, code(by_id)) == (404, "0x80040217")
    assert len(caller.sim.state) == 3
    assert caller.row("HLF-9", {LISTED: True}).status_code == 204
    assert caller.patch(f"contacts({nowhere})", {KEY: "HLF-8", LISTED: True}).status_code == 204
    assert caller.sim.state.listed() == {"HLF-1", "HLF-2", "HLF-3", "HLF-8", "HLF-9"}


def test_16_preconditions(caller: Caller) -> None:
    """A stale ETag and If-None-Match: * on a row that is there are 412; the current ETag and the word null are good."""
    current = caller.get(by_key("HLF-1")).headers["ETag"]
    assert caller.row("HLF-1", **{"If-None-Match": "*"}).status_code == 412
    assert caller.row("HLF-1", **{"If-Match": current}).status_code == 204
    stale = caller.row("HLF-1", **{"If-Match": current})
    assert (stale.status_code, code(stale)) == (412, "0x80060882")
    assert caller.row("HLF-1", **{"If-Match": "*", "If-None-Match": "null"}).status_code == 204
    assert caller.row("HLF-1", **{"If-Match": "*", "If-None-Match": "*"}).status_code == 400
    assert caller.row("HLF-1", **{"If-Match": "123"}).status_code == 400
    assert caller.row("HLF-7", **{"If-None-Match": "*"}).status_code == 204


def test_16_the_row_itself_when_it_is_preferred(caller: Caller) -> None:
    """With return=representation a change answers 200 and a new row 201, with the columns that are selected."""
    prefer = {"Prefer": "return=representation"}
    changed = caller.patch(f"{by_key('HLF-1')}?$select={LISTED}", {LISTED: False}, **prefer)
    made = caller.row("HLF-9", {"firstname": "Kari"}, **prefer)
    assert (changed.status_code, made.status_code) == (200, 201)
    assert set(changed.json()) == {"@odata.context", "@odata.etag", LISTED, "contactid"}
    assert (made.json()[KEY], made.json()[LISTED], made.json()["firstname"]) == ("HLF-9", False, "Kari")


def test_16_a_row_that_did_not_change(caller: Caller) -> None:
    """Reading with the current ETag in If-None-Match is 304; by its id a row cannot be given another one's id."""
    answer = caller.get(by_key("HLF-1"))
    unchanged = caller.get(by_key("HLF-1"), **{"If-None-Match": answer.headers["ETag"]})
    assert (unchanged.status_code, unchanged.content) == (304, b"")
    path = f"contacts({answer.json()['contactid']})"
    assert caller.patch(path, {"contactid": str(uuid.UUID(int=3))}).status_code == 400
    assert caller.patch(path, {"contactid": answer.json()["contactid"]}).status_code == 204
    assert caller.http.post(caller.url("contacts"), json={"contactid": answer.json()["contactid"]}).status_code == 412


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"new_lsited": False}, 400),
        ({"New_listed": False}, 400),
        ({LISTED: "false"}, 400),
        ({LISTED: 0}, 400),
        ({LISTED: None}, 400),
        ({"firstname": 7}, 400),
        ({KEY: "HLF-1", LISTED: False}, 400),
        ({"contactid": str(uuid.UUID(int=3)), LISTED: False}, 400),
        ([], 400),
        ({"@odata.type": "Microsoft.Dynamics.CRM.contact", LISTED: False}, 204),
        ({"firstname": None}, 204),
        ({}, 204),
    ],
)
def test_16_what_a_body_may_hold(caller: Caller, body: Any, status: int) -> None:
    """Columns that are not declared, values of another type, and keys of a row that is named by key are refused."""
    before = caller.get(by_key("HLF-1")).headers["ETag"]
    assert caller.row("HLF-1", body, **{"If-Match": "*"}).status_code == status
    changed = caller.get(by_key("HLF-1")).headers["ETag"] != before
    assert changed is (status == 204)


def test_16_a_body_that_is_no_json(caller: Caller) -> None:
    """A body needs its Content-Type, and must be JSON."""
    url = caller.url(by_key("HLF-1"))
    assert caller.http.patch(url, content=b"{}").status_code == 415
    answer = caller.http.patch(url, content=b"{", headers={"Content-Type": "application/json"})
    assert (answer.status_code, code(answer)) == (400, "0x80048d19")


@pytest.mark.parametrize("character", "/<>*%&:\\?+#")
def test_16_forbidden_key_characters(caller: Caller, character: str) -> None:
    """A key with a forbidden character fails even encoded, alone and in a batch, though a row has it."""
    caller.sim.state.add(f"a{character}b")
    answer = caller.row(f"a{character}b", **{"If-Match": "*"})
    assert answer.status_code == 400
    assert statuses(caller.batch([part(by_key(f"a{character}b"))])) == [400]
    assert f"a{character}b" in caller.sim.state.listed()


@pytest.mark.parametrize("key", ["O'Hara", "''", "æøå", "with space", "a=b", "(1)", "100-€", "日本"])
def test_16_other_key_characters(caller: Caller, key: str) -> None:
    """Every other key works, its quotes doubled and then percent-encoded."""
    caller.sim.state.add(key)
    assert caller.row(key, **{"If-Match": "*"}).status_code == 204
    assert key not in caller.sim.state.listed()


@pytest.mark.parametrize(
    ("path", "status"),
    [
        (f"contacts({KEY}='O'Hara')", 400),
        (f"contacts({KEY}=HLF-1)", 400),
        ("contacts(firstname='Kari')", 400),
        ("contacts(1)", 400),
        (f"Contacts({KEY}='HLF-1')", 404),
        (f"contacts({KEY}='%ff')", 400),
        ("accounts", 404),
        ("contacts/", 404),
    ],
)
def test_16_paths_that_lead_nowhere(caller: Caller, path: str, status: int) -> None:
    """Names count as they are written, a quote inside a value is doubled, and only the alternate key names a row."""
    answer = caller.get(path)
    assert answer.status_code == status
    code(answer)


def test_16_other_versions_and_methods(caller: Caller) -> None:
    """Another version of the API or of OData is refused, and so is a method that a resource has not."""
    assert caller.get(f"{caller.sim.url}/api/data/v8.0/WhoAmI").status_code == 404
    assert caller.get("WhoAmI", **{"OData-Version": "3.0"}).status_code == 400
    assert caller.patch("WhoAmI", {}).status_code == 405
    assert caller.http.put(caller.url(by_key("HLF-1")), json={}).status_code == 405
    assert caller.get("$batch").status_code == 405


def test_16_a_key_is_unique(caller: Caller) -> None:
    """No second row gets a key that one has, by POST or by PATCH; a row that is deleted gives its key free."""
    posted = caller.http.post(caller.url("contacts"), json={KEY: "HLF-1"})
    assert (posted.status_code, code(posted)) == (412, "0x80060892")
    guid = caller.get(by_key("HLF-2")).json()["contactid"]
    assert caller.patch(f"contacts({guid})", {KEY: "HLF-1"}).status_code == 412
    assert caller.http.delete(caller.url(by_key("HLF-1"))).status_code == 204
    assert caller.http.post(caller.url("contacts"), json={KEY: "HLF-1"}).status_code == 204


def test_16_bulk_messages(caller: Caller) -> None:
    """UpdateMultiple writes all rows or none, UpsertMultiple makes those that are missing; 400 where they are not."""
    kind = {"@odata.type": "Microsoft.Dynamics.CRM.contact"}
    url = caller.url("contacts/Microsoft.Dynamics.CRM.UpdateMultiple")
    rows = [{**kind, "@odata.id": by_key(f"HLF-{number}"), LISTED: False} for number in (1, 2, 9)]
    assert caller.http.post(url, json={"Targets": rows}).status_code == 404
    assert caller.sim.state.listed() == {"HLF-1", "HLF-2", "HLF-3"}
    assert caller.http.post(url, json={"Targets": rows[:2]}).status_code == 204
    assert caller.sim.state.listed() == {"HLF-3"}
    assert caller.http.post(url.replace("Update", "Upsert"), json={"Targets": rows}).status_code == 204
    by_id = {**kind, "contactid": caller.get(by_key("HLF-3")).json()["contactid"], LISTED: True}
    assert caller.http.post(url, json={"Targets": [by_id]}).status_code == 204
    assert caller.sim.state.listed() == {"HLF-3"}
    for wrong in ([], [kind], [{**by_id, "@odata.type": "Microsoft.Dynamics.CRM.account"}], "HLF-3"):
        assert caller.http.post(url, json={"Targets": wrong}).status_code == 400
    assert caller.sim.state.by_key("HLF-9") is not None
    caller.sim.service.api.bulk = False
    assert caller.http.post(url, json={"Targets": rows[:2]}).status_code == 400


# 17. Lists


def test_17_pages_follow_an_opaque_link(caller: Caller) -> None:
    """Following absolute links as given, with the page size sent again, brings every listed row once."""
    for number in range(4, 11):
        caller.sim.state.add(f"HLF-{number}", listed=number % 2 == 0)
    url = f"contacts?$select={KEY}&$filter={LISTED} eq true"
    found: list[str] = []
    sizes = []
    while url:
        page = caller.get(url, Prefer="odata.maxpagesize=2").json()
        sizes.append(len(page["value"]))
        found += [each[KEY] for each in page["value"]]
        assert all(set(each) == {"@odata.etag", KEY, "contactid"} for each in page["value"])
        url = page.get("@odata.nextLink", "")
        assert not url or url.startswith(caller.url("contacts?"))
    assert sizes == [2, 2, 2, 1]
    assert found == ["HLF-1", "HLF-2", "HLF-3", "HLF-4", "HLF-6", "HLF-8", "HLF-10"]


def test_17_pages_stay_right_when_rows_change(caller: Caller) -> None:
    """A row that is deleted, or unlisted, between two pages moves no other row out of the list."""
    first = caller.get(f"contacts?$filter={LISTED} eq true", Prefer="odata.maxpagesize=1").json()
    caller.http.delete(caller.url(by_key("HLF-1")))
    caller.row("HLF-2")
    rest = caller.get(first["@odata.nextLink"], Prefer="odata.maxpagesize=1").json()
    assert [each[KEY] for each in rest["value"]] == ["HLF-3"]
    assert "@odata.nextLink" not in rest


def test_17_a_page_has_5000_rows_at_most(caller: Caller) -> None:
    """Whatever is preferred, a page holds 5,000 rows and a link to the others; without a preference too."""
    for number in range(5000):
        caller.sim.state.add(f"NHF-{number}")
    for headers in ({}, {"Prefer": "odata.maxpagesize=9000"}):
        page = caller.get(f"contacts?$select={KEY}", **headers).json()
        assert len(page["value"]) == 5000
        assert len(caller.get(page["@odata.nextLink"]).json()["value"]) == 3


@pytest.mark.parametrize(
    "query",
    [
        "$skip=1",
        "$select=nothing",
        "$select=New_listed",
        "$filter=nothing eq true",
        f"$filter={LISTED} eq 'true'",
        f"$filter={LISTED} gt true",
        f"$filter={KEY} eq HLF-1",
        "$skiptoken=forged",
        "$orderby=createdon",
        "$top=0",
        f"$select={KEY}&$select={LISTED}",
        "unknown=1",
    ],
)
def test_17_queries_that_are_refused(caller: Caller, query: str) -> None:
    """$skip, what is not declared, what is not of its type and what is not known are 400, never ignored."""
    answer = caller.get(f"contacts?{query}")
    assert (answer.status_code, code(answer)) == (400, "0x80060888")


def test_17_a_token_is_good_for_its_own_query_only(caller: Caller) -> None:
    """The token of one query leads no other one on."""
    link = caller.get(f"contacts?$select={KEY}", Prefer="odata.maxpagesize=1").json()["@odata.nextLink"]
    assert caller.get(link.replace(KEY, LISTED)).status_code == 400
    assert caller.get("contacts", Prefer="odata.maxpagesize=none").status_code == 400


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        (f"{LISTED} eq true", ["HLF-1", "HLF-3", "O'Hara"]),
        (f"{LISTED} ne true", ["HLF-2"]),
        (f"{KEY} eq 'O''Hara'", ["O'Hara"]),
        (f"{KEY} ne null and {LISTED} eq true", ["HLF-1", "HLF-3", "O'Hara"]),
        (f"{LISTED} eq true and {KEY} eq 'HLF-2'", []),
    ],
)
def test_17_filters(caller: Caller, condition: str, expected: list[str]) -> None:
    """The flag, the key and both together choose rows."""
    caller.row("HLF-2")
    caller.sim.state.add("O'Hara")
    page = caller.get(f"contacts?$select={KEY}&$count=true&$filter={quote(condition)}").json()
    assert [each[KEY] for each in page["value"]] == expected
    assert page["@odata.count"] == len(expected)


def test_17_change_tracking_takes_no_filter(caller: Caller) -> None:
    """A filtered query cannot be tracked."""
    assert caller.get(f"contacts?$filter={LISTED} eq true", Prefer="odata.track-changes").status_code == 400


@pytest.mark.parametrize("kind", ["relative_link", "repeated_link", "foreign_link"])
def test_17_links_that_are_not_as_they_should_be(caller: Caller, kind: str) -> None:
    """On demand a link is relative to the root of the service, leads to the same page, or to another origin."""
    asked = caller.url(f"contacts?$select={KEY}")
    right = caller.get(asked, Prefer="odata.maxpagesize=1").json()["@odata.nextLink"]
    assert caller.faults(kind=kind).status_code == 200
    link = caller.get(asked, Prefer="odata.maxpagesize=1").json()["@odata.nextLink"]
    start = {
        "relative_link": "contacts?$select=",
        "repeated_link": asked,
        "foreign_link": "https://elsewhere.example.org/api/data/v9.2/contacts?",
    }
    assert link.startswith(start[kind])
    assert right.startswith(caller.sim.api_url)
    assert caller.get(asked, Prefer="odata.maxpagesize=1").json()["@odata.nextLink"].startswith(caller.sim.api_url)


# 18. Batches


def test_18_a_batch_runs_in_order(caller: Caller) -> None:
    """Parts with relative, absolute and rooted addresses run in order; each has its own answer, GET too."""
    guid = caller.get(by_key("HLF-2")).json()["contactid"]
    answer = caller.batch(
        [
            part(caller.url(by_key("HLF-1")), **{"If-Match": "*"}),
            part(f"contacts({guid})"),
            part(f"/api/data/v9.2/{by_key('HLF-1')}", method="GET"),
        ]
    )
    assert (answer.status_code, statuses(answer)) == (200, [204, 204, 200])
    kind = re.fullmatch(r"multipart/mixed; boundary=(batchresponse_\S+)", answer.headers["Content-Type"])
    assert kind
    assert answer.content.startswith(f"--{kind[1]}\r\n".encode())
    assert answer.content.endswith(f"\r\n--{kind[1]}--\r\n".encode())
    assert b"\n" not in answer.content.replace(b"\r\n", b"")
    assert b'"new_listed":false' in answer.content
    assert caller.sim.state.listed() == {"HLF-3"}


@pytest.mark.parametrize(
    ("go_on", "outer", "expected", "left"),
    [(False, 400, [204, 404], {"HLF-2", "HLF-3"}), (True, 200, [204, 404, 204], {"HLF-3"})],
)
def test_18_both_error_modes(caller: Caller, go_on: bool, outer: int, expected: list[int], left: set[str]) -> None:
    """By default a batch ends at its first error with an outer 400; continuing, it answers 200 and an error a part."""
    parts = [part(by_key(key), **{"If-Match": "*"}) for key in ("HLF-1", "HLF-9", "HLF-2")]
    answer = caller.batch(parts, go_on=go_on)
    assert (answer.status_code, statuses(answer)) == (outer, expected)
    assert b"0x80060891" in answer.content
    assert caller.sim.state.listed() == left
    entry = caller.sim.log.entries("batch")[-1]
    assert (entry.parts, entry.done) == (3, len(expected))


def test_18_a_change_set_is_one_step(caller: Caller) -> None:
    """A change set is done as a whole and answered in a multipart of its own; one error undoes it and stands for it."""
    good, bad = (
        [part(by_key(key), content_id=str(place), **{"If-Match": "*"}) for place, key in enumerate(keys, start=1)]
        for keys in (("HLF-1", "HLF-2"), ("HLF-3", "HLF-9"))
    )
    done = caller.batch([change_set(good)])
    assert (done.status_code, statuses(done)) == (200, [204, 204])
    assert b"boundary=changesetresponse_" in done.content
    assert b"Content-ID: 2" in done.content
    undone = caller.batch([change_set(bad), part(by_key("HLF-3"))], go_on=True)
    assert (undone.status_code, statuses(undone)) == (200, [404, 204])
    assert b"changesetresponse_" not in undone.content
    caller.batch([change_set(bad)])
    assert caller.sim.state.public().waiting == 3


def test_18_an_undone_change_set_leaves_nothing_behind(caller: Caller) -> None:
    """Rows that a change set made, changed and deleted are as they were when it fails."""
    before = caller.get("contacts").json()
    parts = [
        part(by_key("HLF-8"), {LISTED: True}, content_id="1"),
        part(by_key("HLF-1"), {"firstname": "Kari"}, content_id="2"),
        part(by_key("HLF-2"), method="DELETE", content_id="3"),
        part(by_key("HLF-9"), content_id="4", **{"If-Match": "*"}),
    ]
    assert statuses(caller.batch([change_set(parts)])) == [404]
    assert caller.get("contacts").json() == before
    assert caller.sim.state.public().waiting == 0
    assert statuses(caller.batch([change_set(parts[:3])])) == [204, 204, 204]


RIGHT = multipart([part(f"contacts({KEY}='HLF-1')")], "batch_1")


@pytest.mark.parametrize(
    "body",
    [
        RIGHT.replace(b"\r\n", b"\n"),
        RIGHT.removesuffix(b"\r\n"),
        RIGHT.removesuffix(b"\r\n") + b"\n",
        RIGHT.replace(b"binary\r\n", b"binary\n"),
        RIGHT.replace(b"{", b"{\n"),
        RIGHT.replace(b"{", b"{\r"),
        RIGHT.removesuffix(b"--batch_1--\r\n"),
        RIGHT.replace(b"batch_1", b"batch_2"),
        b"preamble\r\n" + RIGHT,
        RIGHT.replace(b"application/http", b"application/json"),
        RIGHT.replace(b"Content-Transfer-Encoding: binary\r\n", b""),
        RIGHT.replace(b" HTTP/1.1", b""),
        b"",
        multipart([change_set([part("WhoAmI", method="GET", content_id="1")])], "batch_1"),
        multipart([change_set([part(f"contacts({KEY}='HLF-1')")])], "batch_1"),
        multipart([change_set([part(f"contacts({KEY}='HLF-1')", content_id="1")] * 2)], "batch_1"),
        multipart([change_set([change_set([part("contacts", content_id="1")], "changeset_2")])], "batch_1"),
    ],
)
def test_18_a_malformed_batch_is_refused_as_a_whole(caller: Caller, body: bytes) -> None:
    """LF line ends, a missing end, headers that are missing, GET or a set inside a change set: 400, nothing is done."""
    answer = caller.post_batch(body)
    assert (answer.status_code, code(answer)) == (400, "0x80048d19")
    assert caller.sim.state.listed() == {"HLF-1", "HLF-2", "HLF-3"}
    assert caller.post_batch(RIGHT).status_code == 200


@pytest.mark.parametrize(
    "body",
    [
        RIGHT + b"\r\n",
        RIGHT.replace(b"--batch_1--", b"\r\n--batch_1--"),
        multipart([part("WhoAmI", method="GET").removesuffix(b"\r\n")], "batch_1"),
        multipart([part("WhoAmI", method="GET")], "batch_1"),
        multipart([change_set([part(f"contacts({KEY}='HLF-1')", content_id="1")]) + b"\r\n"], "batch_1"),
    ],
)
def test_18_what_a_batch_need_not_be_exact_about(caller: Caller, body: bytes) -> None:
    """Empty lines at the end of a part or of the batch are no matter, and GET may end at its first."""
    answer = caller.post_batch(body)
    assert (answer.status_code, len(statuses(answer))) == (200, 1)


def test_18_a_thousand_parts_at_most(caller: Caller) -> None:
    """1,000 requests are carried out, one more and none is; those in change sets count."""
    row = part(by_key("HLF-1"), {})
    assert len(statuses(caller.batch([row] * 1000))) == 1000
    assert caller.batch([row] * 1001).status_code == 400
    inside = [part(by_key("HLF-1"), {}, content_id=str(number)) for number in range(501)]
    assert caller.batch([change_set(inside), *[row] * 500]).status_code == 400
    assert [each.done for each in caller.sim.log.entries("batch")] == [1000, 0, 0]


def test_18_parts_that_go_elsewhere(caller: Caller) -> None:
    """A batch holds no batch, and no request to another origin."""
    parts = [part("$batch", method="POST"), part(f"https://elsewhere.example.org/api/data/v9.2/{by_key('HLF-1')}")]
    assert statuses(caller.batch(parts, go_on=True)) == [400, 400]
    assert caller.http.post(caller.url("$batch"), json={}).status_code == 415


# 19. Limits


def test_19_the_limit_on_requests(caller: Caller) -> None:
    """Over the limit a request is 429 with its code; a batch is one; each refused one makes the rest longer."""
    caller.sim.limits.request_limit = 3
    caller.get("WhoAmI")
    caller.clock.advance(100)
    caller.batch([part(by_key("HLF-1"))] * 50)
    assert caller.get("WhoAmI").headers["x-ms-ratelimit-burst-remaining-xrm-requests"] == "0"
    refused = [caller.get("WhoAmI") for _ in range(3)]
    assert [(each.status_code, code(each)) for each in refused] == [(429, "0x80072322")] * 3
    assert [each.headers["Retry-After"] for each in refused] == ["200", "205", "210"]
    caller.clock.advance(209)
    assert caller.get("WhoAmI").headers["Retry-After"] == "215"
    caller.clock.advance(215)
    assert caller.get("WhoAmI").status_code == 200


def test_19_the_limit_on_execution(caller: Caller) -> None:
    """Simulated execution time accrues for every part of a batch, and counts for 300 seconds."""
    caller.sim.limits.execution_limit_ms = 1000
    caller.sim.limits.charge_ms = 20
    caller.batch([part(by_key("HLF-1"))] * 49)
    assert caller.get("WhoAmI").headers["x-ms-ratelimit-time-remaining-xrm-requests"] == "0.00"
    refused = caller.get("WhoAmI")
    assert (refused.status_code, code(refused)) == (429, "0x80072321")
    assert refused.headers["Retry-After"] == "300"
    caller.clock.advance(300)
    assert caller.get("WhoAmI").status_code == 200


def test_19_the_limit_on_concurrency(caller: Caller) -> None:
    """While as many requests are under way as may be, another one is 429; each user has limits of its own."""
    caller.sim.limits.concurrency_limit = 1
    caller.sim.authority.add_client("other", canary("client", "other"))
    other = caller.token(canary("client", "other"), client_id="other").json()["access_token"]
    fault = caller.sim.faults.add("stall", "list")
    with caller.http.stream("GET", caller.url("contacts")) as held:
        assert fault.reached.wait(10)
        refused = caller.get("WhoAmI")
        assert (refused.status_code, code(refused)) == (429, "0x80072326")
        assert caller.get("WhoAmI", Authorization=f"Bearer {other}").status_code == 200
        caller.sim.faults.release()
        assert len(json.loads(held.read())["value"]) == 3
    caller.clock.advance(int(refused.headers["Retry-After"]))
    assert caller.get("WhoAmI").status_code == 200
    assert caller.sim.limits.refused == 1


def test_19_the_log_proves_a_rest(caller: Caller) -> None:
    """The log tells when requests came, so that a test can prove that none did during a rest."""
    caller.sim.limits.request_limit = 1
    caller.get("WhoAmI")
    assert caller.get("WhoAmI").status_code == 429
    rest_began = caller.clock()
    caller.clock.advance(300)
    caller.batch([part(by_key("HLF-1"))] * 7)
    during = [each for each in caller.sim.log.entries() if rest_began < each.at < rest_began + 300]
    assert during == []
    told = caller.http.get(f"{caller.sim.url}/simulator/log?since={rest_began + 1}").json()
    assert [(each["area"], each["parts"], each["status"]) for each in told["entries"]] == [("batch", 7, 200)]
    assert (told["requests"], told["parts"]) == (4, 7)


def test_19_the_hint_at_parallelism_and_the_cookie(caller: Caller) -> None:
    """Every answer of the API has the hint, as set, and a cookie that a client should not send back; the log tells."""
    caller.sim.service.dop_hint = 12
    caller.http.cookies.clear()
    caller.get("contacts")
    answer = caller.get(by_key("HLF-9"))
    assert (answer.status_code, answer.headers["x-ms-dop-hint"]) == (404, "12")
    assert [each.cookie for each in caller.sim.log.entries()[-2:]] == [False, True]


# 20. Faults


def test_20_a_401_in_mid_run(caller: Caller) -> None:
    """The token is worth nothing from that request on; a new one is good."""
    caller.sim.faults.add("status", status=401, after=1)
    assert [caller.get("WhoAmI").status_code for _ in range(3)] == [200, 401, 401]
    caller.log_in()
    assert caller.get("WhoAmI").status_code == 200
    caller.sim.authority.revoke_tokens()
    assert caller.get("WhoAmI").status_code == 401
    caller.log_in()
    assert caller.get("WhoAmI").status_code == 200


@pytest.mark.parametrize("status", [403, 429, 500, 502, 503, 504])
def test_20_an_error_outside(caller: Caller, status: int) -> None:
    """A request is answered with an error as often as asked for, from the nth on, and nothing is done."""
    caller.faults(kind="status", on="row", status=status, after=1, count=2, retry_after=7)
    answers = [caller.row(f"HLF-{number}") for number in (1, 2, 3, 2)]
    assert [each.status_code for each in answers] == [204, status, status, 204]
    assert answers[1].headers["Retry-After"] == "7"
    assert caller.sim.state.listed() == {"HLF-3"}


@pytest.mark.parametrize("status", [403, 429, 503])
def test_20_an_error_inside(caller: Caller, status: int) -> None:
    """One part of a batch is answered with an error, by its mentor's key, under whichever name it is asked for."""
    caller.faults(kind="status", on="part", status=status, key="HLF-2")
    guid = caller.get(by_key("HLF-2")).json()["contactid"]
    parts = [part(by_key("HLF-1")), part(f"contacts({guid})"), part(by_key("HLF-3"))]
    answer = caller.batch(parts, go_on=True)
    assert (answer.status_code, statuses(answer)) == (200, [204, status, 204])
    assert (b"Retry-After: 30" in answer.content) is (status == 429)
    assert caller.sim.state.listed() == {"HLF-2"}


def test_20_an_error_of_the_authority(caller: Caller) -> None:
    """The authority fails on demand too, and only there."""
    caller.sim.faults.add("status", "token", status=503)
    assert caller.get("WhoAmI").status_code == 200
    assert [caller.token().status_code for _ in range(2)] == [503, 200]


@pytest.mark.parametrize(("kind", "left"), [("drop_before", {"HLF-1", "HLF-2", "HLF-3"}), ("drop_after", {"HLF-3"})])
def test_20_a_dropped_connection(caller: Caller, kind: Any, left: set[str]) -> None:
    """The connection ends without an answer, before anything was done or after all was committed."""
    fault = caller.sim.faults.add(kind, "batch")
    with pytest.raises(httpx.RemoteProtocolError):
        caller.batch([part(by_key("HLF-1")), part(by_key("HLF-2"))])
    assert caller.sim.state.listed() == left
    assert (fault.used, caller.sim.log.entries("batch")[0].status) == (1, 0)
    assert caller.get("WhoAmI").status_code == 200


def test_20_a_truncated_multipart(caller: Caller) -> None:
    """The answer is whole as HTTP, but its multipart body has no end; all was done."""
    caller.sim.faults.add("truncate")
    answer = caller.batch([part(by_key(f"HLF-{number}")) for number in (1, 2, 3)])
    assert answer.status_code == 200
    assert not answer.content.endswith(b"--\r\n")
    assert len(statuses(answer)) < 3
    assert caller.sim.state.listed() == set()


def test_20_an_answer_that_is_cut_off(caller: Caller) -> None:
    """The connection ends in the middle of an answer."""
    caller.sim.faults.add("cut", "list")
    with pytest.raises(httpx.RemoteProtocolError):
        caller.get("contacts")
    assert caller.get("contacts").status_code == 200


def test_20_a_stalled_page(caller: Caller) -> None:
    """Half of a page comes, and the rest when the test lets it: nothing waits by the clock."""
    fault = caller.sim.faults.add("stall", "list")
    with caller.http.stream("GET", caller.url("contacts")) as answer:
        chunks = answer.iter_raw()
        first = next(chunks)
        assert fault.reached.wait(10)
        assert 0 < len(first) < int(answer.headers["Content-Length"])
        fault.released.set()
        assert len(json.loads(first + b"".join(chunks))["value"]) == 3


def test_20_a_caller_that_gives_up_frees_the_simulator(caller: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    """A request that hangs ends when its caller goes away, and counts as under way no longer."""
    limits, left = caller.sim.limits, threading.Event()
    leave = limits.leave

    def leave_and_say_so(user: str) -> None:
        leave(user)
        left.set()

    monkeypatch.setattr(limits, "leave", leave_and_say_so)
    limits.concurrency_limit = 1
    fault = caller.sim.faults.add("stall", "list")
    with (
        httpx.Client(trust_env=False, headers=caller.http.headers) as other,
        other.stream("GET", caller.url("contacts")),
    ):
        assert fault.reached.wait(10)
        assert limits.under_way(CLIENT_ID) == 1
    assert left.wait(10)
    assert limits.under_way(CLIENT_ID) == 0
    assert caller.get("WhoAmI").status_code == 200


def test_20_a_request_that_hangs(caller: Caller) -> None:
    """Nothing is done and nothing answered until it is released; then the connection ends."""
    fault = caller.sim.faults.add("hang", "row")
    caught: list[Exception] = []

    def ask() -> None:
        try:
            caller.row("HLF-1")
        except httpx.TransportError as exc:
            caught.append(exc)

    thread = threading.Thread(target=ask)
    thread.start()
    assert fault.reached.wait(10)
    assert thread.is_alive()
    caller.http.delete(f"{caller.sim.url}/simulator/faults")
    thread.join(10)
    assert len(caught) == 1
    assert "HLF-1" in caller.sim.state.listed()


def test_20_missing_parts(caller: Caller) -> None:
    """Parts that have no answer were not attempted, though the outer status is 200."""
    caller.faults(kind="missing_parts", parts=1)
    answer = caller.batch([part(by_key("HLF-1")), part(by_key("HLF-2"))], go_on=True)
    assert (answer.status_code, statuses(answer)) == (200, [204])
    assert caller.sim.state.listed() == {"HLF-2", "HLF-3"}


def test_20_a_preference_that_is_ignored(caller: Caller) -> None:
    """A server may stop at the first error though it was asked to continue."""
    caller.faults(kind="stop_on_error")
    parts = [part(by_key("HLF-9"), **{"If-Match": "*"}), part(by_key("HLF-1"))]
    answer = caller.batch(parts, go_on=True)
    assert (answer.status_code, statuses(answer)) == (400, [404])


def test_20_answers_written_in_another_way(caller: Caller) -> None:
    """A quoted boundary and part headers in lower case are right too, on demand."""
    caller.faults(kind="quoted_boundary")
    caller.faults(kind="lower_case_headers")
    quoted, lower = (caller.batch([part(by_key("HLF-1"))]) for _ in range(2))
    assert re.search(r'boundary="batchresponse_', quoted.headers["Content-Type"])
    assert b"content-type: application/http\r\n" in lower.content


@pytest.mark.parametrize(
    "fault",
    [
        {},
        {"kind": "unheard_of"},
        {"kind": "status", "on": "nowhere"},
        {"kind": "status", "status": 200},
        {"kind": "status", "status": 599},
        {"kind": "status", "status": "503"},
        {"kind": "status", "unknown": 1},
        {"kind": "truncate", "on": "list"},
        {"kind": "relative_link", "on": "batch"},
        {"kind": "drop_after", "on": "part"},
        {"kind": None},
    ],
)
def test_20_faults_that_make_no_sense(caller: Caller, fault: dict[str, Any]) -> None:
    """What could never happen is refused when it is asked for."""
    assert caller.faults(**fault).status_code == 400
    assert caller.http.get(f"{caller.sim.url}/simulator/faults").json() == []


def test_20_only_programs_of_this_machine_ask_for_faults(caller: Caller) -> None:
    """A page in a browser, and a name that merely leads here, are refused."""
    url = f"{caller.sim.url}/simulator/faults"
    for headers in ({"Origin": "https://elsewhere.example.org"}, {"Host": "elsewhere.example.org"}):
        assert caller.http.post(url, json={"kind": "status"}, headers=headers).status_code == 403
    assert caller.http.get(f"{caller.sim.url}/simulator/nothing").status_code == 404


# 21. The public site


def test_21_the_public_site_lags(caller: Caller) -> None:
    """A change that was accepted shows on the site after the lag and not before; the page says how many wait."""
    caller.row("HLF-1")
    caller.clock.advance(60)
    caller.row("HLF-2")
    caller.row("HLF-3", {LISTED: True})
    assert caller.sim.state.listed() == {"HLF-3"}
    assert visible(caller) == ["HLF-1", "HLF-2", "HLF-3"]
    assert "2 accepted changes are not visible yet" in page(caller)
    caller.clock.advance(839.9)
    assert visible(caller) == ["HLF-1", "HLF-2", "HLF-3"]
    caller.clock.advance(0.1)
    assert visible(caller) == ["HLF-2", "HLF-3"]
    assert "One accepted change is not visible yet" in page(caller)
    caller.sim.state.lag = 0
    assert visible(caller) == ["HLF-3"]
    assert "Every accepted change is visible" in page(caller)
    caller.row("HLF-1", {LISTED: True})
    assert visible(caller) == ["HLF-1", "HLF-3"]


def page(caller: Caller) -> str:
    answer = caller.http.get(f"{caller.sim.url}/", headers=ANONYMOUS)
    assert answer.status_code == 200
    return answer.text


class _Items(HTMLParser):
    """Collects the words of list items, and every tag."""

    def __init__(self) -> None:
        super().__init__()
        self.items: list[str] = []
        self.tags: list[str] = []

    def handle_starttag(self, tag: str, _attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        if tag == "li":
            self.items.append("")

    def handle_data(self, data: str) -> None:
        if self.tags and self.tags[-1] == "li" and self.items:
            self.items[-1] += data.strip()


def visible(caller: Caller) -> list[str]:
    parser = _Items()
    parser.feed(page(caller))
    assert set(parser.items) == caller.sim.state.public_listed()
    return parser.items


def test_21_the_page_is_plain_and_escapes_what_it_shows(caller: Caller) -> None:
    """Names and keys are text on the page whatever they hold; it has a language, a heading, and no script."""
    caller.sim.state.add("HLF-<b>", firstname="<script>alert(1)</script>", lastname="& Søn")
    text = page(caller)
    parser = _Items()
    parser.feed(text)
    assert "HLF-<b>, <script>alert(1)</script> & Søn" in parser.items
    assert {"script", "b"}.isdisjoint(parser.tags)
    assert {"main", "h1", "ul"} <= set(parser.tags)
    assert '<html lang="en">' in text
    assert 'name="viewport" content="width=device-width' in text
    assert "color-scheme: light dark" in text
    assert caller.http.post(f"{caller.sim.url}/").status_code == 404


def test_21_a_long_page_is_shortened_and_an_empty_one_says_so(caller: Caller) -> None:
    """The page shows a thousand entries and how many more there are; with none it says that nobody is listed."""
    for number in range(1000):
        caller.sim.state.add(f"NHF-{number:04}")
    text = page(caller)
    assert text.count("<li>") == 1001
    assert "and 3 more" in text
    caller.sim.state.lag = 0
    for key in caller.sim.state.listed():
        caller.row(str(key))
    assert "Nobody is listed." in page(caller)


def test_21_the_state_tells_accepted_from_visible(caller: Caller) -> None:
    """The simulator's own address gives both as numbers and keys."""
    caller.row("HLF-1")
    told = caller.http.get(f"{caller.sim.url}/simulator/state?keys=1").json()
    assert (told["listed"], told["visible"], told["waiting"]) == (2, 3, 1)
    assert (told["keys_listed"], told["keys_visible"]) == (["HLF-2", "HLF-3"], ["HLF-1", "HLF-2", "HLF-3"])


def test_21_rows_and_what_waits_outlive_the_simulator(tmp_path: Path) -> None:
    """With a file, rows, ETags and changes not visible yet are there again after a restart; a broken file is named."""
    file = tmp_path / "portal.json"
    settings = Settings(state_file=file)
    with running(settings) as caller:
        caller.row("HLF-1")
        etag = caller.get(by_key("HLF-2")).headers["ETag"]
        assert [each.name for each in tmp_path.iterdir()] == ["portal.json"]
    with running(settings) as caller:
        assert caller.sim.state.listed() == {"HLF-2", "HLF-3"}
        assert visible(caller) == ["HLF-1", "HLF-2", "HLF-3"]
        assert caller.get(by_key("HLF-2")).headers["ETag"] == etag
        caller.row("HLF-2")
        assert caller.get(by_key("HLF-2")).headers["ETag"] != etag
    with pytest.raises(ConfigurationError, match="contacts"), simulator(replace(settings, table=Table("new_mentors"))):
        pass
    with pytest.raises(ConfigurationError, match="written"), simulator(Settings(state_file=tmp_path / "no" / "where")):
        pass
    file.write_text("{}")
    with pytest.raises(ConfigurationError, match="state file"), simulator(settings):
        pass


# 22. Other people's clients


@pytest.fixture(scope="module")
def encrypted() -> Iterator[Caller]:
    """Give the tests a simulator under TLS."""
    with running(Settings(tls=True)) as found:
        yield found


def test_22_microsofts_own_library_gets_a_token_over_tls(encrypted: Caller, tmp_path: Path) -> None:
    """azure-identity, pointed at the simulator and trusting its authority, gets a token that opens the API."""
    sim = encrypted.sim
    assert sim.ca_pem is not None
    trusted = tmp_path / "ca.pem"
    trusted.write_bytes(sim.ca_pem)

    def credential(secret: str) -> ClientSecretCredential:
        return ClientSecretCredential(
            TENANT,
            CLIENT_ID,
            secret,
            authority=sim.authority_url,
            disable_instance_discovery=True,
            connection_verify=str(trusted),
        )

    with credential(SECRET) as good:
        token = good.get_token(f"{sim.url}/.default").token
    assert encrypted.get("WhoAmI", Authorization=f"Bearer {token}").status_code == 200
    with credential("wrong") as bad, pytest.raises(ClientAuthenticationError, match="AADSTS7000215"):
        bad.get_token(f"{sim.url}/.default")


def test_22_a_plain_client_over_tls(encrypted: Caller) -> None:
    """The standard library's client reads and writes, and refuses the simulator where it does not trust it."""
    context = trust(encrypted.sim)
    assert isinstance(context, ssl.SSLContext)
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context))
    request = urllib.request.Request(  # noqa: S310 - the simulator's own address
        encrypted.url(by_key("HLF-1")),
        data=json.dumps({LISTED: False}).encode(),
        method="PATCH",
        headers={
            "Authorization": encrypted.http.headers["Authorization"],
            "Content-Type": "application/json",
            "If-Match": "*",
        },
    )
    with opener.open(request) as answer:
        assert answer.status == 204
    assert "HLF-1" not in encrypted.sim.state.listed()
    with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
        httpx.get(encrypted.url("WhoAmI"), trust_env=False)


def test_22_the_description_of_the_service(encrypted: Caller) -> None:
    """What generic OData and Dataverse clients ask first is answered: the set's definition and the service document."""
    found = encrypted.get("EntityDefinitions?$select=EntitySetName&$filter=LogicalName eq 'contact'").json()["value"]
    assert [each["EntitySetName"] for each in found] == ["contacts"]
    assert encrypted.get("EntityDefinitions(LogicalName='contact')").json()["PrimaryIdAttribute"] == "contactid"
    assert encrypted.get("EntityDefinitions(LogicalName='account')").status_code == 404
    columns = encrypted.get("EntityDefinitions(LogicalName='contact')/Attributes").json()["value"]
    assert {"LogicalName": LISTED, "AttributeType": "Boolean"} in columns
    assert encrypted.get("").json()["value"] == [{"name": "contacts", "kind": "EntitySet", "url": "contacts"}]
    metadata = encrypted.get("$metadata")
    assert metadata.headers["Content-Type"] == "application/xml"
    assert '<Property Name="new_listed" Type="Edm.Boolean"' in metadata.text


# The server and the command


def test_connections_are_kept(caller: Caller) -> None:
    """One connection serves many requests, of every kind of answer."""
    with httpx.Client(trust_env=False, headers=caller.http.headers) as client:
        used = {
            client.request(method, caller.url(path), json=body)
            .extensions["network_stream"]
            .get_extra_info("client_addr")
            for _ in range(3)
            for method, path, body in (
                ("GET", "WhoAmI", None),
                ("PATCH", by_key("HLF-1"), {LISTED: False}),
                ("PATCH", by_key("HLF-9"), {"nothing": 1}),
                ("GET", "contacts", None),
            )
        }
    assert len(used) == 1


def test_many_at_once(caller: Caller) -> None:
    """Batches on many connections at the same time lose no change and count right."""
    for number in range(800):
        caller.sim.state.add(f"NHF-{number}")
    caller.sim.limits.concurrency_limit = 8

    def work(first: int) -> None:
        with httpx.Client(trust_env=False, headers=caller.http.headers) as http:
            mine = replace(caller, http=http)
            for start in range(first, 800, 80):
                parts = [part(by_key(f"NHF-{start + place}"), **{"If-Match": "*"}) for place in range(10)]
                assert statuses(mine.batch(parts)) == [204] * 10

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(0, 80, 10)))
    assert caller.sim.state.listed() == {"HLF-1", "HLF-2", "HLF-3"}
    assert (caller.sim.log.parts, caller.sim.state.public().waiting) == (800, 800)
    for _ in range(500):  # the last answer is sent a moment before its request is no longer under way
        if not caller.sim.limits.under_way(CLIENT_ID):
            break
        caller.http.get(f"{caller.sim.url}/simulator/state").raise_for_status()
    assert caller.sim.limits.under_way(CLIENT_ID) == 0


def test_a_body_that_is_announced(caller: Caller) -> None:
    """A caller that asks whether to go on is told so, once."""
    head = f"PATCH /api/data/v9.2/{by_key('HLF-1')} HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\n"
    token = caller.http.headers["Authorization"]
    rest = f"Authorization: {token}\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n"
    port = int(caller.sim.url.rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port), 10) as connection, connection.makefile("rb") as answer:
        connection.sendall((head + rest).encode())
        assert [answer.readline(), answer.readline()] == [b"HTTP/1.1 100 Continue\r\n", b"\r\n"]
        connection.sendall(b"{}")
        assert answer.readline() == b"HTTP/1.1 204 No Content\r\n"


def test_a_caller_that_never_shakes_hands(tmp_path: Path) -> None:
    """Under TLS a connection on which nothing is said keeps nobody else waiting, and not the end either."""
    with running(Settings(tls=True, state_file=tmp_path / "portal.json")) as caller:
        port = int(caller.sim.url.rpartition(":")[2])
        with socket.create_connection(("127.0.0.1", port), 10):
            assert caller.get("WhoAmI").status_code == 200


def test_a_body_in_chunks(caller: Caller) -> None:
    """A request whose length is not known beforehand is read to its end."""
    answer = caller.http.patch(
        caller.url(by_key("HLF-1")),
        content=iter([b'{"new_listed"', b":false}"]),
        headers={"Content-Type": "application/json"},
    )
    assert answer.status_code == 204
    assert "HLF-1" not in caller.sim.state.listed()


def test_other_names_of_table_and_columns() -> None:
    """Table, columns and version are settings; names that cannot be are refused."""
    table = Table("hlf_mentors", "hlf_mentor", "hlf_ref", "hlf_public", ())
    with running(Settings(table=table, api_version="v9.1")) as caller:
        assert caller.sim.api_url.endswith("/api/data/v9.1/")
        answer = caller.patch("hlf_mentors(hlf_ref='HLF-1')", {"hlf_public": False}, **{"If-Match": "*"})
        assert answer.status_code == 204
        assert set(caller.get("hlf_mentors(hlf_ref='HLF-1')").json()) >= {"hlf_mentorid", "hlf_ref", "hlf_public"}
    with pytest.raises(ConfigurationError), simulator(Settings(table=Table(key_column="same", listed_column="same"))):
        pass


def test_a_port_that_is_taken(caller: Caller) -> None:
    """A port that cannot be had is named."""
    port = int(caller.sim.url.rpartition(":")[2])
    with pytest.raises(Unavailable, match=str(port)), simulator(Settings(port=port)):
        pass


def test_nothing_of_a_secret_is_shown(caller: Caller) -> None:
    """No secret and no token stands in what the simulator shows of itself."""
    shown = "".join(caller.http.get(f"{caller.sim.url}/simulator/{name}").text for name in ("state", "log", "faults"))
    shown += repr(caller.sim.settings) + repr(caller.sim.log.entries())
    assert SECRET not in shown
    assert caller.http.headers["Authorization"].partition(" ")[2] not in shown


def test_the_command(tmp_path: Path, certjobs_unset: Certjobs) -> None:
    """It prints settings that work, keeps the secret in a file of its owner's alone, and ends well at Ctrl-C."""
    roster = tmp_path / "roster.csv"
    roster.write_text(certjobs_unset("roster", "sample").stdout, encoding="utf-8")
    with subprocess.Popen(
        [sys.executable, "-m", "certjobs", "simulator", "--tls", "--roster", str(roster)],
        env=os.environ | {"CERTJOBS_LOCAL_DIR": str(tmp_path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        lines: list[str] = []
        while not lines or not lines[-1].startswith("Ctrl-C"):
            lines.append(process.stdout.readline())
            assert lines[-1], process.stderr and process.stderr.read()
        printed = "".join(lines)
        exported = dict(re.findall(r"export CERTJOBS_(\w+)=(\S+)", printed))
        secret_file = tmp_path / "simulator" / "client-secret"
        assert exported["DATAVERSE_CLIENT_SECRET_FILE"] == str(secret_file)
        assert stat.S_IMODE(secret_file.stat().st_mode) == 0o600
        secret = secret_file.read_text().strip()
        assert secret not in printed
        context = ssl.create_default_context(cafile=exported["DATAVERSE_CA_FILE"])
        with httpx.Client(trust_env=False, verify=context) as http:
            url = exported["DATAVERSE_URL"]
            state = http.get(f"{url}/simulator/state").json()
            token = http.post(
                f"{exported['DATAVERSE_AUTHORITY']}/{exported['DATAVERSE_TENANT']}/oauth2/v2.0/token",
                data={
                    "client_id": exported["DATAVERSE_CLIENT_ID"],
                    "client_secret": secret,
                    "grant_type": "client_credentials",
                    "scope": f"{url}/.default",
                },
            )
        assert (state["rows"], state["visible"]) == (400, 400)
        assert token.status_code == 200
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
        assert (process.returncode, errors) == (0, "")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_command_ends_at_a_signal_of_any_moment(tmp_path: Path, number: signal.Signals) -> None:
    """A signal that comes while it introduces itself, before it waits for one, ends it in order: rows are saved."""
    state = tmp_path / "state.json"
    with subprocess.Popen(
        [sys.executable, "-m", "certjobs", "simulator", "--state", str(state)],
        env=os.environ | {"CERTJOBS_LOCAL_DIR": str(tmp_path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.send_signal(number)
        output, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (0, "")
    assert output.endswith("The simulator has ended.\n")
    assert state.exists()


def test_the_command_without_its_extra(certjobs_unset: Certjobs, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the extra is missing, the command says how to install it."""
    monkeypatch.delitem(sys.modules, "certjobs.local.simulator.server")
    monkeypatch.delattr("certjobs.local.simulator.server")
    monkeypatch.setitem(sys.modules, "werkzeug.serving", None)
    result = certjobs_unset("simulator")
    assert result.exit_code == 78
    assert "certjobs[local]" in result.stderr


def test_the_command_reads_rosters_and_plain_lists(tmp_path: Path) -> None:
    """The keys are those of a roster file, however it is separated, or one a line; each counts once."""
    file = tmp_path / "keys"
    for text in ("HLF-1\n\nHLF-2\nHLF-1\n", "name;mentor_ref\nKari;HLF-1\nOla;HLF-2\nKari;HLF-1\nNils\n"):
        file.write_text(text)
        assert command._keys(file) == ["HLF-1", "HLF-2"]


def test_the_command_with_a_file_that_is_not_there(certjobs_unset: Certjobs) -> None:
    """A roster file that cannot be read is a matter of usage."""
    result = certjobs_unset("simulator", "--roster", "nowhere.csv")
    assert result.exit_code == 2
    assert "--roster" in result.stderr
