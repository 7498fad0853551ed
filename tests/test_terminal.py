"""What people see: progress bars on a terminal, none in a pipe, plain tables, help that ends in exit statuses."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import pexpect

from tests.roster import TODAY, Mentor, file_of

if TYPE_CHECKING:
    from tests.conftest import Certjobs, CertjobsProcess, TestDatabase

NIGHT = ["expiry-check", "--as-of", TODAY.isoformat()]


def test_a_progress_bar_on_a_terminal(certjobs: Certjobs, database: TestDatabase) -> None:
    """On a terminal a bar shows how many of how many are paused, and logs are text."""
    certjobs("roster", "import", "-", stdin=file_of([Mentor(f"M{n}", -1) for n in range(3)]))
    child = pexpect.spawn(
        sys.executable,
        ["-m", "certjobs", *NIGHT],
        env=os.environ | {"CERTJOBS_DATABASE_URL": database.job_url, "TERM": "xterm", "COLUMNS": "120"},
        encoding="utf-8",
        timeout=60,
    )
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 0, child.before
    seen = child.before or ""
    assert "Pausing" in seen
    assert "3/3" in seen
    assert "run.finished" in seen
    assert '{"' not in seen


def test_no_progress_bar_and_no_colour_in_a_pipe(
    certjobs: Certjobs, certjobs_process: CertjobsProcess, database: TestDatabase
) -> None:
    """In a pipe there is no bar and no control sequence, on stdout or stderr."""
    certjobs("roster", "import", "-", stdin=file_of([Mentor("M1", -1)]))
    result = certjobs_process(*NIGHT, url=database.job_url)
    assert result.exit_code == 0
    assert "Pausing" not in result.stdout + result.stderr
    assert "\x1b" not in result.stdout + result.stderr


def test_a_hostile_name_cannot_move_the_cursor(certjobs: Certjobs, database: TestDatabase) -> None:
    """Control characters that reached the database some other way are not printed."""
    certjobs("roster", "import", "-", stdin=file_of([Mentor("M1", -1)]))
    database.execute("UPDATE peer_mentors SET name = E'Evil\\x1b[2J', external_ref = E'M\\x1b[1A'")
    result = certjobs(*NIGHT, url=database.job_url, env={"CERTJOBS_NOTIFY_CHANNEL": "console"})
    assert result.exit_code == 0
    assert "was paused" in result.stdout
    assert "\x1b" not in result.stdout


def test_usage_errors_exit_2_and_point_to_help(certjobs_unset: Certjobs) -> None:
    """Wrong options and unknown commands exit 2 and say how to get help, before any setting is read."""
    for arguments in (["expiry-check", "--nonsense"], ["nonsense"], ["expiry-check", "--as-of", "22.11.2026"], ["run"]):
        result = certjobs_unset(*arguments, env={"CERTJOBS_GUARD_COUNT": "wrong"})
        assert result.exit_code == 2, arguments
        assert "--help" in result.stderr
