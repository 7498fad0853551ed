"""Plays a timeline against certjobs night by night and holds every night against the oracle."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Literal, Protocol

from .administrator import BY_HAND, BY_JOB, State
from .oracle import NEVER, Entry, Night, Oracle
from .register import Timeline, write_roster

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from datetime import date

    import psycopg

    Connection = psycopg.Connection[tuple[Any, ...]]

DONE = 0
REFUSED = 4
STATES = "SELECT external_ref, status, pause_reason, certification_expiry FROM peer_mentors"
LAST_EVENT = "SELECT coalesce(max(id), 0) FROM mentor_status_events"
EVENTS = """
    SELECT event.event, mentor.external_ref, event.effective_on
    FROM mentor_status_events AS event
    JOIN peer_mentors AS mentor ON mentor.id = event.mentor_id
    WHERE event.id > %s AND event.event IN ('expired_cert', 'paused', 'reinstated')
"""
LAST_DISPATCH = "SELECT coalesce(max(id), 0) FROM reminder_dispatch_log"
LEDGER = """
    SELECT mentor.external_ref, entry.certification_expiry, entry.threshold_day, entry.status
    FROM cert_expiry_reminders AS entry
    JOIN peer_mentors AS mentor ON mentor.id = entry.mentor_id
    WHERE entry.decided_on = %s
"""
TOLD = """
    SELECT mentor.external_ref, attempt.certification_expiry, attempt.threshold_day, count(*)
    FROM reminder_dispatch_log AS attempt
    JOIN peer_mentors AS mentor ON mentor.id = attempt.mentor_id
    WHERE attempt.id > %s AND attempt.kind = 'reminder' AND attempt.outcome = 'sent'
    GROUP BY 1, 2, 3
"""


class Run(Protocol):
    """Executes one certjobs command, in this process or in a real one, and keeps what it printed."""

    stdout: str

    def __call__(self, argv: list[str], /, *, process: bool = False) -> int:
        """Return the command's exit code."""
        ...


@dataclass(frozen=True)
class Stage:
    """Where the timeline is played: the product, its database, and a folder for the roster files."""

    run: Run
    connection: Connection
    timeline: Timeline
    folder: Path

    def play(self, night: Night, *, process: bool) -> None:
        """Play one day and its night, and assert that everything is as the oracle says."""
        before = self._last_event()
        self._import_roster(night)
        for action in night.actions:
            self._do(action.argv())
        if night.ran:
            self._run_job(night, process=process)
        self._assert_events(night, before)
        self._assert_states(night)
        if night.paused:
            self._assert_again_is_nothing(night)

    def _import_roster(self, night: Night) -> None:
        rows = self.timeline.roster_rows(night.day, night.since)
        if rows:
            path = self.folder / f"roster-{night.day}.csv"
            write_roster(path, rows)
            self._do(["roster", "import", str(path), "--as-of", night.day.isoformat()])

    def _run_job(self, night: Night, *, process: bool) -> None:
        check = ["expiry-check", "--as-of", night.day.isoformat(), "--json"]
        if night.refused:
            before = self._last_event()
            self._do(check, REFUSED, process=process)
            assert self._last_event() == before, f"{night.day}: a refused run has paused someone"
            for guarded in self._guarded():
                self._do(["approve", guarded, "--reason", "replay: the backlog is known"])
        self._do(check, process=process)
        self._remind(night, process=process)

    def _remind(self, night: Night, *, process: bool) -> None:
        """Let the coordinators be reminded, and hold the ledger and what they were told against the oracle."""
        remind = ["remind", "--as-of", night.day.isoformat(), "--json"]
        before = self._last_dispatch()
        self._do(remind, process=process)
        rows = self.connection.execute(LEDGER, (night.day,)).fetchall()
        found = {Entry(ref, expiry, threshold): status for ref, expiry, threshold, status in rows}
        expected = dict.fromkeys(night.reminded, "due") | dict.fromkeys(night.overtaken, "superseded")
        assert found == expected, f"{night.day}: the ledger has {found}, expected {expected}"
        coordinators = {mentor.ref: len(mentor.coordinators) or 1 for mentor in self.timeline.known(night.day)}
        told = {Entry(*row): number for *row, number in self.connection.execute(TOLD, (before,))}
        owed = {entry: coordinators[entry.mentor_ref] for entry in night.reminded}
        assert told == owed, f"{night.day}: told {told}, expected {owed}"
        before = self._last_dispatch()
        self._do(remind)
        assert self._last_dispatch() == before, f"{night.day}: the same run again has told somebody something"

    def _last_dispatch(self) -> int:
        row = self.connection.execute(LAST_DISPATCH).fetchone()
        return int(row[0]) if row else 0

    def _guarded(self) -> list[str]:
        hashes = [str(guarded["hash"]) for guarded in json.loads(self.run.stdout)["guarded"]]
        assert hashes, "a refused run must name what it refused"
        return hashes

    def _assert_again_is_nothing(self, night: Night) -> None:
        before = self._last_event()
        self._do(["expiry-check", "--as-of", night.day.isoformat(), "--json"])
        assert self._last_event() == before, f"{night.day}: the same run again has changed a mentor"

    def _assert_events(self, night: Night, before: int) -> None:
        rows = self.connection.execute(EVENTS, (before,)).fetchall()
        assert {day for _, _, day in rows} <= {night.day}, f"{night.day}: events of another day"
        happened = sorted((str(event), str(ref)) for event, ref, _ in rows)
        assert happened == night.events, f"{night.day}: happened {happened}, expected {night.events}"
        paused = {ref for event, ref in happened if event == BY_JOB}
        assert paused == night.paused, f"{night.day}: paused {paused}, expected {night.paused}"

    def _assert_states(self, night: Night) -> None:
        found = {str(ref): state_of(*columns) for ref, *columns in self.connection.execute(STATES)}
        refs = sorted(found.keys() | night.states.keys())
        pairs = {ref: (found.get(ref), night.states.get(ref)) for ref in refs}
        differing = {ref: pair for ref, pair in pairs.items() if pair[0] != pair[1]}
        assert not differing, f"{night.day}: found and expected differ for {differing}"

    def _last_event(self) -> int:
        row = self.connection.execute(LAST_EVENT).fetchone()
        return int(row[0]) if row else 0

    def _do(self, argv: list[str], expected: int = DONE, *, process: bool = False) -> None:
        code = self.run(argv, process=process)
        assert code == expected, f"certjobs {' '.join(argv)}: exit {code}, not {expected}\n{self.run.stdout}"


def replay(
    run: Run,
    connection: Connection,
    timeline: Timeline,
    oracle: Oracle,
    nights: Sequence[date],
    *,
    skip: Collection[date] = NEVER,
    real_processes: int = 0,
) -> tuple[Night, ...]:
    """Play these nights from an empty roster, assert each against the oracle, and return what it said.

    The job runs as a real process on the ``real_processes`` nights that pause most; all else is in-process.
    """
    expected = oracle.expect(timeline, nights, skip)
    fullest = sorted((night for night in expected if night.ran), key=lambda night: (-len(night.paused), night.day))
    as_process = {night.day for night in fullest[:real_processes]}
    with TemporaryDirectory() as folder:
        stage = Stage(run, connection, timeline, Path(folder))
        assert run(["orgs", "set", "HLF", "--fallback-address", "office@example.org", "--reason", "replay"]) == DONE
        for night in expected:
            stage.play(night, process=night.day in as_process)
    return expected


def state_of(status: Literal["active", "paused"], reason: str | None, expiry: date | None) -> State:
    """Read a row as the oracle would put it: any reason for a pause but the job's is a person's."""
    by_a_person = status == "paused" and reason not in (None, BY_JOB)
    return State(status, BY_HAND if by_a_person else reason, expiry)
