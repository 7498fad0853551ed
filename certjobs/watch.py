"""sync --watch: a worker that lives long. It hears of each change as it is committed and sends it at once.

Each drain that has something to do is a run with a row of its own; where there is nothing to do there is none. The
settings, and with them the secrets, are read again each time. While database or portal is away the watcher looks now
and then whether it is back, and the run that found it away is the only one that says so. Any number of watchers may
work beside each other and beside the nightly run: one goes first, and the others join where it is not enough.
"""

from __future__ import annotations

import os
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from threading import Event
from time import monotonic
from typing import TYPE_CHECKING, NoReturn

from certjobs import bootstrap, config, logs
from certjobs.errors import CertjobsError, ConfigurationError, ExitCode, Terminated, Unavailable
from certjobs.harness import explained
from certjobs.signals import Signals

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from certjobs.config import Settings
    from certjobs.db.listening import Listener
    from certjobs.domain.outcome import Outcome, Report
    from certjobs.ports import Advance

BEAT = 5.0  # seconds at most between two signs of life, but for what a request to the portal takes
JOIN = 0.25  # seconds that one watcher may be at it before others join
AWAY = (1.0, 2.0, 5.0, 10.0, 30.0, 60.0)  # seconds between looks whether what is away is back
AGAIN = 20 * 60 * 60.0  # seconds after which people hear once more of what lasts
GOING_ON = frozenset({ExitCode.OK, ExitCode.PARTIAL, ExitCode.GUARD})


def watch(
    request: bootstrap.Request,
    *,
    heartbeat: Path | None,
    report: Callable[[Report], None],
) -> ExitCode:
    """Send what is queued, as long as nobody ends it; return 143 or 130, what it was ended by.

    ``heartbeat``: a file whose time of change says that the watcher lives; ``report`` is given each run. Raises
    ConfigurationError where no portal is set, or the settings are wrong when it starts.
    """
    signals = Signals()
    watcher = _Watcher(request, heartbeat, report)
    with signals.installed():
        try:
            with signals.raised():
                watcher.for_ever()
        except Terminated:
            return ExitCode.TERMINATED
        except KeyboardInterrupt:
            return ExitCode.INTERRUPTED
        finally:
            watcher.close()


@dataclass(slots=True)
class _Watcher:
    """What the watcher has open, and what it rests from."""

    request: bootstrap.Request
    heartbeat: Path | None
    report: Callable[[Report], None]
    _env: bootstrap.Environment | None = None
    _listener: Listener | None = None
    _failures: int = 0
    _resting_until: float = 0.0
    _after_failure: bool = False
    _join_at: float | None = None
    _settings: Settings | None = None
    _told: dict[ExitCode, tuple[int, float]] = field(default_factory=dict)
    _never: Event = field(default_factory=Event)

    def for_ever(self) -> NoReturn:
        """Look, drain, wait."""
        with suppress(Unavailable):  # what is away may come back, what is wrong stays wrong
            self._open().check_schema()
        if self.heartbeat is not None:
            try:
                self.heartbeat.touch()
            except OSError as exc:
                msg = f"The heartbeat file cannot be written: {exc.strerror}."
                raise ConfigurationError(msg, hint="Check the path that --heartbeat-file names.") from None
        while True:
            self.beat()
            try:
                self._once()
            except Exception as exc:  # noqa: BLE001 - whatever it is, a watcher rests from it and goes on
                self._away(explained(exc))

    def _once(self) -> None:
        env = self._open()
        listener = self._listener = self._listener or env.listener()
        ready = env.ready()
        left = self._resting_until - monotonic()
        if not ready.now or left > 0:
            self._join_at = None
            due = [BEAT, left] if ready.now else [BEAT, BEAT if ready.next_in is None else ready.next_in]
            listener.wait(max(0.05, min(due)))
            return
        alone = listener.first()
        if not alone and self._join_at is None:
            self._join_at = monotonic() + JOIN
        if not alone and self._join_at is not None and monotonic() < self._join_at:
            listener.wait(self._join_at - monotonic())
            return
        self._join_at = None
        try:
            if env.ready().now:  # and not done by another watcher meanwhile
                self._drain(env)
        finally:
            if alone and self._listener is listener:  # closed, it has given that up
                listener.done()

    def _drain(self, env: bootstrap.Environment) -> None:
        """Carry out one run, unless what it would find away is so still."""
        if self._after_failure and env.portal is not None:
            env.portal.check()  # no row and no alert for what an earlier run has said
        done = env.run("sync", {"wait": False}, trigger="watch", tells=self._is_news)
        self.report(done)
        code = done.outcome.exit_code
        if code is ExitCode.TERMINATED:
            raise Terminated
        if code is ExitCode.INTERRUPTED:
            raise KeyboardInterrupt
        if code is ExitCode.OK:
            self._told.clear()
        if code in GOING_ON and done.outcome.counts.get("claimed", 0):
            self._failures, self._after_failure = 0, False
            return
        self._after_failure = code not in GOING_ON
        self._rest()

    def _is_news(self, outcome: Outcome) -> bool:
        """Tell whether people have to hear of an outcome: not while what they were told of lasts, within a day.

        What was given up is news each time.
        """
        size = sum(each["size"] for each in outcome.details.get("guarded", ()))
        told, when = self._told.get(outcome.exit_code, (-1, 0.0))
        if size <= told and monotonic() - when < AGAIN and not outcome.counts.get("dead"):
            return False
        self._told[outcome.exit_code] = (size, monotonic())
        return True

    def _away(self, exc: CertjobsError) -> None:
        """Log what is away, when it begins, and rest from it, longer each time."""
        logs.bind()
        log = logs.get()
        (log.info if self._failures else log.warning)("watch.away", error=exc.message)
        self._rest()
        while (left := self._resting_until - monotonic()) > 0 and not self._mended():
            self.beat()
            self._never.wait(min(left, BEAT))

    def _mended(self) -> bool:
        """Tell whether a setting or a secret is another than when this rest began: then it is worth a try."""
        with suppress(CertjobsError):
            return self._settings is not None and config.load() != self._settings
        return False

    def _rest(self) -> None:
        self._resting_until = monotonic() + AWAY[min(self._failures, len(AWAY) - 1)]
        self._failures += 1
        self.close()

    def _open(self) -> bootstrap.Environment:
        """Return what to work with, opened anew where a setting or a secret is another by now."""
        if self._env is not None and self._env.is_current():
            return self._env
        self.close()
        made = bootstrap.Environment(self.request, _Beating(self.beat), waiting=self.beat)
        if made.portal is None:
            made.close()
            msg = "No portal is set, so there is nothing to watch for."
            raise ConfigurationError(msg, hint="Set CERTJOBS_PORTAL=dataverse and its settings.")
        if self._settings is not None and made.settings != self._settings:
            self._resting_until = 0.0
        self._env, self._settings = made, made.settings
        return made

    def beat(self) -> None:
        """Say that the watcher lives."""
        if self.heartbeat is not None:
            with suppress(OSError):
                self.heartbeat.touch()
                os.utime(self.heartbeat)

    def close(self) -> None:
        """Close what is open."""
        if self._listener is not None:
            with suppress(Exception):
                self._listener.close()
            self._listener = None
        if self._env is not None:
            self._env.close()
            self._env = None


class _Beating:
    """Progress that nobody looks at but whoever asks whether the watcher lives."""

    def __init__(self, beat: Callable[[], None]) -> None:
        self._beat = beat

    @contextmanager
    def track(self, description: str, total: int, *, unit: str = "steps") -> Iterator[Advance]:  # noqa: ARG002 - the Protocol's names
        """Beat with every step."""
        yield lambda _steps: self._beat()
