"""expiry-check: pause the mentors whose certification has expired, and owe their coordinators a notice.

1. Count, in one read, who is expired in each organisation with ``auto_pause``.
2. Ask the guard. What it refuses is stored and named by a hash; nothing of it is touched.
3. Pause in keyset batches, each its own transaction: status, audit and notices together or not at all. Where a batch
   fails, who is free is paused; where that fails too it is bisected, so that one mentor who cannot be paused stops
   nobody else. Whom other sessions held is waited for once, at the end.
4. Count again: an expired mentor who is still active is refused, failed, or open; nobody is lost.
5. Hold the night against what was expected of it, and keep what is expected of the next.
6. Send the notices that are owed, after the commits; a channel that gathers leaves that to ``remind``, which sends each
   coordinator one message with everything.

A baseline run suppresses its notices in the transactions that owe them, and sends none. Its guarded sets are its own:
an approval of one lets no other run pause them and tell everybody.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from certjobs.domain.delivery import PAUSE
from certjobs.domain.guard import Refusal
from certjobs.domain.outcome import Outcome, worst
from certjobs.errors import CertjobsError, ExitCode, StatementFailed
from certjobs.jobs import nights
from certjobs.jobs.delivery import Delivered, account_for_notices, deliver, leave_for_remind

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date, datetime

    from certjobs.db.mentors import Cursor, Paused, PausedBatch
    from certjobs.db.organisations import Organisation
    from certjobs.db.store import Store
    from certjobs.jobs.context import JobContext
    from certjobs.jobs.options import ExpiryCheckOptions
    from certjobs.ports import Advance

BASELINE = "--baseline"
UNDER_WAY = timedelta(hours=1)  # as long others may have been at a change that is there to be seen only now
SHOWN = 50  # paused mentors that a report names; the counts tell of all


@dataclass(slots=True)
class Plan:
    """What tonight means for one organisation, and what became of it."""

    organisation: Organisation
    today: date
    approved: int
    unapproved: int
    never_certified: int
    allowance: int
    guarded: Refusal | None = None
    refused: int = 0
    paused: int = 0
    changed: int = 0
    failed: list[int] = field(default_factory=list)
    shown: list[Paused] = field(default_factory=list)
    open: int = 0
    before: nights.Before = nights.NOTHING_BEFORE


def expiry_check(ctx: JobContext[ExpiryCheckOptions]) -> Outcome:
    """Pause every active, expired mentor of organisations with ``auto_pause``, within the guard.

    Afterwards each of them is paused with one audit row and one notice owed to each coordinator; or was refused by the
    guard (exit 4), or could not be paused (exit 3). Again is nothing. Raises UsageError for an unknown organisation.
    """
    chosen = _organisations(ctx)
    with ctx.transaction() as store:
        began = store.operations.now()
    plans = [_plan(ctx, organisation) for organisation in chosen if organisation.auto_pause]
    ctx.count(paused=0, failed=0, notices_owed=0, without_coordinator=0)
    nights.count_missed(ctx, [plan.before for plan in plans])
    if ctx.options.baseline:
        ctx.count(baseline=1, notices_suppressed=0)
    with ctx.progress.track("Pausing", sum(p.approved + p.unapproved - p.refused for p in plans)) as advance:
        for plan in plans:
            for approved in (True, False):
                _pause(ctx, plan, advance, approved=approved)
    _account(ctx, plans, began)
    nights.whole(ctx, org=ctx.options.org, baseline=ctx.options.baseline)
    volumes = nights.Volumes(nights.PAUSED)
    for plan in plans if not ctx.options.baseline else ():
        volumes.compare(ctx, plan.organisation, plan.before.expected, plan.paused)
        _expect(ctx, plan)
    delivered = _deliver(ctx, chosen)
    account_for_notices(ctx)
    return _outcome(ctx, plans, volumes, delivered)


def _expect(ctx: JobContext[ExpiryCheckOptions], plan: Plan) -> None:
    """Keep what the next night will pause, if nothing changes until then and the guard has its way."""
    tomorrow = plan.today + nights.ONE_DAY
    with ctx.transaction() as store:
        _, unapproved = store.mentors.count_expired(plan.organisation.id, tomorrow, _guarded_as(ctx))
        active = store.mentors.count_active(plan.organisation.id, ctx.guard.enough_active(unapproved))
        store.forecasts.expect_pauses(
            ctx.job_name,
            plan.organisation.id,
            tomorrow,
            guarded_as=_guarded_as(ctx),
            unapproved=ctx.guard.allows(unapproved, active),
        )


def _deliver(ctx: JobContext[ExpiryCheckOptions], chosen: Sequence[Organisation]) -> Delivered:
    """Send the pause notices that are owed, unless the channel gathers: then one message takes them with reminders."""
    if ctx.options.baseline:
        return Delivered()
    if ctx.notifier is not None and ctx.notifier.gathers:
        return leave_for_remind(ctx, chosen, (PAUSE,))
    return deliver(ctx, chosen, (PAUSE,))


def _organisations(ctx: JobContext[ExpiryCheckOptions]) -> Sequence[Organisation]:
    with ctx.transaction() as store:
        chosen = [store.organisations.get(ctx.options.org)] if ctx.options.org else store.organisations.all()
    for organisation in chosen:
        if not organisation.auto_pause:
            ctx.log.info("expiry_check.left_alone", organisation=organisation.code, why="auto_pause is off")
    return chosen


def _guarded_as(ctx: JobContext[ExpiryCheckOptions]) -> str:
    """Return the name under which the guard keeps this run's sets."""
    return f"{ctx.job_name} {BASELINE}" if ctx.options.baseline else ctx.job_name


def _plan(ctx: JobContext[ExpiryCheckOptions], organisation: Organisation) -> Plan:
    """Count who is expired and ask the guard; store what it refuses, before anything else is written."""
    today = ctx.today(organisation)
    before = nights.NOTHING_BEFORE if ctx.options.baseline else nights.before(ctx, organisation, None)
    with ctx.transaction() as store:
        approved, unapproved = store.mentors.count_expired(organisation.id, today, _guarded_as(ctx))
        never = store.mentors.count_never_certified(organisation.id)
        active = store.mentors.count_active(organisation.id, ctx.guard.enough_active(unapproved))
        # What nobody hears of, somebody approves, however little it is.
        allowance = 0 if ctx.options.baseline else ctx.guard.allowance(active)
        plan = Plan(organisation, today, approved, unapproved, never, allowance, before=before)
        if unapproved > allowance:
            refused = store.guarded_sets.refuse_expired(organisation.id, today, _guarded_as(ctx))
            if refused is not None:
                plan.refused = refused.size
                plan.guarded = Refusal(
                    organisation.code, refused.hash, refused.size, store.guarded_sets.members(refused.hash, SHOWN)
                )
    ctx.count(expired=approved + unapproved, never_certified=never, refused=plan.refused)
    if plan.guarded:
        ctx.log.warning(
            "expiry_check.refused", organisation=organisation.code, set=plan.guarded.hash, mentors=plan.refused
        )
    return plan


def _pause(ctx: JobContext[ExpiryCheckOptions], plan: Plan, advance: Advance, *, approved: bool) -> None:
    """Pause in keyset batches: what a person approved, or what the guard lets a run do by itself.

    The roster may change while the job runs. Outside an approval a run never pauses more than the allowance that the
    guard gave before the first batch, however many became due meanwhile.
    """
    if not (plan.approved if approved else plan.unapproved) or (plan.guarded and not approved):
        return
    after: Cursor | None = None
    left = None if approved else plan.allowance
    busy: list[int] = []
    while left is None or left > 0:
        limit = ctx.options.batch_size if left is None else min(ctx.options.batch_size, left)
        found, after, paused = _pause_next(ctx, plan, after, limit, busy, approved=approved)
        left = None if left is None else left - paused
        advance(found)
        if found < limit:
            break
    _pause_busy(ctx, plan, busy)


def _pause_next(
    ctx: JobContext[ExpiryCheckOptions],
    plan: Plan,
    after: Cursor | None,
    limit: int,
    busy: list[int],
    *,
    approved: bool,
) -> tuple[int, Cursor | None, int]:
    """Pause the next batch; where that fails, pause of it who is free. Who is left goes to ``busy``.

    Returns how many were found, where the cursor stands now, and how many it paused.
    """
    organisation_id, job_name = plan.organisation.id, _guarded_as(ctx)
    try:
        with ctx.transaction() as store:
            found, cursor, paused = store.mentors.pause_next(
                organisation_id,
                plan.today,
                job_name=job_name,
                approved=approved,
                after=after,
                limit=limit,
                shown=SHOWN - len(plan.shown),
            )
            suppressed = _suppress(ctx, store, paused)
            if found > len(paused.mentor_ids):  # changed in just that moment: looked at again at the end
                again = store.mentors.expired_batch(
                    organisation_id, plan.today, job_name=job_name, approved=approved, after=after, limit=limit
                )
                busy += [each.mentor_id for each in again if cursor is not None and each <= cursor]
    except StatementFailed:
        with ctx.transaction() as store:
            batch = store.mentors.expired_batch(
                organisation_id, plan.today, job_name=job_name, approved=approved, after=after, limit=limit
            )
        number = _pause_free(ctx, plan, [each.mentor_id for each in batch], busy)
        return len(batch), batch[-1] if batch else None, number
    return found, cursor, _count(ctx, plan, paused, suppressed)


def _pause_free(ctx: JobContext[ExpiryCheckOptions], plan: Plan, mentor_ids: Sequence[int], busy: list[int]) -> int:
    """Pause whom no other session holds; bisect where that fails, down to the mentor who cannot be paused."""
    try:
        with ctx.transaction() as store:
            paused = store.mentors.pause_free(mentor_ids, plan.today)
            suppressed = _suppress(ctx, store, paused)
    except StatementFailed as exc:
        if len(mentor_ids) > 1:
            middle = len(mentor_ids) // 2
            return sum(_pause_free(ctx, plan, half, busy) for half in (mentor_ids[:middle], mentor_ids[middle:]))
        _failed(ctx, plan, mentor_ids, exc.reason)
        return 0
    done = set(paused.mentor_ids)
    busy += [mentor_id for mentor_id in mentor_ids if mentor_id not in done]
    return _count(ctx, plan, paused, suppressed)


def _pause_busy(ctx: JobContext[ExpiryCheckOptions], plan: Plan, busy: Sequence[int]) -> None:
    """Try those once more whom other sessions held, and wait for them once: a night must not hang on an import."""
    waiting = True
    for start in range(0, len(busy), ctx.options.batch_size):
        mentor_ids = busy[start : start + ctx.options.batch_size]
        if waiting:
            try:
                with ctx.transaction() as store:
                    paused = store.mentors.pause_expired(mentor_ids, plan.today)
                    suppressed = _suppress(ctx, store, paused)
            except StatementFailed:
                waiting = False
            else:
                _count(ctx, plan, paused, suppressed)
                continue
        still: list[int] = []
        _pause_free(ctx, plan, mentor_ids, still)
        with ctx.transaction() as store:
            held = store.mentors.still_expired(still, plan.today)
        if held:
            _failed(ctx, plan, held, "another session holds them")


def _failed(ctx: JobContext[ExpiryCheckOptions], plan: Plan, mentor_ids: Sequence[int], why: str) -> None:
    shown = list(mentor_ids[:SHOWN])
    ctx.log.warning("expiry_check.mentors_failed", mentor_ids=shown, number=len(mentor_ids), error=why)
    plan.failed += mentor_ids
    ctx.count(failed=len(mentor_ids))


def _suppress(ctx: JobContext[ExpiryCheckOptions], store: Store, paused: PausedBatch) -> int:
    """Suppress the notices of a baseline run in the transaction that owes them, and return how many that are."""
    if not (ctx.options.baseline and paused.mentor_ids):
        return 0
    return store.notifications.suppress(paused.mentor_ids, ctx.run_id)


def _count(ctx: JobContext[ExpiryCheckOptions], plan: Plan, paused: PausedBatch, suppressed: int) -> int:
    """Count what a transaction did, once it is committed, and return how many it paused."""
    number = len(paused.mentor_ids)
    plan.paused += number
    plan.shown += paused.shown[: SHOWN - len(plan.shown)]
    if ctx.options.baseline:
        ctx.count(notices_suppressed=suppressed)
    ctx.count(paused=number, notices_owed=paused.recipients, without_coordinator=paused.without_coordinator)
    return number


def _account(ctx: JobContext[ExpiryCheckOptions], plans: Sequence[Plan], since: datetime) -> None:
    """Hold what was done against its causes: expired = paused + refused + failed + open + changed.

    An expired mentor who is still active, though neither refused nor failed, is open: due since the run began. One who
    was counted and is nowhere else is changed: renewed, paused or moved meanwhile (negative where more became due and
    were paused than were counted); there cannot be more of these than were changed by others since. Raises
    CertjobsError where there are, and where audit or notices do not hold what the run did.
    """
    with ctx.transaction() as store:
        account = store.notifications.account(ctx.run_id)
        others = store.forecasts.changed_since(since - UNDER_WAY) if plans else 0
        for plan in plans:
            left = sum(store.mentors.count_expired(plan.organisation.id, plan.today, _guarded_as(ctx)))
            plan.open = max(0, left - plan.refused - len(plan.failed))
            done = plan.paused + plan.refused + len(plan.failed) + plan.open
            plan.changed = plan.approved + plan.unapproved - done
    ctx.count(open=sum(plan.open for plan in plans), changed=sum(plan.changed for plan in plans))
    if sum(abs(plan.changed) for plan in plans) > others:
        msg = (
            f"The account of this run does not add up: of {ctx.counts['expired']} expired mentors"
            f" {abs(ctx.counts['changed'])} are accounted for nowhere, and others changed {others} meanwhile."
        )
        raise CertjobsError(msg, hint="Run it again. If it says the same, run `certjobs db check`.")
    if ctx.options.baseline and ctx.counts["notices_suppressed"] != ctx.counts["notices_owed"]:
        msg = "The account of this baseline run does not add up: not every notice was suppressed."
        raise CertjobsError(msg, hint="Look at the table notifications before the next run sends them.")
    if (account.pauses, account.recorded) != (ctx.counts["paused"], ctx.counts["notices_owed"]):
        msg = (
            f"The account of this run does not add up: {ctx.counts['paused']} paused and {account.pauses} audited,"
            f" {ctx.counts['notices_owed']} notices owed and {account.recorded} recorded."
        )
        raise CertjobsError(msg, hint="A trigger may be missing or disabled: run `certjobs db check`.")


def _outcome(
    ctx: JobContext[ExpiryCheckOptions], plans: Sequence[Plan], volumes: nights.Volumes, delivered: Delivered
) -> Outcome:
    """Say how it went: the worst of guard, failures and what is still owed."""
    codes, sentences, hint = [], [], None
    for plan in plans:
        name = plan.organisation.code
        if plan.guarded:
            limit = "more than the guard lets a run do by itself"
            if ctx.options.baseline:
                limit = "and a baseline pauses only what a person approved"
            codes.append(ExitCode.GUARD)
            sentences.append(
                f"{name}: {plan.refused} mentors would have been paused, {limit} (set {plan.guarded.name})."
            )
            hint = plan.guarded.hint
        if plan.failed:
            codes.append(ExitCode.PARTIAL)
            sentences.append(f"{name}: {len(plan.failed)} mentors could not be paused; the log names them by id.")
        if plan.open:
            codes.append(ExitCode.PARTIAL)
            sentences.append(f"{name}: {plan.open} mentors became due during the run; run it again.")
    codes.append(delivered.exit_code)
    if delivered.message:
        sentences.append(delivered.message)
    hint = hint or delivered.hint
    details = _details(ctx, plans) | {
        "missed": nights.told(ctx, [plan.before for plan in plans]),
        "volumes": volumes.found,
    }
    return Outcome(worst(codes), ctx.counts, " ".join(sentences) or None, hint, details, volumes.watches(ctx.job_name))


def _details(ctx: JobContext[ExpiryCheckOptions], plans: Sequence[Plan]) -> dict[str, Any]:
    failed = [mentor_id for plan in plans for mentor_id in plan.failed[:SHOWN]]
    refs: dict[int, str] = {}
    if failed:
        with ctx.transaction() as store:
            refs = store.mentors.refs(failed)
    return {
        "organisations": [
            {
                "organisation": plan.organisation.code,
                "today": plan.today.isoformat(),
                "expired": plan.approved + plan.unapproved,
                "paused": plan.paused,
                "changed_meanwhile": plan.changed,
                "failed": len(plan.failed),
                "refused": plan.refused,
                "open": plan.open,
                "never_certified": plan.never_certified,
            }
            for plan in plans
        ],
        "channel": ctx.notifier.name if ctx.notifier else "none",
        "notices_left_for": "remind" if ctx.notifier is not None and ctx.notifier.gathers else None,
        "guarded": [plan.guarded.as_details() for plan in plans if plan.guarded],
        "failed": sorted(refs.values()),
        "paused": [
            {
                "mentor_ref": each.mentor_ref,
                "organisation": each.organisation,
                "chapter": each.chapter,
                "certification_expiry": each.certification_expiry.isoformat(),
                "notices": each.recipients,
            }
            for each in [each for plan in plans for each in plan.shown][:SHOWN]
        ],
    }
