"""What stands around a night: nights before it that were missed, and what it was expected to bring."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from certjobs.domain.outcome import Watch

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import date

    from certjobs.db.forecasts import Due, Expected
    from certjobs.db.organisations import Organisation
    from certjobs.jobs.context import JobContext

ONE_DAY = timedelta(days=1)
MOST = 31  # nights missed that a run tells of, the latest ones
SHOWN = 50  # mentors that each of them names


@dataclass(frozen=True, slots=True)
class Before:
    """What a run knew of its night in one organisation before it did anything.

    ``due`` is what each missed night would have done; ``expected`` what was expected of this one, None where nobody
    said, or where this night had a run already.
    """

    missed: Sequence[date]
    due: Sequence[Due]
    expected: Expected | None


NOTHING_BEFORE = Before((), (), None)


def before(ctx: JobContext[Any], organisation: Organisation, thresholds: Sequence[int] | None) -> Before:
    """Look at what stands before the night: what it comes after, pauses or, with thresholds, reminders."""
    today = ctx.today(organisation)
    with ctx.transaction() as store:
        last = store.runs.last_night(ctx.job_name, organisation.time_zone)
        if last is None or last >= today:
            return NOTHING_BEFORE
        first = max(last + ONE_DAY, today - MOST * ONE_DAY)
        missed = [first + number * ONE_DAY for number in range((today - first).days)]
        alone = replace(organisation, remind=thresholds is not None, auto_pause=thresholds is None)
        due = store.forecasts.due(alone, first, len(missed), thresholds or (), job_name=ctx.job_name) if missed else ()
        return Before(missed, due, store.forecasts.expected(ctx.job_name, organisation.id, today))


def count_missed(ctx: JobContext[Any], found: Sequence[Before]) -> None:
    """Count the nights missed, and for how many mentors something came later than promised."""
    nights = {night for each in found for night in each.missed}
    if nights:
        ctx.count(nights_missed=len(nights), late=len({due.mentor_ref for each in found for due in each.due}))


def told(ctx: JobContext[Any], found: Sequence[Before]) -> list[dict[str, Any]]:
    """Return the nights missed, by name, and what each would have done; JSON-ready."""
    nights: dict[date, list[Due]] = {night: [] for each in found for night in each.missed}
    for each in found:
        for due in each.due:
            nights[due.day].append(due)
    return [_night(ctx.job_name, night, due) for night, due in sorted(nights.items())]


def _night(job: str, night: date, due: Sequence[Due]) -> dict[str, Any]:
    pauses = [each.mentor_ref for each in due if each.threshold_day is None]
    reminders = [(each.mentor_ref, each.threshold_day) for each in due if each.threshold_day is not None]
    return {
        "night": night,
        "job": job,
        "pauses": pauses[:SHOWN],
        "pauses_total": len(pauses),
        "reminders": [{"mentor_ref": ref, "threshold": threshold} for ref, threshold in reminders[:SHOWN]],
        "reminders_total": len(reminders),
    }


@dataclass(slots=True)
class Volumes:
    """What nights were expected to bring, beside what they brought."""

    what: str
    found: list[dict[str, Any]] = field(default_factory=list)

    def compare(self, ctx: JobContext[Any], organisation: Organisation, expected: Expected | None, actual: int) -> None:
        """Compare one organisation's night, where somebody had said what to expect.

        As many mentors as were changed since may make the difference; beyond that somebody has to look.
        """
        if expected is None:
            return
        apart = abs(expected.number - actual)
        unexpected = False
        if apart:
            with ctx.transaction() as store:
                unexpected = apart > store.forecasts.changed_since(organisation.id, expected.since)
        self.found.append(
            {
                "organisation": organisation.code,
                "what": self.what,
                "expected": expected.number,
                "actual": actual,
                "unexpected": unexpected,
            }
        )

    def watches(self, job: str) -> Sequence[Watch]:
        """Return what people are to be told of: nothing where nothing was compared."""
        wrong = [each for each in self.found if each["unexpected"]]
        if not self.found:
            return ()
        said = "; ".join(f"{each['organisation']}: {self._words(each)}" for each in wrong)
        return (
            Watch(f"{job}: volume", len(wrong), f"{said}." if wrong else f"{job} does what is expected of it again."),
        )

    def _words(self, each: Mapping[str, Any]) -> str:
        return f"{each['actual']} {self.what}, {each['expected']} were expected, and the roster does not tell why"
