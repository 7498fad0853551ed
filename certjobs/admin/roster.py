"""The roster as a file: importing one, and exporting what is there."""

from __future__ import annotations

import io
import os
from contextlib import closing
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING

from certjobs.domain.roster_csv import SHOWN, RosterFile, RosterRejected, RosterWriter, write_rejects
from certjobs.domain.roster_row import Problem, Row
from certjobs.errors import DryRunExpired

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Sequence
    from typing import BinaryIO, TextIO

    from certjobs.db.roster import Merged
    from certjobs.db.store import Store, UnitOfWork
    from certjobs.domain.days import Calendar
    from certjobs.domain.roster_csv import Layout
    from certjobs.ports import Advance, Progress

EVERY = 2000  # rows between two movements of a bar
EXAMPLES = 20  # of what cannot be written so that import would take it


@dataclass(frozen=True, slots=True)
class Imported:
    """How many rows went in, how many lines were rejected, and what changed."""

    rows: int
    rejected: int
    changes: Merged


@dataclass(frozen=True, slots=True)
class Exported:
    """How many rows were written, how many of them import would not take as they are, and why the first of those."""

    rows: int
    not_importable: int
    examples: Sequence[tuple[str, str]]


def import_roster(
    transaction: UnitOfWork,
    stream: BinaryIO,
    layout: Layout,
    *,
    calendar: Calendar,
    progress: Progress,
    rejects: TextIO | None = None,
) -> Imported:
    """Import a roster file from a seekable stream, in memory that does not grow with it.

    Idempotent by the external references of mentors and certifications. Without ``rejects`` it is all of the file or
    nothing: raises RosterRejected with the problems of its lines. With it the good lines go in, and the others are
    written there, in the file's order, before anything is committed; the caller gives the file its name after. Raises
    UsageError for a day to come, and RosterRejected where nothing of the file can be understood; then nothing was
    written.
    """
    file = RosterFile(stream, layout)
    reading = _Reading(file, stream)
    rows = 0
    try:
        with transaction(bulk=True) as store:
            for organisation in store.organisations.all():
                calendar.today(organisation.code, organisation.time_zone)
            with (
                progress.track("Reading", _size(stream), unit="bytes") as advance,
                closing(reading.good_rows(advance)) as good,
            ):
                rows = store.roster.stage(good)
            left_out = _settle_rejects(store, file, reading, rejects)
            rows -= left_out
            store.begin_changes()
            with progress.track("Merging", store.roster.MERGE_STEPS) as advance:
                return Imported(rows, reading.rejected + left_out, store.roster.merge(advance))
    except DryRunExpired as exc:
        msg = f"{exc.message} The {rows} rows are sound; what they would change was not reached."
        raise DryRunExpired(msg, hint="Import the file without --dry-run, or dry-run a part of it.") from exc


def _settle_rejects(store: Store, file: RosterFile, reading: _Reading, rejects: TextIO | None) -> int:
    """Write what is not taken to ``rejects``, and return how many staged lines were left out for contradicting others.

    Raises RosterRejected where there is anything and no place to write it to.
    """
    contradictions = store.roster.find_contradictions()
    if rejects is not None:
        with closing(store.roster.contradictions()) as found, closing(_rejected(file, found)) as rejected:
            write_rejects(rejects, file.header, rejected)
        rejects.flush()
        return store.roster.leave_out_contradictions()
    if reading.problems or contradictions:
        first = [*reading.first, *store.roster.contradictions(limit=SHOWN)]
        raise RosterRejected(sorted(first, key=lambda each: each.line), reading.problems + contradictions)
    return 0


class _Reading:
    """One pass over a file: its good rows, and how many lines and problems there were besides, the first by name."""

    def __init__(self, file: RosterFile, stream: BinaryIO) -> None:
        self._file = file
        self._stream = stream
        self.first: list[Problem] = []
        self.problems = 0
        self.rejected = 0

    def good_rows(self, advance: Advance) -> Generator[Row]:
        """Yield the rows that can be understood, and move the bar by the bytes read."""
        read = 0
        with closing(self._file.records()) as records:
            for number, record in enumerate(records):
                if number % EVERY == 0:
                    position = self._stream.tell()
                    advance(position - read)
                    read = position
                if isinstance(record.found, Row):
                    yield record.found
                    continue
                self.rejected += 1
                self.problems += len(record.found)
                if len(self.first) < SHOWN:
                    self.first += record.found


def _rejected(
    file: RosterFile, contradictions: Iterable[Problem]
) -> Generator[tuple[Sequence[str], Sequence[Problem]]]:
    """Yield the cells and problems of each line that is not taken, in the file's order.

    The file is read a second time, so that nothing of it need be kept; the contradictions come by line.
    """
    by_line = groupby(contradictions, key=lambda each: each.line)
    line, group = next(by_line, (0, iter(())))
    with closing(file.records()) as records:
        for record in records:
            if record.line == line:
                yield record.cells, list(group)
                line, group = next(by_line, (0, iter(())))
            elif not isinstance(record.found, Row):
                yield record.cells, record.found


def _size(stream: BinaryIO) -> int:
    return stream.seek(0, os.SEEK_END)


def export_roster(transaction: UnitOfWork, out: BinaryIO, *, organisation: str | None, progress: Progress) -> Exported:
    """Write the roster, of one organisation or of all, as one consistent moment of it, so that import takes it.

    By mentor and certificate reference, in the spelling in which import keeps it: importing the file into an empty
    roster and exporting that gives the same bytes. What an application wrote that import would refuse is written as
    it is and reported. Raises UsageError for an unknown organisation.
    """
    text = io.TextIOWrapper(out, "utf-8", newline="")
    not_importable, examples = 0, list[tuple[str, str]]()
    rows = 0
    try:
        with transaction(bulk=True) as store:
            organisation_id = store.organisations.get(organisation).id if organisation else None
            writer = RosterWriter(text)
            with (
                progress.track("Writing", store.roster.count(organisation_id)) as advance,
                closing(store.roster.rows(organisation_id)) as found,
            ):
                for row in found:
                    rows += 1
                    problems = writer.write(row)
                    if problems:
                        not_importable += 1
                        if len(examples) < EXAMPLES:
                            examples.append((row.mentor_ref, f"{problems[0].column}: {problems[0].reason}"))
                    if rows % EVERY == 0:
                        advance(EVERY)
        text.flush()
    finally:
        text.detach()  # the stream is the caller's to close
    return Exported(rows, not_importable, examples)
