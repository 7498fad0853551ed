"""nightly through the command line: the steps, their rows, what fails, the report, and what a dry-run shows of it."""

from __future__ import annotations

import re
import stat
from typing import TYPE_CHECKING, Any

import pytest

from tests.canaries import canary
from tests.children.helpers import last_run, load, log_lines, runs
from tests.children.servers import webhook
from tests.portal import Portal, running
from tests.roster import TODAY, Mentor, in_days
from tests.test_outbox import WHY, do
from tests.test_reconcile import edit, findings

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from tests.conftest import Certjobs, Result, TestDatabase

STEPS = ["expiry-check", "remind", "sync", "reconcile"]
CHANNEL = {"CERTJOBS_NOTIFY_CHANNEL": "console"}


@pytest.fixture
def portal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Portal]:
    """Run a portal on a clock that only rests move."""
    with running(tmp_path, monkeypatch) as found:
        yield found


def nightly(
    certjobs: Certjobs,
    database: TestDatabase,
    portal: Portal,
    *options: str,
    day: int = 0,
    exit_code: int = 0,
    env: Mapping[str, str] | None = None,
) -> Result:
    """Run a night so many days from the tests' usual one, as the job's own role; it must end with this exit code."""
    argv = ("nightly", "--json", "--as-of", in_days(day), *options)
    result = certjobs(*argv, url=database.job_url, env=CHANNEL | portal.env | dict(env or {}))
    assert result.exit_code == exit_code, result
    return result


def steps(result: Result) -> dict[str, Any]:
    """Return the steps of a night by job."""
    return {each["job"]: each for each in result.json()["steps"]}


def test_a_night(certjobs: Certjobs, database: TestDatabase, portal: Portal) -> None:
    """Who expired is paused and off the website, who is due is told of, and a change behind our back is mended."""
    load(certjobs, Mentor("X", -1), Mentor("R", 7), Mentor("A", 100))
    portal.knows("X", "R")
    portal.knows("A", listed=False)
    result = nightly(certjobs, database, portal)
    assert [each["job"] for each in result.json()["steps"]] == STEPS
    assert [each["exit_code"] for each in result.json()["steps"]] == [0, 0, 0, 0]
    assert portal.listed() == ["A", "R"]
    assert all(not equation["remainder"] for each in result.json()["steps"] for equation in each["equations"])
    parent = next(row for row in runs(database) if row.job_name == "nightly")
    assert database.all(
        "SELECT job_name, parent_run_id::text, as_of FROM scheduler_run_log WHERE parent_run_id IS NOT NULL"
        " ORDER BY started_at"
    ) == [(job, parent.run_id, TODAY) for job in STEPS]
    assert (parent.status, parent.counts) == ("succeeded", {"steps": 4, "steps_failed": 0})
    night = result.json()["night"]
    assert [each["mentor_ref"] for each in night["paused"]] == ["X"]
    assert night["paused"][0]["name"] is None
    assert night["forecast_first"] == in_days(1)
    assert (night["queue"]["open"], night["exposed"], night["findings"]) == (0, [], [])
    assert database.one("SELECT count(*) FROM job_lock") == 0


def test_what_happened_is_said_in_counted_words(certjobs: Certjobs, database: TestDatabase, portal: Portal) -> None:
    """The table of a night's steps says one of a thing in the singular and several in the plural."""
    load(certjobs, Mentor("X", -1), Mentor("R", 7), Mentor("S", 7), Mentor("A", 100))
    portal.knows("X", "R", "S", "A")

    def happened(day: int) -> list[str]:
        night = ("nightly", "--as-of", in_days(day))
        said = certjobs(*night, url=database.job_url, env=CHANNEL | portal.env).stdout
        step = re.compile(r"^ +(?:expiry-check|remind|sync|reconcile) +succeeded +0 +[0-9.]+ +(.+?) *$", re.MULTILINE)
        return step.findall(said)

    first = happened(0)
    assert first[:2] == ["1 paused, 1 notice sent", "2 reminders, 2 notices sent"]
    edit(portal, A=False)
    assert happened(1)[3] == "1 listed, 1 difference queued, 1 new finding"


def test_again_is_nothing(certjobs: Certjobs, database: TestDatabase, portal: Portal) -> None:
    """The same night again changes nothing on the website, tells nobody, and ends well."""
    load(certjobs, Mentor("X", -1), Mentor("R", 7))
    portal.knows("X", "R")
    nightly(certjobs, database, portal)
    before = portal.changes()
    kept = {
        name: database.all(f"SELECT * FROM {name} ORDER BY 1")
        for name in (
            "sync_queue",
            "notifications",
            "cert_expiry_reminders",
            "forecasts",
            "reconciliation_log",
            "alerts",
        )
    }
    result = nightly(certjobs, database, portal)
    assert portal.changes() == before
    assert kept == {name: database.all(f"SELECT * FROM {name} ORDER BY 1") for name in kept}
    assert result.json()["steps"][1]["counts"].get("notices_sent", 0) == 0


def test_a_step_that_fails_stops_no_other(certjobs: Certjobs, database: TestDatabase, portal: Portal) -> None:
    """Where the website does not accept us, mentors are paused and coordinators told all the same; people hear once."""
    load(certjobs, Mentor("X", -1), Mentor("R", 7))
    portal.knows("X", "R")
    wrong = portal.env | {"CERTJOBS_DATAVERSE_CLIENT_SECRET": canary("client", "another")}
    wrong.pop("CERTJOBS_DATAVERSE_CLIENT_SECRET_FILE", None)
    with webhook() as hook:
        portal.env.clear()
        portal.env.update(wrong)
        result = nightly(certjobs, database, portal, exit_code=77, env=hook.env)
        told = [(each["job"], each["exit_code"]) for each in hook.posted if each["kind"] == "failure"]
    assert [each["exit_code"] for each in result.json()["steps"]] == [0, 0, 77, 77]
    assert told == [("sync", 77)]
    assert database.one("SELECT count(*) FROM peer_mentors WHERE status = 'paused'") == 1
    assert (
        steps(result)["remind"]["counts"]["notices_sent"] == 2 - steps(result)["expiry-check"]["counts"]["notices_sent"]
    )
    assert last_run(database).job_name == "reconcile"
    assert [row.status for row in runs(database) if row.job_name == "nightly"] == ["failed"]
    assert result.json()["night"]["queue"]["open"] == 2


def test_the_worst_counts(certjobs: Certjobs, database: TestDatabase, portal: Portal) -> None:
    """A night whose pauses the guard refuses ends with 4, though everything else went well."""
    load(certjobs, *(Mentor(f"X{number:02}", -1) for number in range(26)), Mentor("A", 100))
    portal.knows("A", *(f"X{number:02}" for number in range(26)))
    result = nightly(certjobs, database, portal, exit_code=4)
    assert [each["exit_code"] for each in result.json()["steps"]] == [4, 0, 0, 4]
    assert "expiry-check" in result.json()["message"]


def test_a_dry_run_is_the_night(certjobs: Certjobs, database: TestDatabase, portal: Portal) -> None:
    """A dry-run's later steps see what the earlier ones would have done; nothing is written, sent or changed."""
    load(certjobs, Mentor("X", -1), Mentor("R", 7), Mentor("A", 100))
    portal.knows("X", "R")
    portal.knows("A", listed=False)
    before = portal.changes()
    rows = database.all("SELECT * FROM sync_queue ORDER BY id")
    dry = nightly(certjobs, database, portal, "--dry-run")
    assert (portal.changes(), runs(database)) == (before, [])
    assert database.all("SELECT * FROM sync_queue ORDER BY id") == rows
    assert [each["mentor_ref"] for each in dry.json()["night"]["paused"]] == ["X"]
    assert (steps(dry)["sync"]["counts"]["removed"], steps(dry)["sync"]["counts"]["restored"]) == (1, 2)
    compared = steps(dry)["reconcile"]["counts"]
    assert (compared["agreeing"], compared["differing"]) == (2, 0)
    real = nightly(certjobs, database, portal)
    for job in STEPS:
        assert steps(dry)[job]["counts"] == steps(real)[job]["counts"], job


def test_nights_missed(certjobs: Certjobs, database: TestDatabase, portal: Portal) -> None:
    """After an outage the night names each one missed, whom it would have paused and told of, and it is a finding."""
    load(certjobs, Mentor("P", 1), Mentor("R", 8), Mentor("A", 100))
    portal.knows("P", "R", "A")
    nightly(certjobs, database, portal, day=-1)
    result = nightly(certjobs, database, portal, day=3)
    missed = {(each["night"], each["job"]): each for each in result.json()["night"]["missed"]}
    assert sorted({night for night, _ in missed}) == [in_days(0), in_days(1), in_days(2)]
    assert missed[in_days(2), "expiry-check"]["pauses"] == ["P"]
    assert missed[in_days(1), "remind"]["reminders"] == [["R", 7]]
    assert steps(result)["expiry-check"]["counts"]["nights_missed"] == 3
    assert steps(result)["remind"]["counts"]["late"] == 1
    nights = [detail for (detail,) in database.all("SELECT detail FROM reconciliation_log WHERE finding = 'missed'")]
    assert f"No run of sync ended well on the night of {in_days(1)}." in nights
    assert nightly(certjobs, database, portal, day=3).json()["night"]["missed"] == []


def test_expected_and_not_done(certjobs: Certjobs, database: TestDatabase, portal: Portal) -> None:
    """Where a night pauses nobody though six were expected, and nothing in the roster tells why, people are alerted."""
    load(certjobs, *(Mentor(f"X{number}", 0) for number in range(6)), Mentor("A", 100))
    portal.knows("A", *(f"X{number}" for number in range(6)))
    nightly(certjobs, database, portal)
    assert database.all("SELECT night::text, expected FROM forecasts WHERE job_name = 'expiry-check'") == [
        (in_days(1), 6)
    ]
    database.execute("ALTER TABLE peer_mentors DISABLE TRIGGER USER")
    database.execute("UPDATE peer_mentors SET status = 'paused' WHERE external_ref <> 'A'")
    database.execute("ALTER TABLE peer_mentors ENABLE TRIGGER USER")
    with webhook() as hook:
        result = nightly(certjobs, database, portal, day=1, env=hook.env)
        (told,) = [each for each in hook.posted if each["job"] == "expiry-check"]
    assert "0 paused, 6 were expected" in told["message"]
    assert [each["unexpected"] for each in result.json()["night"]["volumes"] if each["what"] == "paused"] == [True]


def test_renewals_explain_a_quiet_night(certjobs: Certjobs, database: TestDatabase, portal: Portal) -> None:
    """Fewer pauses than expected are no news where as many mentors were renewed since."""
    load(certjobs, Mentor("X", 0), Mentor("A", 100))
    portal.knows("A", "X")
    nightly(certjobs, database, portal)
    do(certjobs, "certs", "renew", "C-X", "--expires", in_days(300), *WHY)
    with webhook() as hook:
        result = nightly(certjobs, database, portal, day=1, env=hook.env)
        assert hook.posted == []
    (volume,) = [each for each in result.json()["night"]["volumes"] if each["what"] == "paused"]
    assert (volume["expected"], volume["actual"], volume["unexpected"]) == (1, 0, False)


def test_told_once_and_once_when_it_is_over(certjobs: Certjobs, database: TestDatabase, portal: Portal) -> None:
    """A kind of finding is alerted when it begins, not while it lasts, and once more when it is over."""
    load(certjobs, Mentor("A", 100))
    portal.knows("A")
    nightly(certjobs, database, portal)
    portal.knows("stranger-1")
    with webhook() as hook:
        for day in (1, 2):
            nightly(certjobs, database, portal, day=day, env=hook.env)
        assert [(each["kind"], each["job"]) for each in hook.posted] == [("finding", "reconcile")]
        assert "stranger-1" not in str(hook.raw)
        edit(portal, **{"stranger-1": False})
        for day in (3, 4):
            nightly(certjobs, database, portal, day=day, env=hook.env)
        assert [each["kind"] for each in hook.posted] == ["finding", "recovery"]
    assert findings(database) == []
    assert database.all("SELECT class, cleared_at IS NOT NULL FROM alerts") == [("reconcile: unknown", True)]


def test_the_page(certjobs: Certjobs, database: TestDatabase, portal: Portal, tmp_path: Path) -> None:
    """With --report the night is one page that its owner alone can read, with names only where they were asked for."""
    load(certjobs, Mentor("X", -1), Mentor("A", 100))
    portal.knows("X", "A")
    file = tmp_path / "night.html"
    nightly(certjobs, database, portal, "--report", str(file), "--language", "en")
    page = file.read_text()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert (">X<" in page, "Mentor X" in page, "<script" in page) == (True, False, False)
    do(certjobs, "mentors", "reinstate", "X", "--force", *WHY)
    nightly(certjobs, database, portal, "--report", str(file), "--language", "en", "--with-names", day=1)
    assert "Mentor X" in file.read_text()


def test_a_place_that_cannot_be_written(certjobs: Certjobs, database: TestDatabase, portal: Portal) -> None:
    """A report that cannot be written is said before anything is done."""
    load(certjobs, Mentor("X", -1))
    result = nightly(certjobs, database, portal, "--report", "/nowhere/night.html", exit_code=2)
    assert "cannot be written" in result.json()["message"]
    assert runs(database) == []


def test_no_names_in_the_log(certjobs: Certjobs, database: TestDatabase, portal: Portal, tmp_path: Path) -> None:
    """Names that a report may show stand in no log line and no row of the run log."""
    load(certjobs, Mentor("X", -1))
    portal.knows("X")
    file = tmp_path / "night.html"
    result = nightly(
        certjobs, database, portal, "--report", str(file), "--with-names", env={"CERTJOBS_NOTIFY_CHANNEL": "none"}
    )
    assert "Mentor X" in file.read_text()
    assert "Mentor X" not in str(log_lines(result)) + result.stdout
    assert "Mentor X" not in str(database.all("SELECT * FROM scheduler_run_log"))


def test_others_who_were_renewed_explain_nothing(certjobs: Certjobs, database: TestDatabase, portal: Portal) -> None:
    """Six who were expected and did not come are news though six others were renewed since."""
    others = [f"A{number}" for number in range(6)]
    due = [f"X{number}" for number in range(6)]
    load(certjobs, *(Mentor(ref, 0) for ref in due), *(Mentor(ref, 200) for ref in others))
    portal.knows(*others, *due)
    nightly(certjobs, database, portal)
    database.execute("ALTER TABLE peer_mentors DISABLE TRIGGER USER")
    database.execute("UPDATE peer_mentors SET status = 'paused' WHERE external_ref = ANY (%s)", due)
    database.execute("ALTER TABLE peer_mentors ENABLE TRIGGER USER")
    for ref in others:
        do(certjobs, "certs", "renew", f"C-{ref}", "--expires", in_days(300), *WHY)
    result = nightly(certjobs, database, portal, day=1)
    (volume,) = [each for each in result.json()["night"]["volumes"] if each["what"] == "paused"]
    assert (volume["expected"], volume["actual"], volume["unexpected"]) == (6, 0, True)


def test_a_part_of_a_night_is_no_night(certjobs: Certjobs, database: TestDatabase, portal: Portal) -> None:
    """A run for one organisation, or for a day long past, does not hide a missed night nor make up others."""
    load(certjobs, Mentor("P", 1), Mentor("A", 100), Mentor("N", 100, organisation="NHF"))
    portal.knows("P", "A")
    nightly(certjobs, database, portal, day=-1)
    for argv in (("--org", "NHF", "--as-of", in_days(3)), ("--as-of", in_days(-20))):
        assert certjobs("expiry-check", *argv, url=database.job_url).exit_code == 0
    night = nightly(certjobs, database, portal, day=3).json()["night"]
    missed = {each["night"]: each["pauses"] for each in night["missed"] if each["job"] == "expiry-check"}
    assert missed == {in_days(0): [], in_days(1): [], in_days(2): ["P"]}
    assert [each["what"] for each in night["volumes"]] == []


def test_who_was_late_is_told_after_a_death(certjobs: Certjobs, database: TestDatabase, portal: Portal) -> None:
    """A run that died after it had caught up has told nobody: the next one names whom it paused and reminded late."""
    load(certjobs, Mentor("P", 1), Mentor("R", 8), Mentor("A", 100))
    portal.knows("P", "R", "A")
    nightly(certjobs, database, portal, day=-1)
    for job in ("expiry-check", "remind"):
        assert certjobs(job, "--as-of", in_days(3), url=database.job_url, env=CHANNEL).exit_code == 0
    database.execute("UPDATE scheduler_run_log SET status = 'abandoned', counts = '{}' WHERE as_of = %s", in_days(3))
    missed = nightly(certjobs, database, portal, day=3).json()["night"]["missed"]
    told = {(each["night"], each["job"]): (each["pauses"], each["reminders"]) for each in missed}
    assert told[in_days(2), "expiry-check"] == (["P"], [])
    assert told[in_days(1), "remind"] == ([], [["R", 7]])


def test_no_agreement_without_a_comparison(certjobs: Certjobs, database: TestDatabase, portal: Portal) -> None:
    """Where the website could not be read, screen and page say that nobody knows, and not that it agrees."""
    load(certjobs, Mentor("A", 100))
    portal.knows("A")
    portal.fault("status", "list", status=500, count=None)
    env = CHANNEL | portal.env
    result = certjobs("nightly", "--as-of", in_days(0), url=database.job_url, env=env)
    assert result.exit_code == 69
    assert "was not compared tonight" in result.stdout
    assert "agree" not in result.stdout.partition("Tonight")[2].replace("agreeing", "")


def test_exposure_of_another_day(certjobs: Certjobs, database: TestDatabase, portal: Portal) -> None:
    """A night that takes another day for today counts who is exposed by that day, not by the clock."""
    load(certjobs, Mentor("A", 0))
    portal.knows("A")
    assert nightly(certjobs, database, portal, day=-30).json()["night"]["exposed"] == []
