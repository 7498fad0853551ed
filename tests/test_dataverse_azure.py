"""Tokens by Microsoft's library, from a real service under TLS: what is sent, kept, and said when it goes wrong."""

from __future__ import annotations

import logging
import ssl
import sys
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
import stamina
import trustme

from certjobs import logs
from certjobs.adapters.dataverse.azure import AzureTokens
from certjobs.errors import CertjobsError, ConfigurationError, CredentialsRejected, Unavailable
from tests.canaries import canary, store, stored
from tests.children.scripted import TOKEN, Reply, Request, Scripted, answer, granted, refusal, scripted

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytest.importorskip("azure.identity")

TENANT, APP = "11111111-2222-3333-4444-555555555555", "66666666-7777-8888-9999-000000000000"
ASSERTION = canary("assertion", "federated.token")


class Clock:
    moment = datetime(2026, 11, 22, 2, 0, tzinfo=UTC)

    def now(self) -> datetime:
        return self.moment


class Setting:
    """A service under TLS, the files of both kinds of credential, and who trusts it."""

    def __init__(self, directory: Path) -> None:
        authority = trustme.CA()
        self.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("127.0.0.1").configure_cert(self.tls)
        self.ca_file = str(directory / "ca.pem")
        authority.cert_pem.write_to_path(self.ca_file)
        self.certificate = directory / "certificate.pem"
        issued = authority.issue_cert("certjobs.example.org", key_type=trustme.KeyType.RSA)
        issued.private_key_and_cert_chain_pem.write_to_path(str(stored(self.certificate)))
        self.token_file = directory / "token"
        store(self.token_file, f"{ASSERTION}-1\n")

    def tokens(self, service: Scripted, *, federated: bool, **kwargs: Any) -> AzureTokens:
        file = {"federated_token_file": self.token_file} if federated else {"certificate_file": self.certificate}
        named = {"authority": service.url, "tenant": TENANT, "client_id": APP, "timeout": 5, "clock": Clock()}
        return AzureTokens(**{**named, **file, "resource": service.url, "ca_file": self.ca_file, **kwargs})


@pytest.fixture
def setting(tmp_path: Path) -> Setting:
    return Setting(tmp_path)


@pytest.fixture(autouse=True)
def _quiet(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[None]:
    """Keep proxies out; rest nowhere; and whatever happens, no secret and no words of the service are shown."""
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    logs.configure(level="debug", json=True)
    with stamina.set_testing(True, attempts=100, cap=True):
        yield
    printed = capsys.readouterr()
    for secret in (ASSERTION, TOKEN, "words of another", "PRIVATE"):
        assert secret not in printed.out + printed.err


def discovery(request: Request) -> Reply:
    """Answer where tokens are given, as the library wants to know first."""
    url = f"https://{request.headers['host']}/{TENANT}"
    named = {"issuer": f"{url}/v2.0", "authorization_endpoint": f"{url}/oauth2/v2.0/authorize"}
    return answer(200, {**named, "token_endpoint": f"{url}/oauth2/v2.0/token"})


def shown(exc: BaseException) -> str:
    assert exc.__suppress_context__ or exc.__context__ is None
    return f"{exc!r} {exc} {getattr(exc, 'hint', '')}"


@pytest.mark.parametrize("federated", [False, True])
def test_a_token_without_a_secret(setting: Setting, federated: bool) -> None:
    """A signed statement is sent instead of a secret, the token kept while it is good, and then asked for afresh."""
    clock = Clock()
    with scripted(discovery, tls=setting.tls) as service:
        provider = setting.tokens(service, federated=federated, clock=clock)
        assert [provider.token(), provider.token()] == [f"{TOKEN}-1"] * 2
        assert provider.renew(f"{TOKEN}-1") == f"{TOKEN}-2"
        assert provider.renew(f"{TOKEN}-1") == f"{TOKEN}-2"
        clock.moment += timedelta(minutes=56)
        store(setting.token_file, f"{ASSERTION}-2")
        assert provider.token() == f"{TOKEN}-3"
    forms = [request.form for request in service.token_requests]
    for form in forms:
        assert "client_secret" not in form
        assert form["client_id"] == [APP]
        assert form["grant_type"] == ["client_credentials"]
        assert form["scope"] == [f"{service.url}/.default"]
        assert form["client_assertion_type"] == ["urn:ietf:params:oauth:client-assertion-type:jwt-bearer"]
    if federated:
        sent = [form["client_assertion"] for form in forms]
        assert sent == [[f"{ASSERTION}-1"], [f"{ASSERTION}-1"], [f"{ASSERTION}-2"]]


@pytest.mark.parametrize("federated", [False, True])
@pytest.mark.parametrize(
    ("reply", "says"),
    [
        (refusal(401, "invalid_client", 700027), "AADSTS700027"),
        (refusal(400, "unauthorized_client", 700016), f"{APP} in the tenant {TENANT}"),
        (refusal(400, "invalid_scope", 70011), "does not know the portal"),
    ],
)
def test_a_credential_that_is_not_accepted(setting: Setting, federated: bool, reply: Reply, says: str) -> None:
    """It is told in the same words as with a secret, names the kind of credential, and is asked for once."""
    with (
        scripted(discovery, grant=lambda _request, _number: reply, tls=setting.tls) as service,
        pytest.raises(CredentialsRejected, match=says) as caught,
    ):
        setting.tokens(service, federated=federated).token()
    assert "words of another" not in shown(caught.value)
    if reply.status == 401:
        assert ("federated credential" if federated else "certificate") in caught.value.message
    assert len(service.token_requests) == 1


@pytest.mark.parametrize("federated", [False, True])
def test_what_may_work_later(setting: Setting, federated: bool, caplog: pytest.LogCaptureFixture) -> None:
    """Where Entra ID fails for now it is asked four times; where it cannot be reached or believed, that is said."""
    caplog.set_level(logging.WARNING)
    replies = [Reply(503), Reply(500), granted(Request("", "", {}, b""), 9), *[Reply(503)] * 4]
    with scripted(discovery, grant=lambda _request, _number: replies.pop(0), tls=setting.tls) as service:
        provider = setting.tokens(service, federated=federated)
        assert provider.token() == f"{TOKEN}-9"
        with pytest.raises(Unavailable, match="503") as caught:
            provider.renew(f"{TOKEN}-9")
        shown(caught.value)
        other = setting.tokens(service, federated=federated, ca_file=None)
        with pytest.raises(Unavailable, match="reached"):
            other.token()
    with pytest.raises(Unavailable, match="reached") as caught:
        provider.renew(f"{TOKEN}-9")
    assert "127.0.0.1" not in shown(caught.value)
    for secret in (ASSERTION, TOKEN, "words of another"):
        assert secret not in caplog.text


@pytest.mark.parametrize("content", [None, b"", b"\xff geheim", b"-----BEGIN CERTIFICATE-----\ngeheim\n"])
def test_a_file_that_cannot_be_used(setting: Setting, content: bytes | None) -> None:
    """A file that is missing or is none is a matter of configuration, and neither its path nor its content is told."""
    for file in (setting.certificate, setting.token_file):
        if content is None:
            file.unlink()
        else:
            stored(file).write_bytes(content)
    with scripted(discovery, tls=setting.tls) as service:
        for federated in (False, True):
            if federated and content in (b"", b"-----BEGIN CERTIFICATE-----\ngeheim\n"):
                continue  # a federated token is opaque to us
            with pytest.raises(ConfigurationError, match="file") as caught:
                setting.tokens(service, federated=federated).token()
            assert "geheim" not in shown(caught.value)
            assert str(setting.certificate.parent) not in shown(caught.value)
    assert service.token_requests == []


def test_what_is_not_configured(setting: Setting, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both files or none, an authority without TLS, and a missing extra are each said before anything is sent."""
    service = Scripted(url="https://127.0.0.1:1")
    for wrong in (
        {"federated": True, "certificate_file": setting.certificate},
        {"federated": True, "federated_token_file": None},
        {"federated": True, "authority": "http://127.0.0.1"},
    ):
        with pytest.raises(ConfigurationError):
            setting.tokens(service, **wrong)
    monkeypatch.setitem(sys.modules, "azure.identity", None)
    with pytest.raises(ConfigurationError, match="extra azure") as caught:
        setting.tokens(service, federated=True)
    assert isinstance(caught.value, CertjobsError)
    assert "certjobs[azure]" in str(caught.value.hint)
