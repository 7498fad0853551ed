"""One mentor explained: everything that happened, and why they are (not) paused, reminded and listed on a day."""

from __future__ import annotations

from dataclasses import dataclass, replace
from difflib import get_close_matches
from string import ascii_uppercase, digits
from typing import TYPE_CHECKING

from certjobs.admin.because import Asked, Because, because
from certjobs.domain.roster_row import composed
from certjobs.domain.thresholds import thresholds_of
from certjobs.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date

    from certjobs.db.explanations import Entry
    from certjobs.db.mentors import MentorState
    from certjobs.db.store import Store, UnitOfWork
    from certjobs.domain.days import Calendar

MOST = 1000  # entries of a timeline
NEAR = 5  # references that an error names
ALIKE = 0.6  # of 1, how much they look like the one given
LONGEST = 20  # characters of a reference that others are compared with
LETTERS = f"{digits}{ascii_uppercase}-_./ "


@dataclass(frozen=True, slots=True)
class Explained:
    """A mentor, the day asked about, the timeline, oldest first, and the reasons."""

    mentor: MentorState
    on: date
    today: date
    timeline: Sequence[Entry]
    because: Sequence[Because]


def explain(
    transaction: UnitOfWork,
    ref: str,
    *,
    calendar: Calendar,
    thresholds: tuple[int, ...],
    per_organisation_thresholds: bool,
) -> Explained:
    """Explain one mentor on the calendar's day; nothing is written.

    Raises UsageError, which names references that look like it, where there is none, and ConfigurationError where the
    organisation's thresholds are no list of days.
    """
    with transaction() as store:
        explanations = store.explanations
        mentor = _mentor(store, ref)
        on = calendar.today(mentor.organisation, mentor.time_zone)
        today = replace(calendar, as_of=None).today(mentor.organisation, mentor.time_zone)
        own = store.organisations.get(mentor.organisation).thresholds
        counting = thresholds_of(mentor.organisation, own, thresholds, own_count=per_organisation_thresholds)
        day = explanations.day(mentor.id, on, today=today, thresholds=counting)
        operation = store.operations.states([(mentor.id, mentor.ref, 0)])[0] if on >= today else None
        timeline = explanations.timeline(mentor.id, MOST)
    if own is not None and per_organisation_thresholds:
        setting = {"table": "organisations", "organisation": mentor.organisation, "setting": "thresholds"}
    else:
        setting = {"setting": "CERTJOBS_THRESHOLDS"}
    asked = Asked(mentor.ref, on, today, day, operation, counting, setting | {"value": list(counting)})
    return Explained(mentor, on, today, timeline, because(asked))


def _mentor(store: Store, ref: str) -> MentorState:
    """Return a mentor by reference. Raises UsageError, which names those that look like it, where there is none."""
    ref = composed(ref)
    found = store.mentors.find(ref, lock=False)
    if found is not None:
        return found
    known = {each.lower(): each for each in store.explanations.near(ref, _a_letter_away(ref), NEAR)}
    near = [known[each] for each in get_close_matches(ref.lower(), known, NEAR, ALIKE)]
    hint = "References are those of the roster file's column mentor_ref: `certjobs mentors list`."
    if near:
        hint = f"There is {', '.join(near)}. {hint}"
    msg = f"There is no mentor with the reference {ref[:100]!r}: there never was, or they were erased."
    raise UsageError(msg, hint=hint)


def _a_letter_away(ref: str) -> list[str]:
    """Return what is a letter away, case aside: one other, one more, one less, or two that changed places."""
    found: set[str] = set()
    for each in {ref[:LONGEST], ref[:LONGEST].upper()}:
        found.add(each)
        for position in range(len(each) + 1):
            before, after = each[:position], each[position:]
            found |= {before + letter + after for letter in LETTERS}
            found |= {before + letter + after[1:] for letter in LETTERS}
            found |= {before + after[1:], before + after[1:2] + after[:1] + after[2:]}
    return sorted(found)
