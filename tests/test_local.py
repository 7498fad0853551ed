"""The embedded PostgreSQL, --local and the demo, as processes of their own."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import psutil
import psycopg
import pytest

from certjobs.errors import ConfigurationError
from certjobs.local import postgres
from tests.canaries import stored
from tests.conftest import migrate

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import Certjobs

OWNER = """
import sys
from pathlib import Path
from certjobs.local import postgres
from tests.conftest import migrate
with postgres.database(Path(sys.argv[1])) as url:
    print(url, flush=True)
    sys.stdin.read()
"""


def test_demo_in_a_path_with_a_space_and_over_an_earlier_one(local_directory: Path) -> None:
    """The demo shows pauses, reminders of every threshold and a message, then a night that changes and sends nothing.

    Whatever an earlier demo left in its database.
    """
    directory = local_directory / "a path" / "with spaces"
    stored(directory / "demo" / "secret")  # by the demo, for its own simulator
    with postgres.database(directory / "demo") as url:
        migrate(url)
        done = subprocess.run(
            [sys.executable, "-m", "certjobs", "demo"],
            env=os.environ | {"CERTJOBS_LOCAL_DIR": str(directory)},
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        assert done.returncode == 0, done.stderr
        assert "expiry-check: expired mentors 0 = 0." in done.stdout
        assert "reconcile: mentors who differ 1 = 1 queued." in done.stdout
        assert "nightly succeeded (exit 0)" in done.stdout
        assert (directory / "demo" / "night.html").read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
        assert "Notices to coordinators: 24 newly owed, 44 sent." in done.stdout
        thresholds = {int(days) for days in re.findall(r"HLF-\d+ .* (\d+) +\d+ *$", done.stdout, re.MULTILINE)}
        assert {30, 14, 7} <= thresholds
        assert "messages went out" in done.stdout
        assert "    | Subject: " in done.stdout
        assert "What to try next" in done.stdout
        assert done.stderr == ""
    assert not running(directory)


def running(directory: Path) -> list[int]:
    """Return the servers that run on a directory."""
    return [
        process.pid
        for process in psutil.process_iter(["name", "cmdline"])
        if process.info["name"] == "postgres" and any(str(directory) in part for part in process.info["cmdline"] or ())
    ]


def test_a_server_whose_owner_was_killed_is_found_used_and_stopped(local_directory: Path) -> None:
    """After SIGKILL of its owner the server is used by the next command, with its data, and stopped after it."""
    with subprocess.Popen(
        [sys.executable, "-c", OWNER, str(local_directory)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as owner:
        assert owner.stdout
        url = owner.stdout.readline().strip()
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("CREATE TABLE kept (id integer)")
        owner.send_signal(signal.SIGKILL)
        owner.wait()
    before = running(local_directory)
    assert before
    with postgres.database(local_directory) as again, psycopg.connect(again) as connection:
        assert again == url
        assert running(local_directory) == before
        connection.execute("SELECT id FROM kept")
    assert not running(local_directory)


def test_a_server_in_use_is_shared_and_outlives_its_first_user(local_directory: Path) -> None:
    """Two users of one directory share a server; the inner one leaving does not stop it."""
    with postgres.server(local_directory) as outer:
        with postgres.server(local_directory) as inner:
            assert inner == outer
        with psycopg.connect(outer) as connection:
            connection.execute("SELECT 1")
    assert not running(local_directory)


def test_a_directory_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    """Where the data directory cannot be made the error says which setting to change."""
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(ConfigurationError) as caught, postgres.server(tmp_path / "file" / "below"):
        pass
    assert "CERTJOBS_LOCAL_DIR" in (caught.value.hint or "")


def test_local_works_without_any_setting(certjobs_unset: Certjobs, local_directory: Path, tmp_path: Path) -> None:
    """--local needs no database to be configured, keeps its data between commands, and prints notices."""
    with postgres.server(local_directory):  # held, so that each command need not start it anew
        assert certjobs_unset("db", "upgrade", "--local").exit_code == 0
        sample = tmp_path / "sample.csv"
        sample.write_text(certjobs_unset("roster", "sample", "--as-of", "2026-11-22").stdout, encoding="utf-8")
        assert certjobs_unset("roster", "import", str(sample), "--local").exit_code == 0
        result = certjobs_unset("expiry-check", "--local", "--as-of", "2026-11-22")
        assert result.exit_code == 3, "one mentor has no coordinator, and HLF has no fallback address yet"
        assert result.stdout.count(") was paused; ") == 21
        assert "1 notice with nobody to go to" in result.stdout
        told = certjobs_unset(
            "orgs", "set", "HLF", "--reason", "a test", "--fallback-address", "mentors@example.org", "--local"
        )
        assert told.exit_code == 0
        again = certjobs_unset("expiry-check", "--local", "--as-of", "2026-11-22")
        assert again.exit_code == 0
        assert again.stdout.count(") was paused; ") == 1


def test_local_without_a_schema_says_what_mends_it(certjobs_unset: Certjobs) -> None:
    """A job on an embedded database without a schema exits 78 and names the command that makes one."""
    result = certjobs_unset("expiry-check", "--local")
    assert result.exit_code == 78
    assert "certjobs db upgrade" in result.stdout
