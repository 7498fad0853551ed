"""Alerts: of each class of trouble people hear when it begins and when it is over, whatever happens in between."""

from __future__ import annotations

import signal
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from certjobs.domain.coverage import NIGHTLY
from certjobs.domain.outcome import Outcome
from certjobs.errors import ExitCode
from tests.canaries import canary
from tests.children.helpers import dump, last_run, load, register
from tests.children.scripted import Reply, scripted
from tests.children.servers import Webhook, unused_port, webhook
from tests.portal import Portal, running
from tests.roster import Mentor
from tests.test_nightly import nightly
from tests.test_outbox import AS_OF, WHY, do
from tests.test_status import acknowledge, ran
from tests.test_sync import sync

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from certjobs.jobs.context import JobContext
    from tests.conftest import Certjobs, Result, TestDatabase


@pytest.fixture
def portal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Portal]:
    """Run a portal on a clock that only rests move."""
    with running(tmp_path, monkeypatch) as found:
        yield found


def told(hook: Webhook) -> list[tuple[str, str, int]]:
    """Return kind, job and exit code of each alert."""
    return [(each["kind"], each["job"], each["exit_code"]) for each in hook.posted]


def still_open(database: TestDatabase) -> list[str]:
    """Return the classes of which people were told, and not yet of the end."""
    return [name for (name,) in database.all("SELECT class FROM alerts WHERE cleared_at IS NULL ORDER BY class")]


class Job:
    """A job that ends as told, run after run."""

    def __init__(
        self, certjobs: Certjobs, database: TestDatabase, patch: pytest.MonkeyPatch, name: str = "test"
    ) -> None:
        self._certjobs, self._database, self._name = certjobs, database, name
        self._code = ExitCode.OK
        register(patch, self._run, name=name)

    def _run(self, _ctx: JobContext[Any]) -> Outcome:
        if self._code is ExitCode.TERMINATED:
            signal.raise_signal(signal.SIGTERM)
        return Outcome(self._code, {}, None if self._code is ExitCode.OK else "It did not work.", "Look at it.")

    def ends(self, *codes: ExitCode, hook: Webhook) -> str:
        """Run it as often, and return the last log."""
        log = ""
        for code in codes:
            self._code = code
            result = self._certjobs("run", self._name, url=self._database.job_url, env=hook.env)
            assert result.exit_code == code, result
            assert last_run(self._database).exit_code == code
            log = result.stderr
        return log


@pytest.fixture
def job(certjobs: Certjobs, database: TestDatabase, monkeypatch: pytest.MonkeyPatch) -> Job:
    """Give the test a job called test."""
    return Job(certjobs, database, monkeypatch)


def test_a_failure_is_told_once_and_once_when_it_is_over(job: Job, database: TestDatabase) -> None:
    """A job that fails night after night in one way is told of when it begins and when it succeeds, and then anew."""
    with webhook() as hook:
        job.ends(*[ExitCode.PARTIAL] * 3, hook=hook)
        assert told(hook) == [("failure", "test", 3)]
        assert (hook.posted[0]["message"], hook.posted[0]["hint"]) == ("It did not work.", "Look at it.")
        assert still_open(database) == ["test: exit 3"]
        job.ends(ExitCode.OK, ExitCode.OK, hook=hook)
        assert told(hook)[1:] == [("recovery", "test", 0)]
        assert "test succeeds again." in hook.posted[1]["text"]
        assert still_open(database) == []
        job.ends(ExitCode.PARTIAL, hook=hook)
        assert told(hook)[2:] == [("failure", "test", 3)]


def test_another_way_to_fail_is_news(job: Job, database: TestDatabase) -> None:
    """A job that fails in another way is told of each time it changes, and that it succeeds again is told once."""
    with webhook() as hook:
        job.ends(ExitCode.UNAVAILABLE, ExitCode.PARTIAL, ExitCode.PARTIAL, ExitCode.UNAVAILABLE, hook=hook)
        assert told(hook) == [("failure", "test", 69), ("failure", "test", 3), ("failure", "test", 69)]
        assert still_open(database) == ["test: exit 69"]
        job.ends(ExitCode.OK, hook=hook)
        assert told(hook)[3:] == [("recovery", "test", 0)]


@pytest.mark.parametrize(("code", "kind"), [(ExitCode.GUARD, "guard"), (ExitCode.CREDENTIALS, "failure")])
def test_what_waits_for_a_person_is_told_every_night(job: Job, code: ExitCode, kind: str) -> None:
    """A refused set and rejected credentials are told of by every run until they are no more, and that is told once."""
    with webhook() as hook:
        job.ends(code, code, code, ExitCode.OK, ExitCode.OK, hook=hook)
        assert told(hook) == [(kind, "test", int(code))] * 3 + [("recovery", "test", 0)]


def test_a_run_that_is_cut_short_says_nothing_of_its_job(job: Job) -> None:
    """A terminated run between two that fail is neither told of nor an end of the trouble."""
    with webhook() as hook:
        job.ends(ExitCode.PARTIAL, ExitCode.TERMINATED, ExitCode.PARTIAL, hook=hook)
        assert told(hook) == [("failure", "test", 3)]


def test_each_job_is_told_of_by_itself(
    job: Job, certjobs: Certjobs, database: TestDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One job's failure neither hides that of another in the same way, nor is it over when the other succeeds."""
    other = Job(certjobs, database, monkeypatch, "other")
    with webhook() as hook:
        job.ends(ExitCode.PARTIAL, hook=hook)
        other.ends(ExitCode.PARTIAL, ExitCode.OK, hook=hook)
        assert told(hook) == [("failure", "test", 3), ("failure", "other", 3), ("recovery", "other", 0)]
        assert still_open(database) == ["test: exit 3"]


def test_what_was_not_taken_is_told_by_the_next_run(job: Job, database: TestDatabase) -> None:
    """An alert, or the news that it is over, that the webhook does not take is sent by the next run, once."""
    with webhook("fails") as hook:
        job.ends(ExitCode.PARTIAL, hook=hook)
        assert still_open(database) == []
    with webhook() as hook:
        job.ends(ExitCode.PARTIAL, ExitCode.PARTIAL, hook=hook)
        assert told(hook) == [("failure", "test", 3)]
    with webhook("fails") as hook:
        job.ends(ExitCode.OK, hook=hook)
        assert still_open(database) == ["test: exit 3"]
    with webhook() as hook:
        job.ends(ExitCode.OK, ExitCode.OK, hook=hook)
        assert told(hook) == [("recovery", "test", 0)]


def test_with_the_database_down_every_failure_is_told(certjobs: Certjobs) -> None:
    """Where nobody can know what people were told, each run's failure is told: rather twice than not at all."""
    url = f"postgresql://jobs@127.0.0.1:{unused_port()}/certjobs"
    with webhook() as hook:
        for _ in range(2):
            assert certjobs("expiry-check", url=url, env=hook.env).exit_code == 69
        assert told(hook) == [("failure", "expiry-check", 69)] * 2


def test_what_people_were_told_cannot_be_looked_up(job: Job, database: TestDatabase) -> None:
    """Where the database will not say what people were told, they hear of the failure, and the run ends as it did."""
    database.execute("REVOKE ALL ON alerts FROM certjobs_job")
    with webhook() as hook:
        log = job.ends(ExitCode.PARTIAL, ExitCode.PARTIAL, hook=hook)
        assert told(hook) == [("failure", "test", 3)] * 2
        assert "alert.not_remembered" in log
        job.ends(ExitCode.OK, hook=hook)
        assert len(hook.posted) == 2


def test_what_people_were_told_cannot_be_recorded(job: Job, database: TestDatabase) -> None:
    """Where the database will not record what people were told, the run ends as it did and the next one tells again."""
    database.execute("REVOKE INSERT, UPDATE ON alerts FROM certjobs_job")
    database.execute("REVOKE INSERT (class, number, last_sent_at) ON alerts FROM certjobs_job")
    with webhook() as hook:
        log = job.ends(ExitCode.PARTIAL, ExitCode.PARTIAL, hook=hook)
        assert told(hook) == [("failure", "test", 3)] * 2
        assert "alert.not_recorded" in log


def test_without_a_webhook_nothing_counts_as_told(certjobs: Certjobs, database: TestDatabase) -> None:
    """What fails while no webhook is set is not remembered: the first run that can tell people does."""
    assert certjobs("expiry-check", "--org", "XYZ", url=database.job_url).exit_code == 2
    assert database.all("SELECT * FROM alerts") == []
    with webhook() as hook:
        certjobs("expiry-check", "--org", "XYZ", url=database.job_url, env=hook.env)
        assert told(hook) == [("failure", "expiry-check", 2)]


def test_a_run_found_dead_is_told_once(job: Job, database: TestDatabase) -> None:
    """The run that finds an earlier one dead tells people, though it ends well itself; the next has nothing to tell."""
    database.execute(
        "INSERT INTO scheduler_run_log (run_id, job_name, trigger, host, version, actor, status, backend_pid,"
        " backend_start) VALUES (gen_random_uuid(), 'test', 'schedule', 'h', '0', 'a', 'running', 1, now())"
    )
    with webhook() as hook:
        job.ends(ExitCode.OK, ExitCode.OK, hook=hook)
        assert told(hook) == [("abandoned", "test", 0)]
        assert "1 earlier run found dead" in hook.posted[0]["message"]
    assert database.all("SELECT * FROM alerts") == []


def test_dead_operations_are_told_until_there_are_none(
    certjobs: Certjobs, database: TestDatabase, portal: Portal
) -> None:
    """What the portal refuses is told of once, beside the run that met it, and once more when nothing is dead."""
    load(certjobs, Mentor("A", 100))
    with webhook() as hook:
        sync(certjobs, database, portal, exit_code=3, env=hook.env)
        assert told(hook) == [("failure", "sync", 3), ("finding", "sync", 3)]
        assert "1 operation on the website given up" in hook.posted[1]["message"]
        for _ in range(2):
            sync(certjobs, database, portal, env=hook.env)
        assert told(hook)[2:] == [("recovery", "sync", 0)]
        assert still_open(database) == ["dead operations"]
        number = database.one("SELECT id FROM sync_queue WHERE status = 'dead'")
        do(certjobs, "queue", "discard", str(number), *WHY)
        sync(certjobs, database, portal, env=hook.env)
        assert told(hook)[3:] == [("recovery", "sync", 0)]
        assert still_open(database) == []
        assert "given up any more" in hook.posted[-1]["message"]


def test_dead_notices_are_told_until_there_are_none(certjobs: Certjobs, database: TestDatabase) -> None:
    """A notice that its channel refuses for good is told of once, with nobody named, and once when none is left."""
    load(certjobs, Mentor("A", 7))
    with webhook() as hook, scripted(lambda _request: Reply(400)) as application:
        env = hook.env | {"CERTJOBS_NOTIFY_CHANNEL": "webhook", "CERTJOBS_NOTIFY_WEBHOOK_URL": application.url}
        codes = [certjobs("remind", *AS_OF, url=database.job_url, env=env).exit_code for _ in range(2)]
        assert codes == [3, 0]
        assert told(hook) == [("failure", "remind", 3), ("finding", "remind", 3), ("recovery", "remind", 0)]
        assert "1 notice refused for good" in hook.posted[1]["message"]
        assert "Eksempel" not in str(hook.raw)
        number = database.one("SELECT id FROM notifications WHERE status = 'dead'")
        do(certjobs, "notifications", "discard", str(number), *WHY)
        assert certjobs("remind", *AS_OF, url=database.job_url, env=env).exit_code == 0
        assert told(hook)[3:] == [("recovery", "remind", 0)]
        assert still_open(database) == []


def test_a_night_tells_once_of_what_two_steps_meet(certjobs: Certjobs, database: TestDatabase, portal: Portal) -> None:
    """Rejected credentials are told of by one step each night, not by every step, and their end by that step alone."""
    load(certjobs, Mentor("A", 100))
    portal.knows("A")
    wrong = {
        "CERTJOBS_DATAVERSE_CLIENT_SECRET": canary("client", "another"),
        "CERTJOBS_DATAVERSE_CLIENT_SECRET_FILE": "",
    }
    with webhook() as hook:
        for day in (0, 1):
            nightly(certjobs, database, portal, day=day, exit_code=77, env=wrong | hook.env)
        failures = [each for each in told(hook) if each[0] == "failure"]
        assert failures == [("failure", "sync", 77)] * 2
        nightly(certjobs, database, portal, day=2, env=hook.env)
        over = [each["message"] for each in hook.posted if each["kind"] == "recovery"]
        assert [said for said in over if "succeeds again" in said] == ["sync succeeds again."]


# Nights that did not come.


def look(certjobs: Certjobs, database: TestDatabase, hook: Webhook, *options: str, exit_code: int) -> Result:
    """Look whether the nights were there, as the jobs' own login, and tell; it must end with this exit code."""
    argv = ("status", "--max-age", "26h", "--alert", *options)
    result = certjobs(*argv, url=database.job_url, env=hook.env)
    assert result.exit_code == exit_code, result
    return result


def a_night_is_done(database: TestDatabase, *jobs: str, hours: float = 0) -> None:
    """Let jobs have succeeded that began so long ago."""
    for name in jobs or NIGHTLY:
        ran(database, name, timedelta(hours=hours))


def told_last(database: TestDatabase, seconds_after_midnight: int) -> None:
    """Let people have been told last at a moment of today in Norway, or of yesterday where it is negative."""
    database.execute(
        "UPDATE alerts SET last_sent_at = date_trunc('day', now(), 'Europe/Oslo') + %s * interval '1 second'",
        seconds_after_midnight,
    )


def test_an_overdue_night_is_told(certjobs: Certjobs, database: TestDatabase) -> None:
    """One alert names each job, since when and its last success, whom the website shows, and what mends it."""
    load(certjobs, Mentor("X", -1))
    acknowledge(database, "X", listed=True)
    a_night_is_done(database, "expiry-check", "remind", hours=29.5)
    a_night_is_done(database, "reconcile", hours=1)
    with webhook() as hook:
        result = look(certjobs, database, hook, "--json", exit_code=3)
        assert [each["job"] for each in result.json()["overdue"]] == ["expiry-check", "remind", "sync"]
        (posted,) = hook.posted
    assert (posted["kind"], posted["job"], posted["run_id"], posted["exit_code"]) == ("overdue", "status", None, 3)
    last = database.one(
        "SELECT to_char(min(started_at) AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS') FROM scheduler_run_log"
    )
    assert "in the last 26h: expiry-check since 20" in posted["message"]
    assert f"UTC (3 h), last succeeded {last} UTC; remind since 20" in posted["message"]
    assert "; sync, which never succeeded." in posted["message"]
    assert "shows 1 mentor whose certification has expired." in posted["message"]
    assert "reconcile" not in posted["message"]
    assert posted["hint"].startswith("Run `certjobs nightly`.")
    assert posted["text"].endswith(posted["hint"])
    assert posted["counts"] == {"overdue": 3, "exposed": 1}
    assert "Eksempel" not in str(hook.raw)


def test_an_overdue_night_is_told_once_a_day(certjobs: Certjobs, database: TestDatabase) -> None:
    """However often somebody looks people hear once on each day, as it is in Norway, until the jobs succeed."""
    a_night_is_done(database, hours=27)
    with webhook() as hook:
        look(certjobs, database, hook, exit_code=3)
        look(certjobs, database, hook, exit_code=3)
        told_last(database, 0)
        look(certjobs, database, hook, exit_code=3)
        assert told(hook) == [("overdue", "status", 3)]
        told_last(database, -1)
        look(certjobs, database, hook, exit_code=3)
        look(certjobs, database, hook, exit_code=3)
        assert told(hook) == [("overdue", "status", 3)] * 2
        assert still_open(database) == ["overdue after 26h: expiry-check, remind, sync, reconcile"]


def test_that_no_night_is_overdue_any_more_is_told_once(certjobs: Certjobs, database: TestDatabase) -> None:
    """The first look after all of them succeeded tells it, later ones do not; another night that is missed is told."""
    a_night_is_done(database, hours=27)
    with webhook() as hook:
        look(certjobs, database, hook, exit_code=3)
        a_night_is_done(database, "expiry-check", "remind", "sync")
        look(certjobs, database, hook, exit_code=3)
        assert len(hook.posted) == 1
        a_night_is_done(database, "reconcile")
        look(certjobs, database, hook, exit_code=0)
        look(certjobs, database, hook, exit_code=0)
        assert told(hook)[1:] == [("recovery", "status", 0)]
        assert hook.posted[1]["message"] == "Not overdue any more: expiry-check, remind, sync, reconcile."
        assert still_open(database) == []
        database.execute("UPDATE scheduler_run_log SET started_at = started_at - interval '2 days'")
        look(certjobs, database, hook, exit_code=3)
        assert told(hook)[2:] == [("overdue", "status", 3)]


def test_a_night_in_time_is_not_told(certjobs: Certjobs, database: TestDatabase) -> None:
    """Where no job is overdue nobody hears of it, and nothing is written."""
    a_night_is_done(database, hours=25)
    before = dump(database)
    with webhook() as hook:
        look(certjobs, database, hook, exit_code=0)
        assert hook.posted == []
    assert dump(database) == before


def test_only_who_says_so_tells(certjobs: Certjobs, database: TestDatabase) -> None:
    """Without --alert an overdue night is told to nobody and nothing is written; --alert alone is wrong usage."""
    before = dump(database)
    with webhook() as hook:
        assert certjobs("status", "--max-age", "26h", url=database.job_url, env=hook.env).exit_code == 3
        result = certjobs("status", "--alert", url=database.job_url, env=hook.env)
        assert (result.exit_code, "--max-age" in result.stderr) == (2, True)
        assert hook.posted == []
    assert dump(database) == before


def test_each_watchdog_tells_of_its_own_jobs(certjobs: Certjobs, database: TestDatabase) -> None:
    """A job that is overdue for one look is told, with its command, and is not over when another look is content."""
    a_night_is_done(database, hours=2)
    with webhook() as hook:
        often = ("--max-age", "90m", "--job", "sync")
        look(certjobs, database, hook, *often, exit_code=3)
        assert hook.posted[0]["hint"].startswith("Run `certjobs sync`.")
        look(certjobs, database, hook, exit_code=0)
        assert told(hook) == [("overdue", "status", 3)]
        a_night_is_done(database, "sync")
        look(certjobs, database, hook, *often, exit_code=0)
        assert told(hook)[1:] == [("recovery", "status", 0)]
        assert hook.posted[1]["message"] == "Not overdue any more: sync."


def test_nobody_can_look_whether_a_night_is_overdue(certjobs: Certjobs, database: TestDatabase) -> None:
    """With the database down, or not as this program needs it, each look tells that, and ends as it would."""
    url = f"postgresql://jobs@127.0.0.1:{unused_port()}/certjobs"
    with webhook() as hook:
        for _ in range(2):
            result = certjobs("status", "--max-age", "26h", "--alert", "--json", url=url, env=hook.env)
            assert (result.exit_code, result.json()["exit_code"]) == (69, 69)
        assert told(hook) == [("failure", "status", 69)] * 2
        assert hook.posted[0]["message"].startswith("Nobody can tell whether a job is overdue.")
        database.execute("UPDATE certjobs_schema_version SET version_num = '0001'")
        look(certjobs, database, hook, exit_code=78)
        assert told(hook)[2:] == [("failure", "status", 78)]
        assert "db upgrade" in hook.posted[2]["hint"]


def test_an_overdue_night_that_nobody_takes_is_told_by_the_next_look(
    certjobs: Certjobs, database: TestDatabase
) -> None:
    """A webhook that fails, or none at all, changes no exit code and counts as nobody told; what was not told is."""
    url = f"postgresql://jobs@127.0.0.1:{unused_port()}/certjobs"
    with webhook("fails") as hook:
        assert "alert.not_sent" in look(certjobs, database, hook, exit_code=3).stderr
        assert certjobs("status", "--max-age", "26h", "--alert", url=url, env=hook.env).exit_code == 69
    nobody = certjobs("status", "--max-age", "26h", "--alert", "--json", url=database.job_url)
    assert (nobody.exit_code, nobody.json()["exit_code"]) == (3, 3)
    assert "CERTJOBS_ALERT_WEBHOOK_URL" in nobody.stderr
    assert still_open(database) == []
    with webhook() as hook:
        look(certjobs, database, hook, exit_code=3)
        assert told(hook) == [("overdue", "status", 3)]


WRONG = {"CERTJOBS_GUARD_SHARE": "a fifth"}


def test_wrong_settings_are_told_by_those_that_are_right(certjobs: Certjobs, database: TestDatabase) -> None:
    """A night that a wrong setting stops leaves its row and is told of, and once when it is over; a dry-run is not."""
    with webhook() as hook:
        assert certjobs("nightly", "--dry-run", env=hook.env | WRONG).exit_code == 78
        assert (hook.posted, database.one("SELECT count(*) FROM scheduler_run_log")) == ([], 0)
        for _ in range(2):
            night = certjobs("nightly", env=hook.env | WRONG, url=database.job_url)
            assert (night.exit_code, "CERTJOBS_GUARD_SHARE" in night.stderr) == (78, True)
        assert told(hook) == [("failure", "nightly", 78)]
        assert "CERTJOBS_GUARD_SHARE" in hook.posted[0]["message"]
        assert "a fifth" not in hook.raw[0]
        rows = "SELECT job_name, status, exit_code FROM scheduler_run_log ORDER BY started_at"
        assert database.all(rows) == [("nightly", "failed", 78)] * 2
        assert certjobs("nightly", env=hook.env, url=database.job_url).exit_code == 0
        assert told(hook)[1:] == [("recovery", "nightly", 0)]


def test_wrong_settings_are_told_by_the_watchdog(certjobs: Certjobs, database: TestDatabase) -> None:
    """Where a wrong setting, even of the database, keeps the watchdog from looking, people hear of it."""
    with webhook() as hook:
        for wrong in (WRONG, {"CERTJOBS_DATABASE_URL": "mysql://db.example.org/mentors"}):
            found = certjobs("status", "--max-age", "26h", "--alert", env=hook.env | wrong, url=database.job_url)
            assert (found.exit_code, next(iter(wrong)) in found.stderr) == (78, True)
            assert told(hook)[-1] == ("failure", "status", 78)
            assert next(iter(wrong)) in hook.posted[-1]["message"]
        assert len(hook.posted) == 2
