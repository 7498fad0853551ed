"""The roster file: one row a certification, checked row by row. Pure: a stream of lines in, rows and problems out."""

from __future__ import annotations

import csv
import re
import unicodedata
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

from certjobs.errors import InputRejected

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import BinaryIO

MENTOR_COLUMNS = ("mentor_ref", "name", "organisation", "chapter", "coordinators")
CERTIFICATE_COLUMNS = ("certificate_ref", "issued_on", "expires_on", "withdrawn_on")
COLUMNS = MENTOR_COLUMNS + CERTIFICATE_COLUMNS

MAX_LENGTH = {"mentor_ref": 100, "name": 200, "organisation": 50, "chapter": 200, "certificate_ref": 100}
EARLIEST = date(1900, 1, 1)
_ISO_DATE = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_A_NAME = re.compile(r"[A-Za-z_ -]{1,40}")  # what is repeated in an error: a header cell could be a person
_A_DATE = re.compile(r"[0-9./ -]{1,20}")
_COORDINATOR = re.compile(r"(?P<name>[^<>]+)<(?P<address>[^<>]*)>")
# Enough to keep out what is surely no address or could break a header; whether it exists only sending can tell.
_ADDRESS = re.compile(r"[^\s@<>()\[\],;:\\\"|]+@[^\s@<>()\[\],;:\\\"|.]+(\.[^\s@<>()\[\],;:\\\"|.]+)+")
MAX_ADDRESS = 254
_NOT_UTF8 = "the line is not UTF-8; save the file as UTF-8 (in Excel: CSV UTF-8)"
_TURNS = frozenset({"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"})


def is_address(text: str) -> bool:
    """Tell whether a text can be an e-mail address."""
    return len(text) <= MAX_ADDRESS and _ADDRESS.fullmatch(text) is not None


@dataclass(frozen=True, slots=True)
class Problem:
    """Why a line was not accepted: where, and in words."""

    line: int
    column: str
    reason: str


@dataclass(frozen=True, slots=True)
class Row:
    """One accepted line. ``coordinators`` are (name, address), the address in lower case."""

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


class RosterRejected(InputRejected):
    """A roster file with problems; nothing of it was written."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__(
            f"The roster was rejected: {len(problems)} problem{'s' if len(problems) != 1 else ''}, nothing written.",
            hint="Correct the lines listed and import the file again.",
        )
        self.problems = problems


def read(stream: BinaryIO) -> Iterator[Row | Problem]:
    """Yield each data line of a roster file as a Row, or as the problems it has.

    UTF-8 with or without byte-order mark; comma or semicolon, told by the header. Raises RosterRejected at once where
    the header cannot be used, for then nothing after it can be understood.
    """
    reader, numbered = _open(stream)
    try:
        header = next(reader, None)
    except csv.Error as exc:
        raise RosterRejected([Problem(1, "", f"the line is not well-formed CSV ({exc})")]) from None
    if header is None:
        raise RosterRejected([Problem(1, "", f"the file is empty; its first line must name the columns {_listed()}")])
    columns = _positions([name.strip() for name in header])
    while True:
        line = numbered.line + 1
        try:
            cells = next(reader, None)
        except csv.Error as exc:
            yield Problem(line, "", f"the line is not well-formed CSV ({exc})")
            continue
        if cells is None:
            break
        if cells and any(cell.strip() for cell in cells):
            yield from _row(line, cells, columns, len(header))


class _Lines:
    """The file's lines as text, counted, so that a problem names the line where its row begins."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self.line = 0

    def __iter__(self) -> Iterator[str]:
        for raw in self._stream:
            self.line += 1
            # Bytes that are not UTF-8 become lone surrogates, for which the row is refused, one by one like others.
            yield raw.decode("utf-8-sig" if self.line == 1 else "utf-8", errors="surrogateescape")


def _open(stream: BinaryIO) -> tuple[Iterator[list[str]], _Lines]:
    numbered = _Lines(stream)
    lines = iter(numbered)
    first = next(lines, "")
    delimiter = ";" if first.count(";") > first.count(",") else ","

    def again() -> Iterator[str]:
        if first:
            yield first
        yield from lines

    return csv.reader(again(), delimiter=delimiter, strict=True), numbered


def _positions(header: Sequence[str]) -> dict[str, int]:
    """Return where each column is. Raises RosterRejected where one is unknown, missing or named twice."""
    if not _is_utf8(header):
        raise RosterRejected([Problem(1, "", _NOT_UTF8)])
    if not set(header) & set(COLUMNS):
        raise RosterRejected([Problem(1, "", f"the first line must name the columns {_listed()}")])
    problems = [
        Problem(1, _shown(name, number), f"unknown column; known are {_listed()}")
        for number, name in enumerate(header, start=1)
        if name not in COLUMNS
    ]
    problems += [
        Problem(1, name, "the column stands twice") for name in dict.fromkeys(header) if header.count(name) > 1
    ]
    problems += [Problem(1, name, "the column is missing") for name in MENTOR_COLUMNS if name not in header]
    given = [name for name in CERTIFICATE_COLUMNS if name in header]
    if given:
        problems += [
            Problem(1, name, "the column is missing: the certificate's four columns go together")
            for name in CERTIFICATE_COLUMNS
            if name not in given
        ]
    if problems:
        raise RosterRejected(problems)
    return {name: header.index(name) for name in header}


def _is_utf8(cells: Sequence[str]) -> bool:
    return not any("\udc80" <= character <= "\udcff" for cell in cells for character in cell)


def _shown(name: str, number: int) -> str:
    """Return what an unknown column is called in an error: a cell that is no name of a column could be a person's."""
    return name if _A_NAME.fullmatch(name) else f"column {number}"


def _listed() -> str:
    return ", ".join(COLUMNS)


def _row(line: int, cells: Sequence[str], columns: dict[str, int], width: int) -> Iterator[Row | Problem]:
    if len(cells) != width:
        yield Problem(line, "", f"{len(cells)} fields, and the header names {width}")
        return
    if not _is_utf8(cells):
        yield Problem(line, "", _NOT_UTF8)
        return
    # One spelling of each letter: files from different systems compose æ, ø, å differently.
    values = {name: unicodedata.normalize("NFC", cells[position].strip()) for name, position in columns.items()}
    problems = [*_text_problems(line, values)]
    coordinators = _coordinators(line, values["coordinators"], problems)
    dates = _certificate(line, values, problems)
    if problems:
        yield from problems
        return
    yield Row(
        line,
        values["mentor_ref"],
        values["name"],
        values["organisation"],
        values["chapter"],
        coordinators,
        values.get("certificate_ref") or None,
        *dates,
    )


def _text_problems(line: int, values: dict[str, str]) -> Iterator[Problem]:
    for name, value in values.items():
        if any(_hidden(character) for character in value):
            yield Problem(line, name, "control characters are not allowed")
        elif name in MAX_LENGTH and len(value) > MAX_LENGTH[name]:
            yield Problem(line, name, f"longer than {MAX_LENGTH[name]} characters")
        elif name in MENTOR_COLUMNS and name != "coordinators" and not value:
            yield Problem(line, name, "is empty")


def _hidden(character: str) -> bool:
    """Tell whether a character would break lines or turn the direction of writing."""
    return unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp") or unicodedata.bidirectional(character) in _TURNS


def _coordinators(line: int, value: str, problems: list[Problem]) -> tuple[tuple[str, str], ...]:
    found: dict[str, str] = {}
    for part in value.split("|") if value else ():
        match = _COORDINATOR.fullmatch(part.strip())
        name = " ".join(match["name"].split()).strip('" ') if match else ""
        address = match["address"].strip().lower() if match else ""
        if not match or not name:
            problems.append(Problem(line, "coordinators", "must be written Name <address>, several separated by |"))
        elif not is_address(address):
            problems.append(Problem(line, "coordinators", "an address is not an e-mail address"))
        elif address in found:
            problems.append(Problem(line, "coordinators", "an address stands twice"))
        else:
            found[address] = name
    return tuple((found[address], address) for address in sorted(found))


def _certificate(
    line: int, values: dict[str, str], problems: list[Problem]
) -> tuple[date | None, date | None, date | None]:
    """Return issued_on, expires_on, withdrawn_on; all None where the line has no certificate."""
    if not any(values.get(name) for name in CERTIFICATE_COLUMNS):
        return None, None, None
    problems += [
        Problem(line, name, "is empty, and the line has a certificate")
        for name in ("certificate_ref", "issued_on", "expires_on")
        if not values[name]
    ]
    issued, expires, withdrawn = (_date(line, name, values[name], problems) for name in CERTIFICATE_COLUMNS[1:])
    if issued and expires and expires < issued:
        problems.append(Problem(line, "expires_on", "lies before issued_on"))
    return issued, expires, withdrawn


def _date(line: int, column: str, value: str, problems: list[Problem]) -> date | None:
    if not value:
        return None
    try:
        found = date.fromisoformat(value) if _ISO_DATE.fullmatch(value) else None
    except ValueError:
        found = None
    if found is None:
        shown = f"{value!r} is" if _A_DATE.fullmatch(value) else "is"
        problems.append(Problem(line, column, f"{shown} not a date; write it as 2026-11-22"))
    elif found < EARLIEST:
        problems.append(Problem(line, column, f"{value} lies before {EARLIEST.year}"))
        return None
    return found
