"""One line of the roster file, from cells to facts and back. Pure; the same text always gives the same row."""

from __future__ import annotations

import re
import unicodedata
from datetime import date
from functools import lru_cache
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

MENTOR_COLUMNS = ("mentor_ref", "name", "organisation", "chapter", "coordinators")
CERTIFICATE_COLUMNS = ("certificate_ref", "issued_on", "expires_on", "withdrawn_on")
COLUMNS = MENTOR_COLUMNS + CERTIFICATE_COLUMNS

MAX_LENGTH = {
    "mentor_ref": 100,
    "name": 200,
    "organisation": 50,
    "chapter": 200,
    "coordinators": 10_000,
    "certificate_ref": 100,
}
MOST = MAX_LENGTH["coordinators"]
MAX_COORDINATOR_NAME = 200
MAX_ADDRESS = 254
EARLIEST = date(1900, 1, 1)
ISO = "YYYY-MM-DD"

_LINE_ENDS = frozenset("\r\n")
_MAY_BREAK = frozenset({"name", "chapter", "coordinators"})  # a person's or place's name may stand on two lines
_TURNS = frozenset({"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"})
_DATE_TOKENS = {"YYYY": r"(?P<year>\d{4})", "MM": r"(?P<month>\d{2})", "DD": r"(?P<day>\d{2})"}
_SHORT_TOKENS = {"M": r"(?P<month>\d{1,2})", "D": r"(?P<day>\d{1,2})"}
_DATE_FORMAT = re.compile(r"(YYYY|MM|DD|M|D)|([-./ ])")
_GUESSES = (  # what other programs write, and what to try for it
    (re.compile(r"\d{1,2}\.\d{1,2}\.\d{4}", re.ASCII), "--date-format D.M.YYYY"),
    (re.compile(r"\d{1,2}/\d{1,2}/\d{4}", re.ASCII), "--date-format D/M/YYYY, or M/D/YYYY where the month comes first"),
    (re.compile(r"\d{1,2}-\d{1,2}-\d{4}", re.ASCII), "--date-format D-M-YYYY, or M-D-YYYY where the month comes first"),
    (re.compile(r"\d{4}[./]\d{1,2}[./]\d{1,2}", re.ASCII), "--date-format YYYY.M.D or YYYY/M/D"),
    (re.compile(r"\d{8}", re.ASCII), "--date-format YYYYMMDD"),
)
_A_DATE = re.compile(r"[0-9./ -]{1,20}")
# A quoted name may hold anything, with \" and \\ for " and \; a bare one ends where the address begins.
_COORDINATOR = re.compile(
    r'(?:\s*"(?P<quoted>(?:[^"\\]|\\.)*)"\s*|(?P<bare>[^<>|]*))<(?P<address>[^<>|]*)>\s*(?:\||\Z)', re.DOTALL
)
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
# Enough to keep out what is surely no address or could break a header; whether it exists only sending can tell.
_ADDRESS = re.compile(r"[^\s@<>()\[\],;:\\\"|]+@[^\s@<>()\[\],;:\\\"|.]+(\.[^\s@<>()\[\],;:\\\"|.]+)+")


class Problem(NamedTuple):
    """Why a line was not accepted: where, and in words that repeat nothing personal."""

    line: int
    column: str
    reason: str


class Row(NamedTuple):
    """One accepted line. ``coordinators`` are (name, address), by address, the address in lower case."""

    line: int
    mentor_ref: str
    name: str
    organisation: str
    chapter: str
    coordinators: tuple[tuple[str, str], ...]
    certificate_ref: str | None
    issued_on: date | None
    expires_on: date | None
    withdrawn_on: date | None


class Kept(NamedTuple):
    """One row as the roster has it, which may be more than a file can hold: the days as PostgreSQL writes them."""

    mentor_ref: str
    name: str
    organisation: str
    chapter: str
    coordinators: tuple[tuple[str, str], ...]
    certificate_ref: str | None
    issued_on: str | None
    expires_on: str | None
    withdrawn_on: str | None


def is_address(text: str) -> bool:
    """Tell whether a text can be an e-mail address."""
    return len(text) <= MAX_ADDRESS and _ADDRESS.fullmatch(text) is not None and text.isprintable()


def hidden(text: str) -> bool:
    """Tell whether a text holds a character that would steer a terminal or turn the direction of writing."""
    return not text.isprintable() and any(
        unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp") or unicodedata.bidirectional(character) in _TURNS
        for character in text
    )


def refused(column: str, value: str) -> str | None:
    """Say why the roster does not take a text as this column's, or None where it does."""
    if not value:
        return "is empty"
    if len(value) > MAX_LENGTH[column]:
        return f"is longer than {MAX_LENGTH[column]} characters"
    return "holds control characters" if hidden(value) else None


def canonical(text: str) -> str:
    """Return a text in the one spelling in which the roster is kept, without outer white space.

    Programs compose æ, ø, å differently: Unicode's normal form C is the one taken.
    """
    return composed(text.strip())


def composed(text: str) -> str:
    """Return a text with its letters composed."""
    return unicodedata.normalize("NFC", text)


def undecodable(encoding: str) -> str:
    """Say of a line that it is not text in the encoding, and what to try."""
    excel = "; if Excel wrote the file, try --encoding cp1252, or save it as CSV UTF-8" if encoding == "UTF-8" else ""
    return f"the line is not {encoding}{excel}"


class DateFormat:
    """How a file writes its dates: YYYY, MM or M, DD or D, each once, with . / - or a space between or nothing."""

    def __init__(self, text: str) -> None:
        """Raise ValueError for what is no such format."""
        tokens = [token or re.escape(between) for token, between in _DATE_FORMAT.findall(text)]
        known = _DATE_TOKENS | _SHORT_TOKENS
        parts = sorted(token[0] for token in tokens if token in known)
        whole = "".join(part for pair in _DATE_FORMAT.findall(text) for part in pair) == text
        if parts != ["D", "M", "Y"] or not whole or _could_be_two(text):
            msg = f"{text!r} is no date format"
            raise ValueError(msg)
        self.text = text
        self._pattern = re.compile("".join(known.get(token, token) for token in tokens), re.ASCII)
        self.read = lru_cache(maxsize=20_000)(self._read)  # a roster has few days and many rows

    def _read(self, value: str) -> date | str:
        """Return the date, or in words why it is none."""
        match = self._pattern.fullmatch(value)
        try:
            found = date(int(match["year"]), int(match["month"]), int(match["day"])) if match else None
        except ValueError:
            found = None
        if found is None:
            shown = f"{value!r} is" if _A_DATE.fullmatch(value) else "is"
            return f"{shown} not a date; write it as {self.example()}{self._try(value)}"
        if found < EARLIEST:
            return f"{found} lies before {EARLIEST.year}"
        return found

    def example(self) -> str:
        """Return a day as this format writes it."""
        named = {"YYYY": "2026", "MM": "11", "M": "11", "DD": "22", "D": "22"}
        return re.sub("YYYY|MM|DD|M|D", lambda token: named[token[0]], self.text)

    def _try(self, value: str) -> str:
        if self._pattern.fullmatch(value):  # the right form, and no such day
            return ""
        return next((f", or try {what}" for pattern, what in _GUESSES if pattern.fullmatch(value)), "")


def _could_be_two(text: str) -> bool:
    """Tell whether a format lets digits be read in two ways: a D or M of one or two, with no separator beside it."""
    tokens = [token for token, _ in _DATE_FORMAT.findall(text)]
    pairs = [pair for pair in pairwise(tokens) if all(pair)]
    return any(not set(pair).isdisjoint(_SHORT_TOKENS) for pair in pairs)


class RowReader:
    """Turns the cells of a line into a Row, or into the problems it has."""

    def __init__(self, header: Sequence[str], dates: DateFormat, encoding: str) -> None:
        """Take a header that has been checked: it names MENTOR_COLUMNS, and CERTIFICATE_COLUMNS all or none."""
        self._width = len(header)
        self._positions = [header.index(name) for name in MENTOR_COLUMNS]
        self._certificate = [header.index(name) for name in CERTIFICATE_COLUMNS if name in header]
        self._dates = dates
        self._undecodable = undecodable(encoding)

    def read(self, line: int, cells: Sequence[str]) -> Row | list[Problem]:
        """Return the row of one line, or everything that is wrong with it."""
        if len(cells) != self._width:
            return [Problem(line, "", f"{len(cells)} fields, and the header names {self._width}")]
        given = [cells[position].strip() for position in self._positions]
        certificate = [cells[position].strip() for position in self._certificate] or ["", "", "", ""]
        joined = "".join(cells)
        problems: list[Problem] = []
        if not (joined.isprintable() and (joined.isascii() or unicodedata.is_normalized("NFC", joined))):
            if any("\udc80" <= character <= "\udcff" for character in joined):
                return [Problem(line, "", self._undecodable)]
            if any(len(cell) > MOST for cell in (*given, *certificate)):  # to spell it anew could take for ever
                return [
                    Problem(line, column, f"longer than {MAX_LENGTH.get(column, MOST)} characters")
                    for column, cell in zip(COLUMNS, (*given, *certificate), strict=True)
                    if len(cell) > MAX_LENGTH.get(column, MOST)
                ]
            given, certificate = [canonical(cell) for cell in given], [canonical(cell) for cell in certificate]
            problems += _hidden_problems(line, [*given, *certificate])
        ref, name, organisation, chapter, cell = given
        certificate_ref = certificate[0]
        if not (ref and name and organisation and chapter):
            problems += [
                Problem(line, column, "is empty")
                for column, value in zip(MENTOR_COLUMNS[:4], given, strict=False)
                if not value
            ]
        if (
            len(ref) > MAX_LENGTH["mentor_ref"]
            or len(name) > MAX_LENGTH["name"]
            or len(organisation) > MAX_LENGTH["organisation"]
            or len(chapter) > MAX_LENGTH["chapter"]
            or len(cell) > MAX_LENGTH["coordinators"]
            or len(certificate_ref) > MAX_LENGTH["certificate_ref"]
        ):
            problems += [
                Problem(line, column, f"longer than {MAX_LENGTH[column]} characters")
                for column, value in zip(COLUMNS, [*given, certificate_ref], strict=False)
                if len(value) > MAX_LENGTH[column]
            ]
        coordinators, reasons = read_coordinators(cell) if len(cell) <= MAX_LENGTH["coordinators"] else ((), ())
        problems += [Problem(line, "coordinators", reason) for reason in reasons]
        issued, expires, withdrawn = self._read_certificate(line, certificate, problems)
        if problems:
            return problems
        return Row(
            line, ref, name, organisation, chapter, coordinators, certificate_ref or None, issued, expires, withdrawn
        )

    def _read_certificate(
        self, line: int, cells: Sequence[str], problems: list[Problem]
    ) -> tuple[date | None, date | None, date | None]:
        """Return issued_on, expires_on, withdrawn_on; all None where the line has no certificate."""
        if not any(cells):
            return None, None, None
        problems += [
            Problem(line, column, "is empty, and the line has a certificate")
            for column, cell in zip(CERTIFICATE_COLUMNS[:3], cells, strict=False)
            if not cell
        ]
        found: list[date | None] = []
        for column, cell in zip(CERTIFICATE_COLUMNS[1:], cells[1:], strict=True):
            day = self._dates.read(cell) if cell else None
            if isinstance(day, str):
                problems.append(Problem(line, column, day))
                day = None
            found.append(day)
        issued, expires, withdrawn = found
        if issued and expires and expires < issued:
            problems.append(Problem(line, "expires_on", "lies before issued_on"))
        return issued, expires, withdrawn


def _hidden_problems(line: int, values: Iterable[str]) -> Iterator[Problem]:
    for column, value in zip(COLUMNS, values, strict=True):
        shown = value.translate({ord(end): " " for end in _LINE_ENDS}) if column in _MAY_BREAK else value
        if hidden(shown):
            yield Problem(line, column, "control characters are not allowed")


@lru_cache(maxsize=20_000)  # mentors of a chapter have the same coordinators
def read_coordinators(cell: str) -> tuple[tuple[tuple[str, str], ...], tuple[str, ...]]:
    """Return the coordinators that a cell names, as (name, address) by address, and what is wrong with it."""
    found: dict[str, str] = {}
    reasons = []
    position = 0
    while position < len(cell):
        match = _COORDINATOR.match(cell, position)
        name = _name(match) if match else ""
        if not match or not name:
            reasons.append("must be written Name <address>, several separated by |")
            position = match.end() if match else _next(cell, position)
            continue
        address = match["address"].strip().lower()
        position = match.end()
        if len(name) > MAX_COORDINATOR_NAME:
            reasons.append(f"a name is longer than {MAX_COORDINATOR_NAME} characters")
        elif not is_address(address):
            reasons.append("an address is not an e-mail address")
        elif address in found:
            reasons.append("an address stands twice")
        else:
            found[address] = name
    if cell.endswith("|"):
        reasons.append("must be written Name <address>, several separated by |")
    return tuple((found[address], address) for address in sorted(found)), tuple(reasons)


def _next(cell: str, position: int) -> int:
    """Return where the next coordinator begins."""
    found = cell.find("|", position)
    return len(cell) if found < 0 else found + 1


def _name(match: re.Match[str]) -> str:
    quoted = match["quoted"]
    return " ".join(match["bare"].split()) if quoted is None else _ESCAPED.sub(r"\1", quoted).strip()


def write_coordinators(coordinators: Iterable[tuple[str, str]]) -> str:
    """Return the cell that ``read_coordinators`` reads as these (name, address)."""
    return "|".join(
        f"{_written(canonical(name))} <{canonical(address).lower()}>"
        for name, address in sorted(coordinators, key=lambda each: canonical(each[1]).lower())
    )


def _written(name: str) -> str:
    if name == " ".join(name.split()) and not name.startswith('"') and not set(name) & set("<>|"):
        return name
    escaped = name.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
