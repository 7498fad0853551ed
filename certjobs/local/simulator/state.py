"""The rows of the one table there is, and what the public site shows of them.

A write counts at once; the public site shows it a settable time later. Everything is in memory, and in a JSON file
where one is named.
"""

from __future__ import annotations

import json
import os
import threading
import uuid
from bisect import bisect_right
from collections import deque
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from certjobs.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from pathlib import Path

    from certjobs.local.simulator.clock import Clock

LAG = 900.0


@dataclass(frozen=True)
class Table:
    """The table that mentors lie in: its names, all of them case-sensitive.

    ``columns`` are those besides key and flag; they hold text or nothing. Any other column is undeclared.
    """

    entity_set: str = "contacts"
    logical_name: str = "contact"
    key_column: str = "new_mentorid"
    listed_column: str = "new_listed"
    columns: tuple[str, ...] = ("firstname", "lastname")

    @property
    def id_column(self) -> str:
        """Return the column of the row's own id."""
        return f"{self.logical_name}id"

    @property
    def declared(self) -> frozenset[str]:
        """Return every column there is."""
        return frozenset({self.id_column, self.key_column, self.listed_column, *self.columns})

    def check(self) -> None:
        """Raise ConfigurationError for names that no table and no column has, or that two columns have."""
        columns = (self.id_column, self.key_column, self.listed_column, *self.columns)
        names = (self.entity_set, *columns)
        if not all(each.isidentifier() and each.isascii() for each in names) or len(set(columns)) != len(columns):
            msg = "The simulator's table and columns need names of letters, digits and _, each column its own."
            raise ConfigurationError(msg, hint="Correct --table, --key-column and --listed-column.")


@dataclass(frozen=True, slots=True)
class Row:
    """A row as it stands after one write; the next write makes another of the same ``guid`` and ``number``.

    ``number`` orders rows by when they were made, ``values`` holds key, flag and further columns.
    """

    guid: str
    number: int
    version: int
    values: Mapping[str, Any]

    @property
    def etag(self) -> str:
        """Return the weak ETag, which no other write has."""
        return f'W/"{self.version}"'


class Public(NamedTuple):
    """What the public site shows: each listed row's values, and how many accepted changes it does not show yet."""

    listed: list[Mapping[str, Any]]
    waiting: int


class _Change(NamedTuple):
    at: float
    guid: str
    shown: Mapping[str, Any] | None


class State:
    """Rows by id and by key. Every method is one step that no other thread sees half of.

    ``lag`` is in seconds and may be set at any time. Whoever writes calls ``save`` when the whole request is done.
    """

    def __init__(self, table: Table, clock: Clock, *, lag: float = LAG, file: Path | None = None) -> None:
        """Start with the rows of ``file``, or none. Raises ConfigurationError where the file is no such state."""
        self.table = table
        self.lag = lag
        self.lock = threading.RLock()
        self._clock = clock
        self._file = file
        self._rows: dict[str, Row] = {}
        self._ids: dict[str, str] = {}
        self._numbers: list[int] = []
        self._guids: list[str] = []
        self._version = 1_000_000
        self._visible: dict[str, Mapping[str, Any]] = {}
        self._waiting: deque[_Change] = deque()
        self._journal: list[tuple[str, Row | None]] | None = None
        self._unsaved = True
        if file is not None and file.exists():
            self._load(file)

    def __len__(self) -> int:
        with self.lock:
            return len(self._rows)

    def add(self, key: str | None, *, listed: bool = True, guid: str | None = None, **columns: str) -> Row:
        """Make a row that seems to have been there for long: the public site shows it at once."""
        table = self.table
        with self.lock:
            row = self.create(guid, {**columns, table.key_column: key, table.listed_column: listed})
            if listed:
                self._waiting.pop()
                self._visible[row.guid] = row.values
            return row

    def by_id(self, guid: str) -> Row | None:
        """Return the row of an id, in lower case."""
        with self.lock:
            return self._rows.get(guid)

    def by_key(self, key: str) -> Row | None:
        """Return the row of a key."""
        with self.lock:
            return self._rows.get(self._ids.get(key, ""))

    def create(self, guid: str | None, values: Mapping[str, Any]) -> Row:
        """Make a row; a flag that is not given is off. Raises KeyError where another row has the key."""
        table = self.table
        with self.lock:
            empty: dict[str, Any] = dict.fromkeys((table.key_column, *table.columns))
            row = Row(
                guid or str(uuid.uuid4()),
                self._numbers[-1] + 1 if self._numbers else 1,
                self._next_version(),
                {**empty, table.listed_column: False, **values},
            )
            self._put(None, row)
            self._numbers.append(row.number)
            self._guids.append(row.guid)
            return row

    def update(self, row: Row, values: Mapping[str, Any]) -> Row:
        """Change a row, whose ETag changes even where nothing else does. Raises KeyError as ``create`` does."""
        with self.lock:
            changed = Row(row.guid, row.number, self._next_version(), {**row.values, **values})
            self._put(row, changed)
            return changed

    def delete(self, row: Row) -> None:
        """Remove a row."""
        with self.lock:
            self._put(row, None)

    def page(self, after: int, size: int, wanted: Callable[[Row], bool]) -> tuple[list[Row], bool]:
        """Return up to ``size`` wanted rows whose number is above ``after``, and whether there are more."""
        found: list[Row] = []
        with self.lock:
            for place in range(bisect_right(self._numbers, after), len(self._numbers)):
                row = self._rows.get(self._guids[place])
                if row is None or row.number != self._numbers[place] or not wanted(row):
                    continue
                if len(found) == size:
                    return found, True
                found.append(row)
        return found, False

    def count(self, wanted: Callable[[Row], bool]) -> int:
        """Return how many rows are wanted."""
        with self.lock:
            return sum(map(wanted, self._rows.values()))

    @contextmanager
    def atomic(self) -> Iterator[None]:
        """Make every write of the block or, where it raises, none. One inside another is part of that one."""
        with self.lock:
            if self._journal is not None:
                yield
                return
            waiting = len(self._waiting)
            self._journal = []
            try:
                yield
            except BaseException:
                for guid, before in reversed(self._journal):
                    self._restore(guid, before)
                while len(self._waiting) > waiting:
                    self._waiting.pop()
                raise
            finally:
                self._journal = None

    def listed(self) -> set[str | None]:
        """Return the keys of those who are listed as far as accepted changes go."""
        table = self.table
        with self.lock:
            return {row.values[table.key_column] for row in self._rows.values() if row.values[table.listed_column]}

    def public(self) -> Public:
        """Return what the public site shows now, ordered by key."""
        with self.lock:
            due = self._clock() - self.lag
            while self._waiting and self._waiting[0].at <= due:
                change = self._waiting.popleft()
                if change.shown is None:
                    self._visible.pop(change.guid, None)
                else:
                    self._visible[change.guid] = change.shown
                self._unsaved = True
            key = self.table.key_column
            return Public(sorted(self._visible.values(), key=lambda each: each[key] or ""), len(self._waiting))

    def public_listed(self) -> set[str | None]:
        """Return the keys of those whom the public site shows now."""
        return {each[self.table.key_column] for each in self.public().listed}

    def save(self) -> None:
        """Write everything to the file if there is one and something changed: the file is whole at any moment.

        Raises ConfigurationError where it cannot be written.
        """
        with self.lock:
            if self._file is None or not self._unsaved:
                return
            document = {
                "entity_set": self.table.entity_set,
                "version": self._version,
                "rows": [[row.guid, row.number, row.version, row.values] for row in self._in_order()],
                "visible": self._visible,
                "waiting": list(self._waiting),
            }
            try:
                _write(self._file, document)
            except OSError as exc:
                msg = f"The simulator's state file cannot be written ({type(exc).__name__})."
                raise ConfigurationError(msg, hint="Name another one.") from exc
            self._unsaved = False

    def _next_version(self) -> int:
        self._version += 1
        return self._version

    def _put(self, before: Row | None, after: Row | None) -> None:
        key = self.table.key_column
        old, new = (row.values[key] if row else None for row in (before, after))
        if new is not None and new != old and new in self._ids:
            raise KeyError(new)
        guid = (before or after).guid  # type: ignore[union-attr] # one of them is there
        if self._journal is not None:
            self._journal.append((guid, before))
        self._replace(guid, before, after)
        shown = self._shown(after)
        if self._shown(before) != shown:
            self._waiting.append(_Change(self._clock(), guid, shown))

    def _restore(self, guid: str, before: Row | None) -> None:
        self._replace(guid, self._rows.get(guid), before)

    def _replace(self, guid: str, before: Row | None, after: Row | None) -> None:
        key = self.table.key_column
        if before is not None and before.values[key] is not None:
            del self._ids[before.values[key]]
        if after is None:
            del self._rows[guid]
        else:
            self._rows[guid] = after
            if after.values[key] is not None:
                self._ids[after.values[key]] = guid
        self._unsaved = True

    def _shown(self, row: Row | None) -> Mapping[str, Any] | None:
        return row.values if row and row.values[self.table.listed_column] else None

    def _in_order(self) -> Iterable[Row]:
        return sorted(self._rows.values(), key=lambda row: row.number)

    def _load(self, file: Path) -> None:
        try:
            document = json.loads(file.read_text(encoding="utf-8"))
            if document["entity_set"] != self.table.entity_set:
                msg = f"The simulator's state file is of the table {document['entity_set']}."
                raise ConfigurationError(msg, hint="Name another file, or that table.")
            rows = [Row(*each) for each in document["rows"]]
            self._version = document["version"]
            self._visible = document["visible"]
            self._waiting = deque(_Change(*each) for each in document["waiting"])
            for row in rows:
                self._replace(row.guid, None, row)
        except (OSError, ValueError, KeyError, TypeError) as exc:
            msg = f"The simulator's state file cannot be used ({type(exc).__name__})."
            raise ConfigurationError(msg, hint="Remove it, or name another one.") from exc
        self._numbers = [row.number for row in rows]
        self._guids = [row.guid for row in rows]
        self._unsaved = False


def _write(file: Path, document: Any) -> None:
    """Write a JSON file that is either the old one or the new one, whenever this is cut short."""
    beside = file.with_name(f".{file.name}.new")
    with beside.open("w", encoding="utf-8") as stream:
        json.dump(document, stream, ensure_ascii=False)
        stream.flush()
        os.fsync(stream.fileno())
    beside.replace(file)
