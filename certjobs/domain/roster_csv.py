"""The roster file: one row a certification. Pure: bytes in, checked rows out, and the same bytes back."""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections import Counter
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from certjobs.domain.roster_row import (
    CERTIFICATE_COLUMNS,
    COLUMNS,
    ISO,
    MENTOR_COLUMNS,
    DateFormat,
    Kept,
    Problem,
    Row,
    RowReader,
    canonical,
    undecodable,
    write_coordinators,
)
from certjobs.errors import InputRejected, UsageError

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Iterator, Sequence
    from typing import BinaryIO, TextIO

# The columns that a file of rejected rows has besides its own: import passes over them, so that the file can be
# corrected and imported as it is.
REJECT_COLUMNS = ("rejected_line", "rejected_because")

SHOWN = 1000  # problems that an error lists; a rejects file has them all
_DELIMITERS = (",", ";", "\t")
_NAMED_DELIMITERS = {"comma": ",", "semicolon": ";", "tab": "\t", "\\t": "\t", "pipe": "|"}
_MARKS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))
_A_NAME = re.compile(r"[A-Za-z_ -]{1,40}")  # what is repeated in an error: a header cell could be a person
_TRY = "If the columns are right, the file is written in another way: try --delimiter or --encoding."


@dataclass(frozen=True, slots=True)
class Layout:
    """How a roster file is written. What is None is found out: the delimiter by the header, the encoding by its mark.

    Raises UsageError for a delimiter, encoding or date format that there is not.
    """

    delimiter: str | None = None
    encoding: str | None = None
    date_format: str = ISO

    def __post_init__(self) -> None:
        """Check what was given."""
        if self.delimiter is not None:
            object.__setattr__(self, "delimiter", _NAMED_DELIMITERS.get(self.delimiter, self.delimiter))
            if len(self.delimiter) != 1 or self.delimiter in '"\r\n' or not self.delimiter.isascii():
                msg = "The delimiter must be one character."
                raise UsageError(msg, hint="Give --delimiter ';' or one of comma, semicolon, tab, pipe.")
        if self.encoding is not None and not _is_encoding(self.encoding):
            msg = f"There is no encoding {self.encoding[:40]!r}."
            raise UsageError(msg, hint="Usual are utf-8, cp1252 (Windows), utf-16, iso-8859-1.")
        try:
            DateFormat(self.date_format)
        except ValueError:
            msg = f"There is no date format {self.date_format[:40]!r}."
            raise UsageError(msg, hint="Use YYYY, MM or M, DD or D, each once: DD.MM.YYYY, M/D/YYYY.") from None


def _is_encoding(name: str) -> bool:
    try:
        "".encode(name)
    except (LookupError, ValueError, UnicodeError):  # no such name; bytes to bytes; refuses the empty text
        return False
    return True


class RosterRejected(InputRejected):
    """A roster file with problems; nothing of it was written. ``problems`` are the first of ``total``."""

    def __init__(self, problems: Sequence[Problem], total: int | None = None, hint: str | None = None) -> None:
        self.problems = problems[:SHOWN]
        self.total = len(problems) if total is None else total
        super().__init__(
            f"The roster was rejected: {self.total} problem{'s' if self.total != 1 else ''}"
            + (f", of which the first {SHOWN} are listed" if self.total > SHOWN else "")
            + ", nothing written.",
            hint=hint
            or "Correct the lines listed and import the file again, or let the other lines in with --rejects FILE.",
        )


@dataclass(frozen=True, slots=True)
class Record:
    """One data line of a file: where it begins, its cells as they stand, and its row or what is wrong with it."""

    line: int
    cells: Sequence[str]
    found: Row | list[Problem]


def _malformed(exc: csv.Error) -> str:
    """Return in words why a line is no CSV."""
    unclosed = str(exc) == "unexpected end of data"
    why = "a quotation mark opens a cell and none closes it before the file ends" if unclosed else exc
    return f"the line is not well-formed CSV ({why})"


class RosterFile:
    """A roster file, open for reading from its beginning, as often as wanted.

    Raises RosterRejected at once where the header cannot be used, for then nothing after it can be understood.
    """

    def __init__(self, stream: BinaryIO, layout: Layout) -> None:
        """Read the header of a seekable stream; the stream stays the caller's."""
        self._stream = stream
        self._dates = DateFormat(layout.date_format)
        self._encoding = layout.encoding or self._marked()
        self._delimiter = layout.delimiter or self._likely()
        with closing(self._lines([])) as lines:
            try:
                header = next(self._reader(lines), None)
            except csv.Error as exc:
                raise RosterRejected([Problem(1, "", _malformed(exc))]) from None
            except UnicodeError:
                raise self._not_this_encoding(1) from None
        if header is None:
            problem = Problem(1, "", f"the file is empty; its first line must name the columns {_listed()}")
            raise RosterRejected([problem])
        self.header = [name.strip() for name in header]
        _check(self.header, self._called())

    def records(self) -> Generator[Record]:
        """Yield every data line that is not empty, from the first; one pass at a time."""
        recent: list[str] = []  # the lines of the record being read, for one that is no CSV
        rows = self._rows()
        with closing(self._lines(recent)) as lines:
            reader = self._reader(lines)
            next(reader)
            while True:
                line = reader.line_num + 1
                recent.clear()
                try:
                    cells = next(reader)
                except StopIteration:
                    return
                except csv.Error as exc:
                    problem = Problem(line, "", _malformed(exc))
                    yield Record(line, ["".join(recent).rstrip("\r\n")], [problem])
                    continue
                except UnicodeError:
                    raise self._not_this_encoding(line) from None
                if cells and (cells[0] or any(cell.strip() for cell in cells)):
                    yield Record(line, cells, rows.read(line, cells))

    def _rows(self) -> RowReader:
        return RowReader(self.header, self._dates, self._called())

    def _called(self) -> str:
        return {"utf-8-sig": "UTF-8", "utf-16": "UTF-16"}.get(self._encoding, self._encoding)

    def _not_this_encoding(self, line: int) -> RosterRejected:
        problem = Problem(line, "", f"from here on the file is not {self._called()}; try another --encoding")
        return RosterRejected([problem])

    def _marked(self) -> str:
        """Return the encoding that the byte-order mark names, else UTF-8."""
        self._stream.seek(0)
        start = self._stream.read(4)
        return next((encoding for mark, encoding in _MARKS if start.startswith(mark)), "utf-8-sig")

    def _likely(self) -> str:
        """Return the delimiter that the first line has most of; a comma where it has none."""
        text = self._text()
        try:
            first = text.readline(100_000)
        except UnicodeError:
            raise self._not_this_encoding(1) from None
        finally:
            text.detach()
        return max(_DELIMITERS, key=first.count)

    def _reader(self, lines: Iterator[str]) -> Any:
        return csv.reader(lines, delimiter=self._delimiter, strict=True)

    def _lines(self, recent: list[str]) -> Generator[str]:
        """Yield the lines from the beginning, each put to ``recent`` too."""
        text = self._text()
        try:
            first = text.readline().removeprefix("\ufeff")  # the mark, where the encoding was named
            if first:
                recent.append(first)
                yield first
            for line in text:
                recent.append(line)
                yield line
        finally:
            text.detach()

    def _text(self) -> io.TextIOWrapper:
        """Return the file as text with its line ends as they are.

        Bytes that are not of the encoding become lone surrogates, for which a row is refused, one by one like others.
        """
        self._stream.seek(0)
        return io.TextIOWrapper(self._stream, self._encoding, errors="surrogateescape", newline="")


def _check(header: Sequence[str], encoding: str) -> None:
    """Raise RosterRejected where a column is unknown, missing or named twice."""
    if any("\udc80" <= character <= "\udcff" for name in header for character in name):
        raise RosterRejected([Problem(1, "", undecodable(encoding))])
    if not set(header) & set(COLUMNS):
        raise RosterRejected([Problem(1, "", f"the first line must name the columns {_listed()}")], hint=_hint(header))
    problems = [
        Problem(1, _shown(name, number), f"unknown column; known are {_listed()}")
        for number, name in enumerate(header, start=1)
        if name not in (*COLUMNS, *REJECT_COLUMNS)
    ]
    problems += [Problem(1, name, "the column stands twice") for name, times in Counter(header).items() if times > 1]
    problems += [Problem(1, name, "the column is missing") for name in MENTOR_COLUMNS if name not in header]
    given = [name for name in CERTIFICATE_COLUMNS if name in header]
    if given:
        problems += [
            Problem(1, name, "the column is missing: the certificate's four columns go together")
            for name in CERTIFICATE_COLUMNS
            if name not in given
        ]
    if problems:
        raise RosterRejected(problems, hint=_hint(header))


def _hint(header: Sequence[str]) -> str:
    """Say what to try for a header that cannot be used."""
    for delimiter in "|:~^":
        if any(set(COLUMNS) & {part.strip() for part in name.split(delimiter)} for name in header if delimiter in name):
            return f"The columns look separated by {delimiter}: try --delimiter '{delimiter}'."
    return "Correct the first line and import the file again." if set(header) & set(COLUMNS) else _TRY


def _shown(name: str, number: int) -> str:
    """Return what an unknown column is called in an error: a cell that is no name of a column could be a person's."""
    return name if _A_NAME.fullmatch(name) else f"column {number}"


def _listed() -> str:
    return ", ".join(COLUMNS)


def write_rejects(
    out: TextIO, header: Sequence[str], rejected: Iterable[tuple[Sequence[str], Sequence[Problem]]]
) -> None:
    """Write rejected lines as a file of the same columns, each with its line and reasons first.

    Corrected, it can be imported as it is.
    """
    writer = csv.writer(out, lineterminator="\r\n")
    kept = [position for position, name in enumerate(header) if name not in REJECT_COLUMNS]
    writer.writerow([*REJECT_COLUMNS, *(header[position] for position in kept)])
    for cells, problems in rejected:
        if len(cells) == len(header):
            own = [cells[position] for position in kept]
        else:  # of a rejects file, whose own columns come first, or of any other
            own = list(cells[len(REJECT_COLUMNS) if tuple(header[:2]) == REJECT_COLUMNS else 0 :])
        reasons = "; ".join(f"{each.column}: {each.reason}" if each.column else each.reason for each in problems)
        writer.writerow([problems[0].line, reasons, *own])


class RosterWriter:
    """Writes a roster as import reads it: UTF-8, comma, RFC 4180, dates as 2026-11-22, in the order it is given."""

    def __init__(self, out: TextIO) -> None:
        """Write the header to a stream that leaves line ends as they are."""
        self._writer = csv.writer(out, lineterminator="\r\n")
        self._writer.writerow(COLUMNS)
        self._reader = RowReader(COLUMNS, DateFormat(ISO), "UTF-8")
        self._people: dict[str, tuple[str, str]] = {}
        self._line = 1

    def write(self, row: Kept) -> list[Problem]:
        """Write one row, names in the spelling in which import keeps them; return why import would not take it so."""
        self._line += 1
        keys = (row.mentor_ref, row.organisation, row.certificate_ref or "")
        cells = [
            row.mentor_ref,
            canonical(row.name),
            row.organisation,
            canonical(row.chapter),
            write_coordinators(row.coordinators),
            row.certificate_ref or "",
            *(day or "" for day in (row.issued_on, row.expires_on, row.withdrawn_on)),
        ]
        self._writer.writerow(cells)
        read = self._reader.read(self._line, cells)
        problems = [] if isinstance(read, Row) else read
        problems += [
            Problem(self._line, column, "has another spelling in the roster than import would give it")
            for column, key in zip(("mentor_ref", "organisation", "certificate_ref"), keys, strict=True)
            if canonical(key) != key
        ]
        return problems + [problem for pair in row.coordinators for problem in self._person(*pair)]

    def _person(self, name: str, address: str) -> Iterator[Problem]:
        """Yield what is wrong with a coordinator among all of them: an address is one person's, in one spelling."""
        key = canonical(address).lower()
        if self._people.setdefault(key, (name, address)) != (name, address):
            yield Problem(self._line, "coordinators", "an address stands in the roster twice, in two spellings")
        elif key != address.lower():
            yield Problem(self._line, "coordinators", "an address has another spelling than import would give it")
