"""What a coordinator reads: a message as subject, plain text, HTML and a calendar file.

Names come from people and files: whatever stands in them, they stay text. The libraries load where they are used.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from certjobs.adapters.notify.wording import BOKMAAL, WORDINGS
from certjobs.domain.delivery import PAUSE
from certjobs.domain.text import printable

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import date

    from jinja2 import Environment

    from certjobs.adapters.notify.wording import Wording
    from certjobs.ports import Message, Notice

TEMPLATES = Path(__file__).parent / "templates"
URGENT, SOON = 1, 7  # days left from which an entry is marked
REMINDED_AT = timedelta(hours=-15)  # nine o'clock on the day before an all-day event


@dataclass(frozen=True, slots=True)
class Letter:
    """A message as its recipient reads it. ``calendar`` is there where something expires."""

    subject: str
    text: str
    html: str
    calendar: bytes | None
    calendar_name: str
    language: str


@dataclass(frozen=True, slots=True)
class Entry:
    """One notice as it is shown."""

    name: str
    where: str
    day: str
    when: str
    urgency: str


def render(message: Message, *, domain: str, rehearsal: bool, may_reply: bool) -> Letter:
    """Write the letter.

    ``domain`` makes the calendar's identifiers the sender's own. A ``rehearsal`` says first for whom it was.
    """
    words = WORDINGS.get(message.language, BOKMAAL)  # the roster is the application's: it may hold others
    notices = sorted(message.notices, key=_order)
    paused = [each for each in notices if each.kind == PAUSE]
    expiring = [each for each in notices if each.kind != PAUSE]
    summary = _summary(words, len(paused), [each.days_left for each in expiring])
    name = printable(message.recipient_name).strip()
    recipient = f"{name} <{printable(message.recipient_address)}>".strip()
    shown: dict[str, Any] = {
        "words": words,
        "summary": summary,
        "greeting": words.greeting.format(name=name) if name else words.greeting_nobody,
        "rehearsal": words.rehearsal.format(recipient=recipient) if rehearsal else None,
        "paused": [_entry(words, each) for each in paused],
        "paused_what": _plural(words.paused_what, len(paused)),
        "expiring": [_entry(words, each) for each in expiring],
        "calendar_note": _plural(words.calendar_note, len(expiring)),
        "why": _plural(words.why, len(notices)),
        "may_reply": may_reply,
    }
    return Letter(
        subject=f"[rehearsal] {summary}" if rehearsal else summary,
        text=_environment().get_template("letter.txt.j2").render(shown),
        html=_environment().get_template("letter.html.j2").render(shown),
        calendar=_calendar(words, message.today, expiring, domain) if expiring else None,
        calendar_name=words.file_name,
        language=words.locale,
    )


def _order(notice: Notice) -> tuple[bool, int, str, str]:
    """Put the most urgent first: who is off the website, then who will be soonest."""
    reminder = notice.kind != PAUSE
    return reminder, notice.days_left if reminder else 0, notice.mentor_name.casefold(), notice.mentor_ref


def _plural(pair: tuple[str, str], n: int) -> str:
    return pair[n != 1].format(n=n)


def _when(words: Wording, days: int) -> str:
    near = {-1: words.yesterday, 0: words.today, 1: words.tomorrow}
    return near.get(days) or (words.ahead if days > 0 else words.ago).format(n=abs(days))


def _summary(words: Wording, paused: int, days_left: Sequence[int]) -> str:
    """Say in one line what the letter is about, the most urgent first."""
    parts = [_plural(words.paused, paused)] if paused else []
    if days_left:
        parts.append(_expiring(words, days_left))
    return ", ".join(parts)


def _expiring(words: Wording, days_left: Sequence[int]) -> str:
    n, first = len(days_left), min(days_left)
    when = _when(words, first)
    if first < 0:
        return words.expired_one.format(when=when) if n == 1 else words.expired_some.format(n=n)
    if first == max(days_left):
        return words.expires[n != 1].format(n=n, when=when)
    return words.expire_first.format(n=n, when=when)


def _entry(words: Wording, notice: Notice) -> Entry:
    from babel.dates import format_date

    place = (notice.organisation, notice.chapter, f"{words.reference} {notice.mentor_ref}")
    urgency = "urgent" if notice.days_left <= URGENT else "soon" if notice.days_left <= SOON else "later"
    return Entry(
        name=printable(notice.mentor_name),
        where=printable(" · ".join(part for part in place if part)),
        day=format_date(notice.certification_expiry, words.day, words.locale),
        when=_when(words, notice.days_left),
        urgency=urgency,
    )


def _calendar(words: Wording, today: date, notices: Iterable[Notice], domain: str) -> bytes:
    """Return a calendar with each last valid day.

    The same mentor and day is the same event in every letter, so a later reminder adds no second one. There is no
    METHOD: with one, mail programs would take it for an invitation.
    """
    from icalendar import Alarm, Calendar, Event

    calendar = Calendar()
    calendar.add("prodid", "-//certjobs//certjobs//EN")
    calendar.add("version", "2.0")
    for uid, notice in {_uid(each, domain): each for each in notices}.items():
        summary = words.event.format(name=printable(notice.mentor_name))
        event = Event()
        event.add("uid", uid)
        event.add("dtstamp", datetime.combine(today, time(), UTC))
        event.add("dtstart", notice.certification_expiry)
        event.add("dtend", notice.certification_expiry + timedelta(days=1))
        event.add("summary", summary)
        event.add("description", f"{words.event_what}\n{_entry(words, notice).where}")
        event.add("transp", "TRANSPARENT")
        alarm = Alarm()
        alarm.add("action", "DISPLAY")
        alarm.add("description", summary)
        alarm.add("trigger", REMINDED_AT)
        event.add_component(alarm)
        calendar.add_component(event)
    return bytes(calendar.to_ical())


def _uid(notice: Notice, domain: str) -> str:
    material = f"{notice.mentor_ref}\n{notice.certification_expiry.isoformat()}"
    return f"{hashlib.sha256(material.encode()).hexdigest()[:32]}@{domain}"


@cache
def _environment() -> Environment:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

    return Environment(
        loader=FileSystemLoader(TEMPLATES),
        undefined=StrictUndefined,
        autoescape=select_autoescape(enabled_extensions=("html.j2",), default=False),
        trim_blocks=True,
        lstrip_blocks=True,
    )
