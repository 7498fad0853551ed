"""remind: warn coordinators of certifications about to expire, once a threshold, and send every notice owed.

1. Decide, for each organisation with ``remind`` in one statement: who is due for the smallest threshold that covers the
   days left and was told of none as small before; ledger rows and notices go in together. Larger thresholds that were
   missed, and those that expiry has overtaken, are recorded as superseded and never sent.
2. Hold what was owed against its causes: a remainder fails the run.
3. Send everything owed to coordinators, reminders and pauses, after the commits.

A baseline run records everything due now as superseded and sends nothing: the first night on a live roster.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from certjobs.domain.delivery import PAUSE, REMINDER
from certjobs.domain.outcome import Outcome, worst
from certjobs.domain.thresholds import DECIDED_FOR_ALL, check_thresholds
from certjobs.errors import CertjobsError, ConfigurationError, ExitCode, StatementFailed
from certjobs.jobs.delivery import Delivered, deliver

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date, datetime

    from certjobs.db.organisations import Organisation
    from certjobs.db.reminders import Decided
    from certjobs.jobs.context import JobContext

SHOWN = 50  # reminders, and in a dry-run recipients, that a report names; the counts tell of all


@dataclass(frozen=True, slots=True)
class RemindOptions:
    """``org``: only this organisation's code; ``thresholds``: days ahead, largest first.

    ``per_organisation_thresholds``: an organisation's own count where it has some. ``baseline``: the first contact with
    a live roster, where nobody is told of what is due already.
    """

    org: str | None = None
    thresholds: tuple[int, ...] = (30, 14, 7)
    per_organisation_thresholds: bool = False
    baseline: bool = False


@dataclass(slots=True)
class Plan:
    """What tonight means for one organisation, and what became of it."""

    organisation: Organisation
    today: date
    thresholds: tuple[int, ...]
    decided: Decided | None = None
    overtaken: int = 0
    failed: str | None = None


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
    with ctx.progress.track("Deciding", len(plans)) as advance:
        for plan in plans:
            _decide(ctx, plan, since)
            advance(1)
    if ctx.options.baseline:
        ctx.count(baseline=1)
    if not ctx.options.org and not any(plan.failed for plan in plans):
        ctx.count(**{DECIDED_FOR_ALL: 1})
    _account(ctx)
    delivered = Delivered() if ctx.options.baseline else deliver(ctx, chosen, (PAUSE, REMINDER))
    _account(ctx)
    return _outcome(ctx, plans, delivered)


def _plan(ctx: JobContext[RemindOptions], organisation: Organisation) -> Plan:
    thresholds = ctx.options.thresholds
    if ctx.options.per_organisation_thresholds and organisation.thresholds is not None:
        try:
            thresholds = check_thresholds(organisation.thresholds)
        except ValueError as exc:
            msg = f"The organisation {organisation.code} has thresholds that are no list of days: {exc}."
            raise ConfigurationError(
                msg, hint=f"Set them, as in `certjobs orgs set {organisation.code} --thresholds 30,14,7 --reason TEXT`."
            ) from None
    return Plan(organisation, ctx.today(organisation), thresholds)


def _decide(ctx: JobContext[RemindOptions], plan: Plan, since: datetime | None) -> None:
    """Decide for one organisation in one transaction; one that the database refuses stops no other."""
    organisation = plan.organisation
    try:
        with ctx.transaction() as store:
            decided = store.reminders.decide(
                organisation.id, plan.today, plan.thresholds, baseline=ctx.options.baseline
            )
            overtaken, closed = store.reminders.overtake(organisation.id, plan.today, plan.thresholds, since)
    except StatementFailed as exc:
        plan.failed = exc.reason
        ctx.log.warning("remind.failed", organisation=organisation.code, error=exc.reason)
        ctx.count(failed=1)
        return
    plan.decided, plan.overtaken = decided, overtaken
    quiet = ctx.options.baseline
    ctx.count(
        reminders=0 if quiet else decided.due,
        reminders_superseded=decided.superseded + overtaken + (decided.due if quiet else 0),
        notices_owed=0 if quiet else decided.notices,
        notices_superseded=decided.closed + closed,
        without_coordinator=0 if quiet else decided.without_coordinator,
    )


def _account(ctx: JobContext[RemindOptions]) -> None:
    """Hold what is owed, counted from its causes, against what became of it: the counts prove it.

    ``notices_owed`` is the sum of the counts ``owed_...``. Raises CertjobsError on a remainder.
    """
    with ctx.transaction() as store:
        found = store.notifications.account(ctx.run_id)
    became = {
        "owed_sent": found.sent,
        "owed_suppressed": found.suppressed,
        "owed_superseded": found.superseded,
        "owed_dead": found.dead,
        "owed_unknown": found.unknown,
        "owed_discarded": found.discarded,
        "owed_open": found.open,
    }
    ctx.counts.update(became)
    reminders, owed = ctx.counts["reminders"], ctx.counts["notices_owed"]
    if (found.due, found.reminders, found.recorded, sum(became.values())) != (reminders, owed, owed, owed):
        msg = (
            f"The account of this run does not add up: {reminders} reminders decided and {found.due} in the ledger,"
            f" {owed} notices owed to {found.reminders} recipients, {found.recorded} recorded, and what became of"
            f" {sum(became.values())} is known."
        )
        raise CertjobsError(msg, hint="Run `certjobs db check`, and look at `certjobs notifications list`.")


def _outcome(ctx: JobContext[RemindOptions], plans: Sequence[Plan], delivered: Delivered) -> Outcome:
    codes, sentences = [delivered.exit_code], []
    for plan in plans:
        if plan.failed:
            codes.append(ExitCode.PARTIAL)
            sentences.append(f"{plan.organisation.code}: nothing was decided, because the database refused it.")
    if delivered.message:
        sentences.append(delivered.message)
    return Outcome(worst(codes), ctx.counts, " ".join(sentences) or None, delivered.hint, _details(ctx, plans))


def _details(ctx: JobContext[RemindOptions], plans: Sequence[Plan]) -> dict[str, Any]:
    with ctx.transaction() as store:
        reminders = store.reminders.of_run(ctx.run_id, SHOWN)
        owed = store.notifications.owed_because_of(ctx.run_id, SHOWN) if ctx.dry_run else ()
    found: dict[str, Any] = {
        "reminded": [
            {
                "organisation": plan.organisation.code,
                "today": plan.today.isoformat(),
                "thresholds": list(plan.thresholds),
                "reminders": plan.decided.due if plan.decided else 0,
                "by_threshold": dict(plan.decided.by_threshold) if plan.decided else {},
                "superseded": (plan.decided.superseded if plan.decided else 0) + plan.overtaken,
                "notices": plan.decided.notices if plan.decided else 0,
                "without_coordinator": plan.decided.without_coordinator if plan.decided else 0,
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
        found["recipients"] = [{"recipient": each.recipient, "notices": list(each.notices)} for each in owed]
    return found
