"""Certifications by hand: adding, renewing, withdrawing. Deleting one is withdrawing it."""

from __future__ import annotations

from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from certjobs.admin import find
from certjobs.admin.mentors import BY_JOB
from certjobs.domain.roster_row import EARLIEST, canonical, composed, refused
from certjobs.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import date

    from certjobs.db.certifications import Certification
    from certjobs.db.store import Store, UnitOfWork
    from certjobs.domain.days import Calendar


@dataclass(frozen=True, slots=True)
class CertificationChanged:
    """A certification after the command, whether it changed anything, and what that means for the mentor."""

    certification: Certification
    changed: bool
    note: str | None = None


@contextmanager
def listed(transaction: UnitOfWork, **filters: Any) -> Iterator[Iterator[Certification]]:
    """Give the certifications that pass the filters, as a stream that lasts as long as the block.

    Raises UsageError for a mentor, organisation or chapter that does not exist.
    """
    with transaction(bulk=True) as store:
        filters = find.filters(store, filters)
        if filters.get("mentor"):
            filters["mentor"] = find.mentor(store, filters["mentor"], lock=False).ref
        with closing(store.certifications.listed(**filters)) as found:
            yield found


def show(transaction: UnitOfWork, ref: str) -> Certification:
    """Return one certification. Raises UsageError for an unknown one."""
    with transaction() as store:
        return _find(store, ref)


def add(
    transaction: UnitOfWork, mentor_ref: str, ref: str, issued_on: date, expires_on: date, *, calendar: Calendar
) -> CertificationChanged:
    """Add a certification to a mentor. The same again is nothing.

    Raises UsageError for an unknown mentor, a reference that another certification has, or days that make no sense.
    """
    name = canonical(ref)
    why_not = refused("certificate_ref", name)
    if why_not:
        msg = f"The certification's reference {why_not}."
        raise UsageError(msg, hint="Give --ref as your register has it.")
    _check_days(issued_on, expires_on)
    with transaction() as store:
        mentor = find.mentor(store, mentor_ref)
        calendar.today(mentor.organisation, mentor.time_zone)
        there = store.certifications.find(name)
        if there is not None:
            if (there.mentor_ref, there.issued_on, there.expires_on) == (mentor.ref, issued_on, expires_on):
                return CertificationChanged(there, changed=False, note="Was there already.")
            msg = f"There is a certification {name} already, of {there.mentor_ref}."
            raise UsageError(msg, hint="Give another --ref, or change that one: `certjobs certs renew`.")
        store.certifications.add(name, mentor.id, issued_on, expires_on)
        return _changed(store, name, calendar)


def renew(
    transaction: UnitOfWork, ref: str, expires_on: date, *, issued_on: date | None, calendar: Calendar
) -> CertificationChanged:
    """Let a certification end on a later day, and be issued on another one where that is given. Again is nothing.

    A renewal never reinstates. Raises UsageError for an unknown or withdrawn certification, and for a day that is not
    later: ending one earlier is withdrawing it.
    """
    with transaction() as store:
        found = _find_for_update(store, ref, calendar)
        if found.withdrawn_on is not None:
            msg = f"{ref} was withdrawn on {found.withdrawn_on}."
            raise UsageError(msg, hint="Add a new certification, or take the withdrawal back: certs withdraw --undo.")
        issued = issued_on or found.issued_on
        _check_days(issued, expires_on)
        if (issued, expires_on) == (found.issued_on, found.expires_on):
            return CertificationChanged(found, changed=False, note="Was so already.")
        if found.expires_on is None or expires_on < found.expires_on:
            msg = f"{ref} is valid to {found.expires_on or 'a day without end'} already, longer than {expires_on}."
            raise UsageError(msg, hint="To end it earlier: certjobs certs withdraw.")
        store.certifications.change(found.certificate_ref, issued_on=issued, expires_on=expires_on)
        return _changed(store, found.certificate_ref, calendar)


def withdraw(
    transaction: UnitOfWork, ref: str, *, on: date | None, undo: bool, calendar: Calendar
) -> CertificationChanged:
    """Let a certification no longer count from a day on (None: today), or take that back. Again is nothing.

    Raises UsageError for an unknown certification, or one that was withdrawn from another day on.
    """
    with transaction() as store:
        found = _find_for_update(store, ref, calendar)
        mentor = find.mentor(store, found.mentor_ref)
        today = calendar.today(mentor.organisation, mentor.time_zone)
        day = None if undo else on or today
        gone = found.withdrawn_on is not None and found.withdrawn_on <= today
        if day == found.withdrawn_on or (gone and on is None and not undo):
            return CertificationChanged(found, changed=False, note="Was so already.")
        if day is not None and day < EARLIEST:
            msg = f"{day} lies before {EARLIEST.year}."
            raise UsageError(msg, hint="Give --on a day as 2026-11-22.")
        if day is not None and found.withdrawn_on is not None:
            msg = f"{ref} was withdrawn from {found.withdrawn_on} on."
            raise UsageError(msg, hint="Take that back first: certjobs certs withdraw --undo.")
        store.certifications.change(found.certificate_ref, withdrawn_on=day)
        changed = _changed(store, found.certificate_ref, calendar)
    lasting = "Change it where the roster comes from as well: the next import of it counts."
    return replace(changed, note=f"{changed.note} {lasting}" if changed.note else lasting)


def _check_days(issued_on: date, expires_on: date) -> None:
    if issued_on < EARLIEST or expires_on < issued_on:
        wrong = f"{issued_on} lies before {EARLIEST.year}" if issued_on < EARLIEST else "It would end before it begins"
        msg = f"{wrong}."
        raise UsageError(msg, hint="Give the day of issue and the last valid day as 2026-11-22.")


def _find(store: Store, ref: str) -> Certification:
    found = store.certifications.find(composed(ref))
    if found is None:
        msg = f"There is no certification {ref[:100]!r}."
        raise UsageError(msg, hint="See `certjobs certs list --mentor MENTOR`.")
    return found


def _find_for_update(store: Store, ref: str, calendar: Calendar) -> Certification:
    store.certifications.lock_mentor_of(composed(ref))
    found = _find(store, ref)
    mentor = find.mentor(store, found.mentor_ref)
    calendar.today(mentor.organisation, mentor.time_zone)
    return found


def _changed(store: Store, ref: str, calendar: Calendar) -> CertificationChanged:
    """Say what a certification is now, and what that means for its mentor."""
    found = _find(store, ref)
    mentor = find.mentor(store, found.mentor_ref)
    expiry = mentor.certification_expiry
    valid = expiry is not None and expiry >= calendar.today(mentor.organisation, mentor.time_zone)
    note = None
    if valid and mentor.status == "paused" and mentor.pause_reason == BY_JOB:
        note = (
            f"{mentor.ref} was paused for expiry and is valid again, to {expiry}. A renewal does not reinstate:"
            f" certjobs mentors reinstate {mentor.ref} --reason TEXT"
        )
    elif not valid and mentor.status == "active":
        night = "The next expiry-check pauses them." if mentor.auto_pause else "Their organisation has no auto_pause."
        note = f"{mentor.ref} has no valid certification any more (it ended on {expiry}). {night}"
    return CertificationChanged(found, changed=True, note=note)
