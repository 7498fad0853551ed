"""Carrying what the listing rule says to the public website, operation by operation: what sync and force-sync share.

1. Make sure that the portal accepts us; where it does not, nothing is tried.
2. Ask the guard about removals that no guarded pause explains.
3. Workers take operations under way, a lease each, decide them from the rule at that moment, send them packed into
   requests, and settle them: done, failed for now, dead, or back in the queue.
4. Wait a little for what failed a moment ago, and look again; what waits longer is left to a later run.

Several runs may work side by side: a lease makes an operation one worker's, an attempt guard makes a late answer void,
and of one mentor never two operations are under way. A portal that asks for a rest gets it from all workers of a run.
"""

from __future__ import annotations

import threading
from contextvars import copy_context
from dataclasses import dataclass, field
from datetime import timedelta
from time import monotonic
from typing import TYPE_CHECKING, Any

from certjobs.domain.guard import Refusal
from certjobs.domain.outcome import Outcome, Watch, worst
from certjobs.domain.syncing import MOST_FAILURES, Settled, rest_after
from certjobs.domain.text import counted
from certjobs.errors import (
    CertjobsError,
    ConfigurationError,
    CredentialsRejected,
    ExitCode,
    StatementFailed,
    Unavailable,
)
from certjobs.jobs.rests import Rests
from certjobs.ports import ListingChange

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from concurrent.futures import Future
    from datetime import datetime

    from certjobs.db.operations import Claimed, Claims, Depth
    from certjobs.db.store import Store
    from certjobs.jobs.context import JobContext
    from certjobs.ports import Advance, Answer, ListingPortal, PortalSession

DEAD_OPERATIONS = "dead operations"
SHOWN = 20  # operations that a report names, removals first; the counts tell of all
LEASE = 2.0  # times the longest that a request may take: so long an operation is one worker's
LONGEST_REST = 600.0  # seconds that a run rests in all before it leaves what is left to a later one
LONGEST_WAIT = 150.0  # seconds that a run waits in all for what failed a moment ago
NO_LIMIT = 2**31
GUARDED_AS = "sync"  # whichever run asks: what a person approved, every run may carry out
A_MOMENT = 1.0  # seconds until a run that waits for one mentor looks again whether another run is done with them
DOWN = (2.0, 10.0, 30.0)  # seconds that all workers rest from a portal that does not answer at all
GUARD_WINDOW = timedelta(hours=12)  # as long what the guard let through counts: a night, not a run, has an allowance
SMALLER = 5  # times smaller becomes a request with each failure of what is in it, down to one operation


def send(
    ctx: JobContext[Any],
    portal: ListingPortal,
    *,
    left: int = NO_LIMIT,
    wait: bool = True,
    order: Callable[[], Sequence[int] | None] = lambda: None,
) -> Outcome:
    """Send the operations that are open, at most ``left``, and say how it went.

    ``order`` is called once the portal has accepted us: it may queue more, and where it returns mentors, theirs alone
    are sent, and waited for where another run has them in hand. ``wait``: also for what failed a moment ago. Raises
    CredentialsRejected, ConfigurationError and Unavailable before anything was tried.
    """
    recommended = accepted(portal)
    workers = max(1, min(portal.concurrency, recommended or portal.concurrency))
    ctx.count(claimed=0, removed=0, restored=0, failed=0, dead=0, superseded=0, released=0, lost=0, again=0)
    only = order()
    with ctx.transaction() as store:
        depth = store.operations.depth(only)
    run = Syncing(ctx, portal, workers, left=left, only=only, patient=wait)
    with ctx.progress.track("Syncing", min(depth.open, left), unit="operations") as advance:
        run.until_done(advance)
    return run.outcome()


def accepted(portal: ListingPortal) -> int | None:
    """Make sure that the portal accepts us, as ``portal.check`` does; else say what can be done by hand."""
    try:
        return portal.check()
    except CredentialsRejected as exc:
        by_hand = "What cannot wait can be sent with others, by hand: certjobs sync --credentials."
        raise CredentialsRejected(exc.message, hint=f"{exc.hint} {by_hand}" if exc.hint else by_hand) from None


def without_portal(ctx: JobContext[Any]) -> Outcome:
    """Say that nothing is sent, and how much waits."""
    with ctx.transaction() as store:
        depth = store.operations.depth()
    ctx.count(open=depth.open)
    waiting = f"{counted(depth.open, 'operation')} waiting" if depth.open else "nothing is waiting"
    return Outcome(
        ExitCode.OK,
        ctx.counts,
        f"No portal is set, so nothing is sent to the website; {waiting}.",
        "Set CERTJOBS_PORTAL=dataverse and its settings to send them.",
        {"portal": "none"},
        [given_up(depth.dead)],
    )


def given_up(number: int) -> Watch:
    """Judge how many operations are dead, with nothing after them."""
    if not number:
        return Watch(DEAD_OPERATIONS, 0, "No operation on the website is given up any more.")
    said = f"{counted(number, 'operation')} on the website given up: see `certjobs queue list --status dead`."
    return Watch(DEAD_OPERATIONS, number, said)


@dataclass(slots=True)
class _Sent:
    """What became of the requests for one claim.

    ``rest``: how long the portal asks to rest; ``trouble``: what kept it from answering at all.
    """

    settled: list[Settled] = field(default_factory=list)
    rest: float | None = None
    trouble: CertjobsError | None = None


@dataclass(slots=True)
class Syncing:
    """The work under way: what its workers share."""

    ctx: JobContext[Any]
    portal: ListingPortal
    workers: int
    left: int
    only: Sequence[int] | None = None
    patient: bool = True
    rests: Rests = field(init=False)
    stop: threading.Event = field(default_factory=threading.Event)
    stopped: CertjobsError | None = None
    guarded: dict[int, Refusal] = field(default_factory=dict)
    _looked: datetime | None = None  # what is queued after the last look is nobody's debt yet
    _waited: float = 0.0
    _down: int = 0
    _down_since: int = 0  # the rests that had begun when that was counted
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        """Open the gate."""
        self.rests = Rests(self.ctx.sleep, self.stop, LONGEST_REST)

    # Round after round.

    def until_done(self, advance: Advance) -> None:
        """Drain the queue, and again as long as something comes due soon."""
        while True:
            new = self._look()
            before = self.ctx.counts["claimed"]
            self._drain(advance)
            if self.stop.is_set() or self.left <= 0:
                return
            if new or self.ctx.counts["claimed"] > before:
                continue  # what was claimed may have let something else come free
            with self.ctx.transaction() as store:
                depth = store.operations.depth(self.only)
            if not self._wait(self._next_in(depth)):
                return

    def _next_in(self, depth: Depth) -> float | None:
        """Return when to look again: when something comes due, or where chosen mentors are in another run's hands."""
        theirs = depth.processing - self.ctx.counts["lost"]
        return A_MOMENT if self.only is not None and depth.next_in is None and theirs > 0 else depth.next_in

    def _wait(self, seconds: float | None) -> bool:
        """Wait for what comes due next, where that is soon; tell whether it was. A rehearsal keeps nobody waiting."""
        if seconds is None or self._waited + seconds > LONGEST_WAIT or not self.patient or self.ctx.dry_run:
            return False
        seconds = max(seconds, 0.1)
        self._waited += seconds
        self.ctx.sleep(seconds, self.stop)
        return True

    def _look(self) -> bool:
        """Take back what dead workers had; ask the guard about the removals that it was not asked about yet.

        Returns whether there were any that it lets through, now and within the allowance of the last hours.
        """
        ctx, let_through = self.ctx, False
        self._reclaim()
        with ctx.transaction() as store:
            self._looked = store.operations.now()
            if not ctx.dry_run:  # a rehearsal keeps nobody waiting
                store.operations.guard_alone()
            for each in store.operations.unexplained(GUARDED_AS, window=GUARD_WINDOW, only=self.only):
                let_through = let_through or each.approved > 0
                if not each.unapproved:
                    continue
                number = each.recent + len(each.unapproved)
                active = store.mentors.count_active(each.organisation_id, ctx.guard.enough_active(number))
                if ctx.guard.allows(number, active):
                    store.operations.let_through(each.unapproved)
                    let_through = True
                    continue
                refused = store.guarded_sets.refuse_removals(each.organisation_id, each.unapproved, GUARDED_AS)
                if refused is None:
                    continue
                organisation = store.organisations.by_id(each.organisation_id)
                self.guarded[each.organisation_id] = Refusal(
                    organisation.code, refused.hash, refused.size, store.guarded_sets.members(refused.hash, SHOWN)
                )
                ctx.log.warning(
                    "sync.refused", organisation=organisation.code, set=refused.hash, operations=refused.size
                )
        return let_through

    def _reclaim(self) -> None:
        try:
            with self.ctx.transaction() as store:
                reclaimed = store.operations.reclaim()
        except StatementFailed as exc:
            self.ctx.log.warning("sync.not_reclaimed", error=exc.reason)
            return
        if reclaimed:
            self.ctx.count(reclaimed=reclaimed)

    # Workers.

    def _drain(self, advance: Advance) -> None:
        """Let the workers work until nothing is left that may be taken now.

        They are threads also where there is one: a signal reaches the main thread at once, and each finishes the
        request that it has in hand.
        """
        from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait

        def work() -> None:
            with self.portal.session() as session:
                self._work(session, advance)

        futures: list[Future[None]] = []
        with ThreadPoolExecutor(self.workers, thread_name_prefix="worker") as pool:
            try:
                futures += [pool.submit(copy_context().run, work) for _ in range(self.workers)]
                wait(futures, return_when=FIRST_EXCEPTION)
            finally:
                if not all(future.done() and future.exception() is None for future in futures):
                    self.stop.set()  # a signal, or one that broke: the others finish the request they have in hand
        for future in futures:
            future.result()

    def _work(self, session: PortalSession, advance: Advance) -> None:
        """Claim, send and settle until nothing is left; what was sent is settled with the next claim."""
        settled: list[Settled] = []
        try:
            while not self.stop.is_set():
                rests = self.rests.turn()
                claims = self._claim(settled)
                settled = []
                if claims is None or not claims.size:
                    return
                sent = self._send_all(session, claims.taken, rests)
                settled = sent.settled
                with self._lock:
                    advance(claims.size)
                if sent.rest is None and sent.trouble is None:
                    continue
                self._finish(settled)
                settled = []
                if sent.trouble is not None:
                    self._down_for(sent.trouble, rests)
                elif sent.rest is not None and not self.rests.take(sent.rest, rests):
                    self._stop_for(_rested(self.portal.name))
        finally:
            self._finish(settled)

    def _down_for(self, trouble: CertjobsError, rests: int) -> None:
        """Let all workers rest from a portal that does not answer at all, longer each time; in the end stop.

        Requests that were under way together count as one.
        """
        with self._lock:
            if rests < self._down_since:
                return  # it left before a rest that was taken for one of its time
            down = self._down
        if down >= len(DOWN):
            self._stop_for(trouble)
            return
        before = self.rests.begun
        if not self.rests.take(DOWN[down], rests):
            self._stop_for(trouble)
        elif before == rests:
            with self._lock:
                self._down, self._down_since = down + 1, self.rests.begun

    def _claim(self, settled: Sequence[Settled]) -> Claims | None:
        """Settle what was sent and take what is next, in one transaction; None where the database will not have it."""
        with self._lock:
            limit = min(self.portal.batch, self.left)
            self.left -= limit
        try:
            with self.ctx.transaction() as store:
                finished = store.operations.finish(settled, most=MOST_FAILURES) if settled else ({}, 0)
                claims = self._take(store, limit)
        except StatementFailed:
            # Whichever of the two it was: settle what can be settled, and take again.
            self._finish(settled)
            finished = ({}, 0)
            try:
                with self.ctx.transaction() as store:
                    claims = self._take(store, limit)
            except StatementFailed as exc:
                self.ctx.log.warning("sync.not_claimed", error=exc.reason)
                claims = None
        else:
            self._count_finished(settled, finished)
        with self._lock:
            self.left += limit - (claims.size if claims else 0)
            if claims:
                self.ctx.count(claimed=claims.size, superseded=claims.superseded)
        return claims

    def _take(self, store: Store, limit: int) -> Claims:
        return store.operations.claim(limit=limit, lease=LEASE * self.portal.patience, only=self.only)

    def _send_all(self, session: PortalSession, taken: Sequence[Claimed], rests: int) -> _Sent:
        """Send what was taken, in one request or, of what failed before, in smaller ones; return what became of it.

        What there is no time for within the lease, and what others rest for by now, goes back.
        """
        sent = _Sent()
        until = monotonic() + (LEASE - 1) * self.portal.patience
        for part in _parts(taken, self.portal.batch):
            over = sent.rest is not None or sent.trouble is not None or monotonic() > until
            if over or self.stop.is_set() or self.rests.begun != rests:
                sent.settled += [Settled(each.id, each.attempt, "skipped") for each in part]
            else:
                self._send(session, part, sent)
        return sent

    def _send(self, session: PortalSession, part: Sequence[Claimed], sent: _Sent) -> None:
        """Send one request, and note what became of each operation in it."""
        back = [Settled(each.id, each.attempt, "skipped") for each in part]
        try:
            answer = session.apply([ListingChange(each.mentor_ref, each.listed) for each in part])
        except (CredentialsRejected, ConfigurationError) as exc:
            self._stop_for(exc)
            sent.settled += back
        except Unavailable as exc:  # nothing left: no failure of theirs
            self.ctx.log.warning("portal.unreached", error=exc.message)
            sent.settled += [Settled(each.id, each.attempt, "skipped", exc.message) for each in part]
            sent.trouble = exc
        except Exception as exc:  # noqa: BLE001 - whatever a portal throws, one failure is one failure
            reason = f"The portal's adapter stopped on {type(exc).__name__}."
            sent.settled += [_failed(each, "unknown", reason) for each in part]
        else:
            sent.settled += self._settled(part, answer)
            sent.rest = answer.rest
            if answer.trouble is None:
                with self._lock:
                    self._down = 0
            elif answer.rest is None:
                self.ctx.log.warning("portal.unanswered", error=answer.trouble)
                msg = f"{answer.trouble[0].upper()}{answer.trouble[1:]}."
                sent.trouble = Unavailable(msg, hint="What is left stays in the queue; run it again later.")

    def _settled(self, part: Sequence[Claimed], answer: Answer) -> list[Settled]:
        if all(result.outcome == "skipped" for result in answer.results):
            return [_failed(each, "failed", "The portal answered to nothing in the request.") for each in part]
        settled = []
        removed = restored = 0
        # Who is asked to rest longer than the run does is not asked again before that.
        rest = answer.rest if answer.rest is not None and not self.rests.affords(answer.rest) else None
        for each, result in zip(part, answer.results, strict=True):
            if result.outcome in ("failed", "unknown"):
                settled.append(_failed(each, result.outcome, result.error))
                continue
            waits = rest if result.outcome in ("limited", "skipped") else None
            settled.append(Settled(each.id, each.attempt, result.outcome, result.error, waits))
            if result.outcome in ("done", "absent"):
                restored += each.listed
                removed += not each.listed
            elif result.outcome == "refused":
                self.ctx.log.warning("operation.refused", operation=each.id, mentor=each.mentor_ref, error=result.error)
        with self._lock:
            self.ctx.count(removed=removed, restored=restored)
        if answer.rest is not None:
            self.ctx.log.warning("portal.limited", seconds=answer.rest)
        return settled

    # Settling.

    def _finish(self, settled: Sequence[Settled], *, once_more: bool = True) -> None:
        """Settle operations, in halves where the database refuses, down to the one it refuses twice."""
        if not settled:
            return
        try:
            with self.ctx.transaction() as store:
                finished = store.operations.finish(settled, most=MOST_FAILURES)
        except StatementFailed as exc:
            if len(settled) > 1:
                middle = len(settled) // 2
                self._finish(settled[:middle])
                self._finish(settled[middle:])
                return
            if once_more:  # somebody may have been at the same mentor at that moment
                self._finish(settled, once_more=False)
                return
            self.ctx.log.warning("operation.not_settled", operation=settled[0].operation_id, error=exc.reason)
            with self._lock:
                self.ctx.count(lost=1)
            return
        self._count_finished(settled, finished)

    def _count_finished(self, settled: Sequence[Settled], finished: tuple[Any, int]) -> None:
        statuses, again = finished
        with self._lock:
            self.ctx.count(
                done=statuses.get("done", 0),
                failed=statuses.get("failed", 0),
                dead=statuses.get("dead", 0),
                superseded=statuses.get("superseded", 0),
                released=statuses.get("pending", 0),
                lost=len(settled) - sum(statuses.values()),
                again=again,
            )

    def _stop_for(self, exc: CertjobsError) -> None:
        with self._lock:
            self.stopped = self.stopped or exc
        self.stop.set()

    # The end.

    def outcome(self) -> Outcome:
        """Hold what was taken against what became of it, and say how it went."""
        ctx = self.ctx
        counts = ctx.counts
        with ctx.transaction() as store:
            depth = store.operations.depth(self.only, self._looked)
            account = store.operations.account(ctx.run_id)
            trouble = store.operations.trouble(ctx.run_id, SHOWN)
            sent = store.operations.sent(ctx.run_id, SHOWN)
        self._check(account)
        ctx.count(open=depth.open, processing=depth.processing, given_up=depth.dead)
        sentences = list(self._sentences(depth))
        codes = [ExitCode.PARTIAL] if sentences else []
        hint = None
        for each in self.guarded.values():
            codes.append(ExitCode.GUARD)
            sentences.insert(
                0,
                f"{each.organisation}: {counted(each.size, 'mentor')} would have been taken off the website, more"
                f" than the guard lets a run do by itself (set {each.name}).",
            )
            hint = each.hint
        if self.stopped is not None:
            codes.append(self.stopped.exit_code)
            sentences.insert(0, self.stopped.message)
            hint = self.stopped.hint or hint
        details = {
            "portal": self.portal.name,
            "workers": self.workers,
            "guarded": [each.as_details() for each in self.guarded.values()],
            "sent": [_plain(each) for each in sent],
            "trouble": [_plain(each) for each in trouble],
        }
        watches = [given_up(depth.dead)] if self.only is None else []
        return Outcome(worst(codes), counts, " ".join(sentences) or None, hint, details, watches)

    def _check(self, account: Mapping[str, int]) -> None:
        """Hold what was counted against what the queue says. Raises CertjobsError where they differ.

        Another run may have taken on what this one put back, so of what is open the queue may know less.
        """
        counts = self.ctx.counts
        ended = sum(counts.get(name, 0) for name in ("done", "failed", "dead", "superseded", "released", "lost"))
        left = account.get("processing", 0)
        done = account.get("done", 0)
        if counts["claimed"] == ended and left <= counts["lost"] and done <= counts.get("done", 0) + counts["lost"]:
            return
        msg = (
            f"The account of this run does not add up: {counts['claimed']} operations taken, {ended} accounted for,"
            f" {left} still with it."
        )
        raise CertjobsError(msg, hint="Look at the table sync_queue for operations in 'processing'.")

    def _sentences(self, depth: Depth) -> Iterator[str]:
        dead = self.ctx.counts["dead"]
        if dead:
            where = "the table" if self.ctx.dry_run else "`certjobs queue list --status dead`"
            yield (
                f"{counted(dead, 'operation')} given up, refused by the portal or after {MOST_FAILURES} failures:"
                f" see {where}."
            )
        kept = sum(each.size for each in self.guarded.values())
        late = depth.left_over - kept
        if self.left > 0 and late > 0:
            yield f"{counted(late, 'operation')} could not be sent yet; the next run goes on."
        lost = self.ctx.counts["lost"]
        if lost:
            yield (f"The database would not have what became of {counted(lost, 'operation')}; a later run sends again.")
        elif self.left > 0 and depth.processing > 0 and depth.next_in is not None:
            yield f"{counted(depth.processing, 'operation')} with a worker that is gone; a later run has them."
        elif self.only is not None and depth.processing > 0:
            yield f"Another run has {counted(depth.processing, 'operation')} in hand and is not done with it yet."


def _parts(taken: Sequence[Claimed], batch: int) -> Iterator[Sequence[Claimed]]:
    """Yield what was taken in requests: what never failed together, the rest in smaller ones the more it failed.

    Whatever makes a whole request fail is so found out, and keeps nothing else back.
    """
    by_failures: dict[int, list[Claimed]] = {}
    for each in taken:
        by_failures.setdefault(each.failures, []).append(each)
    for failures, group in sorted(by_failures.items()):
        size = max(1, batch // SMALLER**failures)
        for start in range(0, len(group), size):
            yield group[start : start + size]


def _failed(each: Claimed, outcome: str, error: str | None) -> Settled:
    return Settled(each.id, each.attempt, outcome, error, rest_after(each.failures + 1))


def _rested(name: str) -> CertjobsError:
    msg = f"The portal {name} asks for a longer rest than a run takes."
    return _Rested(msg, hint="What is left stays in the queue; the next run goes on with it.")


class _Rested(CertjobsError):
    """The portal asked for more rest than a run takes."""

    exit_code = ExitCode.PARTIAL


def _plain(each: Any) -> dict[str, Any]:
    from dataclasses import asdict

    return asdict(each)
