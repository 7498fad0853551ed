"""The units of systemd and the crontab are held to the code: exit codes, command lines, settings, secrets."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
from collections import defaultdict
from typing import TYPE_CHECKING

import pytest

from certjobs.config import PREFIX, Settings
from certjobs.errors import ExitCode
from tests.canaries import store
from tests.children.servers import webhook
from tests.conftest import ROOT
from tests.test_docs import commands

if TYPE_CHECKING:
    from pathlib import Path

UNITS = ROOT / "docs" / "systemd"
CRONTAB = ROOT / "docs" / "crontab"
INSTALL = ROOT / "docs" / "install.md"
PROGRAM = "/opt/certjobs/bin/certjobs"
SERVICES = sorted(path.name for path in UNITS.glob("*.service"))
TIMERS = sorted(path.name for path in UNITS.glob("*.timer"))
EXPOSURE = 2.5  # of 10, as `systemd-analyze security` counts
NO_RETRY_HELPS = {int(code) for code in ExitCode if code and not code.retry_helps}

needs_systemd = pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not on this machine")


def unit(name: str) -> dict[str, list[str]]:
    """Return what a unit sets, each key with all its values."""
    found: dict[str, list[str]] = defaultdict(list)
    for line in (UNITS / name).read_text(encoding="utf-8").replace("\\\n", " ").splitlines():
        key, equals, value = line.partition("=")
        if equals and not line.startswith("#"):
            found[key].append(value.strip())
    return found


def ours() -> list[str]:
    """Return the services that start certjobs itself."""
    return [name for name in SERVICES if unit(name)["ExecStart"][0].startswith(PROGRAM)]


def cron_lines() -> tuple[dict[str, str], list[str]]:
    """Return the variables of the crontab and the commands it starts."""
    lines = [line for line in CRONTAB.read_text(encoding="utf-8").splitlines() if line and not line.startswith("#")]
    variables = dict(line.split("=", 1) for line in lines if re.match(r"[A-Z_]+=", line))
    started = [line.split(maxsplit=5)[5] for line in lines if not re.match(r"[A-Z_]+=", line)]
    return variables, started


def parse(line: str) -> None:
    """Parse a command line of certjobs with its own tree; what is wrong in it is raised."""
    argv = shlex.split(line)
    assert argv[0] in ("certjobs", PROGRAM), line
    tree = commands()
    name = next(
        " ".join(["certjobs", *argv[1:length]]) for length in (3, 2) if " ".join(["certjobs", *argv[1:length]]) in tree
    )
    tree[name].make_context(name, argv[len(name.split()) :])


def settings_of(path: Path) -> dict[str, str]:
    """Return the settings that a file of the environment gives."""
    return dict(
        line.split("=", 1)
        for line in path.read_text(encoding="utf-8").splitlines()
        if line and not line.startswith("#")
    )


def assert_settings(names: set[str]) -> None:
    """Find each name among the settings there are."""
    assert {name.removeprefix(PREFIX).lower() for name in names} <= set(Settings.model_fields)


@pytest.mark.parametrize("name", SERVICES)
def test_what_no_retry_helps_is_not_tried_again(name: str) -> None:
    """Each service that is started again leaves alone exactly the exit codes that the one table says no retry helps."""
    found = unit(name)
    if "Restart" in found:
        assert found["Restart"] == ["on-failure"]
        assert {int(code) for code in found["RestartPreventExitStatus"][0].split()} == NO_RETRY_HELPS
        assert {"StartLimitIntervalSec", "StartLimitBurst"} <= set(found), "a retry that ends"
    else:
        assert "RestartPreventExitStatus" not in found
    succeeds = [int(code) for line in found["SuccessExitStatus"] for code in line.split()]
    assert succeeds == ([int(ExitCode.TERMINATED)] if name == "certjobs-watch.service" else [])


def test_the_table_of_what_systemd_does_is_the_code_s() -> None:
    """docs/install.md says of every exit code whether the night is tried again, as the one table has it."""
    rows = re.findall(r"^\| (\d+) \| [^|]+ \| (yes|no) \|", INSTALL.read_text(encoding="utf-8"), re.MULTILINE)
    assert dict(rows) == {str(int(code)): "yes" if code.retry_helps else "no" for code in ExitCode}


def test_every_command_line_is_understood() -> None:
    """What units and crontab start, the command tree of certjobs takes."""
    lines = [unit(name)["ExecStart"][0] for name in ours()]
    assert len(lines) == 4
    started = [line.removeprefix("chronic ") for line in cron_lines()[1]]
    assert len(started) == 4
    for line in (*lines, *started):
        parse(line)


def test_every_setting_exists() -> None:
    """What units, their file of settings and the crontab set, and each secret they load, is a setting."""
    given = settings_of(UNITS / "certjobs.env")
    assert_settings(set(given))
    variables, _ = cron_lines()
    assert_settings({name for name in variables if name not in ("MAILTO", "PATH")})
    for name in SERVICES:
        found = unit(name)
        assert_settings({each.split("=", 1)[0] for each in found["Environment"]})
        for each in found["LoadCredential"]:
            setting, path = each.split(":")
            assert path == f"/etc/certjobs/secrets/{setting}"
            assert_settings({setting})
    for name in ours():
        assert unit(name)["EnvironmentFile"] == ["/etc/certjobs/certjobs.env"]
        assert unit(name)["Environment"] == ["CERTJOBS_SECRETS_DIR=%d"]


@pytest.mark.parametrize("source", ["units", "crontab"])
def test_the_settings_work(source: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The examples of settings are valid as they stand."""
    given = settings_of(UNITS / "certjobs.env") if source == "units" else cron_lines()[0]
    for name, value in given.items():
        if name.startswith(PREFIX) and name != f"{PREFIX}SECRETS_DIR":
            monkeypatch.setenv(name, value)
    assert Settings().portal == "dataverse"
    assert Settings().trigger is None, "an administrator takes over the settings, and is no schedule"


def test_every_service_tells_when_it_fails_and_every_timer_has_its_service() -> None:
    """Each service but the hook itself names the hook, and each timer starts a service that is there."""
    for name in SERVICES:
        expected = [] if name.startswith("certjobs-failed@") else ["certjobs-failed@%n.service"]
        assert unit(name)["OnFailure"] == expected, name
    assert {name.replace(".timer", ".service") for name in TIMERS} <= set(SERVICES)
    assert {name for name in SERVICES if unit(name)["Type"] == ["oneshot"]} == {
        *(name.replace(".timer", ".service") for name in TIMERS),
        "certjobs-failed@.service",
    }


def test_every_file_stands_in_the_document() -> None:
    """docs/install.md names every unit there is, and none that there is not."""
    told = set(re.findall(r"certjobs-[a-z@-]+\.(?:service|timer)", INSTALL.read_text(encoding="utf-8")))
    assert told == {*SERVICES, *TIMERS}


@needs_systemd
def test_systemd_has_nothing_to_say(tmp_path: Path) -> None:
    """`systemd-analyze verify` prints nothing on the units; it ends with 0 on an unknown key as well."""
    for path in UNITS.iterdir():
        text = path.read_text(encoding="utf-8")
        (tmp_path / path.name).write_text(text.replace(PROGRAM, "/bin/true"), encoding="utf-8")
    names = [str(tmp_path / name) for name in (*SERVICES, *TIMERS)]
    done = subprocess.run(
        ["systemd-analyze", "verify", *names], capture_output=True, text=True, check=False, timeout=60
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@needs_systemd
@pytest.mark.parametrize("name", SERVICES)
def test_little_is_exposed(name: str) -> None:
    """What `systemd-analyze security` counts of each service is below the limit."""
    done = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", f"--threshold={round(EXPOSURE * 10)}", str(UNITS / name)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stdout[-200:]


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not on this machine")
def test_the_hook_posts_what_failed(tmp_path: Path) -> None:
    """The hook's command posts to the address of alerts, from its credential, which service failed and how."""
    line = unit("certjobs-failed@.service")["ExecStart"][0]
    shell = re.fullmatch(r"/bin/sh -c '(.*)'", line)
    assert shell
    script = shell[1].replace("%%", "%").replace("%i", "certjobs-nightly.service").replace("%H", "machine")
    script = script.replace("$$", "$").replace("\\n", "\n").replace("\\\\", "\\")
    with webhook() as hook:
        store(tmp_path / "alert_webhook_url", hook.url)
        given = {
            "CREDENTIALS_DIRECTORY": str(tmp_path),
            "MONITOR_SERVICE_RESULT": "exit-code",
            "MONITOR_EXIT_STATUS": "78",
        }
        subprocess.run(["/bin/sh", "-c", script], env=given, check=True, timeout=30)
        (posted,) = hook.posted
    assert posted["text"] == (
        "certjobs-nightly.service failed on machine: exit-code, exit status 78."
        " See journalctl --unit certjobs-nightly.service"
    )
