"""The runbook, fault by fault: each is caused for real, and the commands written in docs/runbook.md mend it."""

from __future__ import annotations

import os
import re
import shlex
import sys
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import pexpect
import pytest

from certjobs.errors import DeliveryRefused, DeliveryUnknown
from certjobs.local.simulator.server import CLIENT_ID, SECRET
from tests.canaries import canary, store, stored
from tests.children.helpers import CONSOLE, locks, nobody_connected, statuses
from tests.conftest import ROOT, Certjobs, Cluster, Result, TestDatabase
from tests.portal import Portal, running
from tests.roster import TODAY, Mentor, file_of
from tests.test_lock import hold
from tests.test_remind import Troubled

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

TEXT = (ROOT / "docs" / "runbook.md").read_text(encoding="utf-8")
NEW_SECRET = canary("client", "8Q~of.nobody")
SHIFT = (datetime.now(ZoneInfo("Europe/Oslo")).date() - TODAY).days  # the runbook's commands know no --as-of
PRINTED = {  # what the placeholders stand for in what a command printed
    "HASH": r"certjobs approve ([0-9a-f]{8,})",
    "NUMBER": r"(?m)^ +(\d+) ",
    "MENTOR": r"\b(HLF-\d{4})\b",
    "ADDRESS": r"\b([a-z]+@example\.org)\b",
    "RUN_ID": r"\brun ([0-9a-f-]{36})\b",
}
GIVEN = {"FILE", "NEW"}  # what a person knows by themselves


@dataclass(frozen=True)
class Command:
    """A command as it is written, and the exit code that its comment tells of."""

    words: tuple[str, ...]
    exit_code: int


def sections() -> dict[str, list[Command]]:
    """Return the commands of each section that has some, by its heading."""
    found: dict[str, list[Command]] = {}
    for section in re.split(r"(?m)^##+ ", TEXT)[1:]:
        heading = section.split("\n", 1)[0]
        for block in re.findall(r"```console\n(.*?)```", section, re.DOTALL):
            for line in re.findall(r"(?m)^\$ certjobs (.*)$", block):
                told = re.search(r"# exits (\d+), and", line)
                command = Command(tuple(shlex.split(line, comments=True)), int(told[1]) if told else 0)
                found.setdefault(heading, []).append(command)
    return found


@dataclass
class World:
    """A database, a portal, a channel, and the commands of a section, run one after the other as they are written."""

    certjobs: Certjobs
    database: TestDatabase
    cluster: Cluster
    portal: Portal
    channel: Troubled
    path: Path
    left: list[Command]
    given: dict[str, str] = field(default_factory=dict)
    url: str | None = None
    _printed: list[str] = field(default_factory=list)

    @property
    def env(self) -> dict[str, str]:
        """The settings of the night."""
        return self.portal.env | CONSOLE

    def next(self, beginning: str) -> tuple[list[str], int]:
        """Return the next command, which begins like this, with its placeholders filled in, and its exit code."""
        command = self.left.pop(0)
        assert " ".join(command.words).startswith(beginning)
        return [self._filled(word) for word in command.words], command.exit_code

    def run(self, beginning: str) -> Result:
        """Run the next command; it must end as the runbook says."""
        words, exit_code = self.next(beginning)
        result = self.certjobs(*words, env=self.env, url=self.url)
        assert result.exit_code == exit_code, (words, result)
        self.printed(result.stdout + result.stderr)
        return result

    def printed(self, text: str) -> None:
        """Take note of what a command printed."""
        self._printed.append(text)

    def _filled(self, word: str) -> str:
        if word in self.given:
            return self.given[word]
        if word not in PRINTED:
            return word
        for text in reversed(self._printed):
            if found := re.search(PRINTED[word], text):
                return found[1]
        pytest.fail(f"no command printed what {word} stands for")

    def now(self, *argv: str, exit_code: int = 0) -> Result:
        """Run what the scheduler or somebody else runs."""
        result = self.certjobs(*argv, env=self.env)
        assert result.exit_code == exit_code, result
        return result

    def people(self, *days: int, listed: bool = True) -> list[str]:
        """Give mentors whose certifications end in so many days, each with an entry on the website."""
        first = len(statuses(self.database))
        mentors = [Mentor(f"HLF-{first + n:04}", SHIFT + each) for n, each in enumerate(days)]
        result = self.certjobs("roster", "import", "-", stdin=file_of(mentors))
        assert result.exit_code == 0, result
        self.portal.knows(*(each.ref for each in mentors), listed=listed)
        return [each.ref for each in mentors]

    def file(self, content: bytes, name: str) -> str:
        """Write a file that only its owner can read, and return where."""
        path = self.path / name
        path.touch(mode=0o600)
        path.write_bytes(content)
        return str(path)

    def secret_ends(self) -> None:
        """Let the stored secret end, and another one work."""
        authority = self.portal.simulator.authority
        authority.add_secret(CLIENT_ID, NEW_SECRET)
        authority.remove_secret(CLIENT_ID, SECRET)

    def days_pass(self, days: int) -> None:
        """Make every run that was so much older."""
        self.database.execute(
            "UPDATE scheduler_run_log SET started_at = started_at - make_interval(days => %(days)s),"
            " finished_at = finished_at - make_interval(days => %(days)s),"
            " heartbeat_at = heartbeat_at - make_interval(days => %(days)s)".replace("%(days)s", str(days))
        )


FAULTS: dict[str, Callable[[World], None]] = {}


def fault(heading: str) -> Callable[[Callable[[World], None]], Callable[[World], None]]:
    """Say which section mends this fault."""

    def noted(function: Callable[[World], None]) -> Callable[[World], None]:
        FAULTS[heading] = function
        return function

    return noted


@fault("Rotate the Dynamics secret")
def rotate(world: World) -> None:
    """With the new secret in its file what waited goes out."""
    refs = world.people(100, 100, listed=False)
    world.secret_ends()
    world.now("sync", exit_code=77)
    store(Path(world.portal.env["CERTJOBS_DATAVERSE_CLIENT_SECRET_FILE"]), NEW_SECRET)
    world.run("sync --dry-run")
    assert world.portal.listed() == []
    world.run("sync")
    assert world.portal.listed() == refs
    world.run("status")
    world.run("sync --dry-run")


@fault("Break glass")
def break_glass(world: World) -> None:
    """A secret typed at a terminal, and one from a file, send what the stored one cannot."""
    refs = world.people(100, listed=False)
    world.secret_ends()
    world.now("sync", exit_code=77)
    words, exit_code = world.next("sync --credentials")
    child: pexpect.spawn[str] = pexpect.spawn(
        sys.executable,
        ["-m", "certjobs", *words],
        env=os.environ | world.env | {"CERTJOBS_DATABASE_URL": world.database.job_url, "TERM": "xterm"},
        encoding="utf-8",
        timeout=30,
        dimensions=(50, 200),
    )
    try:
        child.delaybeforesend = None
        for question, answer in ((r"Client secret.*: ", NEW_SECRET), (r"Send to the website.*\[y/N\]: ", "y")):
            child.expect(question)
            child.sendline(answer)
        child.expect(pexpect.EOF)
    finally:
        child.close()
    assert child.exitstatus == exit_code
    assert world.portal.listed() == refs
    refs += world.people(100, listed=False)
    template = world.run("sync --credentials-template").stdout
    world.given["FILE"] = world.file(f"{template}\nclient_secret = {NEW_SECRET}\n".encode(), "note")
    stored(Path(world.given["FILE"]))
    world.run("sync --credentials FILE")
    assert world.portal.listed() == refs
    assert "a new one by phone" in world.run("runs show").stdout
    world.now("sync", exit_code=77)


@fault("A missed night")
def missed(world: World) -> None:
    """The night is made up for by hand, and the watchdog is content again."""
    valid, *_ = world.people(100, 100)
    world.now("nightly")
    world.days_pass(2)
    (late,) = world.people(-1)
    assert "expiry-check" in world.run("status --max-age").stdout
    world.run("nightly --dry-run")
    assert statuses(world.database)[late] == "active"
    world.run("nightly")
    assert (statuses(world.database)[late], statuses(world.database)[valid]) == ("paused", "active")
    assert late not in world.portal.listed()
    world.run("status --max-age")


@fault("A night that failed")
def failed(world: World) -> None:
    """What made the night fail is named, and once it is mended the night does what it had left."""
    (late,) = world.people(-1)
    world.secret_ends()
    world.now("nightly", exit_code=77)
    assert late in world.portal.listed()
    assert "does not accept the client secret" in world.run("doctor").stdout
    Path(world.portal.env["CERTJOBS_DATAVERSE_CLIENT_SECRET_FILE"]).write_text(NEW_SECRET)
    world.run("doctor")
    world.run("nightly")
    assert world.portal.listed() == []
    assert statuses(world.database)[late] == "paused"


@fault("A stuck lock")
def stuck(world: World) -> None:
    """The lock of a run that died is taken by hand, and the night does what that run did not."""
    (ref,) = world.people(-1)
    with world.database.connect() as owner:
        hold(world.database, owner)
    nobody_connected(world.database)
    assert "gone" in world.run("status").stdout
    world.run("unlock expiry-check")
    assert locks(world.database) == 1
    world.run("unlock expiry-check")
    assert locks(world.database) == 0
    world.run("nightly")
    assert statuses(world.database) == {ref: "paused"}


@fault("Mass-change approval")
def mass_change(world: World) -> None:
    """What the guard refused is looked at, approved, and done by the next night."""
    expired = world.people(*[-1] * 30)
    world.people(*[100] * 10)
    world.run("nightly")
    assert set(statuses(world.database).values()) == {"active"}
    world.run("approve")
    world.run("explain")
    world.run("approve")
    world.run("nightly")
    assert {ref for ref, status in statuses(world.database).items() if status == "paused"} == set(expired)
    assert len(world.portal.listed()) == 10


@fault("On the way to the website")
def dead_operations(world: World) -> None:
    """What the portal had no entry for is sent when it has one; what was done by hand is given up."""
    (ref,) = world.people(100)
    world.now("sync")
    other = world.certjobs("roster", "import", "-", stdin=file_of([Mentor("HLF-7777", SHIFT + 100)]))
    assert other.exit_code == 0
    world.now("sync", exit_code=3)
    assert "HLF-7777" in world.run("queue list").stdout
    world.run("queue show")
    world.portal.knows("HLF-7777", listed=False)
    world.run("queue retry")
    world.run("sync")
    assert world.portal.listed() == [ref, "HLF-7777"]
    other = world.certjobs("roster", "import", "-", stdin=file_of([Mentor("HLF-8888", SHIFT + 100)]))
    assert other.exit_code == 0
    world.now("sync", exit_code=3)
    world.run("queue list")
    world.run("queue discard")
    world.now("sync")
    assert world.now("queue", "list", "--status", "dead", "--json").json()["operations"] == []


@fault("On the way to a coordinator")
def dead_notices(world: World) -> None:
    """A notice to a wrong address arrives at the right one; one that had arrived is not sent again."""
    refused, unknown = world.people(-1, -1)
    world.channel.errors = {
        refused: iter([DeliveryRefused("The address does not exist.")]),
        unknown: iter([DeliveryUnknown("The line broke.")]),
    }
    world.now("nightly", exit_code=3)
    assert world.channel.arrived() == []
    world.run("notifications list")
    world.run("notifications show")
    world.given["NEW"] = "kari.e@example.org"
    world.run("coordinators set")
    world.run("notifications retry")
    world.run("remind")
    assert world.channel.arrived() == [("kari.e@example.org", refused)]
    assert unknown in world.run("notifications list").stdout
    world.run("notifications discard")
    world.now("remind")
    assert world.channel.arrived() == [("kari.e@example.org", refused)]


@fault("One mentor, at once")
def at_once(world: World) -> None:
    """Somebody whom the rule lists leaves the website as soon as a person pauses them, not only at night."""
    refs = world.people(100, 100)
    world.now("sync")
    assert world.portal.listed() == refs
    world.given["MENTOR"] = refs[0]
    world.run("explain")
    world.run("mentors pause")
    world.run("force-sync")
    assert world.portal.listed() == refs[1:]


@fault("Go live")
def go_live(world: World) -> None:
    """A roster with many who expired long ago goes live, and nobody is told of what was before."""
    old = [Mentor(f"HLF-{n:04}", SHIFT - 400) for n in range(30)]
    valid = [Mentor(f"HLF-{n:04}", SHIFT + 100) for n in range(30, 60)]
    soon = Mentor("HLF-0060", SHIFT + 10)
    world.portal.knows(*(each.ref for each in (*old, *valid)))
    world.portal.knows(soon.ref, listed=False)
    name = "going_live"
    world.cluster.execute(f"CREATE DATABASE {name} TEMPLATE template0")
    try:
        world.url = world.cluster.url(name)
        world.given["FILE"] = world.file(file_of([*old, *valid, soon]), "mentors.csv")
        for beginning in ("db upgrade", "db check", "roster import", "roster import", "orgs set"):
            world.run(beginning)
        before = world.portal.listed()
        world.run("reconcile --adopt")
        world.run("reconcile --report-only")
        assert (world.portal.listed(), world.portal.changes()) == (before, 0)
        for _ in range(2):
            world.run("expiry-check --baseline")
        world.run("approve")
        world.run("expiry-check --baseline")
        world.run("remind --baseline")
        world.run("nightly --dry-run")
        world.run("nightly")
        assert world.portal.listed() == sorted(each.ref for each in (*valid, soon))
        assert world.channel.tried == []
    finally:
        world.cluster.execute(f"DROP DATABASE {name} WITH (FORCE)")


@fault("Restore from a backup")
def restore(world: World) -> None:
    """After a restore the website is as the roster says, and nobody is told again of what they were told before."""
    valid = world.people(*[100] * 8)
    expired, soon = world.people(-1, 7)
    world.now("sync")
    name = "restored"
    nobody_connected(world.database)
    world.cluster.execute(f"CREATE DATABASE {name} TEMPLATE {world.database.name}")
    try:
        world.now("nightly")
        told = world.channel.arrived()
        assert sorted(ref for _, ref in told) == [expired, soon]
        world.url = world.cluster.url(name)
        mentors = [
            Mentor(ref, SHIFT + days) for ref, days in (*((ref, 100) for ref in valid), (expired, -1), (soon, 7))
        ]
        world.given["FILE"] = world.file(file_of(mentors), "mentors.csv")
        world.run("db check")
        world.run("roster import")
        world.run("expiry-check --baseline")
        world.run("approve")
        world.run("expiry-check --baseline")
        for beginning in ("remind --baseline", "reconcile", "nightly", "status"):
            world.run(beginning)
        assert world.portal.listed() == [*valid, soon]
        assert world.channel.arrived() == told
    finally:
        world.cluster.execute(f"DROP DATABASE {name} WITH (FORCE)")


@fault("Smoke test")
def smoke(world: World) -> None:
    """Where all is well every command of the list ends well, and all but the last change nothing."""
    refs = world.people(100, 100)
    world.now("nightly")
    world.given["MENTOR"] = refs[0]
    runs = world.database.one("SELECT count(*) FROM scheduler_run_log")
    for beginning in (
        "--version",
        "db check",
        "orgs list",
        "sync --dry-run",
        "nightly --dry-run",
        "forecast",
        "status",
    ):
        world.run(beginning)
    world.run("explain")
    assert world.database.one("SELECT count(*) FROM scheduler_run_log") == runs
    world.run("force-sync")
    assert world.portal.listed() == refs


@pytest.fixture
def world(
    request: pytest.FixtureRequest,
    certjobs: Certjobs,
    database: TestDatabase,
    cluster: Cluster,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[World]:
    """Give a world with the commands of the section that the test is about."""
    channel = Troubled()
    channel.install(monkeypatch)
    with running(tmp_path, monkeypatch) as portal:
        yield World(certjobs, database, cluster, portal, channel, tmp_path, list(sections()[request.param]))


@pytest.mark.parametrize(("world", "heading"), [(each, each) for each in FAULTS], indirect=["world"], ids=str)
def test_the_section_mends_its_fault(world: World, heading: str) -> None:
    """The fault is caused, the section's commands are run exactly as written, and it is mended; none is left unrun."""
    FAULTS[heading](world)
    assert world.left == []


def test_no_command_is_left_unrun() -> None:
    """Each section with commands has its fault, and every line of certjobs in the runbook stands in a section."""
    assert set(FAULTS) == set(sections())
    written = len(re.findall(r"(?m)^\s*\$ (?!kubectl |set |export ).*\bcertjobs (?!.*\.(?:env|service))", TEXT))
    assert written == sum(map(len, sections().values())) > 50


def test_every_placeholder_is_known() -> None:
    """A word in capitals is something that a command prints or a person knows."""
    words = {word for commands in sections().values() for command in commands for word in command.words}
    assert {word for word in words if re.fullmatch(r"[A-Z_]{2,}", word)} - {"HLF"} <= {*PRINTED, *GIVEN}
