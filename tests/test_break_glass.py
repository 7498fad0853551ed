"""sync --credentials: files, standard input, a terminal; what is refused, what is asked, and that the secret stays."""

from __future__ import annotations

import io
import os
import re
import resource
import signal
import sys
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pexpect
import pytest
import stamina
from hypothesis import given
from hypothesis import strategies as st

from certjobs.domain.credentials import NAMES, TEMPLATE, Credentials, parse
from certjobs.errors import InputRejected
from certjobs.local.simulator.server import CLIENT_ID, SECRET, TENANT
from tests.canaries import canary, store, stored
from tests.children.helpers import CONSOLE, dump, last_run, load, locks, runs
from tests.children.processes import eventually, stuck_in_its_first_send
from tests.children.servers import SECRET_PATH, unused_port, webhook
from tests.roster import Mentor
from tests.test_outbox import AS_OF
from tests.test_sync import ready
from tests.test_sync_credentials import server_logs
from tests.watched import WatchedPortal, account, watched

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator, Mapping

    from tests.children.processes import Forked
    from tests.conftest import Certjobs, CertjobsProcess, Result, TestDatabase

pytest_plugins = ["tests.children.plugin"]

ENDED = canary("client", "ended")
NOTE = canary("client", "8Q~of.nobody")
OTHER = canary("client", "hunter2")
WHY = "the secret ended, a new one by phone"
SURE = ("--yes", "--reason", WHY)
LINES = f"client_secret = {NOTE}\n"


@dataclass
class Emergency:
    """A website that has to learn of some mentors, a stored secret that has ended, and one on a sticky note."""

    certjobs: Certjobs
    database: TestDatabase
    portal: WatchedPortal
    env: dict[str, str]
    path: Path
    refs: list[str]

    def file(self, content: str | bytes = LINES, mode: int = 0o600) -> str:
        """Write down credentials, and return where."""
        path = self.path / "note.txt"
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        path.chmod(mode)
        stored(path)
        return str(path)

    def sync(self, *options: str, env: Mapping[str, str] | None = None, stdin: bytes = b"") -> Result:
        """Run sync --credentials, and whatever came of it, find no secret in what it says."""
        argv = ("sync", "--credentials", *options, *AS_OF)
        found = self.certjobs(*argv, url=self.database.job_url, env=self.env | dict(env or {}), stdin=stdin)
        for secret in (NOTE, ENDED, SECRET):
            assert secret not in found.stdout + found.stderr
        return found

    def sent(self) -> bool:
        """Tell whether the website has learned of all of them; nothing lies between all and nobody."""
        listed = self.portal.listed()
        assert listed in ([], self.refs)
        assert account(self.database) == {"done" if listed else "pending": len(self.refs)}
        return bool(listed)

    def asked_for_tokens(self) -> int:
        """Return how often a token was asked for."""
        return len(self.portal.simulator.log.entries("token"))

    @contextmanager
    def unmoved(self) -> Iterator[None]:
        """Find every table as it was before the block, but for rows of runs that failed, and the website too."""
        before = dump(self.database)
        yield
        after = dump(self.database)
        failed = self.database.one("SELECT count(*) FROM scheduler_run_log WHERE status = 'failed'")
        assert len(after.pop("scheduler_run_log")) - failed == len(before.pop("scheduler_run_log"))
        assert after == before
        assert (self.portal.listed(), self.portal.changes()) == ([], 0)


@pytest.fixture
def emergency(
    certjobs: Certjobs, database: TestDatabase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Emergency]:
    """Give one."""
    with watched(tmp_path, monkeypatch) as portal:
        refs = ready(certjobs, portal, 3)
        authority, client_id = portal.simulator.authority, portal.simulator.settings.client_id
        authority.add_secret(client_id, NOTE)
        authority.remove_secret(client_id, SECRET)
        store(Path(portal.env["CERTJOBS_DATAVERSE_CLIENT_SECRET_FILE"]), ENDED)
        yield Emergency(certjobs, database, portal, portal.env, tmp_path, refs)


# Where they come from.


@pytest.mark.parametrize(
    ("how", "content"),
    [
        ("file", LINES),
        ("file", NOTE),
        ("file", f"\ufeff# by phone\n\n  {NOTE}  \n"),
        ("-", LINES),
        ("-", f"{NOTE}\r\n"),
        ("bare", NOTE),
        ("descriptor", LINES),
    ],
)
def test_sent_with_credentials_given_by_hand(emergency: Emergency, how: str, content: str) -> None:
    """A file, standard input by name or in a pipe, and a shell's <(command) all give credentials, as lines or alone."""
    with ExitStack() as closing:
        where = {"file": [emergency.file(content)], "-": ["-"], "bare": []}.get(how)
        if where is None:
            taking, giving = os.pipe()
            closing.callback(os.close, taking)
            os.write(giving, content.encode())
            os.close(giving)
            where = [f"/dev/fd/{taking}"]
        result = emergency.sync(*where, *SURE, stdin=content.encode() if how in ("-", "bare") else b"")
    assert result.exit_code == 0, result
    assert emergency.sent()
    assert "3 listed" in result.stdout


def test_who_and_why_stand_on_the_run(emergency: Emergency) -> None:
    """The run's row holds actor and reason, the reason on one line."""
    reason = ("--reason", " the secret\n ended ")
    assert emergency.sync(emergency.file(), "--yes", *reason, env={"CERTJOBS_ACTOR": "kari"}).exit_code == 0
    row = emergency.database.all("SELECT job_name, actor, reason, exit_code FROM scheduler_run_log")
    assert row == [("sync", "kari", "the secret ended", 0)]


def test_the_template_filled_in(emergency: Emergency) -> None:
    """The template with every line filled in is all that has to be known of the portal, application and tenant."""
    template = emergency.certjobs("sync", "--credentials-template")
    assert (template.exit_code, template.stdout, template.stderr) == (0, TEMPLATE, "")
    url = emergency.portal.simulator.url
    values = {"client_id": CLIENT_ID, "tenant": TENANT, "url": url, "authority": url, "client_secret": NOTE}
    assert values.keys() == set(NAMES)
    filled = template.stdout
    for name, value in values.items():
        filled, number = re.subn(rf"(?m)^#?{name} =.*$", f"{name} = {value}", filled)
        assert number == 1, name
    stored = {name: value for name, value in emergency.env.items() if "TABLE" in name or "COLUMN" in name}
    result = emergency.certjobs(
        "sync", "--credentials", emergency.file(filled), *SURE, *AS_OF, url=emergency.database.job_url, env=stored
    )
    assert result.exit_code == 0, result
    assert emergency.sent()


def test_the_template_as_it_is(emergency: Emergency) -> None:
    """The template as it is printed is refused, and what is missing is named."""
    template = emergency.certjobs("sync", "--credentials-template").stdout
    with emergency.unmoved():
        result = emergency.sync(emergency.file(template), *SURE)
    assert result.exit_code == 65
    assert "client_secret" in result.stderr
    assert emergency.asked_for_tokens() == 0


# What is refused before anybody is asked.


@dataclass(frozen=True)
class Bad:
    """A file that is no use."""

    content: bytes = LINES.encode()
    mode: int = 0o600
    owner: int | None = None


BAD = {
    "others can read it": Bad(mode=0o604),
    "the group can read it": Bad(mode=0o640),
    "the group can write to it": Bad(mode=0o620),
    "others may run it": Bad(mode=0o601),
    "somebody else's": Bad(owner=12_345),
    "too large": Bad(f"{LINES}#{'x' * 70_000}".encode()),
    "not UTF-8": Bad(LINES.encode() + b"# \xff\n"),
    "in UTF-16": Bad(LINES.encode("utf-16")),
    "an unknown name": Bad(f"{LINES}passphrase = {OTHER}\n".encode()),
    "no setting": Bad(f"{LINES}{OTHER}\n".encode()),
    "the same twice": Bad(f"{LINES}CLIENT_SECRET = {OTHER}\n".encode()),
    "two words": Bad(f"{OTHER} 8Q~of.nobody\n".encode()),
    "quoted by a word processor": Bad(f"client_secret = \u201c{OTHER}\u201d".encode()),
    "empty": Bad(b""),
    "only comments": Bad(f"# {OTHER}\n".encode()),
    "no value": Bad(b"client_secret =\n"),
    "no secret": Bad(f"client_id = {OTHER}\n".encode()),
}


@pytest.mark.parametrize("bad", BAD.values(), ids=BAD)
def test_a_file_that_is_no_use(emergency: Emergency, bad: Bad) -> None:
    """It is refused with a sentence that repeats nothing of it; nobody is asked for a token, and no run is recorded."""
    file = emergency.file(bad.content, bad.mode)
    if bad.owner is not None:
        if os.geteuid() != 0:
            pytest.skip("only root can give a file away")
        os.chown(file, bad.owner, -1)
    with emergency.unmoved():
        result = emergency.sync(file, *SURE)
    refused(emergency, result)
    assert emergency.sync(file, *SURE, "--json").json()["exit_code"] == 65


def refused(emergency: Emergency, result: Result) -> None:
    """It was refused as input, in a sentence or two, before any token was asked for."""
    assert result.exit_code == 65, result
    assert (result.stdout, emergency.asked_for_tokens()) == ("", 0)
    assert re.match(r"certjobs: [A-Z].*\.\n", result.stderr)
    for fragment in (NOTE[:6], NOTE[-6:], "hunter2", "passphrase", "8Q~"):
        assert fragment not in result.stderr


@pytest.mark.parametrize("what", ["missing", "directory"])
def test_no_file_at_all(emergency: Emergency, what: str) -> None:
    """A path to nothing, or to a directory, is refused like a bad file."""
    with emergency.unmoved():
        result = emergency.sync(str(emergency.path / "nothing" if what == "missing" else emergency.path), *SURE)
    refused(emergency, result)


@pytest.mark.parametrize("content", [b"", b"\n\n", b"a b", b"\xff", b"x" * 70_000])
def test_standard_input_that_is_no_use(emergency: Emergency, content: bytes) -> None:
    """What comes by standard input is looked at as strictly as what a file holds."""
    with emergency.unmoved():
        refused(emergency, emergency.sync("-", *SURE, stdin=content))
        refused(emergency, emergency.sync(*SURE, stdin=content))


@pytest.mark.parametrize("name", ["client_id", "tenant", "url", "authority"])
@pytest.mark.parametrize("debug", [(), ("--debug",)])
def test_a_secret_in_the_wrong_line(emergency: Emergency, name: str, debug: tuple[str, ...]) -> None:
    """A secret pasted where something else belongs is not repeated by whatever is said of it."""
    with emergency.unmoved():
        result = emergency.sync(emergency.file(f"client_secret = {OTHER}\n{name} = {NOTE}\n"), *SURE, *debug)
    assert result.exit_code in (65, 69, 77, 78), result


def test_a_portal_that_is_not_there(emergency: Emergency) -> None:
    """Where the portal that is given does not answer the exit code is 69, and a failed run tells of it."""
    nobody = f"http://127.0.0.1:{unused_port()}"
    with emergency.unmoved(), stamina.set_testing(True, attempts=2):
        result = emergency.sync(emergency.file(f"{LINES}url = {nobody}\nauthority = {nobody}\n"), *SURE)
    assert result.exit_code == 69, result


@pytest.mark.parametrize("options", [(), SURE, ("--dry-run",), (*SURE, "--json", "--debug")])
def test_a_wrong_secret(emergency: Emergency, options: tuple[str, ...]) -> None:
    """A secret that the portal does not accept exits 77: nothing was claimed, nobody asked; a run tells of it."""
    with emergency.unmoved():
        result = emergency.sync(emergency.file(ENDED), *options)
    assert result.exit_code == 77, result
    if "--json" in options:
        assert result.json()["exit_code"] == 77
    rows = emergency.database.all("SELECT status, exit_code, actor, reason FROM scheduler_run_log")
    reason = WHY if "--reason" in options else None
    assert rows == ([] if "--dry-run" in options else [("failed", 77, "test", reason)])


@pytest.mark.parametrize("how", ["file, unsure", "file, no reason", "-, unsure", "bare, unsure", "bare, no reason"])
def test_nobody_there_to_be_asked(emergency: Emergency, how: str) -> None:
    """Without a terminal both --yes and --reason have to be given, or the exit code is 2 and nothing was done."""
    where, _, what = how.partition(", ")
    given = {"file": [emergency.file()], "-": ["-"], "bare": []}[where]
    options = ["--reason", WHY] if what == "unsure" else ["--yes"]
    with emergency.unmoved():
        result = emergency.sync(*given, *options, stdin=b"" if where == "file" else LINES.encode())
    assert result.exit_code == 2, result
    assert ("--yes" if what == "unsure" else "--reason") in result.stderr


def test_a_reason_that_says_nothing(emergency: Emergency) -> None:
    """An empty reason is no reason."""
    with emergency.unmoved():
        assert emergency.sync(emergency.file(), "--yes", "--reason", " \n").exit_code == 2


# A rehearsal, a program, and what is said at the end.


@pytest.mark.parametrize(
    ("how", "reason"),
    [
        ("file", ("--reason", WHY)),
        ("-", ("--reason", WHY)),
        *((how, ()) for how in ("file", "-", "bare")),
    ],
)
def test_a_dry_run_asks_nobody(emergency: Emergency, how: str, reason: tuple[str, ...]) -> None:
    """A rehearsal says what would be sent, sends nothing, and asks for neither reason nor confirmation."""
    given = {"file": [emergency.file()], "-": ["-"], "bare": []}[how]
    with emergency.unmoved():
        result = emergency.sync(*given, "--dry-run", *reason, stdin=b"" if how == "file" else LINES.encode())
    assert result.exit_code == 0, result
    assert "3 listed" in result.stdout


def test_json_is_one_document(emergency: Emergency) -> None:
    """With --json standard output is one JSON document, and what is said to a person stands on standard error."""
    result = emergency.sync(emergency.file(), *SURE, "--json")
    document = result.json()
    assert (document["exit_code"], document["counts"]["restored"], document["counts"]["open"]) == (0, 3, 0)
    assert "accepts the application" in result.stderr


def test_whose_credentials_they_are(emergency: Emergency) -> None:
    """Portal, application and tenant are said before anything is sent."""
    said = emergency.sync(emergency.file(), "--reason", WHY).stderr
    for each in (emergency.portal.simulator.url, CLIENT_ID, TENANT):
        assert each in said
    assert not emergency.sent()


def test_what_is_said_when_the_stored_ones_are_wrong(emergency: Emergency) -> None:
    """At the end stands that the stored secret has to be replaced, and that the file is to be deleted."""
    said = emergency.sync(emergency.file(), *SURE).stderr
    assert "stored ones are not accepted" in said
    assert "Store the new secret" in said
    assert "Delete the file" in said


def test_what_is_said_when_the_stored_ones_are_fine(emergency: Emergency) -> None:
    """Where the portal accepts the stored ones nothing has to be rotated; without a file none is to be deleted."""
    store(Path(emergency.env["CERTJOBS_DATAVERSE_CLIENT_SECRET_FILE"]), NOTE)
    said = emergency.sync("-", *SURE, stdin=NOTE.encode()).stderr
    assert "nothing has to be rotated" in said
    assert "Store the new secret" not in said
    assert "Delete the file" not in said


def test_what_is_left_is_said(emergency: Emergency) -> None:
    """What could not be sent stands in the report with its number, the exit code is 3, and the reminder follows."""
    emergency.portal.fault("status", "part", key=emergency.refs[1], status=400, count=None)
    result = emergency.sync(emergency.file(), *SURE)
    assert result.exit_code == 3
    assert "2 listed" in result.stdout
    assert emergency.refs[1] in result.stdout
    assert "Store the new secret" in result.stderr


# What is in its way is none of its business.


STORED: dict[str, dict[str, str | None]] = {
    "wrong": {},
    "its file missing": {"CERTJOBS_DATAVERSE_CLIENT_SECRET_FILE": "/nowhere/secret"},
    "none": {"CERTJOBS_DATAVERSE_CLIENT_SECRET_FILE": None},
    "no portal": {"CERTJOBS_PORTAL": "none", "CERTJOBS_DATAVERSE_CLIENT_SECRET_FILE": None},
    "a certificate that is missing": {
        "CERTJOBS_DATAVERSE_CREDENTIAL": "certificate",
        "CERTJOBS_DATAVERSE_CERTIFICATE_FILE": "/nowhere/certificate",
    },
}


@pytest.mark.parametrize("stored", STORED.values(), ids=STORED)
def test_whatever_is_stored(emergency: Emergency, stored: dict[str, str | None]) -> None:
    """What is stored may be wrong, missing or of another kind, and no portal set at all."""
    for name, value in stored.items():
        emergency.env.pop(name, None)
        if value is not None:
            emergency.env[name] = value
    result = emergency.sync(emergency.file(), *SURE)
    assert result.exit_code == 0, result
    assert emergency.sent()
    assert "before the next night" in result.stderr


@contextmanager
def ended(process: subprocess.Popen[bytes]) -> Iterator[subprocess.Popen[bytes]]:
    """Let a process not outlive the block."""
    with process:
        try:
            yield process
        finally:
            process.kill()


def test_another_jobs_lock_is_held(emergency: Emergency, forked: Forked) -> None:
    """While another job holds its lock, break-glass works."""
    load(emergency.certjobs, Mentor("X", -1))
    database = emergency.database
    with stuck_in_its_first_send(forked, database, "expiry-check", *AS_OF, env=CONSOLE) as stuck:
        assert locks(database) == 1
        assert emergency.sync(emergency.file(), *SURE).exit_code == 0
        assert (locks(database), emergency.portal.listed()) == (1, emergency.refs)
        stuck.release()
        stuck.child.wait()


def test_a_watcher_is_at_it(emergency: Emergency, certjobs_process: CertjobsProcess) -> None:
    """While a watcher whose secret has ended does what it can, break-glass sends everything."""
    watcher = certjobs_process.start("sync", "--watch", url=emergency.database.job_url, env=emergency.env)
    with ended(watcher) as process:
        eventually(emergency.database, "SELECT count(*) = 1 FROM scheduler_run_log WHERE exit_code = 77")
        assert emergency.sync(emergency.file(), *SURE).exit_code == 0
        assert emergency.sent()
        assert process.poll() is None
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=30)
        assert process.returncode == 143
    assert sorted(row.exit_code or 0 for row in runs(emergency.database)) == [0, 77]


# On a terminal.


class Terminal:
    """sync --credentials on a pseudo-terminal: who is in front of it, and all that it showed."""

    def __init__(self, emergency: Emergency, *options: str) -> None:
        self.shown = io.StringIO()
        variables = {"CERTJOBS_DATABASE_URL": emergency.database.job_url, "TERM": "xterm", "COLUMNS": "200"}
        self.child: pexpect.spawn[str] = pexpect.spawn(
            sys.executable,
            ["-m", "certjobs", "sync", "--credentials", *options, *AS_OF],
            env=os.environ | emergency.env | variables,
            encoding="utf-8",
            timeout=30,
            dimensions=(50, 200),
        )
        self.child.delaybeforesend = None
        self.child.logfile_read = self.shown

    def is_asked(self, question: str, answer: str) -> None:
        """Wait for a question and answer it."""
        self.child.expect(question)
        self.child.sendline(answer)

    def ends(self) -> int:
        """Wait for the end, and return the exit code; nothing that was shown is a secret."""
        self.child.expect(pexpect.EOF)
        self.child.close()
        for secret in (NOTE, ENDED, SECRET):
            assert secret not in self.shown.getvalue()
        assert self.child.exitstatus is not None, self.shown.getvalue()
        return self.child.exitstatus


@pytest.fixture
def at_a_terminal(emergency: Emergency) -> Iterator[Any]:
    """Return what starts sync --credentials on a pseudo-terminal."""
    with ExitStack() as ending:

        def start(*options: str) -> Terminal:
            made = Terminal(emergency, *options)
            ending.callback(made.child.close, force=True)
            return made

        yield start


SECRET_ASKED = "Client secret.*: "
REASON_ASKED = "Why.*: "
SURE_ASKED = r"Send to the website.*\[y/N\]: "


def test_asked_on_a_terminal(emergency: Emergency, at_a_terminal: Any) -> None:
    """The secret is asked for and not shown, then the reason, then whether to send; until then nothing was done."""
    terminal = at_a_terminal()
    with emergency.unmoved():
        terminal.is_asked(SECRET_ASKED, NOTE)
        terminal.child.expect("accepts the application")
        terminal.is_asked(REASON_ASKED, WHY)
        terminal.child.expect(SURE_ASKED)
    terminal.child.sendline("y")
    assert terminal.ends() == 0, terminal.shown.getvalue()
    assert emergency.sent()
    assert emergency.database.all("SELECT reason, trigger FROM scheduler_run_log") == [(WHY, "manual")]
    assert "Delete the file" not in terminal.shown.getvalue()


def test_what_is_given_is_not_asked_for(emergency: Emergency, at_a_terminal: Any) -> None:
    """With --reason and --yes only the secret is asked for."""
    terminal = at_a_terminal(*SURE)
    terminal.is_asked(SECRET_ASKED, NOTE)
    assert terminal.ends() == 0
    assert emergency.sent()
    assert not re.search(f"{REASON_ASKED}|{SURE_ASKED}", terminal.shown.getvalue())


def test_no_said_on_a_terminal(emergency: Emergency, at_a_terminal: Any) -> None:
    """Who is asked whether to send, and says no, has sent nothing and left no run; a file's secret is not shown."""
    terminal = at_a_terminal(emergency.file())
    with emergency.unmoved():
        terminal.is_asked(REASON_ASKED, WHY)
        terminal.is_asked(SURE_ASKED, "n")
        assert terminal.ends() != 0


def test_a_wrong_secret_on_a_terminal(emergency: Emergency, at_a_terminal: Any) -> None:
    """A wrong secret ends with 77 before a reason is asked for."""
    terminal = at_a_terminal()
    with emergency.unmoved():
        terminal.is_asked(SECRET_ASKED, ENDED)
        assert terminal.ends() == 77
    assert not re.search(REASON_ASKED, terminal.shown.getvalue())


@pytest.mark.parametrize(
    "questions",
    [
        (),
        ((SECRET_ASKED, NOTE), (REASON_ASKED, WHY)),
    ],
)
def test_interrupted_on_a_terminal(emergency: Emergency, at_a_terminal: Any, questions: Any) -> None:
    """Ctrl-C at a question ends it with 130 and nothing done, and the terminal echoes again."""
    terminal = at_a_terminal()
    with emergency.unmoved():
        for question, answer in questions:
            terminal.is_asked(question, answer)
        terminal.child.expect(SURE_ASKED if questions else SECRET_ASKED)
        terminal.child.sendcontrol("c")
        assert terminal.ends() == 130, terminal.shown.getvalue()


def test_a_rehearsal_on_a_terminal_asks_for_the_secret_alone(emergency: Emergency, at_a_terminal: Any) -> None:
    """With --dry-run the secret is the one thing asked for."""
    terminal = at_a_terminal("--dry-run")
    with emergency.unmoved():
        terminal.is_asked(SECRET_ASKED, NOTE)
        assert terminal.child.expect([pexpect.EOF, REASON_ASKED]) == 0
        assert terminal.ends() == 0, terminal.shown.getvalue()


# Where the secret could be found afterwards, and meanwhile.


RESTLESS = "tests.children.restless"


def everyone_can_read(pid: int) -> Iterator[str]:
    """Yield what the process list shows, and what this process was given."""
    for path in (*Path("/proc").glob("[0-9]*/cmdline"), Path(f"/proc/{pid}/environ")):
        try:
            yield path.read_bytes().decode(errors="replace")
        except OSError:
            continue  # it has ended


@contextmanager
def cores_wanted() -> Iterator[None]:
    """Let processes that crash leave an image of their memory, as far as this machine lets anybody."""
    soft, hard = resource.getrlimit(resource.RLIMIT_CORE)
    if hard == 0:
        pytest.skip("nobody may leave a core here")
    resource.setrlimit(resource.RLIMIT_CORE, (hard, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_CORE, (soft, hard))


def core_limit(pid: int) -> str:
    """Return how large a core of this process may be."""
    (line,) = re.findall(r"(?m)^Max core file size +(\S+)", Path(f"/proc/{pid}/limits").read_text())
    return str(line)


@pytest.mark.skipif(not Path("/proc/self/limits").exists(), reason="needs /proc")
def test_where_nobody_finds_it(emergency: Emergency, certjobs_process: CertjobsProcess) -> None:
    """No log, row, alert, process list, environment or core holds the secret, nor what it gave, though a run fails."""
    file = emergency.file()
    emergency.portal.fault("status", "part", key=emergency.refs[1], status=500, count=None)
    emergency.portal.fault("status", "row", key=emergency.refs[1], status=500, count=None)
    seen: list[str] = []
    with webhook() as alerts, cores_wanted(), ExitStack() as ending:
        env = emergency.env | alerts.env | {"CERTJOBS_LOG_LEVEL": "debug"}

        def look(number: int) -> None:
            if number == 1:
                seen.extend([*everyone_can_read(process.pid), f"core limit {core_limit(process.pid)}"])

        emergency.portal.watch.on_request = look
        argv = ("sync", "--credentials", file, *SURE, "--debug", *AS_OF)
        process = ending.enter_context(
            ended(certjobs_process.start(*argv, url=emergency.database.job_url, env=env, program=RESTLESS))
        )
        out, err = process.communicate(timeout=60)
        assert process.returncode == 3, err
        assert alerts.posted
    assert "core limit 0" in seen
    assert any("--credentials" in each for each in seen)
    credentials = emergency.portal.watch.credentials
    assert NOTE in credentials
    assert len(credentials) > 2, "the secrets and a token"
    left = [*seen, out.decode(), err.decode(), *alerts.raw, *server_logs(emergency.database)]
    left += [row for rows in dump(emergency.database).values() for row in rows]
    assert [each for each in (*credentials, NOTE[:-8]) for text in left if each in text] == []
    assert not any(SECRET_PATH in text for text in (out.decode(), err.decode()))
    assert last_run(emergency.database).exit_code == 3


def test_no_core_while_a_person_is_asked(emergency: Emergency, at_a_terminal: Any) -> None:
    """From before the secret is typed no crash can leave it on the disk."""
    with cores_wanted():
        terminal = at_a_terminal()
    terminal.child.expect(SECRET_ASKED)
    assert core_limit(terminal.child.pid) == "0"
    assert emergency.asked_for_tokens() == 0


def test_the_secret_is_not_shown_by_accident() -> None:
    """Credentials as they are printed hold no secret."""
    assert NOTE not in repr(Credentials(NOTE))


# What is written down, for any text at all.


WORDS = re.compile(
    rf"Line \d+ of the credentials is none of {', '.join(NAMES)}\."
    rf"|Line \d+ of the credentials gives ({'|'.join(NAMES)}) once more\."
    r"|Line \d+ of the credentials holds a character that none of them can hold\."
    r"|The credentials hold no client_secret\."
)
values = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=60)
pieces = st.one_of(
    st.text(max_size=20),
    values,
    st.sampled_from((*NAMES, "=", " = ", "\n", "\r\n", "#", "\u2028", "\x0c", "\t", " ", "Client_Secret", "\ufeff")),
)


def said_of(text: str) -> str | None:
    """Return why a text is refused, or None where it is not."""
    try:
        parse(text)
    except InputRejected as exc:
        return exc.message
    return None


@given(st.lists(pieces, max_size=12).map("".join))
def test_any_text(text: str) -> None:
    """Any text is credentials or refused, in one of four sentences, none of which holds anything of the text."""
    said = said_of(text)
    if said is not None:
        assert WORDS.fullmatch(said), said
        ours = {*NAMES, *re.findall(r"\w+", WORDS.pattern)}
        assert not [each for each in re.findall(r"[^\s=]{4,}", text) if each in said and each.lower() not in ours]
        return
    found = parse(text)
    assert found.client_secret
    for name in NAMES:
        value = getattr(found, name)
        assert value is None or (value.isascii() and value.isprintable() and " " not in value and value in text)


@given(st.dictionaries(st.sampled_from(NAMES), values), values, st.randoms(use_true_random=False))
def test_what_is_written_comes_back(given_by_hand: dict[str, str], secret: str, order: Any) -> None:
    """Whatever the lines of the template are given comes back as it was, in any order, with any blanks around it."""
    wanted = given_by_hand | {"client_secret": secret}
    lines = [f"{name.upper() if order.random() < 0.2 else name} = {value} " for name, value in wanted.items()]
    lines += ["# a remark", "", "authority =" if "authority" not in wanted else ""]
    order.shuffle(lines)
    assert parse("\n".join(lines)) == Credentials(**wanted)


@given(values)
def test_a_secret_alone_comes_back(secret: str) -> None:
    """A secret alone on a line comes back, but for one that reads like a remark or a setting."""
    if secret.startswith("#") or secret.partition("=")[0].lower() in NAMES:
        return
    assert parse(f"# by phone\n{secret}\n") == Credentials(secret)
