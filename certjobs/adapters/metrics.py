"""How each job's last run went, in files that the textfile collector of a node exporter reads (extra ``metrics``)."""

from __future__ import annotations

import os
import re
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from certjobs.errors import ConfigurationError, ExitCode

if TYPE_CHECKING:
    from certjobs.ports import Clock, Measured

SUCCESS = "certjobs_last_success_timestamp_seconds"
READABLE = 0o644  # the collector is another user


class TextfileMeter:
    """Write one file a job into a directory. Raises ConfigurationError where the extra is not installed."""

    def __init__(self, directory: Path, clock: Clock) -> None:
        """Take the directory, which may be that of other programs too."""
        try:
            import prometheus_client  # noqa: F401 - what is missing is found out before the run works
        except ImportError:
            msg = "CERTJOBS_METRICS_DIR needs the extra metrics, which is not installed."
            raise ConfigurationError(msg, hint="Install certjobs[metrics], or unset it.") from None
        self._directory = directory
        self._clock = clock

    def write(self, measured: Measured) -> None:
        """Replace the file of the run's job. Raises OSError where that is not possible; the old file stays then."""
        from prometheus_client import CollectorRegistry, Gauge, generate_latest

        path = self._directory / f"certjobs_{re.sub(r'[^A-Za-z0-9_-]', '_', measured.job)}.prom"
        registry = CollectorRegistry()

        def gauge(name: str, text: str, value: float) -> None:
            Gauge(name, text, ["job"], registry=registry).labels(measured.job).set(value)

        now = self._clock.now().timestamp()
        succeeded = measured.exit_code == ExitCode.OK
        success = now if succeeded else _last_success(path)
        gauge("certjobs_last_start_timestamp_seconds", "When the job's last run began.", now - measured.seconds)
        if success is not None:
            gauge(SUCCESS, "When a run of the job last succeeded.", success)
        gauge("certjobs_last_duration_seconds", "How long the job's last run took.", measured.seconds)
        gauge("certjobs_last_exit_code", "What the job's last run ended with.", measured.exit_code)
        gauge("certjobs_last_succeeded", "Whether the job's last run succeeded.", succeeded)
        for name, number in measured.counts.items():
            known = re.sub(r"\W", "_", name, flags=re.ASCII)
            gauge(f"certjobs_last_count_{known}", f"What the job's last run counted as {known}.", number)
        _replace(path, generate_latest(registry))


def _last_success(path: Path) -> float | None:
    """Return what the file says, which has to outlast the runs that fail; one that says nothing is as good as none."""
    from prometheus_client.parser import text_string_to_metric_families

    try:
        families = list(text_string_to_metric_families(path.read_text(encoding="utf-8")))
    except (OSError, ValueError):
        return None
    return next((each.value for family in families for each in family.samples if each.name == SUCCESS), None)


def _replace(path: Path, content: bytes) -> None:
    """Write a file whole or not at all: the collector may read at any moment, and reads what ends in .prom."""
    number, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(number, "wb") as file:
            file.write(content)
            os.fchmod(file.fileno(), READABLE)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
