"""Hand-made timelines, small enough to be checked by reading; all people are invented."""

from __future__ import annotations

from datetime import date

from .administrator import Action, Script
from .register import ONE_DAY, Certification, Mentor, Timeline, nights

START = date(2020, 3, 1)
NIGHTS = nights(START, 14)


def march(day: int) -> date:
    """Return a day of the story's month."""
    return date(2020, 3, day)


def certification(
    ref: str, expires_on: date, *, known_on: date = START - 30 * ONE_DAY, withdrawn_on: date | None = None
) -> Certification:
    """Return a certification issued on the day it becomes known."""
    return Certification(ref, known_on, expires_on, known_on, withdrawn_on)


def mentor(ref: str, *certifications: Certification, organisation: str = "HLF", known_on: date | None = None) -> Mentor:
    """Return an invented mentor, known as soon as the first certification is."""
    first = min((one.known_on for one in certifications), default=START)
    coordinator = f"Coordinator {organisation} <coordinator.{organisation.lower()}@example.org>"
    chapter = f"{organisation} Prøveby"
    return Mentor(ref, f"Mentor {ref}", organisation, chapter, (coordinator,), known_on or first, certifications)


SPRING = date(2021, 3, 31)

STORY = Timeline(
    (
        mentor("A-in-time", certification("a1", march(5)), certification("a2", SPRING, known_on=march(5))),
        mentor("B-late", certification("b1", march(2)), certification("b2", SPRING, known_on=march(6))),
        mentor("C-withdrawn", certification("c1", SPRING, withdrawn_on=march(4))),
        mentor("D-one-of-two", certification("d1", SPRING, withdrawn_on=march(4)), certification("d2", march(9))),
        mentor("E-never"),
        mentor("F-elsewhere", certification("f1", march(3)), organisation="NHF"),
        mentor("G-forced", certification("g1", march(1))),
        mentor("H-by-hand", certification("h1", march(7))),
        mentor("I-newcomer", certification("i1", march(11), known_on=march(10)), known_on=march(8)),
        mentor("J-withdrawn-late", certification("j1", march(6), withdrawn_on=march(12))),
    )
)

SCRIPT = Script(
    (
        Action(march(3), "pause", "H-by-hand"),
        Action(march(8), "reinstate", "B-late"),
        Action(march(8), "reinstate", "G-forced", force=True),
        Action(march(10), "pause", "E-never"),
        Action(march(11), "reinstate", "E-never", force=True),
        Action(march(12), "reinstate", "H-by-hand", force=True),
    )
)

PAUSED = {
    march(2): {"G-forced"},
    march(3): {"B-late"},
    march(4): {"C-withdrawn"},
    march(7): {"J-withdrawn-late"},
    march(8): {"G-forced"},
    march(10): {"D-one-of-two"},
    march(12): {"I-newcomer", "H-by-hand"},
}
"""Whom the job pauses on which night of the story, worked out by hand; on all other nights nobody."""


def backlog(expired: int, valid: int) -> Timeline:
    """Return a roster of so many mentors who expired long ago and so many who are certified."""
    old = (mentor(f"X{number:03}", certification(f"x{number}", START - ONE_DAY)) for number in range(expired))
    good = (mentor(f"Y{number:03}", certification(f"y{number}", SPRING)) for number in range(valid))
    return Timeline((*old, *good))
