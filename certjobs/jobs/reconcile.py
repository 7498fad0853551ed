"""reconcile: prove that website, ledger and database agree, mend what differs, and say what is wrong.

1. Look for what the database alone shows: notices and pauses twice, what is stuck, runs never ended, nights missed.
2. Read the whole listing, every page or nothing, and what the public sees where an address is set.
3. Compare all of it with the listing rule in one step, in one transaction: log what differs, and queue what mends it.
   Left out is who has an operation on its way, or acknowledged since the reading began. Where unlikely much is missing,
   or the website shows nobody at all, the guard asks a person first.
4. Send what was queued, and nothing else.

An entry that no mentor has is reported, never removed. What cannot be read fails the run, and nothing is mended then.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import timedelta
from itertools import islice
from typing import TYPE_CHECKING, Any

from certjobs.domain.coverage import NIGHTLY, equations
from certjobs.domain.findings import KINDS, LAGGING, OF_THE_WEBSITE, TRACES, sentence
from certjobs.domain.guard import Refusal
from certjobs.domain.outcome import Outcome, Watch, worst
from certjobs.domain.text import counted
from certjobs.errors import CertjobsError, ExitCode, Unavailable
from certjobs.jobs.syncing import accepted, send

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from certjobs.db.reconciliation import Compared, Divergence, Noted, TakenOff
    from certjobs.db.store import Store
    from certjobs.jobs.context import JobContext
    from certjobs.jobs.options import ReconcileOptions
    from certjobs.ports import ListingPortal, PublicSite

BACK = timedelta(days=7)  # for so long what is past and cannot be put right is told of
SHOWN = 20  # divergences of a kind that a report names
CHUNK = 2000  # references that are looked for on the public site at once
SAMPLE = 50  # of those who must be there, in which one at least is looked for


def reconcile(ctx: JobContext[ReconcileOptions]) -> Outcome:
    """Compare the whole website with the rule, mend what differs, and log every finding.

    Afterwards the portal shows what the rule says of every mentor of a synchronised organisation, but for those whom
    the outcome or a finding names. Again is nothing. Raises nothing that a portal answers: the outcome says it, and
    then nothing was mended.
    """
    run = _Reconciling(ctx)
    run.look_for_traces()
    try:
        return run.outcome(_against_the_website(run))
    except CertjobsError as exc:
        return run.outcome(Outcome(exc.exit_code, ctx.counts, exc.message, exc.hint))


def _against_the_website(run: _Reconciling) -> Outcome:
    ctx = run.ctx
    if ctx.portal is None:
        return Outcome(
            message="No portal is set, so nothing was compared with the website.",
            hint="Set CERTJOBS_PORTAL=dataverse and its settings to have it compared.",
        )
    accepted(ctx.portal)
    with ctx.transaction() as store:
        since = ctx.read_at or store.operations.now()
    unread = _read_site(ctx.site) if ctx.site is not None else None
    queued = run.compare(ctx.portal, since, site=ctx.site if unread is None else None)
    sent = send(ctx, ctx.portal, order=lambda: queued) if queued else Outcome()
    run.close_what_is_mended(queued)
    if run.blind:
        msg = "Nobody can tell what the public sees: the public site shows none of those who have long been listed."
        unread = Unavailable(msg, hint="Set CERTJOBS_PUBLIC_SITE_URL to the page, or pages, that list the mentors.")
    if unread is None:
        return sent
    message = f"{sent.message} {unread.message}" if sent.message else unread.message
    return replace(
        sent, exit_code=worst([sent.exit_code, unread.exit_code]), message=message, hint=sent.hint or unread.hint
    )


def _read_site(site: PublicSite) -> CertjobsError | None:
    """Read what the public sees; what keeps it from being read keeps nothing else back."""
    try:
        site.read()
    except CertjobsError as exc:
        return exc
    return None


@dataclass(slots=True)
class _Reconciling:
    """What a run found."""

    ctx: JobContext[ReconcileOptions]
    noted: dict[str, Noted] = field(default_factory=dict)
    divergences: Sequence[Divergence] = ()
    guarded: list[Refusal] = field(default_factory=list)
    mended: Mapping[str, int] = field(default_factory=dict)
    blind: bool = False

    # What the database alone shows.

    def look_for_traces(self) -> None:
        """Find and log what no website is needed for."""
        ctx = self.ctx
        with ctx.transaction() as store:
            organisations = store.organisations.all()
            if not organisations:
                return
            found = store.reconciliation
            found.require_tables()
            found.begin_findings()
            found.find_traces(
                jobs=NIGHTLY,
                today=ctx.today(organisations[0]),
                time_zone=organisations[0].time_zone,
                back=BACK,
                sends=ctx.portal is not None,
            )
            self._note(found.note(TRACES))

    # The website.

    def compare(self, portal: ListingPortal, since: datetime, *, site: PublicSite | None) -> Sequence[int]:
        """Read and compare, log what differs and queue what mends it; return of which mentors that is to be sent."""
        ctx, options = self.ctx, self.ctx.options
        mends = not (options.report_only or options.adopt)
        with ctx.progress.track("Reading the website", 1) as advance:
            pages = portal.listed()
            advance(1)
        with ctx.transaction(bulk=True) as store:
            found = store.reconciliation
            compared = found.compare(found.stage(pages), since)
            found.name_unknown(pages)
            lagging = self._lagging(store, site, since - options.public_lag)
            store.begin_changes()
            if options.adopt and found.has_emptied():
                raise _unlikely()
            if mends:
                self._ask_the_guard(store)
            kept = found.kept()
            found.begin_findings()
            found.find_divergences(unknown=compared.unknown, report_only=not mends)
            found.find_lagging(lagging or ())
            # Where the public site is set and could not be looked at, what was found there before stands.
            looked = lagging is not None or ctx.site is None
            self._note(found.note([kind for kind in OF_THE_WEBSITE if looked or kind != LAGGING]))
            self.divergences = found.divergences(SHOWN)
            # What others could wait for comes last.
            queued, met = found.queue() if mends else ((), 0)
            # What an earlier run queued and could not send any more is this one's.
            waiting = found.queued() if mends else ()
            if options.adopt:
                ctx.count(adopted=found.adopt(since))
        kept_back = kept.left_out + kept.given_up + kept.refused
        ctx.count(
            entries=compared.staged,
            agreeing=compared.agreeing,
            extra=compared.extra,
            unknown=compared.unknown,
            not_ours=compared.not_ours,
            missing=compared.missing,
            differing=kept.ours,
            queued=len(queued),
            left_out=kept.left_out + met,
            given_up_before=kept.given_up,
            refused=kept.refused,
            reported=0 if mends else kept.ours - kept_back,
        )
        _check(ctx.counts, compared)
        return waiting

    def _lagging(self, store: Store, site: PublicSite | None, before: datetime) -> Sequence[TakenOff] | None:
        """Return whom the public still sees though the portal took them off before that moment; None: nobody can tell.

        A page that shows none of those who were listed before it cannot be the right one.
        """
        if site is None:
            return None
        there = store.reconciliation.surely_listed(before, SAMPLE)
        if there and not site.shown(there):
            self.blind = True
            return None
        found: list[TakenOff] = []
        candidates = store.reconciliation.taken_off(before)
        while chunk := list(islice(candidates, CHUNK)):
            shown = set(site.shown([each.mentor_ref for each in chunk]))
            found += [each for each in chunk if each.mentor_ref in shown]
        return found

    def _ask_the_guard(self, store: Store) -> None:
        """Keep back who would be put on the website in an organisation where that is unlikely many."""
        ctx, found = self.ctx, store.reconciliation
        for each in found.missing(ctx.job_name):
            active = store.mentors.count_active(each.organisation_id, ctx.guard.enough_active(each.unapproved))
            if not each.unapproved or (ctx.guard.allows(each.unapproved, active) and not each.emptied):
                continue
            found.keep_back(each.organisation_id, ctx.job_name)
            refused = store.guarded_sets.refuse_missing(each.organisation_id, ctx.job_name)
            if refused is None:
                continue
            code = store.organisations.by_id(each.organisation_id).code
            self.guarded.append(
                Refusal(code, refused.hash, refused.size, store.guarded_sets.members(refused.hash, SHOWN))
            )
            ctx.log.warning("reconcile.refused", organisation=code, set=refused.hash, mentors=refused.size)

    def _note(self, noted: Sequence[Noted]) -> None:
        self.noted |= {each.finding: each for each in noted}
        for each in noted:
            self.ctx.count(findings_new=each.new, findings_cleared=each.cleared)

    def close_what_is_mended(self, queued: Sequence[int]) -> None:
        """Let findings be over of whom the portal has just acknowledged what the rule wants."""
        if queued:
            with self.ctx.transaction() as store:
                self.mended = store.reconciliation.mended(queued)
            self.ctx.count(findings_cleared=sum(self.mended.values()))

    # The end.

    def outcome(self, sent: Outcome) -> Outcome:
        """Say how it went: what was sent, and what was found."""
        ctx = self.ctx
        codes, sentences, hint = [sent.exit_code], [sent.message] if sent.message else [], sent.hint
        for each in self.guarded:
            codes.append(ExitCode.GUARD)
            sentences.insert(
                0,
                f"{each.organisation}: the website lacks {counted(each.size, 'mentor')}, more than the guard"
                f" believes without a person (set {each.name}).",
            )
            hint = each.hint
        with ctx.transaction() as store:
            known = {each.finding: each for each in store.overview.open_findings()}
        ctx.count(findings_open=sum(each.open for each in known.values()))
        judged = [kind for kind in KINDS if kind in self.noted or kind not in (*TRACES, *OF_THE_WEBSITE)]
        watches = [
            Watch(f"reconcile: {kind}", number, sentence(kind, number, mended), mended)
            for kind in judged
            for number, mended in ((known[kind].open if kind in known else 0, self.mended.get(kind, 0)),)
        ]
        details = {
            **sent.details,
            "guarded": [*sent.details.get("guarded", ()), *(each.as_details() for each in self.guarded)],
            "report_only": ctx.options.report_only,
            "adopt": ctx.options.adopt,
            "divergences": [_plain(each) for each in self.divergences],
            "findings": [
                {
                    "finding": kind,
                    "open": known[kind].open,
                    "new": self.noted[kind].new if kind in self.noted else 0,
                    "since": known[kind].oldest,
                }
                for kind in KINDS
                if kind in known
            ],
        }
        return Outcome(worst(codes), ctx.counts, " ".join(sentences) or None, hint, details, watches)


def _unlikely() -> CertjobsError:
    msg = "The website shows nobody at all, though it is known to have shown somebody: nothing was adopted."
    return _Unlikely(msg, hint="Look at the website. If it is right, `certjobs reconcile` names a set to approve.")


class _Unlikely(CertjobsError):
    """What was read is not believed without a person."""

    exit_code = ExitCode.GUARD


def _check(counts: Mapping[str, int], compared: Compared) -> None:
    """Raise CertjobsError where an entry that was read, or a mentor who differs, is nowhere accounted for."""
    wrong = [str(each) for each in equations("reconcile", counts) if each.remainder]
    if wrong:
        msg = f"The account of this run does not add up: {'; '.join(wrong)}; {compared.staged} entries were read."
        raise CertjobsError(msg, hint="An entry may be on the website twice: run it again, and look at its keys.")


def _plain(each: Divergence) -> dict[str, Any]:
    from dataclasses import asdict

    return asdict(each)
