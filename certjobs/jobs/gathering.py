"""What a report of a night tells, read in one place when the night's jobs are done."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any, cast

from certjobs.domain.coverage import NIGHTLY, equations
from certjobs.domain.night import (
    ComingNight,
    Finding,
    Missed,
    Night,
    PausedMentor,
    Queue,
    Step,
    Volume,
)
from certjobs.jobs.forecasting import forecast
from certjobs.jobs.nights import ONE_DAY

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from certjobs.db.store import Store
    from certjobs.domain.outcome import Outcome, Report
    from certjobs.jobs.context import JobContext
    from certjobs.jobs.forecasting import Group
    from certjobs.jobs.options import NightlyOptions

EXPOSED = 20  # mentors that a report names
HISTORY = timedelta(days=28)  # of runs
EXAMPLES = 5  # findings of a kind that are told in words


def gather(ctx: JobContext[NightlyOptions], reports: Sequence[Report], outcome: Outcome) -> Night:
    """Return what the night came to, from what its steps reported and from what stands in the database now."""
    details = {report.job_name: report.outcome.details for report in reports}
    paused = details.get("expiry-check", {}).get("paused", ())
    with ctx.transaction() as store:
        organisations = store.organisations.all()
    today = ctx.today(organisations[0]) if organisations else (ctx.calendar.as_of or ctx.calendar.now.date())
    coming = forecast(
        ctx.transaction,
        days=ctx.options.days,
        org=None,
        calendar=replace(ctx.calendar, as_of=today + ONE_DAY, future=True),
        guard=ctx.guard,
        thresholds=ctx.options.thresholds,
        per_organisation=ctx.options.per_organisation_thresholds,
    )
    with ctx.transaction() as store:
        names = store.mentors.names([each["mentor_ref"] for each in paused]) if ctx.options.with_names else {}
        now = store.operations.now()
        # A night that takes another day for today takes its clock along.
        moment = now + (ctx.calendar.as_of - now.date()) if ctx.calendar.as_of else now
        exposed, exposed_total = store.overview.exposed(EXPOSED, moment)
        history = store.overview.history(now - HISTORY, NIGHTLY)
        queue = store.operations.backlog()
        findings = list(_findings(store, details.get("reconcile", {})))
    return Night(
        run_id=str(ctx.run_id),
        started_at=ctx.calendar.now,
        time_zone=organisations[0].time_zone if organisations else "UTC",
        today=today,
        dry_run=ctx.dry_run,
        status=outcome.exit_code.status,
        exit_code=int(outcome.exit_code),
        message=outcome.message,
        hint=outcome.hint,
        seconds=sum(report.seconds for report in reports),
        steps=[_step(report) for report in reports],
        missed=[_missed(each) for found in details.values() for each in found.get("missed", ())],
        paused=[
            PausedMentor(
                each["mentor_ref"],
                each["organisation"],
                each["chapter"],
                date.fromisoformat(each["certification_expiry"]),
                each["notices"],
                names.get(each["mentor_ref"]),
            )
            for each in paused
        ],
        paused_total=_counted(reports, "expiry-check", "paused"),
        forecast_first=coming.first,
        forecast_last=coming.last,
        forecast=[_coming(group) for group in coming.by_day()],
        history=history,
        queue=Queue(queue.open, queue.processing, queue.dead, queue.oldest_open_seconds, queue.done_last_hour),
        exposed=exposed,
        exposed_total=exposed_total,
        findings=findings,
        compared=any("entries" in report.outcome.counts for report in reports if report.job_name == "reconcile"),
        volumes=[Volume(**each) for found in details.values() for each in found.get("volumes", ())],
    )


def _step(report: Report) -> Step:
    outcome = report.outcome
    return Step(
        report.job_name,
        str(report.run_id),
        outcome.exit_code.status,
        int(outcome.exit_code),
        outcome.message,
        outcome.hint,
        report.seconds,
        dict(outcome.counts),
        equations(report.job_name, outcome.counts),
    )


def _coming(group: Group) -> ComingNight:
    (night,) = group.name
    return ComingNight(cast(date, night), group.reminders, group.pauses, group.guarded)


def _missed(each: Mapping[str, Any]) -> Missed:
    return Missed(
        each["night"],
        each["job"],
        each["pauses"],
        [(reminder["mentor_ref"], reminder["threshold"]) for reminder in each["reminders"]],
        each["pauses_total"],
        each["reminders_total"],
    )


def _findings(store: Store, details: Mapping[str, Any]) -> Iterator[Finding]:
    new = {each["finding"]: each["new"] for each in details.get("findings", ())}
    for each in store.overview.open_findings():
        examples = store.reconciliation.examples(each.finding, EXAMPLES)
        yield Finding(each.finding, each.open, new.get(each.finding, 0), examples)


def _counted(reports: Sequence[Report], job: str, name: str) -> int:
    return sum(report.outcome.counts.get(name, 0) for report in reports if report.job_name == job)
