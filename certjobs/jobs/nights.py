"""What stands around a night: nights before it that were missed, and what it was expected to bring."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from certjobs.domain.coverage import WHOLE_NIGHT
from certjobs.domain.outcome import Watch

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import date

    from certjobs.db.forecasts import Due, Late
    from certjobs.db.organisations import Organisation
    from certjobs.jobs.context import JobContext

ONE_DAY = timedelta(days=1)
PAUSED, REMINDERS = "paused", "reminders"
MOST = 31  # nights missed that a run tells of, the latest ones
SHOWN = 50  # mentors that each of them names


@dataclass(frozen=True, slots=True)
class Before:
    """What a run knew of its night in one organisation before it did anything.

    ``due`` is what each missed night would have done; ``expected`` what was expected of this one, None where nobody
    said, or where this night had a run already.
    """

    missed: Sequence[date]
    due: Sequence[Due | Late]
    expected: int | None


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
        due: list[Due | Late] = []
        if missed:
            due += store.forecasts.came_late(organisation.id, missed[0], missed[-1], thresholds)
            due += store.forecasts.due(alone, first, len(missed), thresholds or (), job_name=ctx.job_name)
        return Before(missed, due, store.forecasts.expected(ctx.job_name, organisation.id, today))


def count_missed(ctx: JobContext[Any], found: Sequence[Before]) -> None:
    """Count the nights missed, and for how many mentors something came later than promised."""
    nights = {night for each in found for night in each.missed}
    if nights:
        ctx.count(nights_missed=len(nights), late=len({due.mentor_ref for each in found for due in each.due}))


def whole(ctx: JobContext[Any], *, org: str | None, baseline: bool) -> None:
    """Note that this run did the whole night of its job, where it did: what a part left out was missed all the same."""
    if org is None and not baseline:
        ctx.count(**{WHOLE_NIGHT: 1})


def told(ctx: JobContext[Any], found: Sequence[Before]) -> list[dict[str, Any]]:
    """Return the nights missed, by name, and what each would have done; JSON-ready."""
    nights: dict[date, list[Due | Late]] = {night: [] for each in found for night in each.missed}
    for each in found:
        for due in each.due:
            nights[due.day].append(due)
    return [_night(ctx.job_name, night, due) for night, due in sorted(nights.items())]


def _night(job: str, night: date, due: Sequence[Due | Late]) -> dict[str, Any]:
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
    """What nights were expected to bring, beside what they brought; ``what`` is ``paused`` or ``reminders``."""

    what: str
    found: list[dict[str, Any]] = field(default_factory=list)

    def compare(self, ctx: JobContext[Any], organisation: Organisation, expected: int | None, actual: int) -> None:
        """Compare one organisation's night, where somebody had said what to expect.

        A mentor who was expected and did not come, or the other way round, is explained by a change since. Of whom
        nothing says why, somebody has to look.
        """
        if expected is None:
            return
        with ctx.transaction() as store:
            unexplained = store.forecasts.unexplained(
                ctx.job_name, organisation.id, ctx.today(organisation), reminders=self.what == REMINDERS
            )
        self.found.append(
            {
                "organisation": organisation.code,
                "what": self.what,
                "expected": expected,
                "actual": actual,
                "unexpected": unexplained > 0,
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
        return f"{each['actual']} {self.what}, {each['expected']} were expected, and nothing in the roster tells why"
