"""force-sync: have chosen mentors sent to the public website again, at once, whatever it was told before.

1. Find the mentors that a person chose; where one does not exist nothing is queued.
2. Once the portal has accepted us, queue an operation for each, as the rule wants it, in the place of what is open.
3. Send these, and nothing else unless all were chosen; the guard looks at removals where no mentor was named.
4. Say of each what the rule wants, what was sent, what the portal answered, and when the public site will show it.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from certjobs.domain.days import local
from certjobs.domain.listing import waits, why
from certjobs.domain.outcome import Outcome, worst
from certjobs.domain.roster_row import canonical
from certjobs.domain.syncing import PUBLIC_AFTER
from certjobs.domain.text import counted
from certjobs.errors import ConfigurationError, ExitCode, StatementFailed, UsageError
from certjobs.jobs.syncing import SHOWN, send

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from certjobs.db.operations import ListingState, Ordered
    from certjobs.db.organisations import Organisation
    from certjobs.db.store import Store
    from certjobs.jobs.context import JobContext
    from certjobs.jobs.options import ForceSyncOptions

CHUNK = 1000  # mentors queued in one transaction
TRIES = 3  # to queue a mentor whom another session is changing
KNOWN = 10  # chapters that an error lists


def force_sync(ctx: JobContext[ForceSyncOptions]) -> Outcome:
    """Send chosen mentors to the public website, each as the rule wants them now.

    Afterwards the portal has acknowledged what the rule says of each of them, or the outcome says of whom it has not.
    Again sends again, and changes nothing on the site. Raises UsageError for what does not exist, ConfigurationError,
    CredentialsRejected and Unavailable where nothing can be sent; nothing is queued then.
    """
    with ctx.transaction() as store:
        whom = _Whom.chosen(store, ctx.options)
    if isinstance(whom, Outcome):
        return whom
    if ctx.portal is None:
        msg = "No portal is set, so nothing can be sent to the website."
        raise ConfigurationError(msg, hint="Set CERTJOBS_PORTAL=dataverse and its settings.")
    order = _Order(ctx, whom)
    outcome = send(ctx, ctx.portal, order=order.queue)
    return order.told(outcome)


@dataclass(frozen=True, slots=True)
class _Whom:
    """Whom a person chose: mentors by name, or those of an organisation or a chapter; none of either: all."""

    mentors: Mapping[str, int] | None = None
    organisation: Organisation | None = None
    chapter_id: int | None = None

    @classmethod
    def chosen(cls, store: Store, options: ForceSyncOptions) -> _Whom | Outcome:
        """Find them; where what was typed means nobody, return the outcome that says so. Raises UsageError."""
        if (bool(options.mentors), options.chapter is not None, options.all).count(True) != 1:
            msg = "Say whom to send: mentors by reference, --chapter NAME, or --all."
            raise UsageError(msg, hint="One of the three, as in `certjobs force-sync HLF-0042 --reason TEXT`.")
        if options.mentors:
            if options.org:
                msg = "--org narrows --chapter and --all."
                raise UsageError(msg, hint="A reference says by itself who is meant: leave --org out.")
            named = _named(store, options.mentors)
            return named if isinstance(named, Outcome) else cls(named)
        organisation = store.organisations.get(options.org) if options.org else None
        if options.chapter is None:
            return cls(None, organisation)
        found = _chapter(store, canonical(options.chapter), organisation)
        return found if isinstance(found, Outcome) else cls(None, *found)


def _named(store: Store, given: Iterable[str]) -> Mapping[str, int] | Outcome:
    """Return mentors by reference, or the outcome where some are unknown."""
    refs = list(dict.fromkeys(canonical(ref) for ref in given))
    found = store.operations.whom(refs)
    unknown = [ref for ref in refs if ref not in found]
    if not unknown:
        return {ref: found[ref] for ref in refs}
    which = "that reference" if len(refs) == 1 else f"{len(unknown)} of the {len(refs)} references"
    return _nobody(
        f"There is no mentor with {which}; nothing was sent.",
        "References are those that `certjobs mentors list` shows.",
        unknown,
    )


def _chapter(store: Store, name: str, within: Organisation | None) -> tuple[Organisation, int] | Outcome:
    """Return the one chapter of a name with its organisation, or the outcome where there is none, or several."""
    known = [
        (organisation, chapter, chapter_id)
        for organisation in ([within] if within else store.organisations.all())
        for chapter, chapter_id in store.organisations.chapters(organisation.id).items()
    ]
    found = [each for each in known if each[1] == name] or [each for each in known if each[1].lower() == name.lower()]
    if not found:
        names = sorted({each[1] for each in known})
        near = get_close_matches(name, names, KNOWN, 0.5) or names[:KNOWN]
        return _nobody("There is no chapter of that name.", f"There are: {', '.join(near) or 'none yet'}.", [name])
    if len(found) > 1:
        codes = ", ".join(each[0].code for each in found)
        return _nobody("More than one organisation has a chapter of that name.", f"Add --org: {codes}.", [])
    return found[0][0], found[0][2]


def _nobody(message: str, hint: str, unknown: Sequence[str]) -> Outcome:
    """Return the outcome where what was typed means nobody.

    What that was is for whoever typed it, who may have typed a name: it stands in no message, which is logged and kept.
    """
    return Outcome(ExitCode.USAGE, {}, message, hint, {"unknown": [each[:100] for each in unknown]})


@dataclass(slots=True)
class _Order:
    """What a person ordered: the operations that were queued, and those to tell of."""

    ctx: JobContext[ForceSyncOptions]
    whom: _Whom
    first: list[Ordered] = field(default_factory=list)
    left: int = 0
    refused: int = 0

    # Queueing.

    def queue(self) -> Sequence[int] | None:
        """Queue the operations; return of whom alone they are to be sent, None for all that are open."""
        self.ctx.count(queued=0, not_ours=0)
        if self.whom.mentors is not None:
            ids = list(self.whom.mentors.values())
            for start in range(0, len(ids), CHUNK):
                self.first += self._chunk(ids[start : start + CHUNK])
            return ids
        mentors: list[int] = []
        after = 0
        while chunk := self._next(after):
            ordered = self._chunk(chunk)
            self.first = sorted([*self.first, *ordered], key=lambda each: (each.wanted != "remove", each.ref))[:SHOWN]
            if self.whom.chapter_id is not None:
                mentors += chunk
            after = chunk[-1]
        return mentors if self.whom.chapter_id is not None or self._not_ours() else None

    def _next(self, after: int) -> Sequence[int]:
        organisation = self.whom.organisation
        with self.ctx.transaction() as store:
            return store.mentors.on_website(
                organisation_id=organisation.id if organisation else None,
                chapter_id=self.whom.chapter_id,
                after=after,
                limit=CHUNK,
            )

    def _not_ours(self) -> bool:
        return self.whom.organisation is not None and not self.whom.organisation.website_sync

    def _chunk(self, mentors: Sequence[int]) -> list[Ordered]:
        ordered = self._queue(mentors)
        queued = sum(each.operation_id is not None for each in ordered)
        not_ours = sum(each.wanted is None for each in ordered)
        self.left += sum(each.operation_id is None and each.wanted is not None for each in ordered)
        self.ctx.count(queued=queued, not_ours=not_ours)
        return ordered

    def _queue(self, mentors: Sequence[int], tries: int = TRIES) -> list[Ordered]:
        """Queue operations in one transaction, in halves where another session is at a mentor, down to that one."""
        try:
            with self.ctx.transaction() as store:
                ordered = store.operations.order(mentors, explained=self.whom.mentors is not None)
        except StatementFailed as exc:
            if len(mentors) > 1:
                middle = len(mentors) // 2
                return [*self._queue(mentors[:middle]), *self._queue(mentors[middle:])]
            if tries > 1:
                return self._queue(mentors, tries - 1)
            self.ctx.log.warning("operation.not_queued", error=exc.reason)
            self.left += exc.busy
            self.refused += not exc.busy
            return []
        met = [each.mentor_id for each in ordered if each.wanted and each.operation_id is None]
        if not met or tries == 1:
            return list(ordered)
        return [*(each for each in ordered if each.mentor_id not in met), *self._queue(met, tries - 1)]

    # The report.

    def told(self, outcome: Outcome) -> Outcome:
        """Add what became of each mentor, and what is still open though this run did not have it in hand."""
        queued = {each.mentor_id: (each.ref, each.operation_id) for each in self.first}
        told = queued
        if self.whom.mentors is not None:  # as they were named, those too of whom nothing could be queued
            told = {mentor: queued.get(mentor, (ref, None)) for ref, mentor in self.whom.mentors.items()}
        with self.ctx.transaction() as store:
            states = store.operations.states([(mentor, *each) for mentor, each in told.items()])
        mentors = [_plain(state) for state in states]
        sentences = [outcome.message] if outcome.message else []
        codes = [outcome.exit_code]
        missed = self._missed(mentors, outcome)
        if missed:
            codes.append(ExitCode.PARTIAL)
            sentences += missed
        if self._not_ours() and self.whom.organisation is not None:
            sentences.append(f"{self.whom.organisation.code} is not synchronised, so there was nothing to send.")
        details = {**outcome.details, "named": self.whom.mentors is not None, "mentors": mentors}
        hint = outcome.hint
        if hint is None and any(each["status"] == "dead" for each in mentors):
            hint = "Put right what the portal refuses, then run the same again."
        message = " ".join(sentences) or None
        return replace(outcome, exit_code=worst(codes), message=message, hint=hint, details=details)

    def _missed(self, mentors: Sequence[Mapping[str, Any]], outcome: Outcome) -> list[str]:
        """Return what is still open though nothing that this run had in hand is."""
        sentences = []
        if self.left:
            sentences.append(
                f"Another session is changing {counted(self.left, 'mentor')} just now; run the same again."
            )
        if self.refused:
            sentences.append(f"The database would not have {counted(self.refused, 'operation')}: see the log.")
        if outcome.exit_code is ExitCode.OK:
            elsewhere = self.ctx.counts["processing"]
            if elsewhere:
                sentences.append(
                    f"Another run has {counted(elsewhere, 'operation')} in hand and is not done with it yet."
                )
            elif any(each["status"] not in (None, "done") for each in mentors):
                sentences.append("Another run could not send all of them: see the table.")
        return sentences


# Words.


def _plain(state: ListingState) -> dict[str, Any]:
    """Return what a report says of one mentor, JSON-ready."""
    done = state.operation_status == "done"
    acknowledged = local(state.finished_at, state.time_zone) if done and state.finished_at else None
    return {
        "mentor_ref": state.mentor_ref,
        "organisation": state.organisation,
        "rule": state.rule,
        "why": _why(state),
        "sent": state.sent,
        "status": state.operation_status,
        "answer": _answer(state),
        "acknowledged_at": acknowledged,
        "public_by": acknowledged + PUBLIC_AFTER if acknowledged else None,
    }


def _why(state: ListingState) -> str:
    """Return why the rule wants what it wants, in words."""
    if state.gone:
        return "erased"
    return why(
        state.rule,
        organisation=state.organisation,
        status=state.status,
        pause_reason=state.pause_reason,
        certified=state.certified,
        until=state.certification_expiry,
        left=state.operation_organisation,
    )


def _answer(state: ListingState) -> str | None:
    """Return what the portal answered, or why it was not asked, in words; None where there was nothing to ask."""
    status = state.operation_status
    if status == "done":
        return "did not know them" if state.outcome == "absent" else "acknowledged"
    if status == "dead":
        word = "refused" if state.outcome == "refused" else "given up"
        return f"{word}: {state.last_error}" if state.last_error else word
    if status is None:
        return None
    return f"still open: {_open_because(state)}"


def _open_because(state: ListingState) -> str:
    return waits(
        status=state.operation_status or "",
        free=bool(state.free),
        under_way=state.under_way,
        unsure_until=state.unsure_until,
        not_before=state.not_before,
        last_error=state.last_error,
        time_zone=state.time_zone,
    )
