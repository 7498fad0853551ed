"""remind: warn coordinators of certifications about to expire, once a threshold, and send every notice owed.

1. Decide, for each organisation with ``remind`` in one statement: who is due for the smallest threshold that covers the
   days left and was told of none as small before; ledger rows and notices go in together. Larger thresholds that were
   missed, and those that expiry has overtaken, are recorded as superseded and never sent.
2. Hold the night against what was expected of it, and keep what is expected of the next.
3. Send everything owed to coordinators, reminders and pauses, after the commits.
4. Hold what was owed against its causes, and against what became of it: a remainder fails the run.

A baseline run records everything due now as superseded and sends nothing: the first night on a live roster.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from certjobs.domain.delivery import PAUSE, REMINDER
from certjobs.domain.outcome import Outcome, Watch, worst
from certjobs.domain.text import counted
from certjobs.domain.thresholds import DECIDED_FOR_ALL, thresholds_of
from certjobs.errors import CertjobsError, ExitCode, StatementFailed
from certjobs.jobs import nights
from certjobs.jobs.delivery import Delivered, account_for_notices, deliver

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date, datetime

    from certjobs.db.organisations import Organisation
    from certjobs.jobs.context import JobContext
    from certjobs.jobs.options import RemindOptions

DEAD_NOTICES = "dead notices"
SHOWN = 50  # reminders, and in a dry-run recipients, that a report names; the counts tell of all


@dataclass(slots=True)
class Plan:
    """What tonight means for one organisation, and what became of it."""

    organisation: Organisation
    today: date
    thresholds: tuple[int, ...]
    reminders: int = 0
    notices: int = 0
    superseded: int = 0
    without_coordinator: int = 0
    failed: int = 0
    by_threshold: dict[str, int] = field(default_factory=dict)
    before: nights.Before = nights.NOTHING_BEFORE


def remind(ctx: JobContext[RemindOptions]) -> Outcome:
    """Decide who is reminded of what, owe the notices, and send all that are owed.

    Afterwards every due threshold has its row in the ledger and a notice owed to each coordinator, and every notice
    that could be sent was. Again is nothing. Raises UsageError for an unknown organisation and ConfigurationError where
    an organisation's thresholds are no list of days; then nothing was written.
    """
    with ctx.transaction() as store:
        chosen = [store.organisations.get(ctx.options.org)] if ctx.options.org else store.organisations.all()
        since = store.reminders.last_decided(ctx.job_name)
    plans = [_plan(ctx, each) for each in chosen if each.remind]
    ctx.count(reminders=0, reminders_superseded=0, notices_owed=0, without_coordinator=0)
    nights.count_missed(ctx, [plan.before for plan in plans])
    with ctx.progress.track("Deciding", len(plans)) as advance:
        for plan in plans:
            _decide(ctx, plan, since)
            advance(1)
    if ctx.options.baseline:
        ctx.count(baseline=1)
    if not ctx.options.org and not any(plan.failed for plan in plans):
        ctx.count(**{DECIDED_FOR_ALL: 1})
    nights.whole(ctx, org=ctx.options.org, baseline=ctx.options.baseline)
    volumes = nights.Volumes(nights.REMINDERS)
    for plan in plans if not ctx.options.baseline else ():
        volumes.compare(ctx, plan.organisation, plan.before.expected, plan.reminders)
        _expect(ctx, plan)
    delivered = Delivered() if ctx.options.baseline else deliver(ctx, chosen, (PAUSE, REMINDER))
    _account(ctx)
    return _outcome(ctx, plans, volumes, delivered)


def _expect(ctx: JobContext[RemindOptions], plan: Plan) -> None:
    """Keep how many reminders the next night will decide, if nothing changes until then."""
    tomorrow = plan.today + nights.ONE_DAY
    with ctx.transaction() as store:
        store.forecasts.expect_reminders(ctx.job_name, plan.organisation.id, tomorrow, plan.thresholds)


def _plan(ctx: JobContext[RemindOptions], organisation: Organisation) -> Plan:
    thresholds = thresholds_of(
        organisation.code,
        organisation.thresholds,
        ctx.options.thresholds,
        own_count=ctx.options.per_organisation_thresholds,
    )
    before = nights.NOTHING_BEFORE if ctx.options.baseline else nights.before(ctx, organisation, thresholds)
    return Plan(organisation, ctx.today(organisation), thresholds, before=before)


def _decide(ctx: JobContext[RemindOptions], plan: Plan, since: datetime | None) -> None:
    """Decide for one organisation in one transaction; where that fails, bisect down to who cannot be decided."""
    organisation_id = plan.organisation.id
    try:
        _decide_for(ctx, plan, None)
    except StatementFailed as exc:
        with ctx.transaction() as store:
            due = store.reminders.due(organisation_id, plan.today, plan.thresholds)
        if not due:
            _failed(ctx, plan, exc)
        _bisect(ctx, plan, due)
    try:
        with ctx.transaction() as store:
            overtaken, closed = store.reminders.overtake(organisation_id, plan.today, plan.thresholds, since)
    except StatementFailed as exc:
        _failed(ctx, plan, exc)
        return
    plan.superseded += overtaken
    ctx.count(reminders_superseded=overtaken, notices_superseded=closed)


def _bisect(ctx: JobContext[RemindOptions], plan: Plan, mentor_ids: Sequence[int]) -> None:
    """Decide for some mentors of an organisation, so that one of whom that fails stops no other."""
    if not mentor_ids:
        return
    middle = len(mentor_ids) // 2
    for half in (mentor_ids[:middle], mentor_ids[middle:]) if middle else (mentor_ids,):
        try:
            _decide_for(ctx, plan, half)
        except StatementFailed as exc:
            if len(half) == 1:
                _failed(ctx, plan, exc, mentor_id=half[0])
            else:
                _bisect(ctx, plan, half)


def _failed(ctx: JobContext[RemindOptions], plan: Plan, exc: StatementFailed, *, mentor_id: int | None = None) -> None:
    ctx.log.warning("remind.failed", organisation=plan.organisation.code, mentor_id=mentor_id, error=exc.reason)
    plan.failed += 1
    ctx.count(failed=1)


def _decide_for(ctx: JobContext[RemindOptions], plan: Plan, mentor_ids: Sequence[int] | None) -> None:
    """Decide in one transaction, for some mentors or (None) all of the organisation, and count it once committed."""
    baseline = ctx.options.baseline
    with ctx.transaction() as store:
        decided = store.reminders.decide(
            plan.organisation.id, plan.today, plan.thresholds, baseline=baseline, mentor_ids=mentor_ids
        )
    superseded = decided.superseded + (decided.due if baseline else 0)
    due, notices, without = (0, 0, 0) if baseline else (decided.due, decided.notices, decided.without_coordinator)
    plan.reminders += due
    plan.notices += notices
    plan.superseded += superseded
    plan.without_coordinator += without
    for threshold, number in ({} if baseline else decided.by_threshold).items():
        plan.by_threshold[threshold] = plan.by_threshold.get(threshold, 0) + number
    ctx.count(
        reminders=due,
        reminders_superseded=superseded,
        notices_owed=notices,
        notices_superseded=decided.closed,
        without_coordinator=without,
    )


def _account(ctx: JobContext[RemindOptions]) -> None:
    """Hold what is owed, counted from its causes, against what became of it: the counts prove it.

    ``notices_owed`` is the sum of the counts ``owed_...``. Raises CertjobsError on a remainder.
    """
    found, became = account_for_notices(ctx)
    reminders, owed = ctx.counts["reminders"], ctx.counts["notices_owed"]
    if (found.due, found.reminders, found.recorded, became) != (reminders, owed, owed, owed):
        msg = (
            f"The account of this run does not add up: {reminders} reminders decided and {found.due} in the ledger,"
            f" {owed} notices owed to {found.reminders} recipients, {found.recorded} recorded, and what became of"
            f" {became} is known."
        )
        raise CertjobsError(msg, hint="Run `certjobs db check`, and look at `certjobs notifications list`.")


def _outcome(
    ctx: JobContext[RemindOptions], plans: Sequence[Plan], volumes: nights.Volumes, delivered: Delivered
) -> Outcome:
    codes, sentences = [delivered.exit_code], []
    for plan in plans:
        if plan.failed:
            codes.append(ExitCode.PARTIAL)
            sentences.append(
                f"{plan.organisation.code}: {counted(plan.failed, 'mentor')} could not be decided, because the database"
                " refused it; the log names them by id."
            )
    if delivered.message:
        sentences.append(delivered.message)
    details = _details(ctx, plans) | {
        "missed": nights.told(ctx, [plan.before for plan in plans]),
        "volumes": volumes.found,
    }
    watches = [*volumes.watches(ctx.job_name), _refused(ctx)]
    return Outcome(worst(codes), ctx.counts, " ".join(sentences) or None, delivered.hint, details, watches)


def _refused(ctx: JobContext[RemindOptions]) -> Watch:
    """Judge how many notices are dead, whichever run gave them up."""
    with ctx.transaction() as store:
        number = store.overview.undelivered().dead
    if not number:
        return Watch(DEAD_NOTICES, 0, "No notice is refused for good any more.")
    said = f"{counted(number, 'notice')} refused for good: see `certjobs notifications list --status dead`."
    return Watch(DEAD_NOTICES, number, said)


def _details(ctx: JobContext[RemindOptions], plans: Sequence[Plan]) -> dict[str, Any]:
    with ctx.transaction() as store:
        reminders = store.reminders.of_run(ctx.run_id, SHOWN)
        days = {plan.organisation.id: plan.today for plan in plans}
        owed = store.notifications.heard_by(ctx.run_id, days, SHOWN) if ctx.dry_run else ()
    found: dict[str, Any] = {
        "reminded": [
            {
                "organisation": plan.organisation.code,
                "today": plan.today.isoformat(),
                "thresholds": list(plan.thresholds),
                "reminders": plan.reminders,
                "by_threshold": plan.by_threshold,
                "superseded": plan.superseded,
                "notices": plan.notices,
                "without_coordinator": plan.without_coordinator,
                "failed": plan.failed,
            }
            for plan in plans
        ],
        "channel": ctx.notifier.name if ctx.notifier else "none",
        "reminders": [
            asdict(each) | {"certification_expiry": each.certification_expiry.isoformat()} for each in reminders
        ],
    }
    if ctx.dry_run:
        found["recipients"] = [
            {"recipient": each.recipient, "waits": each.waits, "notices": list(each.notices)} for each in owed
        ]
    return found
