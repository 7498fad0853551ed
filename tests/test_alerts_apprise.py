"""Alerts through Apprise: what arrives, what does not, and that no address of a service is ever repeated."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import pytest

from certjobs.adapters import apprise_alerts
from certjobs.domain.outcome import Outcome
from certjobs.errors import ExitCode
from tests.children.helpers import NIGHT, last_run, load, log_lines, register
from tests.children.scripted import Reply, scripted
from tests.children.servers import SECRET_PATH, Webhook, unused_port, webhook
from tests.roster import Mentor

if TYPE_CHECKING:
    from tests.conftest import Certjobs, Result, TestDatabase

# Its modules import one that Python 3.13 no longer has, and do without it there.
pytestmark = pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")
pytest.importorskip("apprise")


def services(*ports: int) -> dict[str, str]:
    """The setting that names services on this machine which take JSON."""
    return {"CERTJOBS_ALERT_APPRISE_URL": " ".join(f"json://127.0.0.1:{port}{SECRET_PATH}" for port in ports)}


def ends(certjobs: Certjobs, database: TestDatabase, env: dict[str, str], *codes: ExitCode) -> list[Result]:
    """Let a job end so, run after run."""
    left = list(codes)

    def job(_ctx: Any) -> Outcome:
        return Outcome(left.pop(0), {}, "It did not work.", "Look at it.")

    with pytest.MonkeyPatch.context() as patch:
        register(patch, job, name="test-job")
        results = [certjobs("run", "test-job", url=database.job_url, env=env) for _ in codes]
    assert [result.exit_code for result in results] == list(codes)
    assert not any(SECRET_PATH in result.stdout + result.stderr for result in results)
    return results


def told(hook: Webhook) -> list[tuple[str, str, str]]:
    return [(each["type"], each["title"], each["message"]) for each in hook.posted]


def test_a_service_is_told_once_and_when_it_is_over(certjobs: Certjobs, database: TestDatabase) -> None:
    """A failure, a refused set and the end of it reach the service as what they are, as often as a webhook."""
    with webhook() as hook:
        codes = [ExitCode.PARTIAL, ExitCode.PARTIAL, ExitCode.GUARD, ExitCode.OK]
        ends(certjobs, database, services(hook.server_port), *codes)
        assert told(hook) == [
            ("failure", "certjobs test-job partial (exit 3)", "It did not work. Look at it."),
            ("warning", "certjobs test-job failed (exit 4)", "It did not work. Look at it."),
            ("success", "certjobs test-job succeeded (exit 0)", "test-job succeeds again."),
        ]


def test_with_the_database_down(certjobs: Certjobs) -> None:
    """Where the database is down the service is told of it."""
    with webhook() as hook:
        url = f"postgresql://jobs@127.0.0.1:{unused_port()}/certjobs"
        assert certjobs("expiry-check", url=url, env=services(hook.server_port)).exit_code == 69
        assert [title for _, title, _ in told(hook)] == ["certjobs expiry-check failed (exit 69)"]


def test_one_way_that_fails_stops_no_other(certjobs: Certjobs, database: TestDatabase) -> None:
    """A service that is not there keeps neither webhook nor another service untold; the next run tells all again."""
    with webhook() as first, webhook() as second:
        env = first.env | services(unused_port(), second.server_port)
        results = ends(certjobs, database, env, ExitCode.PARTIAL, ExitCode.PARTIAL)
        assert (len(first.posted), len(second.posted)) == (2, 2)
    assert all("alert.not_sent" in {line["event"] for line in log_lines(each)} for each in results)
    assert last_run(database).status == "partial"


@pytest.mark.parametrize("reply", [Reply(500), Reply(misbehaves="drop"), Reply(misbehaves="hang")])
def test_a_service_that_fails_changes_nothing(
    certjobs: Certjobs, database: TestDatabase, monkeypatch: pytest.MonkeyPatch, reply: Reply
) -> None:
    """However badly a service behaves, the run ends soon and as it would have, and says that the alert was not sent."""
    monkeypatch.setattr(apprise_alerts, "SECONDS", 0.5)
    with scripted(lambda _request: reply) as service:
        (result,) = ends(certjobs, database, services(int(service.url.rpartition(":")[2])), ExitCode.PARTIAL)
        assert len(service.requests) == 1
    assert "alert.not_sent" in {line["event"] for line in log_lines(result)}


def test_an_address_that_is_none(certjobs: Certjobs, database: TestDatabase) -> None:
    """An address that Apprise does not know ends the run with 78 before it works; the webhook tells without it."""
    load(certjobs, Mentor("A", -1))
    with webhook() as hook:
        env = hook.env | {"CERTJOBS_ALERT_APPRISE_URL": f"pigeon://loft{SECRET_PATH}"}
        result = certjobs(*NIGHT, "--json", url=database.job_url, env=env)
        assert [each["exit_code"] for each in hook.posted] == [78]
        assert SECRET_PATH not in str(hook.raw)
    assert result.exit_code == 78
    assert "CERTJOBS_ALERT_APPRISE_URL" in result.json()["message"]
    assert SECRET_PATH not in result.stdout + result.stderr
    assert database.one("SELECT status FROM peer_mentors") == "active"


def test_without_the_extra(certjobs: Certjobs, database: TestDatabase, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the extra is not installed the run ends with 78 and names it, and without the setting nothing needs it."""
    monkeypatch.setitem(sys.modules, "apprise", None)
    result = certjobs(*NIGHT, "--json", url=database.job_url, env=services(9))
    assert result.exit_code == 78
    assert "extra alerts" in result.json()["message"]
    assert "certjobs[alerts]" in result.json()["hint"]
    assert certjobs(*NIGHT, url=database.job_url).exit_code == 0
