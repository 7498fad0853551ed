"""The examination of an installation: every fault is caused for real, and every line names what mends it."""

from __future__ import annotations

import re
import socket
import ssl
import threading
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
import trustme

from certjobs.db.diagnosis import JOB_ROLE, Diagnosis, needed
from certjobs.origins import database_shown
from tests.canaries import canary, store
from tests.children.helpers import NIGHT, dump, load
from tests.children.processes import eventually
from tests.children.servers import database_that_rejects_passwords, unused_port, webhook
from tests.conftest import ROOT
from tests.portal import running
from tests.roster import Mentor
from tests.test_email import PASSWORD, USER, context_of, knows_us, mailroom
from tests.test_lock import hold
from tests.test_migrations import downgrade, revisions
from tests.test_status import ran

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from tests.conftest import Certjobs, Cluster, Result, TestDatabase
    from tests.portal import Portal

NIGHTLY = ("expiry-check", "remind", "sync", "reconcile")
SECRET = canary("smtp", "8c1f-blåbær")
NAME = "Hilde Tiurleikåsen"
NEEDS_DATABASE = "needs the database"
WHSEC = "whsec_" + "QUJDREVGR0hJSktMTU5PUFFSU1RVVldY"


class Examined:
    """What an examination found, by the names of its checks."""

    def __init__(self, result: Result) -> None:
        self.result = result
        self.document = result.json()
        self.checks: dict[str, Any] = {each["name"]: each for each in self.document["checks"]}
        assert self.document["exit_code"] == result.exit_code

    def __getitem__(self, name: str) -> Any:
        return self.checks[name]

    def named(self, status: str) -> set[str]:
        return {name for name, each in self.checks.items() if each["status"] == status}

    def failed(self, name: str, exit_code: int) -> Any:
        """Return the one check that failed; its code is that of the command, and it says what mends it."""
        assert self.named("failed") == {name}, self.document
        assert (self[name]["exit_code"], self.result.exit_code) == (exit_code, exit_code)
        assert self[name]["mend"]
        assert (self.document["message"], self.document["hint"]) == (self[name]["found"], self[name]["mend"])
        return self[name]

    def warns(self, name: str) -> Any:
        """Return a check that warns, which changes no exit code, and says what mends it."""
        assert (self[name]["status"], self[name]["exit_code"]) == ("warning", 0), self[name]
        assert self[name]["mend"]
        return self[name]


def examine(certjobs: Certjobs, *, url: str | None = None, env: Mapping[str, str] | None = None) -> Examined:
    return Examined(certjobs("doctor", "--json", url=url, env=env))


@pytest.fixture
def portal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Portal]:
    with running(tmp_path, monkeypatch) as found:
        yield found


# The whole.


@pytest.mark.parametrize("login", ["owner", "job"])
def test_a_sound_installation(certjobs: Certjobs, database: TestDatabase, portal: Portal, login: str) -> None:
    """Nothing fails for the owner nor for the jobs' login, nothing is written, nothing is posted, and it exits 0."""
    load(certjobs, Mentor("A", 100))
    for job in NIGHTLY:
        ran(database, job, ago=timedelta(hours=2))
    before = dump(database)
    with webhook() as hook:
        env = {"CERTJOBS_NOTIFY_CHANNEL": "webhook", "CERTJOBS_NOTIFY_WEBHOOK_URL": hook.url} | hook.env | portal.env
        found = examine(certjobs, url=database.job_url if login == "job" else None, env=env)
        assert hook.posted == []
    assert found.result.exit_code == 0
    assert found.named("failed") | found.named("warning") == set()
    assert found.named("skipped") == {"portal.public_site"}
    assert found.document["message"] is None
    assert portal.changes() == 0
    assert dump(database) == before


def test_a_person_sees_a_table_with_what_mends_it_and_the_sum(certjobs: Certjobs) -> None:
    """Each section is a table, below what is not ok stands what mends it, and the last line is the sum."""
    result = certjobs("doctor")
    assert result.exit_code == 0
    lines = [line.strip() for line in result.stdout.splitlines() if line.strip()]
    for title in ("Settings", "Database", "Website", "Who is told", "How the nights go"):
        assert title in lines
    position = next(number for number, line in enumerate(lines) if "No channel is set" in line)
    assert lines[position].startswith("warning   channel")
    assert lines[position + 1] == "→ Set CERTJOBS_NOTIFY_CHANNEL to email or webhook."
    (sample,) = re.findall(
        r"(?m)^  (warning   alerts .*\n(?:   .*\n)+)", (ROOT / "README.md").read_text(encoding="utf-8")
    )
    assert " ".join(sample.split()) in " ".join(result.stdout.split()), "README.md shows it as it is"
    assert lines[-1].endswith("7 warnings, 0 failed, 1 skipped (exit 0).")


def test_a_check_that_breaks_stops_no_other(certjobs: Certjobs, monkeypatch: pytest.MonkeyPatch) -> None:
    """An error that nobody expected is one failed line, without the error's own words; --debug shows its traceback."""

    def breaks(_self: Diagnosis) -> None:
        raise RuntimeError(*words)

    words = [SECRET]
    whole = examine(certjobs)
    monkeypatch.setattr(Diagnosis, "lacking", breaks)
    found = examine(certjobs)
    assert "RuntimeError" in found.failed("database.privileges", 1)["found"]
    assert set(found.checks) == set(whole.checks)
    assert SECRET not in found.result.stdout + found.result.stderr
    words.clear()
    assert "RuntimeError" in certjobs("doctor", "--debug").stderr


# Settings.


def test_where_each_setting_comes_from(certjobs: Certjobs, tmp_path: Path) -> None:
    """A setting is shown with the source that counts: environment, its file, the secrets directory, or the default."""
    (tmp_path / "host").write_text("smtp.example.org\n")
    mounted = tmp_path / "mounted"
    mounted.mkdir()
    store(mounted / "smtp_password", SECRET)
    (mounted / "mail_from").write_text("Mentors <mentors@example.org>")
    env = {
        "CERTJOBS_THRESHOLDS": "60,30",
        "CERTJOBS_SMTP_HOST_FILE": str(tmp_path / "host"),
        "CERTJOBS_SECRETS_DIR": str(mounted),
        "CERTJOBS_QUIET_HOURS": "",
    }
    settings = {each["name"]: each for each in examine(certjobs, env=env).document["settings"]}
    told = {name: (each["origin"], each["value"]) for name, each in settings.items()}
    assert told["CERTJOBS_THRESHOLDS"] == ("environment", "60,30")
    assert told["CERTJOBS_SMTP_HOST"] == ("file of CERTJOBS_SMTP_HOST_FILE", "smtp.example.org")
    assert told["CERTJOBS_SMTP_PASSWORD"] == ("file in CERTJOBS_SECRETS_DIR", f"(set, {len(SECRET)} characters)")
    assert told["CERTJOBS_MAIL_FROM"] == ("file in CERTJOBS_SECRETS_DIR", "(an address at example.org)")
    assert told["CERTJOBS_GUARD_COUNT"] == ("default", "25")
    assert told["CERTJOBS_QUIET_HOURS"] == ("default", "(not set)")


@pytest.mark.parametrize("options", [(), ("--json",), ("--debug",)])
def test_no_secret_is_shown(certjobs: Certjobs, database: TestDatabase, options: tuple[str, ...]) -> None:
    """No password, token or secret address is in the output, wherever it comes from, wrong or right."""
    env = {
        "CERTJOBS_LOCK_DATABASE_URL": f"postgresql://user:{SECRET}@127.0.0.1:{unused_port()}/db?password={SECRET}",
        "CERTJOBS_NOTIFY_WEBHOOK_URL": f"http://127.0.0.1:{unused_port()}/{SECRET}",
        "CERTJOBS_NOTIFY_WEBHOOK_SECRET": f"whsec_{SECRET}",
        "CERTJOBS_NOTIFY_CHANNEL": "webhook",
        "CERTJOBS_ALERT_WEBHOOK_URL": f"https://127.0.0.1:{unused_port()}/{SECRET}",
        "CERTJOBS_SMTP_PASSWORD": SECRET,
        "CERTJOBS_PORTAL": "dataverse",
        "CERTJOBS_DATAVERSE_URL": f"https://user:{SECRET}@portal.example.org",
        "CERTJOBS_DATAVERSE_TENANT": "t",
        "CERTJOBS_DATAVERSE_CLIENT_ID": "c",
        "CERTJOBS_DATAVERSE_CLIENT_SECRET": SECRET,
        "CERTJOBS_PUBLIC_SITE_URL": f"https://user:{SECRET}@site.example.org/?token={SECRET}",
        "CERTJOBS_ACTOR": NAME,
        "CERTJOBS_SECRT": SECRET,
    }
    result = certjobs("doctor", *options, url=database.url, env=env)
    assert result.exit_code != 0
    assert NAME not in result.stdout + result.stderr
    assert SECRET not in result.stdout + result.stderr
    assert SECRET[:6] not in result.stdout + result.stderr


@pytest.mark.parametrize(
    "address",
    [
        "postgresql://user:geheim@db.example.org/mentors",
        "postgresql://user:ge#heim@db.example.org/mentors",
        "postgresql://user:1/geheim@db.example.org/mentors",
        "postgresql://user:12/geheim",
        "postgresql://user:ge?heim@db.example.org/mentors",
        "postgresql://user:geh@eim@db.example.org/mentors",
        "postgresql://db.example.org/mentors?password=geheim",
        "postgresql://user:geheim",
    ],
)
def test_an_address_is_shown_only_where_its_password_is_surely_left_out(address: str) -> None:
    """A password with a slash, a hash or an at sign in it passes for no part of the place."""
    said = database_shown(address)
    if address.endswith("user:12/geheim"):
        assert said == "postgresql://user:12/geheim"  # a host, a port and a database
    else:
        assert "geh" not in said
        assert "eim" not in said


def test_unknown_names_are_warned_of(certjobs: Certjobs, tmp_path: Path) -> None:
    """A variable, or a mounted file, that is almost a setting is a warning with the name that may be meant."""
    store(tmp_path / "smtp-passwd", SECRET)
    store(tmp_path / "tls.crt", SECRET)
    env = {"CERTJOBS_THRESHOLD": "1", "CERTJOBS_XYZZY": "1", "CERTJOBS_SECRETS_DIR": str(tmp_path)}
    found = examine(certjobs, env=env)
    assert "CERTJOBS_THRESHOLDS" in found.warns("settings.CERTJOBS_THRESHOLD")["mend"]
    assert found.warns("settings.CERTJOBS_XYZZY")["mend"] == "Remove it."
    assert "smtp_password" in found.warns("settings.smtp-passwd")["mend"]
    assert "settings.tls.crt" not in found.checks
    assert found.result.exit_code == 0


def test_every_wrong_setting_is_a_line_and_the_rest_is_looked_at(certjobs: Certjobs, tmp_path: Path) -> None:
    """All wrong settings are named at once, and only the checks that need one of them are skipped."""
    env = {
        "CERTJOBS_GUARD_COUNT": "many",
        "CERTJOBS_PORTAL": "sharepoint",
        "CERTJOBS_LOG_LEVEL": "info",
        "CERTJOBS_LOG_LEVEL_FILE": str(tmp_path / "level"),
        "CERTJOBS_SMTP_HOST_FILE": str(tmp_path / "not there"),
        "CERTJOBS_SECRETS_DIR": str(tmp_path / "nor this"),
        "CERTJOBS_THRESHOLDS": "soon",
    }
    found = examine(certjobs, env=env)
    wrong = {"GUARD_COUNT", "PORTAL", "LOG_LEVEL", "SMTP_HOST", "SECRETS_DIR"}
    assert found.named("failed") == {*(f"settings.CERTJOBS_{each}" for each in wrong), "settings.thresholds"}
    for each in wrong:
        assert f"CERTJOBS_{each} is wrong" in found[f"settings.CERTJOBS_{each}"]["found"]
    assert "CERTJOBS_THRESHOLDS" in found["settings.thresholds"]["found"]
    assert found.result.exit_code == 78
    assert "CERTJOBS_PORTAL" in found["portal.accepts_us"]["found"]
    assert {"portal.accepts_us", "notifier.channel"} <= found.named("skipped")
    assert {"database.reachable", "database.privileges", "runs.locks"} <= found.named("ok")


def test_a_mounted_file_that_is_no_text(certjobs_unset: Certjobs, database: TestDatabase, tmp_path: Path) -> None:
    """One file of the secrets directory that cannot be read is one failed line; the others count all the same."""
    (tmp_path / "smtp_password").write_bytes(b"\xff\xfe")
    (tmp_path / "database_url").write_text(f"{database.url}\n")
    found = examine(certjobs_unset, env={"CERTJOBS_SECRETS_DIR": str(tmp_path)})
    assert "UnicodeDecodeError" in found.failed("settings.CERTJOBS_SMTP_PASSWORD", 78)["found"]
    assert found["settings.CERTJOBS_DATABASE_URL"]["found"].endswith("from: file in CERTJOBS_SECRETS_DIR")
    assert found["database.reachable"]["status"] == "ok"


def test_a_wrong_address_of_the_database_skips_what_needs_it(certjobs: Certjobs, portal: Portal) -> None:
    """Where the address is no address, the portal and the notifier are looked at all the same."""
    found = examine(certjobs, url="mysql://db.example.org/mentors", env=portal.env)
    found.failed("settings.CERTJOBS_DATABASE_URL", 78)
    assert found["portal.accepts_us"]["status"] == "ok"
    assert found["database.privileges"] == found["database.privileges"] | {
        "status": "skipped",
        "found": NEEDS_DATABASE,
    }


def test_an_address_that_would_be_read_on_the_way_is_refused(certjobs: Certjobs) -> None:
    """An address off this machine that asks for no TLS fails before anything is sent there."""
    found = examine(certjobs, url=f"postgresql://u:{SECRET}@db.example.org/mentors?sslmode=disable")
    assert "sslmode=disable" in found.failed("database.reachable", 78)["found"]


# The database.


def test_a_database_that_is_down_is_one_failure(certjobs: Certjobs) -> None:
    """Where nothing listens, one line fails with 69, and everything that needs the database is skipped."""
    found = examine(certjobs, url=f"postgresql://user:{SECRET}@127.0.0.1:{unused_port()}/mentors")
    found.failed("database.reachable", 69)
    skipped = {name for name, each in found.checks.items() if each["found"] == NEEDS_DATABASE}
    assert {"database.schema", "database.privileges", "runs.locks", "runs.sync", "runs.approvals"} <= skipped


def test_a_wrong_password_is_77(certjobs: Certjobs) -> None:
    """A database that rejects the password is told from one that is away."""
    with database_that_rejects_passwords() as place:
        examine(certjobs, url=f"postgresql://jobs:{SECRET}@{place}/mentors").failed("database.reachable", 77)


def test_a_schema_that_is_behind(certjobs: Certjobs, database: TestDatabase) -> None:
    """On an older schema one line names both versions and the command, and what needs the schema is skipped."""
    downgrade(database.url, revisions()[-2])
    found = examine(certjobs)
    failed = found.failed("database.schema", 78)
    assert revisions()[-2] in failed["found"]
    assert "certjobs db upgrade" in failed["mend"]
    assert found["database.privileges"]["found"] == "needs the schema"
    assert found["database.clock"]["status"] == "ok"


def test_a_schema_that_differs(certjobs: Certjobs, database: TestDatabase) -> None:
    """What `db check` finds is a failed line that names it."""
    database.execute("DROP INDEX ix_peer_mentors_active_expiry")
    found = examine(certjobs).failed("database.differences", 78)
    assert "ix_peer_mentors_active_expiry" in found["found"]
    assert "certjobs db check" in found["mend"]


def test_a_server_that_is_too_old(certjobs: Certjobs, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server older than certjobs needs fails, with its version."""
    monkeypatch.setattr("certjobs.admin.doctor.OLDEST_SERVER", 990000)
    found = examine(certjobs).failed("database.server", 78)
    assert "needs 99 or later" in found["found"]


@pytest.mark.parametrize(
    ("seconds", "status", "said"),
    [
        (1, "ok", "agree"),
        (10, "warning", "10 s behind"),
        (-10, "warning", "10 s ahead"),
        (-150, "failed", "2 min ahead"),
    ],
)
def test_the_clocks(certjobs: Certjobs, monkeypatch: pytest.MonkeyPatch, seconds: int, status: str, said: str) -> None:
    """Two seconds between the clocks are nothing, more is a warning, and more than a minute fails."""
    monkeypatch.setattr(
        "certjobs.adapters.clock.SystemClock.now", lambda _self: datetime.now(UTC) + timedelta(seconds=seconds)
    )
    found = examine(certjobs)
    assert (found["database.clock"]["status"], found.result.exit_code) == (status, 78 if status == "failed" else 0)
    assert said in found["database.clock"]["found"].replace("9 s", "10 s")


def test_the_lock_needs_the_same_database(certjobs: Certjobs, database: TestDatabase, cluster: Cluster) -> None:
    """An address for locks may lead to the same database by another way, and to no other."""
    same = examine(certjobs, env={"CERTJOBS_LOCK_DATABASE_URL": database.job_url})
    assert same["database.lock_session"]["status"] == "ok"
    other = examine(certjobs, env={"CERTJOBS_LOCK_DATABASE_URL": cluster.url("postgres")})
    assert "another database" in other.failed("database.lock_session", 78)["found"]


def test_a_pooler_needs_a_way_past_it(certjobs: Certjobs, database: TestDatabase, cluster: Cluster) -> None:
    """Where a pooler stands between, which gives sessions numbers of its own, an address past it is asked for."""
    with pooler(cluster) as place:
        url = f"postgresql://postgres@{place}/{database.name}?sslmode=disable"
        found = examine(certjobs, url=url).failed("database.lock_session", 78)
        assert "CERTJOBS_LOCK_DATABASE_URL" in found["mend"]
        past = examine(certjobs, url=url, env={"CERTJOBS_LOCK_DATABASE_URL": database.url})
        assert past["database.lock_session"]["status"] == "ok"
        through = examine(certjobs, env={"CERTJOBS_LOCK_DATABASE_URL": url})
        assert "pooler" in through.failed("database.lock_session", 78)["found"]


@contextmanager
def pooler(cluster: Cluster) -> Iterator[str]:
    """Stand before the server as a pooler does: pass everything on, but for the number of the server's process."""
    import psycopg

    with psycopg.connect(cluster.address) as connection:
        directory = connection.info.host
        port = connection.info.port
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            while True:
                try:
                    client, _ = listening.accept()
                except OSError:
                    return
                server = socket.socket(socket.AF_UNIX)
                server.connect(f"{directory}/.s.PGSQL.{port}")
                threading.Thread(target=passes, args=(client, server, False), daemon=True).start()
                threading.Thread(target=passes, args=(server, client, True), daemon=True).start()

        threading.Thread(target=serve, daemon=True).start()
        try:
            yield f"127.0.0.1:{listening.getsockname()[1]}"
        finally:
            listening.shutdown(socket.SHUT_RDWR)


def passes(source: socket.socket, target: socket.socket, renumber: bool) -> None:
    with source, target:
        while data := receive(source):
            mark = data.find(b"K\x00\x00\x00\x0c") if renumber else -1
            if mark >= 0:
                data = data[: mark + 5] + (1).to_bytes(4) + data[mark + 9 :]
                renumber = False
            try:
                target.sendall(data)
            except OSError:
                return


def receive(source: socket.socket) -> bytes:
    try:
        return source.recv(65536)
    except OSError:
        return b""


def test_time_zones(certjobs: Certjobs, database: TestDatabase) -> None:
    """A time zone that does not exist fails, with the command for that organisation."""
    database.execute("UPDATE organisations SET time_zone = 'Europe/Multedal' WHERE code = 'HLF'")
    found = examine(certjobs).failed("database.time_zones", 78)
    assert found["details"] == {"organisations": ["HLF"]}
    assert found["mend"].startswith("certjobs orgs set HLF --time-zone ")


# Privileges.


def test_the_privileges_looked_for_are_those_that_the_jobs_role_has(database: TestDatabase) -> None:
    """What the migrations grant, as it is read from them, is what the role has in a migrated database."""
    has = database.all(
        "SELECT a.privilege_type, c.relname, NULL FROM pg_class c, aclexplode(c.relacl) a"
        " WHERE c.relnamespace = 'public'::regnamespace AND a.grantee = %s::regrole UNION ALL"
        " SELECT a.privilege_type, c.relname, t.attname FROM pg_class c JOIN pg_attribute t ON t.attrelid = c.oid,"
        " aclexplode(t.attacl) a WHERE c.relnamespace = 'public'::regnamespace AND a.grantee = %s::regrole",
        JOB_ROLE,
        JOB_ROLE,
    )
    wanted, functions = needed()
    assert sorted(map(str, has)) == sorted(map(str, wanted))
    granted = database.all(
        "SELECT p.proname FROM pg_proc p, aclexplode(p.proacl) a"
        " WHERE p.pronamespace = 'public'::regnamespace AND a.grantee = %s::regrole",
        JOB_ROLE,
    )
    assert {name for (name,) in granted} == {each.partition("(")[0] for each in functions}


def test_a_privilege_that_is_lacking(certjobs: Certjobs, database: TestDatabase) -> None:
    """What was taken from the jobs is named, whole tables, columns and functions, and the grant that mends it."""
    database.execute("REVOKE SELECT ON notice_snoozes FROM certjobs_job")
    database.execute("REVOKE UPDATE (sent_at) ON notifications FROM certjobs_job")
    database.execute("REVOKE EXECUTE ON FUNCTION certjobs_pause_free(bigint[], date) FROM certjobs_job")
    found = examine(certjobs, url=database.job_url).failed("database.privileges", 78)
    assert set(found["details"]["lacking"]) == {
        "UPDATE (sent_at) ON notifications",
        "SELECT ON notice_snoozes",
        "EXECUTE ON FUNCTION certjobs_pause_free(bigint[], date)",
    }
    for each in found["details"]["lacking"]:
        database.execute(f"GRANT {each} TO certjobs_job")
        assert f"GRANT {each} TO certjobs_job;" in found["mend"]
    assert examine(certjobs, url=database.job_url)["database.privileges"]["status"] == "ok"
    database.execute("REVOKE SELECT ON notice_snoozes FROM certjobs_job")
    assert examine(certjobs)["database.privileges"]["status"] == "ok"


def test_temporary_is_lacking(certjobs: Certjobs, database: TestDatabase) -> None:
    """A login without TEMPORARY on the database is told before reconcile finds out."""
    database.execute(f"REVOKE TEMPORARY ON DATABASE {database.name} FROM PUBLIC")
    database.execute(f"REVOKE TEMPORARY ON DATABASE {database.name} FROM certjobs_job")
    found = examine(certjobs, url=database.job_url)
    assert found.named("failed") == {"database.temporary", "database.differences"}
    assert found.result.exit_code == 78
    command = f"GRANT TEMPORARY ON DATABASE {database.name} TO certjobs_job"
    assert f"{command};" in found["database.temporary"]["mend"]
    database.execute(command)
    assert examine(certjobs, url=database.job_url).named("failed") == set()


def test_a_login_without_the_jobs_role(certjobs: Certjobs, database: TestDatabase, cluster: Cluster) -> None:
    """A login that is neither the owner nor has the jobs' role is told so."""
    cluster.execute("CREATE ROLE certjobs_test_stranger LOGIN")
    try:
        database.execute("GRANT SELECT ON certjobs_schema_version TO certjobs_test_stranger")
        url = database.url.replace("//postgres@", "//certjobs_test_stranger@")
        found = examine(certjobs, url=url)
        assert "GRANT certjobs_job" in found.failed("database.role", 78)["mend"]
        assert {"database.privileges", "database.temporary", "runs.locks"} <= found.named("skipped")
    finally:
        database.execute("DROP OWNED BY certjobs_test_stranger")
        cluster.execute("DROP ROLE certjobs_test_stranger")


def test_row_security_that_hides_rows(certjobs: Certjobs, database: TestDatabase) -> None:
    """Where row security hides mentors from the jobs, it says how many they see of how many; a policy mends it."""
    load(certjobs, Mentor("A"), Mentor("B"), Mentor("C"))
    database.execute("ANALYZE peer_mentors")
    database.execute("DROP POLICY certjobs_job ON peer_mentors")
    database.execute("DROP POLICY certjobs_others ON peer_mentors")
    found = examine(certjobs, url=database.job_url).warns("database.rows")
    assert found["details"] == {"peer_mentors": {"visible": 0, "there": 3, "policy": False}}
    assert "CREATE POLICY certjobs_job ON peer_mentors" in found["mend"]
    assert examine(certjobs)["database.rows"]["status"] == "ok"
    database.execute("CREATE POLICY early ON peer_mentors TO certjobs_job USING (external_ref < 'C')")
    found = examine(certjobs, url=database.job_url).warns("database.rows")
    assert found["details"] == {"peer_mentors": {"visible": 2, "there": 3, "policy": True}}
    database.execute("CREATE POLICY certjobs_job ON peer_mentors TO certjobs_job USING (true)")
    assert examine(certjobs, url=database.job_url)["database.rows"]["status"] == "ok"
    database.execute("CREATE POLICY late ON peer_mentors AS RESTRICTIVE USING (external_ref < 'B')")
    found = examine(certjobs, url=database.job_url).warns("database.rows")
    assert found["details"] == {"peer_mentors": {"visible": 1, "there": 3, "policy": True}}


# The website.


def test_without_a_portal_it_says_how_much_waits(certjobs: Certjobs, database: TestDatabase) -> None:
    """With no portal it warns, and counts the changes that wait in the queue."""
    load(certjobs, Mentor("A", 100), Mentor("B", 100))
    waiting = database.one("SELECT count(*) FROM sync_queue WHERE status = 'pending'")
    assert waiting == 2
    assert "2 of them now" in examine(certjobs).warns("portal.accepts_us")["found"]


def test_the_portals_faults(certjobs: Certjobs, portal: Portal, tmp_path: Path) -> None:
    """A wrong secret is 77, a wrong table 78, a port that is closed 69, and each line says what to correct."""
    store(tmp_path / "wrong", canary("client", "wrong"))
    wrong_secret = portal.env | {"CERTJOBS_DATAVERSE_CLIENT_SECRET_FILE": str(tmp_path / "wrong")}
    examine(certjobs, env=wrong_secret).failed("portal.accepts_us", 77)
    wrong_table = examine(certjobs, env=portal.env | {"CERTJOBS_DATAVERSE_TABLE": "persons"})
    assert "CERTJOBS_DATAVERSE_TABLE" in wrong_table.failed("portal.accepts_us", 78)["mend"]
    wrong_column = examine(certjobs, env=portal.env | {"CERTJOBS_DATAVERSE_LISTED_COLUMN": "new_shown"})
    assert "new_shown" in wrong_column.failed("portal.accepts_us", 78)["found"]
    nobody = f"http://127.0.0.1:{unused_port()}"
    gone = portal.env | {"CERTJOBS_DATAVERSE_URL": nobody, "CERTJOBS_DATAVERSE_AUTHORITY": nobody}
    examine(certjobs, env=gone).failed("portal.accepts_us", 69)
    unset = {name: value for name, value in portal.env.items() if name != "CERTJOBS_DATAVERSE_TENANT"}
    assert "CERTJOBS_DATAVERSE_TENANT" in examine(certjobs, env=unset).failed("portal.accepts_us", 78)["found"]


def test_more_at_once_than_the_portal_recommends(certjobs: Certjobs, portal: Portal) -> None:
    """What the portal recommends stands beside what is set, and more than that is a warning."""
    assert examine(certjobs, env=portal.env)["portal.accepts_us"]["details"] == {"recommended": 4, "concurrency": 4}
    found = examine(certjobs, env=portal.env | {"CERTJOBS_SYNC_CONCURRENCY": "8"}).warns("portal.accepts_us")
    assert found["mend"] == "Set CERTJOBS_SYNC_CONCURRENCY=4."


def test_the_public_site(certjobs: Certjobs, portal: Portal) -> None:
    """The public site is read where it is set, and one that cannot be read is 69."""
    there = examine(certjobs, env=portal.env | {"CERTJOBS_PUBLIC_SITE_URL": f"{portal.simulator.url}/"})
    assert there["portal.public_site"]["status"] == "ok"
    away = examine(certjobs, env={"CERTJOBS_PUBLIC_SITE_URL": f"http://127.0.0.1:{unused_port()}/"})
    away.failed("portal.public_site", 69)


def test_nothing_is_waited_for_long(certjobs: Certjobs, monkeypatch: pytest.MonkeyPatch) -> None:
    """A service that takes a connection and says nothing is given up after the longest time there is for it."""
    monkeypatch.setattr("certjobs.admin.doctor.LONGEST", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        env = {"CERTJOBS_PUBLIC_SITE_URL": f"http://127.0.0.1:{silent.getsockname()[1]}/"}
        found = examine(certjobs, env=env).failed("portal.public_site", 69)
    assert "did not answer within" in found["found"]


# Who is told.


@pytest.fixture
def tls(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> ssl.SSLContext:
    """Return a server's TLS of an authority that this process trusts."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "authority.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "authority.pem"))
    return context_of(authority, "localhost")


def email(port: int, **more: str) -> dict[str, str]:
    return {
        "CERTJOBS_NOTIFY_CHANNEL": "email",
        "CERTJOBS_SMTP_HOST": "localhost",
        "CERTJOBS_SMTP_PORT": str(port),
        "CERTJOBS_SMTP_USERNAME": USER,
        "CERTJOBS_SMTP_PASSWORD": PASSWORD,
        "CERTJOBS_MAIL_FROM": "mentors@example.org",
    } | more


def test_the_mail_server(certjobs: Certjobs, tls: ssl.SSLContext) -> None:
    """It logs in by STARTTLS and sends no mail; a wrong password is 77, a closed port 69, no STARTTLS 78."""
    with mailroom(tls_context=tls, require_starttls=True, authenticator=knows_us, auth_required=True) as room:
        assert examine(certjobs, env=email(room.port))["notifier.channel"]["status"] == "ok"
        examine(certjobs, env=email(room.port, CERTJOBS_SMTP_PASSWORD=canary("smtp", "wrong"))).failed(
            "notifier.channel", 77
        )
        assert room.envelopes == []
        assert room.connections == 2
    examine(certjobs, env=email(unused_port())).failed("notifier.channel", 69)
    with mailroom() as room:
        found = examine(certjobs, env=email(room.port)).failed("notifier.channel", 78)
        assert "CERTJOBS_SMTP_SECURITY" in found["mend"]


def test_a_password_that_nobody_logs_in_with(certjobs: Certjobs, tls: ssl.SSLContext) -> None:
    """A password for the mail server without a name is a warning, for a run would not log in; not without both."""
    with mailroom(tls_context=tls, require_starttls=True) as room:
        alone = {name: value for name, value in email(room.port).items() if name != "CERTJOBS_SMTP_USERNAME"}
        assert "CERTJOBS_SMTP_USERNAME" in examine(certjobs, env=alone).warns("notifier.channel")["mend"]
        del alone["CERTJOBS_SMTP_PASSWORD"]
        assert examine(certjobs, env=alone)["notifier.channel"]["status"] == "ok"


def test_a_setting_of_the_channel_is_missing(certjobs: Certjobs) -> None:
    """The channel email without a mail server is 78, and the line names the setting."""
    found = examine(certjobs, env={"CERTJOBS_NOTIFY_CHANNEL": "email"}).failed("notifier.channel", 78)
    assert "CERTJOBS_SMTP_HOST" in found["found"]


@pytest.mark.parametrize("which", ["notifier.channel", "notifier.alerts"])
def test_webhooks_are_connected_to_and_nothing_is_posted(certjobs: Certjobs, which: str) -> None:
    """A webhook is connected to and not a byte is sent there; one that is away is 69."""
    settings = {
        "notifier.channel": {"CERTJOBS_NOTIFY_CHANNEL": "webhook", "CERTJOBS_NOTIFY_WEBHOOK_URL": ""},
        "notifier.alerts": {"CERTJOBS_ALERT_WEBHOOK_URL": ""},
    }[which]
    with socket.create_server(("127.0.0.1", 0)) as listening:
        url = f"http://127.0.0.1:{listening.getsockname()[1]}/{canary('alert')}"
        found = examine(certjobs, env={name: value or url for name, value in settings.items()})
        assert found[which]["status"] == "ok"
        connection, _ = listening.accept()
        with connection:
            assert connection.recv(1) == b""
    gone = f"http://127.0.0.1:{unused_port()}/{canary('alert')}"
    examine(certjobs, env={name: value or gone for name, value in settings.items()}).failed(which, 69)


def test_a_webhooks_certificate_is_looked_at(certjobs: Certjobs) -> None:
    """A webhook whose certificate nobody here trusts is 69 and says so, before anything is sent."""
    context = context_of(trustme.CA(), "localhost")
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def handshake() -> None:
            connection, _ = listening.accept()
            with connection, pytest.raises((ssl.SSLError, OSError)):
                context.wrap_socket(connection, server_side=True).recv(1)

        thread = threading.Thread(target=handshake)
        thread.start()
        env = {"CERTJOBS_ALERT_WEBHOOK_URL": f"https://localhost:{listening.getsockname()[1]}/{canary('alert')}"}
        found = examine(certjobs, env=env).failed("notifier.alerts", 69)
        thread.join(10)
    assert "certificate is not trusted" in found["found"]


def test_what_keeps_coordinators_from_being_told_is_warned_of(certjobs: Certjobs) -> None:
    """No channel, a channel that only prints, and a rehearsal are warnings."""
    env = {"CERTJOBS_REDIRECT_ALL_TO": "me@example.org"}
    found = examine(certjobs, env=env)
    assert "stays owed" in found.warns("notifier.channel")["found"]
    assert "rehearsal" in found.warns("notifier.rehearsal")["found"]
    printed = examine(certjobs, env={"CERTJOBS_NOTIFY_CHANNEL": "console"})
    assert "nobody is told" in printed.warns("notifier.channel")["found"]


def test_the_embedded_database_needs_no_address(certjobs: Certjobs) -> None:
    """With --local the embedded database is looked at, whatever is wrong with the address of the other one."""
    found = Examined(certjobs("doctor", "--local", "--json", url="mysql://db.example.org/mentors"))
    assert found.named("failed") == {"settings.CERTJOBS_DATABASE_URL", "database.schema"}
    assert found["database.reachable"]["status"] == "ok"
    assert "`certjobs db upgrade --local`" in found["database.schema"]["mend"]
    assert "`certjobs db upgrade --local`" in certjobs("status", "--local").stderr


# How the nights go.


def test_jobs_that_are_overdue(certjobs: Certjobs, database: TestDatabase) -> None:
    """A job that never succeeded, or not for 26 hours, is a warning; one that did not for 50 hours is 3."""
    ran(database, "expiry-check", ago=timedelta(hours=25))
    ran(database, "remind", ago=timedelta(hours=27))
    found = examine(certjobs)
    assert found["runs.expiry-check"]["status"] == "ok"
    assert "27 h ago" in found.warns("runs.remind")["found"]
    assert "never" in found.warns("runs.sync")["found"]
    assert found.result.exit_code == 0
    ran(database, "reconcile", ago=timedelta(hours=51))
    ran(database, "reconcile", ago=timedelta(hours=3), status="failed")
    failed = examine(certjobs).failed("runs.reconcile", 3)
    assert "its last run: failed" in failed["found"]
    assert "certjobs reconcile" in failed["mend"]


def test_a_lock_whose_owner_is_dead(certjobs: Certjobs, database: TestDatabase) -> None:
    """A lock of a live run is well; once its owner is gone the command that frees it is named."""
    with database.connect() as owner:
        hold(database, owner)
        pid = owner.info.backend_pid
        assert examine(certjobs)["runs.locks"]["status"] == "ok"
    eventually(database, "SELECT NOT EXISTS (SELECT 1 FROM pg_stat_activity WHERE pid = %s)", pid)
    found = examine(certjobs, url=database.job_url).warns("runs.locks")
    assert found["mend"].startswith("certjobs unlock expiry-check --reason")


def test_runs_that_died_lately(certjobs: Certjobs, database: TestDatabase) -> None:
    """Runs of the last week that were abandoned are counted, and older ones are not."""
    ran(database, "sync", ago=timedelta(days=2), status="abandoned")
    ran(database, "sync", ago=timedelta(days=9), status="abandoned")
    found = examine(certjobs).warns("runs.abandoned")
    assert found["details"] == {"runs": 1}
    assert "certjobs runs --failed" in found["mend"]


def test_dead_letters(certjobs: Certjobs, database: TestDatabase) -> None:
    """What nobody sends any more is counted, with the commands that show it."""
    load(certjobs, Mentor("A", 100))
    database.execute("UPDATE sync_queue SET status = 'dead', finished_at = now()")
    found = examine(certjobs).warns("runs.dead_letters")
    assert found["details"] == {"operations_dead": 1, "notices_dead": 0, "notices_unknown": 0}
    assert found["mend"] == "certjobs queue list --status dead"


def test_sets_that_wait_for_a_person(certjobs: Certjobs) -> None:
    """A set that the guard refused is named with the command that lets it through, until somebody approved it."""
    load(certjobs, *(Mentor(f"M-{number}") for number in range(4)))
    env = {"CERTJOBS_GUARD_COUNT": "1", "CERTJOBS_GUARD_SHARE": "0"}
    assert certjobs(*NIGHT, env=env).exit_code == 4
    found = examine(certjobs).warns("runs.approvals")
    (hashed,) = found["details"]["hashes"]
    assert found["mend"].startswith(f"certjobs approve {hashed[:12]} --dry-run")
    assert certjobs("approve", hashed[:12], "--reason", "a test").exit_code == 0
    assert examine(certjobs)["runs.approvals"]["status"] == "ok"
