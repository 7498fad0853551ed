"""Mentors by hand: pausing and reinstating (rules 1 and 2), who is told of them, where they belong, erasing."""

from __future__ import annotations

from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from certjobs.admin import find
from certjobs.domain.roster_row import canonical, refused
from certjobs.domain.text import counted
from certjobs.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from certjobs.db.certifications import Certification
    from certjobs.db.coordinators import Coordinator
    from certjobs.db.mentors import Event, Listed, MentorState
    from certjobs.db.store import UnitOfWork
    from certjobs.domain.days import Calendar

BY_JOB = "expired_cert"  # the pause reason that says the job did it
HISTORY = 30  # events that one mentor's page shows


@dataclass(frozen=True, slots=True)
class Changed:
    """A mentor after the command, whether it changed anything, and what the administrator should know."""

    mentor: MentorState
    changed: bool
    note: str | None = None


@dataclass(frozen=True, slots=True)
class Shown:
    """Everything about one mentor."""

    mentor: MentorState
    name: str
    days_left: int | None
    certifications: Sequence[Certification]
    coordinators: Sequence[Coordinator]
    history: Sequence[Event]


@contextmanager
def listed(transaction: UnitOfWork, **filters: Any) -> Iterator[Iterator[Listed]]:
    """Give the mentors that pass the filters, as a stream that lasts as long as the block.

    Raises UsageError for an organisation or chapter that does not exist.
    """
    with transaction(bulk=True) as store:
        filters = find.filters(store, filters)
        with closing(store.mentors.listed(**filters)) as found:
            yield found


def show(transaction: UnitOfWork, ref: str, *, calendar: Calendar) -> Shown:
    """Return everything about one mentor. Raises UsageError for an unknown one."""
    with transaction() as store:
        mentor = find.mentor(store, ref, lock=False)
        expiry = mentor.certification_expiry
        today = calendar.today(mentor.organisation, mentor.time_zone)
        return Shown(
            mentor,
            store.mentors.name(mentor.id),
            (expiry - today).days if expiry else None,
            list(store.certifications.listed(mentor=mentor.ref)),
            list(store.coordinators.listed(mentor=mentor.ref)),
            store.mentors.history(mentor.id, HISTORY),
        )


def pause(transaction: UnitOfWork, ref: str, reason: str, *, calendar: Calendar) -> Changed:
    """Pause an active mentor for a reason of a person's. Again is nothing.

    Raises UsageError for an unknown mentor, a day to come, or the reason that is the job's own.
    """
    if reason == BY_JOB:
        msg = f"The reason {BY_JOB} is kept for the nightly job."
        raise UsageError(msg, hint="Give another --reason.")
    with transaction() as store:
        mentor = find.mentor(store, ref)
        calendar.today(mentor.organisation, mentor.time_zone)
        if mentor.status == "paused":
            return Changed(mentor, changed=False, note=f"Was already paused ({mentor.pause_reason}).")
        store.mentors.set_status(mentor.id, "paused", reason)
    return Changed(replace(mentor, status="paused", pause_reason=reason), changed=True)


def reinstate(transaction: UnitOfWork, ref: str, *, calendar: Calendar, force: bool) -> Changed:
    """Make a paused mentor active again. Again is nothing.

    Raises UsageError for an unknown mentor or a day to come, and for one without a valid certification on the day
    unless ``force``; the next night pauses such a one again.
    """
    with transaction() as store:
        mentor = find.mentor(store, ref)
        today = calendar.today(mentor.organisation, mentor.time_zone)
        if mentor.status == "active":
            return Changed(mentor, changed=False, note="Was already active.")
        expiry = mentor.certification_expiry
        valid = expiry is not None and expiry >= today
        if not valid and not force:
            ended = f"ended on {expiry}" if expiry else "never existed"
            msg = f"{ref} has no valid certification on {today}: it {ended}."
            raise UsageError(msg, hint="Record the renewal first, or add --force.")
        store.mentors.set_status(mentor.id, "active", None)
    expired = expiry is not None and not valid
    note = "The certification has expired: the next expiry-check pauses this mentor again." if expired else None
    return Changed(replace(mentor, status="active", pause_reason=None), changed=True, note=note)


def assign(
    transaction: UnitOfWork, ref: str, addresses: Sequence[str], *, remove: bool = False, only: bool = False
) -> Changed:
    """Give a mentor these coordinators too, or with ``only`` no others, or with ``remove`` take them away.

    Notices still owed follow (rule 4). Again is nothing. Raises UsageError for a mentor or coordinator that does not
    exist.
    """
    with transaction() as store:
        mentor = find.mentor(store, ref)
        given = {find.coordinator(store, address)[0] for address in sorted(addresses, key=str.lower)}
        before = set(store.coordinators.assigned(mentor.id))
        after = before - given if remove else given if only else before | given
        store.coordinators.assign(mentor.id, sorted(after - before), sorted(before - after))
    note = "Was so already." if after == before else f"{counted(len(after), 'coordinator')} now."
    if not after:
        note += " Nobody is told of this mentor but at the organisation's fallback address."
    return Changed(mentor, changed=after != before, note=note)


def move(transaction: UnitOfWork, ref: str, chapter: str, *, org: str | None, create: bool) -> Changed:
    """Let a mentor belong to a chapter, of another organisation where ``org`` says so. Again is nothing.

    Raises UsageError for a mentor or organisation that does not exist, and for a chapter unless ``create`` adds it.
    """
    name = canonical(chapter)
    why_not = refused("chapter", name)
    if why_not:
        msg = f"The chapter {why_not}."
        raise UsageError(msg, hint="Give --chapter its name.")
    with transaction() as store:
        organisation = store.organisations.get(org) if org else None
        mentor = find.mentor(store, ref)
        target = organisation or store.organisations.get(mentor.organisation)
        chapters = store.organisations.chapters(target.id)
        if name not in chapters and not create:
            raise find.unknown_chapter(name, chapters)
        if (mentor.organisation, mentor.chapter) == (target.code, name):
            return Changed(mentor, changed=False, note="Was there already.")
        chapter_id = chapters.get(name) or store.organisations.add_chapter(target.id, name)
        store.mentors.move(mentor.id, target.id, chapter_id)
    moved = replace(mentor, organisation=target.code, chapter=name)
    note = (
        f"{target.code} has its own settings: see `certjobs orgs list`." if mentor.organisation != target.code else None
    )
    return Changed(moved, changed=True, note=note)


def erase(transaction: UnitOfWork, ref: str) -> MentorState:
    """Remove a mentor and everything personal, for good, and return who that was.

    The audit stays, and tells of nobody: an internal id that leads nowhere, days, events. Notices not yet sent are
    suppressed. Raises UsageError for an unknown mentor, StatementFailed where tables of the application refer to it.
    """
    with transaction() as store:
        mentor = find.mentor(store, ref, for_removal=True)
        store.mentors.erase(mentor.id)
    return mentor
