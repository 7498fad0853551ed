"""Metrics: each run leaves how it went in a file of its job, and no file changes how it ends."""

from __future__ import annotations

import stat
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest

from certjobs import bootstrap
from certjobs.cli import output
from certjobs.domain.outcome import Outcome
from certjobs.errors import ExitCode
from tests.children.helpers import NIGHT, last_run, load, log_lines, register, runs
from tests.children.servers import unused_port
from tests.roster import Mentor

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import Certjobs, TestDatabase

parser = pytest.importorskip("prometheus_client.parser")

START, SUCCESS = "certjobs_last_start_timestamp_seconds", "certjobs_last_success_timestamp_seconds"


def kept(directory: Path, job: str) -> dict[str, float]:
    """Return the metrics of a job's file; each has the job as its one label."""
    text = (directory / f"certjobs_{job}.prom").read_text(encoding="utf-8")
    samples = [each for family in parser.text_string_to_metric_families(text) for each in family.samples]
    assert [each.labels for each in samples] == [{"job": job}] * len(samples)
    return {each.name: each.value for each in samples}


def env(directory: Path) -> dict[str, str]:
    """The setting that names the directory."""
    return {"CERTJOBS_METRICS_DIR": str(directory)}


def test_a_run_leaves_how_it_went(certjobs: Certjobs, database: TestDatabase, tmp_path: Path) -> None:
    """A run's file has its times, exit code and counts, everybody may read it, and there is nothing beside it."""
    load(certjobs, Mentor("A", -1))
    before = datetime.now(UTC).timestamp()
    result = certjobs(*NIGHT, url=database.job_url, env=env(tmp_path))
    after = datetime.now(UTC).timestamp()
    assert result.exit_code == 0
    found = kept(tmp_path, "expiry-check")
    assert before <= found[START] <= found[SUCCESS] <= after
    assert 0 < found["certjobs_last_duration_seconds"] < after - before
    assert (found["certjobs_last_exit_code"], found["certjobs_last_succeeded"]) == (0, 1)
    counts = {f"certjobs_last_count_{name}": number for name, number in last_run(database).counts.items()}
    assert counts.items() <= found.items()
    assert counts["certjobs_last_count_paused"] == 1
    (file,) = tmp_path.iterdir()
    assert stat.S_IMODE(file.stat().st_mode) == 0o644


def test_the_last_success_outlasts_failures(
    certjobs: Certjobs, database: TestDatabase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before the first success there is none; a run that fails, even with the database down, leaves it as it was."""
    outcomes = [Outcome(ExitCode.PARTIAL, {"left": 2}), Outcome(ExitCode.OK), Outcome(ExitCode.GUARD, {"left": 3})]
    register(monkeypatch, lambda _ctx: outcomes.pop(0), name="test-job")
    found = []
    down = f"postgresql://jobs@127.0.0.1:{unused_port()}/certjobs"
    for url in [database.job_url] * 3 + [down]:
        certjobs("run", "test-job", url=url, env=env(tmp_path))
        found.append(kept(tmp_path, "test-job"))
    assert [each["certjobs_last_exit_code"] for each in found] == [3, 0, 4, 69]
    assert [each["certjobs_last_succeeded"] for each in found] == [0, 1, 0, 0]
    assert [each.get("certjobs_last_count_left") for each in found] == [2, None, 3, None]
    assert SUCCESS not in found[0]
    assert found[1][SUCCESS] == found[2][SUCCESS] == found[3][SUCCESS] < found[2][START] < found[3][START]


def test_a_file_that_says_nothing_is_replaced(certjobs: Certjobs, tmp_path: Path) -> None:
    """A file that is broken keeps no run from writing its own."""
    (tmp_path / "certjobs_expiry-check.prom").write_bytes(b'certjobs{ "\xff')
    down = f"postgresql://jobs@127.0.0.1:{unused_port()}/certjobs"
    assert certjobs("expiry-check", url=down, env=env(tmp_path)).exit_code == 69
    assert kept(tmp_path, "expiry-check")["certjobs_last_exit_code"] == 69


def test_each_job_has_a_file(certjobs: Certjobs, database: TestDatabase, tmp_path: Path) -> None:
    """A night leaves a file for itself and for each of its steps; a job's name cannot lead out of the directory."""
    load(certjobs, Mentor("A", 30))
    certjobs("nightly", url=database.job_url, env=env(tmp_path))
    jobs = {row.job_name for row in runs(database)}
    assert {path.name for path in tmp_path.iterdir()} == {f"certjobs_{job}.prom" for job in jobs}
    assert len(jobs) == 5
    certjobs("run", "../no job", url=database.job_url, env=env(tmp_path))
    assert (tmp_path / "certjobs____no_job.prom").exists()


def test_what_leaves_no_metrics(certjobs: Certjobs, database: TestDatabase, tmp_path: Path) -> None:
    """A dry-run and a run that finds its job's lock held leave what is there as it is."""
    assert certjobs(*NIGHT, "--dry-run", url=database.job_url, env=env(tmp_path)).exit_code == 0
    with database.connect() as other:
        other.execute(
            "INSERT INTO job_lock (job_name, run_id, fencing_token, holder, backend_pid, backend_start)"
            " VALUES ('expiry-check', %s, 0, 'other', pg_backend_pid(), certjobs_session_start())",
            [uuid4()],
        )
        assert certjobs(*NIGHT, url=database.job_url, env=env(tmp_path)).exit_code == 75
    assert list(tmp_path.iterdir()) == []


def test_local_work_leaves_no_metrics(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Work on an embedded database has no meter: its success would hide that the night failed."""
    monkeypatch.setenv("CERTJOBS_METRICS_DIR", str(tmp_path))
    opened = bootstrap.Environment(bootstrap.Request(local=True), output.progress())
    assert opened.meter is None
    opened.close()


def test_a_directory_that_is_not_there_changes_nothing(
    certjobs: Certjobs, database: TestDatabase, tmp_path: Path
) -> None:
    """Where the file cannot be written the run ends as it would have, and warns."""
    result = certjobs(*NIGHT, url=database.job_url, env=env(tmp_path / "gone"))
    assert result.exit_code == 0
    (warned,) = [line for line in log_lines(result) if line["event"] == "metrics.not_written"]
    assert (warned["level"], warned["error"]) == ("warning", "FileNotFoundError")


def test_a_file_that_cannot_be_replaced_leaves_nothing_behind(
    certjobs: Certjobs, database: TestDatabase, tmp_path: Path
) -> None:
    """Where a directory stands in the file's place the run ends as it would have, and no half file stays."""
    (tmp_path / "certjobs_expiry-check.prom").mkdir()
    result = certjobs(*NIGHT, url=database.job_url, env=env(tmp_path))
    assert result.exit_code == 0
    assert "metrics.not_written" in result.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["certjobs_expiry-check.prom"]


def test_without_the_extra(
    certjobs: Certjobs, database: TestDatabase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the extra is not installed the run ends with 78 before it works, names the extra, and leaves its row."""
    load(certjobs, Mentor("A", -1))
    monkeypatch.setitem(sys.modules, "prometheus_client", None)
    result = certjobs(*NIGHT, "--json", url=database.job_url, env=env(tmp_path))
    assert result.exit_code == 78
    assert "extra metrics" in result.json()["message"]
    assert "certjobs[metrics]" in result.json()["hint"]
    assert last_run(database).exit_code == 78
    assert database.one("SELECT status FROM peer_mentors") == "active"
    unset: dict[str, Any] = {}
    assert certjobs(*NIGHT, url=database.job_url, env=unset).exit_code == 0
