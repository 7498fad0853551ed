"""Sending the notices that are owed, after the transactions that caused them.

1. Settle what an earlier run was killed over; owe the open notices to whoever became a coordinator since.
2. Ask which notices may be sent now, in groups: one each, or one a recipient where the channel gathers them.
3. Senders, as many as waiting for the channel makes worthwhile, take group after group. Each looks at its notices
   again, owes them to who is a coordinator only since, and makes them ``sending`` in a commit of its own, fenced like
   every other write, just before it sends them. Where keys are honoured it may have up to a hundred in hand, and looks
   at them again after ``FRESH`` seconds: so long may a run whose lock was taken over go on, under keys sent once only.
4. What became of each is recorded, with a row in the dispatch log. A failure stays with its notice: it stops no other,
   and never undoes a pause.
5. Send what was owed to new coordinators in the meantime.

A channel that asks for a rest gives it to all senders. One that cannot be reached, or does not know us, ends the
sending: everything left stays owed.
"""

from __future__ import annotations

import threading
from contextlib import nullcontext
from contextvars import copy_context
from dataclasses import dataclass, field
from time import monotonic
from typing import TYPE_CHECKING, Any, TypeVar
from zoneinfo import ZoneInfo

from certjobs.domain.delivery import Delivery, Scope
from certjobs.domain.outcome import worst
from certjobs.domain.quiet import PATIENCE
from certjobs.domain.text import counted
from certjobs.errors import (
    CertjobsError,
    ChannelDown,
    ConfigurationError,
    CredentialsRejected,
    DeliveryError,
    DeliveryFailed,
    DeliveryRefused,
    DeliveryUnknown,
    ExitCode,
    RateLimited,
    StatementFailed,
)
from certjobs.jobs.rests import SHORTEST_REST, Rests

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from concurrent.futures import Future
    from contextlib import AbstractContextManager

    from certjobs.db.notifications import Account, Claim, StillOpen
    from certjobs.db.organisations import Organisation
    from certjobs.jobs.context import JobContext
    from certjobs.ports import Advance, Message, Notifier, Sender

T = TypeVar("T")
RETRY_AFTER = (15 * 60, 60 * 60, 4 * 60 * 60, 12 * 60 * 60)  # seconds that a notice rests after its n-th failure
JITTER = 0.2  # so that what failed together does not come back together
REST = 30.0  # seconds, where a channel asks for a rest and does not say how long
LONGEST_REST = 300.0  # seconds that a run rests in all before it leaves what is left to a later one
SLOW = 0.005  # seconds that a message takes, from which on more senders are worth it
LOOK_AFTER = 0.05  # seconds between two looks at whether they are
FRESH = 5.0  # seconds after a claim until which what it looked at still counts
AT_ONCE = 1000  # notices settled in one transaction
DOWN = 3  # messages in a row that could not even be begun: then the channel is down


def rest_after(failures: int) -> float:
    """Return how many seconds a notice rests after its n-th failure (from 1): up to half a day, give or take."""
    import random

    seconds = RETRY_AFTER[min(failures, len(RETRY_AFTER)) - 1]
    return seconds * random.uniform(1 - JITTER, 1 + JITTER)  # noqa: S311 - nobody gains by guessing it


@dataclass(frozen=True, slots=True)
class Delivered:
    """How the sending went: what counts for the exit code, and what to say."""

    exit_code: ExitCode = ExitCode.OK
    message: str | None = None
    hint: str | None = None


def scope_of(ctx: JobContext[Any], organisations: Sequence[Organisation], kinds: Sequence[str]) -> Scope:
    """Return what a run delivers now: of these organisations, except where it is quiet."""
    days = {}
    for organisation in organisations:
        today = ctx.today(organisation)
        clock = ctx.calendar.now.astimezone(ZoneInfo(organisation.time_zone)).time()
        if ctx.quiet.now(today, clock):
            ctx.log.info("delivery.quiet", organisation=organisation.code)
        else:
            days[organisation.id] = today
    return Scope(kinds, [each.id for each in organisations], days)


def deliver(ctx: JobContext[Any], organisations: Sequence[Organisation], kinds: Sequence[str]) -> Delivered:
    """Send the notices of these kinds and organisations that may be sent now.

    With no channel set nothing is claimed, everything stays owed, and that is no failure. Counts what was sent,
    suppressed, superseded, refused or lost, and what is still owed.
    """
    scope = scope_of(ctx, organisations, kinds)
    notifier = ctx.notifier
    if notifier is None:
        with ctx.transaction() as store:
            ctx.count(notices_open=store.notifications.still_open(scope).open)
        return Delivered()
    _settle(ctx, scope, notifier)
    _add(ctx, scope)
    with ctx.transaction() as store:
        groups = store.notifications.owed(scope, gathers=notifier.gathers)
    sending = _Sending(ctx, notifier, scope)
    while groups and not sending.stop.is_set():
        parcels = _parcels(groups, notifier)
        with ctx.progress.track("Telling", len(parcels)) as advance:
            sending.run(parcels, advance)
        groups = sending.groups_added()
    sending.end()
    return _told(ctx, scope, sending.stopped)


def _settle(ctx: JobContext[Any], scope: Scope, notifier: Notifier) -> None:
    """Settle what an earlier run was killed over; what the database will not have changed stops nothing else."""

    def settle(ids: Sequence[int]) -> None:
        with ctx.transaction() as store:
            unknown = store.notifications.settle_interrupted(
                ids, channel=notifier.name, honours_keys=notifier.honours_keys
            )
        ctx.count(notices_unknown=unknown)

    with ctx.transaction() as store:
        interrupted = store.notifications.interrupted(scope)
    ctx.count(notices_unknown=0)
    for start in range(0, len(interrupted), AT_ONCE):
        _bisected(
            interrupted[start : start + AT_ONCE], settle, lambda one, why: _log(ctx, "notice.not_settled", one, why)
        )


def _add(ctx: JobContext[Any], scope: Scope) -> None:
    """Owe the open notices to who became a coordinator since; where that fails, each is added when it is claimed."""
    try:
        with ctx.transaction() as store:
            added = len(store.notifications.add_new_recipients(scope))
    except StatementFailed as exc:
        ctx.log.warning("delivery.recipients_not_added", error=exc.reason)
        added = 0
    ctx.count(notices_added=added)


def _bisected(
    items: Sequence[T], work: Callable[[Sequence[T]], None], give_up: Callable[[T, StatementFailed], None]
) -> None:
    """Do a piece of work in one transaction, or, where the database refuses it, in halves down to what it refuses."""
    try:
        work(items)
    except StatementFailed as exc:
        if len(items) == 1:
            give_up(items[0], exc)
            return
        middle = len(items) // 2
        for half in (items[:middle], items[middle:]):
            _bisected(half, work, give_up)


def _log(ctx: JobContext[Any], event: str, notice_id: int, exc: StatementFailed) -> None:
    ctx.log.warning(event, notice=notice_id, error=exc.reason)


def leave_for_remind(ctx: JobContext[Any], organisations: Sequence[Organisation], kinds: Sequence[str]) -> Delivered:
    """Count what is owed and send none of it: a channel that gathers sends everything at once, with the reminders."""
    with ctx.transaction() as store:
        ctx.count(notices_open=store.notifications.still_open(scope_of(ctx, organisations, kinds)).open)
    return Delivered()


def _parcels(groups: Sequence[Sequence[int]], notifier: Notifier) -> Sequence[Sequence[int]]:
    """Return the groups, as many together as a sender may have in hand, and enough parcels for all senders."""
    fair = -(-len(groups) // (4 * notifier.concurrency))
    size = 1 if notifier.gathers else max(1, min(notifier.batch, fair))
    if size == 1:
        return groups
    return [[one for group in groups[at : at + size] for one in group] for at in range(0, len(groups), size)]


@dataclass(slots=True)
class _Sending:
    """The sending under way: what its senders share."""

    ctx: JobContext[Any]
    notifier: Notifier
    scope: Scope
    stopped: CertjobsError | None = None
    stop: threading.Event = field(default_factory=threading.Event)
    rests: Rests = field(init=False)
    waited: threading.Event = field(default_factory=threading.Event)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _added: list[int] = field(default_factory=list)
    _down: int = 0
    _why_down: str = ""
    _reached: bool = False

    def __post_init__(self) -> None:
        """Close the gate of this sending's rests to nobody."""
        self.rests = Rests(self.ctx.sleep, self.stop, LONGEST_REST)

    def groups_added(self) -> Sequence[Sequence[int]]:
        """Return, in groups, what was owed to new coordinators since this was last asked."""
        added, self._added = self._added, []
        if not added:
            return ()
        with self.ctx.transaction() as store:
            return store.notifications.owed(self.scope, gathers=self.notifier.gathers, ids=added)

    def end(self) -> None:
        """Say that the channel is down where, however few messages there were, none could even be begun."""
        if self._down and not self._reached and self.stopped is None:
            self.stopped = _down(self.notifier.name, self._why_down)

    def run(self, parcels: Sequence[Sequence[int]], advance: Advance) -> None:
        """Send the parcels, by as many senders as the channel allows."""
        workers = min(self.notifier.concurrency, len(parcels))
        if workers > 1:
            self._threads(parcels, workers, advance)
            return
        with self.notifier.sender() as sender:
            for parcel in parcels:
                if self.stop.is_set():
                    return
                self._parcel(sender, parcel, self.ctx.shield)
                advance(1)

    def _threads(self, parcels: Sequence[Sequence[int]], most: int, advance: Advance) -> None:
        """Let one thread take parcel after parcel, and one more whenever a message was waited for, up to ``most``.

        Where the channel answers at once, several threads would only be in each other's way. A signal lets each finish
        the message it has in hand.
        """
        from concurrent.futures import ThreadPoolExecutor

        left = iter(parcels)
        futures: list[Future[None]] = []

        def work() -> None:
            with self.notifier.sender() as sender:
                while not self.stop.is_set():
                    with self._lock:
                        parcel = next(left, None)
                    if parcel is None:
                        return
                    self._parcel(sender, parcel, nullcontext)
                    with self._lock:
                        advance(1)

        def start() -> None:
            if len(futures) < most and not self.stop.is_set():
                futures.append(pool.submit(copy_context().run, work))  # each logs as this run

        with ThreadPoolExecutor(most, thread_name_prefix="sender") as pool:
            self._oversee(futures, start)
        for future in futures:
            future.result()

    def _oversee(self, futures: Sequence[Future[None]], start: Callable[[], None]) -> None:
        """Start a sender, and another whenever it is worth it; wait for them, and stop all where one breaks."""
        from concurrent.futures import FIRST_COMPLETED, wait

        try:
            start()
            while waiting := [future for future in futures if not future.done()]:
                wait(waiting, timeout=LOOK_AFTER, return_when=FIRST_COMPLETED)
                if any(future.done() and future.exception() for future in futures):
                    self.stop.set()
                if self.waited.is_set():
                    self.waited.clear()
                    start()
        except BaseException:
            self.stop.set()
            raise

    def _parcel(self, sender: Sender, ids: Sequence[int], shield: Callable[[], AbstractContextManager[None]]) -> None:
        """Claim, send and record, again after each rest until all of it is settled."""
        while not self.stop.is_set():
            rests = self.rests.turn()
            with shield():
                claim = self._claim(ids)
                rest = self._attempt(sender, claim, rests) if claim else None
            if claim is None and len(ids) > 1:  # one that the database will not have claimed stops no other
                for one in ids:
                    self._parcel(sender, [one], shield)
            if rest is None:
                return
            if rest:
                self._rest(rest, rests)

    def _claim(self, ids: Sequence[int]) -> Claim | None:
        """Claim notices, or return None where the database will not have it."""
        ctx = self.ctx
        try:
            with ctx.transaction() as store:
                claim = store.notifications.claim(
                    self.scope, ids, channel=self.notifier.name, gathers=self.notifier.gathers
                )
        except StatementFailed as exc:
            if len(ids) == 1:
                _log(ctx, "notice.not_claimed", ids[0], exc)
            return None
        with self._lock:
            self._added += claim.added
            ctx.count(
                notices_suppressed=claim.suppressed,
                notices_superseded=claim.superseded,
                notices_added=len(claim.added),
            )
        return claim

    def _attempt(self, sender: Sender, claim: Claim, rests: int) -> float | None:
        """Send and record; return for how long to rest where the channel asks for it, or None where all is settled.

        What was claimed too long ago by its turn, or before a rest that has begun since, is released, to be looked at
        again: then the rest is 0.
        """
        deliveries: list[Delivery] = []
        rest = None
        fresh_until = monotonic() + FRESH
        for message in claim.messages:
            if rest is None and (self.rests.begun != rests or (deliveries and monotonic() > fresh_until)):
                rest = 0.0
            if rest is not None or self.stop.is_set():
                deliveries += self._of(message, "released")
                continue
            try:
                done = self._send(sender, message)
            except RateLimited as exc:
                self.ctx.log.warning("channel.limited", seconds=exc.seconds)
                done = self._of(message, "limited", error=exc.reason)
                rest = REST if exc.seconds is None else max(exc.seconds, SHORTEST_REST)
            deliveries += done
        if deliveries:
            _bisected(deliveries, self._record, self._unrecorded)
        return rest

    def _record(self, deliveries: Sequence[Delivery]) -> None:
        with self.ctx.transaction() as store:
            recorded = store.notifications.record(deliveries)
        names = {"sent": "sent", "failed": "failed", "refused": "dead", "unknown": "unknown"}
        with self._lock:
            self.ctx.count(**{f"notices_{name}": recorded.get(outcome, 0) for outcome, name in names.items()})

    def _unrecorded(self, delivery: Delivery, exc: StatementFailed) -> None:
        """Try once more where another session was in the way; else the next run settles what stays ``sending``."""
        try:
            if exc.busy:
                self._record([delivery])
                return
        except StatementFailed as again:
            exc = again
        _log(self.ctx, "notice.not_recorded", delivery.notice_id, exc)
        with self._lock:
            self.ctx.count(notices_unrecorded=1)

    def _send(self, sender: Sender, message: Message) -> list[Delivery]:
        """Send one message and return what became of its notices; raises RateLimited."""
        began = monotonic()
        try:
            message_id = sender.send(message)
        except RateLimited:
            raise
        except DeliveryError as exc:
            return self._undelivered(message, exc)
        except (CredentialsRejected, ConfigurationError) as exc:
            self._stop_for(exc)
            return self._of(message, "released")
        except Exception as exc:  # noqa: BLE001 - whatever a channel throws, one failure is one failure
            return self._undelivered(message, DeliveryFailed(type(exc).__name__))
        finally:
            if monotonic() - began > SLOW:
                self.waited.set()
        with self._lock:
            self._down, self._reached = 0, True
        return self._of(message, "sent", message_id=message_id)

    def _undelivered(self, message: Message, exc: DeliveryError) -> list[Delivery]:
        outcome = "failed"
        if isinstance(exc, DeliveryRefused):
            outcome = "refused"
        elif isinstance(exc, DeliveryUnknown):
            outcome = "unknown"
        self.ctx.log.warning(
            "notice.not_sent",
            notices=[each.id for each in message.notices],
            mentors=[each.mentor_ref for each in message.notices],
            outcome=outcome,
            error=exc.reason,
        )
        with self._lock:
            self._down = self._down + 1 if isinstance(exc, ChannelDown) else 0
            self._why_down = exc.reason
            self._reached = self._reached or not self._down
            down = self._down >= DOWN
        if down:
            self._stop_for(_down(self.notifier.name, exc.reason))
        return self._of(message, outcome, error=exc.reason)

    def _of(
        self, message: Message, outcome: str, *, message_id: str | None = None, error: str | None = None
    ) -> list[Delivery]:
        # What failed in one message comes back in one message.
        rest = rest_after(1 + min(each.failures for each in message.notices)) if outcome == "failed" else None
        return [Delivery(notice.id, notice.attempt, outcome, message_id, error, rest) for notice in message.notices]

    def _rest(self, seconds: float, rests: int) -> None:
        if not self.rests.take(seconds, rests):
            msg = f"The channel {self.notifier.name} asks for a longer rest than a run takes."
            self._stop_for(_Rested(msg, hint="What is left stays owed; the next run goes on with it."))

    def _stop_for(self, exc: CertjobsError) -> None:
        with self._lock:
            self.stopped = self.stopped or exc
        self.stop.set()


class _Rested(CertjobsError):
    """The channel asked for more rest than a run takes."""

    exit_code = ExitCode.PARTIAL


class _Down(CertjobsError):
    """The channel cannot be reached."""

    exit_code = ExitCode.UNAVAILABLE


def _down(name: str, reason: str) -> CertjobsError:
    msg = f"The channel {name} cannot be reached: {reason.rstrip('.')}."
    return _Down(msg, hint="Everything left stays owed; the next run goes on with it.")


def account_for_notices(ctx: JobContext[Any]) -> tuple[Account, int]:
    """Count what became of every notice that this run owes, and return the account and how many these are.

    The sum of the counts ``owed_...`` is to be ``notices_owed``, which is counted from causes.
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
    return found, sum(became.values())


def _told(ctx: JobContext[Any], scope: Scope, stopped: CertjobsError | None) -> Delivered:
    """Count what is still owed and say it."""
    with ctx.transaction() as store:
        left = store.notifications.still_open(scope)
    ctx.count(notices_open=left.open)
    if left.snoozed or left.quiet:
        ctx.count(notices_snoozed=left.snoozed, notices_quiet=left.quiet)
    sentences = list(_sentences(ctx, left))
    codes = [ExitCode.PARTIAL] if sentences else []
    if stopped is not None:
        codes.append(stopped.exit_code)
        sentences.insert(0, stopped.message)
    return Delivered(worst(codes), " ".join(sentences) or None, stopped.hint if stopped else None)


def _sentences(ctx: JobContext[Any], left: StillOpen) -> Iterable[str]:
    unknown, dead = ctx.counts.get("notices_unknown", 0), ctx.counts.get("notices_dead", 0)
    if left.nobody:
        yield (
            f"{counted(left.nobody, 'notice')} with nobody to go to: give those mentors a coordinator, or the"
            " organisation a fallback address with `certjobs orgs set CODE --fallback-address ADDRESS --reason TEXT`."
        )
    unrecorded = ctx.counts.get("notices_unrecorded", 0)
    late = left.late - left.nobody - unrecorded
    if late > 0:
        yield f"{counted(late, 'notice')} could not be sent yet; the next run tries again."
    if unrecorded:
        yield (
            f"{counted(unrecorded, 'notice')} dealt with, and the database would not have it recorded: the next run"
            " settles that."
        )
    if left.overslept:
        yield (
            f"{counted(left.overslept, 'notice')} waiting for {PATIENCE} days because every run fell into the quiet"
            " hours or days: let a run start outside of CERTJOBS_QUIET_HOURS and on CERTJOBS_SEND_DAYS."
        )
    if unknown:
        yield (
            f"{counted(unknown, 'notice')} cut short while being sent, and nobody knows whether they arrived: see"
            " `certjobs notifications list --status unknown`."
        )
    if dead:
        yield f"{counted(dead, 'notice')} refused for good: see `certjobs notifications list --status dead`."
