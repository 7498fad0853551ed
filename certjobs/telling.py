"""What is told of a run: trouble to people, its beginning, end and figures to programs.

Whatever goes wrong in telling is logged, and changes nothing of how the run went.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from certjobs.domain.outcome import Watch
from certjobs.domain.text import counted
from certjobs.errors import CertjobsError, ExitCode, StatementFailed
from certjobs.ports import Alert, Measured, Ping

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from uuid import UUID

    from certjobs.db.alerts import Told
    from certjobs.db.store import UnitOfWork
    from certjobs.domain.outcome import Outcome
    from certjobs.ports import Alerter, Log, Meter, Pinger

TOLD_AGAIN = 10  # times as much trouble as people were told of is other trouble
_SAYS_NOTHING = frozenset({ExitCode.LOCKED, ExitCode.INTERRUPTED, ExitCode.TERMINATED})  # of whether the job works
_NEVER_ALERT = _SAYS_NOTHING | {ExitCode.OK}
_EVERY_NIGHT = frozenset({ExitCode.GUARD, ExitCode.CREDENTIALS})  # a person has to act, and nothing moves until then


class Means(Protocol):
    """What a run is told of with; the composition root provides it."""

    @property
    def alerter(self) -> Alerter | None:
        """Who tells operations people, or None."""

    @property
    def pinger(self) -> Pinger | None:
        """Who tells a monitor that runs begin and end, or None."""

    @property
    def meter(self) -> Meter | None:
        """Who keeps how runs went, or None. Raises ConfigurationError where nobody can as the settings say."""


def check_means(means: Means) -> None:
    """Raise ConfigurationError where people cannot be told, or figures not kept, as the settings say.

    So it is found out now, and not in the night in which it is needed.
    """
    _ = means.meter
    if means.alerter is not None:
        means.alerter.check()


# People.


def failures(job: str, outcome: Outcome, is_news: Callable[[Outcome], bool]) -> Iterator[Watch]:
    """Judge in which way a job fails. Another way than before is news; the way before is then over unsaid.

    ``is_news`` is asked whether people are to hear of how it failed.
    """
    code = outcome.exit_code
    if code in _SAYS_NOTHING:
        return
    for way in ExitCode:
        if way in _NEVER_ALERT:
            continue
        kind = f"{job}: exit {int(way)}"
        if way is not code:
            yield Watch(kind, 0, f"{job} succeeds again." if code is ExitCode.OK else None)
        elif is_news(outcome):
            yield Watch(
                kind,
                1,
                outcome.message or code.meaning,
                alert="guard" if code is ExitCode.GUARD else "failure",
                hint=outcome.hint,
                repeats=code in _EVERY_NIGHT,
            )


def deaths(found: int) -> Iterator[Watch]:
    """Tell of earlier runs that this one found dead: each is found once, and it is over with that."""
    if found:
        said = f"{counted(found, 'earlier run')} found dead, and marked as abandoned: see `certjobs runs --failed`."
        yield Watch("abandoned runs", 0, said, passed=found, alert="abandoned")


@dataclass(frozen=True, slots=True)
class People:
    """Tells operations people of trouble, in the name of one run or of a command that is none."""

    job: str
    run_id: UUID | None
    alerter: Alerter | None
    log: Log

    def tell(self, outcome: Outcome, watches: Iterable[Watch], memory: UnitOfWork | None) -> None:
        """Tell people of trouble: when it begins, when it is ten times what was told or repeats, when it is over.

        ``memory`` opens the database that knows what people were told: what could not be told, or not be recorded as
        told, is told by the next run. Where nobody knows, as with the database down, they hear of all there is.
        """
        if self.alerter is None:
            return
        judged = list(watches)
        known = self._known([each.kind for each in judged], memory) if judged else None
        for each in judged:
            told = known.get(each.kind) if known is not None else None
            self._tell_of(each, outcome, told, memory if known is not None else None)

    def _known(self, kinds: Sequence[str], memory: UnitOfWork | None) -> Mapping[str, Told] | None:
        """Return of which kinds people were told and not yet of the end, and what; None where nobody knows."""
        if memory is None:
            return None
        try:
            with memory() as store:
                return store.alerts.open(kinds)
        except (CertjobsError, StatementFailed) as exc:
            self.log.warning("alert.not_remembered", error=str(exc))
            return None

    def _tell_of(self, watch: Watch, outcome: Outcome, told: Told | None, memory: UnitOfWork | None) -> None:
        """Tell people of one kind of trouble where that is news beside what they were told, and record it."""
        begins = watch.number > 0 and (told is None or _is_due_again(watch, told))
        ends = watch.number == 0 and told is not None
        passes = watch.number == 0 and watch.passed > 0 and not ends
        if not (begins or ends or passes):
            return
        kind = "recovery" if ends else watch.alert
        sent = watch.sentence is None or self._alert(kind, outcome, watch.sentence, watch.hint)
        if not sent or passes or memory is None:
            return
        try:
            with memory() as store:
                if begins:
                    store.alerts.told(watch.kind, watch.number)
                else:
                    store.alerts.cleared(watch.kind)
        except (CertjobsError, StatementFailed) as exc:
            self.log.warning("alert.not_recorded", error=str(exc))

    def _alert(self, kind: str, outcome: Outcome, message: str, hint: str | None) -> bool:
        """Send one alert, and tell whether it went out."""
        if self.alerter is None:
            return False
        try:
            self.alerter.alert(
                Alert(
                    kind=kind,
                    job=self.job,
                    run_id=self.run_id,
                    exit_code=int(outcome.exit_code),
                    status=outcome.exit_code.status,
                    message=message,
                    hint=hint,
                    counts=outcome.counts,
                )
            )
        except Exception as exc:  # noqa: BLE001 - whatever the alert's channel throws, the run's outcome stands
            self.log.warning("alert.not_sent", error=type(exc).__name__)
            return False
        return True


def _is_due_again(watch: Watch, told: Told) -> bool:
    """Tell whether people are to hear once more of trouble that lasts."""
    if watch.repeats or watch.number >= TOLD_AGAIN * told.number:
        return True
    return watch.again_since is not None and (told.at is None or told.at < watch.again_since)


# Programs.


@dataclass(slots=True)
class Programs:
    """Tells programs of one run of a job: a monitor that it begins and ends, and whoever keeps figures how it went."""

    job: str
    run_id: UUID
    means: Means
    log: Log
    began: bool = False

    def begins(self) -> None:
        """Tell the monitor that the run begins."""
        self.began = True
        self._ping(Ping(self.job, self.run_id))

    def ends(self, outcome: Outcome, seconds: float) -> None:
        """Keep how the run went and tell the monitor, unless another run has the lock: that one tells of itself."""
        if outcome.exit_code is ExitCode.LOCKED and not self.began:
            return
        self._measure(outcome, seconds)
        code = outcome.exit_code
        said = f"{self.job} {code.status} (exit {int(code)})" + (f": {outcome.message}" if outcome.message else "")
        counts = ", ".join(f"{name.replace('_', ' ')} {number}" for name, number in outcome.counts.items())
        self._ping(Ping(self.job, self.run_id, int(code), "\n".join(line for line in (said, counts) if line)))

    def _measure(self, outcome: Outcome, seconds: float) -> None:
        try:
            meter = self.means.meter
            if meter is not None:
                meter.write(Measured(self.job, int(outcome.exit_code), seconds, outcome.counts))
        except Exception as exc:  # noqa: BLE001 - whatever keeps it from being written, the run's outcome stands
            self.log.warning("metrics.not_written", error=type(exc).__name__)

    def _ping(self, ping: Ping) -> None:
        try:
            pinger = self.means.pinger
            if pinger is not None:
                pinger.ping(ping)
        except CertjobsError as exc:
            self.log.warning("ping.not_sent", error=exc.message)
        except Exception as exc:  # noqa: BLE001 - whatever the pinger throws, the run's outcome stands
            self.log.warning("ping.not_sent", error=type(exc).__name__)
