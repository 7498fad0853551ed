"""A night as one page for the browser: no script, nothing from elsewhere, and short enough for a phone at breakfast.

What stands in a night comes from files and people: whatever it is, it stays text. Libraries load where they are used.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass, replace
from datetime import UTC, datetime
from functools import cache
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from certjobs import __version__
from certjobs.cli import night_charts
from certjobs.cli.night_wording import NIGHT_WORDINGS
from certjobs.domain.text import printable
from certjobs.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from datetime import date

    from jinja2 import Environment

    from certjobs.cli.night_wording import NightWording, Plural
    from certjobs.domain.night import ComingNight, Missed, Night, Step

TEMPLATES = Path(__file__).parent / "templates"
LANGUAGES = tuple(NIGHT_WORDINGS)
WORD = re.compile(r"[^\s<>\"'(),;:]+")  # as an address is one
STATUSES = frozenset(("succeeded", "partial", "failed", "skipped", "abandoned", "running"))
# How loud the verdict is. An exit code that is not here means that something failed.
TONES = {
    ExitCode.OK: "succeeded",
    ExitCode.PARTIAL: "partial",
    ExitCode.LOCKED: "skipped",
    ExitCode.INTERRUPTED: "abandoned",
    ExitCode.TERMINATED: "abandoned",
}
SECOND, MINUTE, HOUR = 1, 60, 60 * 60
TOGETHER = "\N{NO-BREAK SPACE}"
ROUGHLY = 10  # seconds from which tenths say nothing


def page(night: Night, *, language: str, zone: str = "Europe/Oslo") -> str:
    """Return the page of a night, in ``nb``, ``nn`` or ``en``; times are those of ``zone``.

    Raises UsageError for a language that there are no words for.
    """
    if language not in NIGHT_WORDINGS:
        message = f"There is no report in the language {language!r}; there is {', '.join(LANGUAGES)}."
        raise UsageError(message, hint="Choose one of these.")
    say = Speech(NIGHT_WORDINGS[language], ZoneInfo(zone))
    night = _harmless(night, say.words.address)
    attention = _attention(night, say)
    wide, narrow = night_charts.WIDE, night_charts.NARROW
    shown: dict[str, Any] = {
        "night": night,
        "say": say,
        "words": say.words,
        "version": __version__,
        "verdict": _verdict(night, say, looked_at=bool(attention)),
        "attention": attention,
        "missed": [
            (day, list(jobs))
            for day, jobs in groupby(sorted(night.missed, key=lambda each: each.night, reverse=True), _night)
        ],
        "exposed": sorted(night.exposed, key=lambda each: -each.minutes),
        "findings": [each for each in night.findings if each.open or each.new or each.examples],
        "thresholds": sorted({day for each in night.forecast for day in each.reminders}, reverse=True),
        "queue": _queue(night, say),
        "bars": [night_charts.bars(night, canvas) for canvas in (wide, narrow)],
        "forecast": _forecast(night, say),
        "grids": [night_charts.grid(night, say.zone, canvas) for canvas in (wide, narrow)],
        "history": night_charts.nights(night, say.zone),
        "known": STATUSES,
    }
    return _environment().get_template("night.html.j2").render(shown)


def _harmless(value: Any, address: str) -> Any:
    """Return the night with every text in it fit to be shown: all of it printable, and no address in it.

    Escaping is the template's. This is done to the whole at once, so that no field can be forgotten.
    """
    if isinstance(value, str):
        return WORD.sub(lambda word: address if "@" in word[0][1:-1] else word[0], printable(value))
    if is_dataclass(value) and not isinstance(value, type):
        return replace(value, **{each.name: _harmless(getattr(value, each.name), address) for each in fields(value)})
    if isinstance(value, Mapping):
        return {_harmless(key, address): _harmless(each, address) for key, each in value.items()}
    if isinstance(value, Sequence):
        return tuple(_harmless(each, address) for each in value)
    return value


@dataclass(frozen=True, slots=True)
class Speech:
    """How one language tells of numbers, days and times; the template speaks through it."""

    words: NightWording
    zone: ZoneInfo

    def number(self, value: float) -> str:
        """Return a number with the language's own separators and a true minus sign."""
        from babel.numbers import format_decimal

        return str(format_decimal(value, locale=self.words.locale)).replace("-", "\u2212")

    def signed(self, value: int) -> str:
        """Return a difference, with its sign."""
        return f"{'+' if value > 0 else ''}{self.number(value)}"

    def some(self, pair: Plural, number: int, **more: str) -> str:
        """Return a phrase for how many there are."""
        return pair[number != 1].format(n=self.number(number), **more)

    def more(self, told: int, total: int) -> str:
        """Return how many are not told of, in words; nothing where all are."""
        return self.words.more.format(n=self.number(total - told)) if total > told else ""

    def day(self, value: date) -> str:
        """Return a day as a table has it."""
        return self._date(value, self.words.short_day)

    def long_day(self, value: date) -> str:
        """Return a day with its weekday."""
        return self._date(value, self.words.long_day)

    def tick(self, value: date) -> str:
        """Return a day as short as it can be said."""
        return self._date(value, self.words.tick_day)

    def night_of(self, value: date) -> str:
        """Return the name of a night, as a heading."""
        named = self.words.night_of.format(day=self.long_day(value))
        return named[0].upper() + named[1:]

    def _date(self, value: date, pattern: str) -> str:
        from babel.dates import format_date

        return str(format_date(value, pattern, self.words.locale))

    def moment(self, value: datetime, *, utc: bool = False) -> str:
        """Return a moment, by the clock of the organisation or as UTC."""
        here = night_charts.local(value, ZoneInfo("UTC") if utc else self.zone)
        return f"{self.day(here)} {here:%H:%M}"

    def iso(self, value: datetime) -> str:
        """Return a moment as programs read it."""
        return night_charts.local(value, ZoneInfo("UTC")).astimezone(UTC).isoformat(timespec="seconds")

    def lasted(self, seconds: float) -> str:
        """Return how long something took: 3.2 s, 48 s, 4 min 12 s, 3 h 20 min."""
        seconds = max(0.0, seconds)
        if seconds < ROUGHLY:
            return self.words.seconds.format(n=self.number(round(seconds, 1)))
        whole = round(seconds)
        if whole < MINUTE:
            return self.words.seconds.format(n=whole)
        if whole < HOUR:
            left = whole % MINUTE
            minutes = self.words.minutes.format(n=whole // MINUTE)
            return f"{minutes}{TOGETHER}{self.words.seconds.format(n=left)}" if left else minutes
        return self.hours(whole // MINUTE)

    def hours(self, minutes: int) -> str:
        """Return a time in hours and minutes."""
        hours, left = divmod(max(0, minutes), 60)
        said = self.words.minutes.format(n=left)
        return f"{self.words.hours.format(n=self.number(hours))}{TOGETHER}{said}" if hours else said

    def pieces(self, text: str) -> Sequence[tuple[bool, str]]:
        """Return a sentence of the program in pieces, with those that stand in backticks marked: they are commands."""
        pieces = text.split("`")
        if len(pieces) % 2 == 0:  # one has no partner: whatever it is, it is no command
            return [(False, text)]
        return [(place % 2 == 1, piece) for place, piece in enumerate(pieces) if piece]

    def status(self, status: str | None) -> str:
        """Return how a run went; a status that is not known stands as it is."""
        return self.words.no_run if status is None else self.words.statuses.get(status, status)

    def equation(self, word: str) -> str:
        """Return a word of an equation; one that is not known stands as it is."""
        return self.words.equations.get(word, word)

    def remainder(self, number: int) -> str:
        """Return what an equation leaves over, in words."""
        return self.some(self.words.unaccounted if number > 0 else self.words.too_many, abs(number))

    def counted(self, numbers: Mapping[str | None, int]) -> str:
        """Return how many cells of the history have which status."""
        return ", ".join(f"{self.status(status)} {self.number(number)}" for status, number in numbers.items())

    @staticmethod
    def numbers(each: ComingNight, thresholds: Sequence[int]) -> Sequence[int]:
        """Return a night of the forecast as its table has it."""
        return [*(each.reminders.get(day, 0) for day in thresholds), each.pauses, each.guarded]

    def coming(self, each: ComingNight) -> str:
        """Return a night of the forecast in one line."""
        told = (
            (self.words.reminders, sum(each.reminders.values())),
            (self.words.pauses, each.pauses),
            (self.words.guarded, each.guarded),
        )
        said = ", ".join(f"{what.lower()} {self.number(number)}" for what, number in told if number)
        return f"{self.day(each.night)}: {said}" if said else self.day(each.night)


def _verdict(night: Night, say: Speech, *, looked_at: bool) -> dict[str, Any]:
    """Say in one sentence how the night went, and what to do."""
    words = say.words
    sentence, to_do = words.exits.get(night.exit_code, words.exit_unknown)
    tone = TONES.get(ExitCode(night.exit_code), "failed") if night.exit_code in set(ExitCode) else "failed"
    if night.exit_code == ExitCode.OK and looked_at:
        sentence, to_do, tone = words.well_but, "", "look"
    worst = [each.job for each in night.steps if each.exit_code and each.exit_code == night.exit_code]
    return {
        "tone": tone,
        "sentence": sentence.format(n=night.exit_code),
        "worst": words.worst.format(jobs=", ".join(worst)) if worst else "",
        "to_do": to_do,
    }


def _attention(night: Night, say: Speech) -> Sequence[tuple[str, str]]:
    """Return what needs a look though it may not have failed the night: where on the page it stands, and what it is."""
    words = say.words
    guarded = [each for each in night.forecast if each.guarded]
    first = say.day(min(each.night for each in guarded)) if guarded else ""
    found = (
        ("steps", words.attention_unaccounted, sum(_unaccounted(each) for each in night.steps)),
        ("missed", words.attention_missed, len(night.missed)),
        ("exposed", words.attention_exposed, max(night.exposed_total, len(night.exposed))),
        ("findings", words.attention_new, sum(each.new for each in night.findings)),
        ("volumes", words.attention_volumes, sum(each.unexpected for each in night.volumes)),
        ("queue", words.attention_dead, night.queue.dead),
        ("forecast", words.attention_guarded, sum(each.guarded for each in guarded)),
    )
    return [(where, say.some(pair, number, day=first)) for where, pair, number in found if number]


def _night(missed: Missed) -> date:
    return missed.night


def _unaccounted(step: Step) -> int:
    return sum(each.remainder != 0 for each in step.equations)


def _queue(night: Night, say: Speech) -> Sequence[tuple[str, str, bool]]:
    """Return the figures of the queue, and which of them needs a person; none where there is nothing in it."""
    queue, words = night.queue, say.words
    if not any((queue.open, queue.processing, queue.dead, queue.done_last_hour, queue.oldest_open_seconds)):
        return ()
    oldest = "\u2013" if queue.oldest_open_seconds is None else say.lasted(queue.oldest_open_seconds)
    return (
        (words.queue_open, say.number(queue.open), False),
        (words.queue_oldest, oldest, False),
        (words.queue_processing, say.number(queue.processing), False),
        (words.queue_done, say.number(queue.done_last_hour), False),
        (words.queue_dead, say.number(queue.dead), bool(queue.dead)),
    )


def _forecast(night: Night, say: Speech) -> dict[str, str]:
    """Return the words around the picture of the coming weeks."""
    between = {"first": say.day(night.forecast_first), "last": say.day(night.forecast_last)}
    numbers = {
        "reminders": say.number(sum(sum(each.reminders.values()) for each in night.forecast)),
        "pauses": say.number(sum(each.pauses for each in night.forecast)),
        "guarded": say.number(sum(each.guarded for each in night.forecast)),
    }
    return {
        "none": say.words.forecast_none.format(**between),
        "what": say.words.forecast_what.format(**between),
        "picture": say.words.forecast_picture.format(**between, **numbers),
    }


@cache
def _environment() -> Environment:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    return Environment(
        loader=FileSystemLoader(TEMPLATES),
        undefined=StrictUndefined,
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
