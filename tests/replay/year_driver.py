"""Plays a year against certjobs and a portal, day by day, and holds every night against the oracle."""

from __future__ import annotations

import csv
import io
from collections import defaultdict, deque
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, NoReturn

import psycopg
import pytest
from psycopg import sql

from .administrator import BY_JOB
from .driver import DONE, EVENTS, LAST_DISPATCH, LAST_EVENT, LEDGER, REFUSED, STATES, TOLD, state_of
from .oracle import Entry
from .register import COLUMNS, ONE_DAY
from .year import MASS, PEOPLE
from .year_chance import FIRST
from .year_oracle import STATUSES, chapter_of, missing

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import date

    from certjobs.local.simulator.faults import Fault
    from tests.conftest import Certjobs, Result, TestDatabase
    from tests.portal import Portal

    from .register import Mentor
    from .year import Day, Event, Trouble
    from .year_oracle import Expected

    Connection = psycopg.Connection[tuple[Any, ...]]

FAILED, PARTIAL, UNREACHABLE, REJECTED = 1, 3, 69, 77
STEPS = ("expiry-check", "remind", "sync", "reconcile")
A_DAY = 24 * 60 * 60
APPROVED_FOR = 2 * ONE_DAY
PAGE = 20  # entries, so that the listing has several pages
WHY = ("--reason", "replay")
CLIENT = "certjobs.adapters.dataverse.client"
REMEMBERED = 12
PAUSES_TOLD = """
    SELECT mentor.external_ref, count(*)
    FROM reminder_dispatch_log AS attempt
    JOIN peer_mentors AS mentor ON mentor.id = attempt.mentor_id
    WHERE attempt.id > %s AND attempt.kind = 'pause' AND attempt.outcome = 'sent'
    GROUP BY 1
"""
LAST_FINDING = "SELECT coalesce(max(id), 0) FROM reconciliation_log"
FINDINGS = """
    SELECT finding.id, finding.finding, mentor.external_ref
    FROM reconciliation_log AS finding
    JOIN peer_mentors AS mentor ON mentor.id = finding.mentor_id
    WHERE (finding.id > %s OR finding.id <= %s AND finding.cleared_at IS NULL)
    AND finding.finding IN ('missing', 'extra')
"""
LAGGING = """
    SELECT mentor.external_ref
    FROM reconciliation_log AS finding
    JOIN peer_mentors AS mentor ON mentor.id = finding.mentor_id
    WHERE finding.id > %s AND finding.finding = 'lagging'
"""
UNKNOWN = "SELECT count(*) > 0 FROM reconciliation_log WHERE finding = 'unknown'"
QUEUED = """
    SELECT operation.id, operation.status
    FROM sync_queue AS operation
    JOIN peer_mentors AS mentor ON mentor.id = operation.mentor_id
    WHERE mentor.external_ref = %s
    ORDER BY operation.id
"""
LAST_QUEUED = "SELECT coalesce(max(id), 0) FROM sync_queue"
OPEN = """
    SELECT coalesce(mentor.external_ref, operation.mentor_ref), operation.status, operation.last_error
    FROM sync_queue AS operation
    LEFT JOIN peer_mentors AS mentor ON mentor.id = operation.mentor_id
    WHERE operation.status IN ('pending', 'failed', 'processing')
"""
MOVE = """
    UPDATE peer_mentors AS mentor
    SET organisation_id = chapter.organisation_id, chapter_id = chapter.id
    FROM chapters AS chapter
    JOIN organisations AS organisation ON organisation.id = chapter.organisation_id
    WHERE organisation.code = %s AND chapter.name = %s AND mentor.external_ref = %s
"""
MOMENTS = """
    SELECT c.table_name, array_agg(c.column_name::text)
    FROM information_schema.columns AS c
    JOIN information_schema.tables AS t USING (table_schema, table_name)
    WHERE c.table_schema = 'public' AND t.table_type = 'BASE TABLE'
    AND c.data_type = 'timestamp with time zone' AND c.column_name <> 'backend_start'
    GROUP BY 1
"""


@dataclass(frozen=True)
class Codes:
    """How the steps of a night ended; a step that did not run has none."""

    steps: Mapping[str, int]

    def of(self, step: str) -> int | None:
        return self.steps.get(step)

    def well(self, partial: Iterable[str] = ()) -> bool:
        """Tell whether every step ended well; those that are named may have left something to a person."""
        return all(
            code == DONE or (code == PARTIAL and step in partial) for step, code in self.steps.items()
        ) and self.steps.keys() == {*STEPS}

    def __str__(self) -> str:
        return ", ".join(f"{step} {code}" for step, code in self.steps.items())


@dataclass
class Memory:
    """What happened lately, to everybody and to each mentor, for whoever has to find out what went wrong."""

    seed: int
    nights: deque[str] = field(default_factory=lambda: deque(maxlen=REMEMBERED))
    of: dict[str, deque[str]] = field(default_factory=lambda: defaultdict(lambda: deque(maxlen=REMEMBERED)))

    def note(self, day: date, what: object, ref: str = "") -> None:
        (self.of[ref] if ref else self.nights).append(f"{day}: {what}")

    def fail(self, day: date, what: str, refs: Iterable[str] = ()) -> NoReturn:
        """Fail with what is wrong, and with what happened before it."""
        lines = [f"seed {self.seed}, night of {day}: {what}", "The last nights:", *self.nights]
        for ref in sorted(refs):
            lines += [f"What happened to {ref}:", *self.of[ref]]
        pytest.fail("\n  ".join(lines), pytrace=False)

    def compare(self, day: date, what: str, found: Mapping[Any, Any], expected: Mapping[Any, Any]) -> None:
        """Fail where two answers about mentors differ, with each difference."""
        differing = [key for key in found.keys() | expected.keys() if found.get(key) != expected.get(key)]
        if not differing:
            return
        told = [f"{key}: expected {expected.get(key)}, found {found.get(key)}" for key in sorted(differing, key=str)]
        self.fail(
            day, f"{what}\n    " + "\n    ".join(told), {key[0] if isinstance(key, tuple) else key for key in differing}
        )


@dataclass
class Year:
    """Where a year is played: the product, its database, the portal, and what may be shown for the time being.

    - ``since``: what the website may show of a mentor until a night ends well: what it showed when the last one did,
      what somebody made of it, and what the rule wanted at some moment since.
    - ``edited``: whom somebody listed or took off since a night last ran. ``changed``: to whom something else was done;
      ``changed_there``: whose entry came or went, or who came from others.
    - ``settled``: whether the last night that ran ended well and undisturbed; ``at_rest``: whether nothing is left.
    - ``given_up``: how many operations there are about each who is missing for want of an entry.
    - ``approved_on``: when a person last let the guard's set through, which counts for 48 hours.
    - ``misled``: while the listing's pages lead astray, which a run may call a failure.
    - ``seen``: what happened, for whoever wants to know that it did. ``rules``: what the rule wanted last.
    """

    certjobs: Certjobs
    database: TestDatabase
    portal: Portal
    connection: Connection
    memory: Memory
    since: dict[str, set[bool]] = field(default_factory=lambda: defaultdict(set))
    edited: dict[str, bool] = field(default_factory=dict)
    changed: set[str] = field(default_factory=set)
    changed_there: set[str] = field(default_factory=set)
    settled: bool = False
    at_rest: bool = False
    given_up: dict[str, int] = field(default_factory=dict)
    strangers: int = 0
    misled: bool = False
    approved_on: date | None = None
    seen: list[str] = field(default_factory=list)
    rules: dict[str, bool] = field(default_factory=dict)

    @cached_property
    def reconciles(self) -> bool:
        """Tell whether the product has its reconciliation."""
        return self.certjobs("reconcile", "--help").exit_code == DONE

    @cached_property
    def nightly(self) -> bool:
        """Tell whether the product has its night as one command."""
        return self.reconciles and self.certjobs("nightly", "--help").exit_code == DONE

    # The beginning.

    def begin(self, mentors: Sequence[Mentor], site: Mapping[str, bool]) -> None:
        """Import the roster, and let the website be as it is found; the first contact queues nothing."""
        day = FIRST - ONE_DAY
        for ref, listed in site.items():
            self.portal.knows(ref, listed=listed)
        self._import(mentors, day)
        self._do("orgs", "set", "HLF", "--fallback-address", "office@example.org", *WHY)
        if self.reconciles:
            before = self._number(LAST_QUEUED)
            self._do("reconcile", "--adopt", "--json", "--as-of", day.isoformat(), job=True)
            assert self._number(LAST_QUEUED) == before, "the first contact has queued something"
        for ref in site:
            self.since[ref] |= {True, False}  # nobody knows yet

    def _import(self, mentors: Sequence[Mentor], day: date) -> None:
        stream = io.StringIO()
        writer = csv.DictWriter(stream, COLUMNS)
        writer.writeheader()
        for mentor in mentors:
            writer.writerows(mentor.roster_rows(None, day))
        self._do("roster", "import", "-", "--as-of", day.isoformat(), stdin=stream.getvalue().encode())

    # One day.

    def play(self, day: Day, *, again: bool) -> None:
        """Play a day and its night, and hold everything against the oracle."""
        self._a_day_passes()
        events, dispatched = self._number(LAST_EVENT), self._number(LAST_DISPATCH)
        for event in day.events:
            self.memory.note(day.day, event, event.ref)
            if event.kind in PEOPLE or event.kind == "entered":
                self.changed.add(event.ref)
            if event.kind in ("moved", "entered", "deleted"):
                self.changed_there.add(event.ref)
            self._happens(event, day.day)
            self.seen.append(event.kind)
        self._remember_rule(day.expected)
        if day.missed:
            self.seen.append("missed")
            self.memory.note(day.day, "missed")
        else:
            self._night(day, dispatched)
        self._check_events(day, events)
        self._check_states(day)
        self._check_foreign(day)
        if again and not day.missed and self.at_rest:
            self._again_is_nothing(day)

    def _a_day_passes(self) -> None:
        """Let everything in the database, and the portal's clock, be a day older."""
        self.portal.clock.advance(A_DAY)
        with self.connection.transaction():
            self.connection.execute("SET LOCAL session_replication_role = replica")
            for table, columns in self._moments:
                ages = sql.SQL(", ").join(
                    sql.SQL("{0} = {0} - interval '1 day'").format(sql.Identifier(each)) for each in columns
                )
                self.connection.execute(sql.SQL("UPDATE {} SET {}").format(sql.Identifier(table), ages))

    @cached_property
    def _moments(self) -> list[tuple[str, list[str]]]:
        return [(str(table), list(columns)) for table, columns in self.connection.execute(MOMENTS)]

    # What people do, here and on the website.

    def _happens(self, event: Event, day: date) -> None:
        argv = self._command(event, day)
        if argv:
            self._do(*argv, *WHY, "--as-of", day.isoformat())
        elif event.kind == "moved":
            self._moves(event, day)
        elif event.kind == "assigned":
            self._assigned(event)
        elif event.mentor is not None:
            self._import([event.mentor], day)
            if event.entry:
                self.portal.knows(event.ref, listed=False)
                self.since[event.ref] |= {False}
        else:
            self._edit(event)

    @staticmethod
    def _command(event: Event, day: date) -> tuple[str, ...]:
        """Return the command by which an administrator does this, or nothing where it is done in another way."""
        until = ("--expires", str(event.until))
        commands: dict[str, tuple[str, ...]] = {
            "added": ("certs", "add", event.ref, "--ref", event.certificate, "--issued", day.isoformat(), *until),
            "renewed": ("certs", "renew", event.certificate, *until),
            "withdrawn": ("certs", "withdraw", event.certificate),
            "paused": ("mentors", "pause", event.ref),
            "reinstated": ("mentors", "reinstate", event.ref),
            "forced": ("mentors", "reinstate", event.ref, "--force"),
        }
        return commands.get(event.kind, ())

    def _moves(self, event: Event, day: date) -> None:
        """Move a mentor as the application does, on that day."""
        (to,) = event.to
        with psycopg.connect(self.database.url) as application:
            application.execute("SELECT set_config('certjobs.today', %s, true)", [day.isoformat()])
            moved = application.execute(MOVE, [to, chapter_of(to), event.ref])
            assert moved.rowcount == 1
        self.since[event.ref] |= {self._shown(event.ref), False} if to != "HLF" else {self._shown(event.ref)}

    def _assigned(self, event: Event) -> None:
        addresses = [each.partition("<")[2].rstrip(">") for each in event.to]
        if addresses:
            self._do("mentors", "assign", event.ref, *addresses, "--only", *WHY)
            return
        held = self.connection.execute(
            "SELECT coordinator.address FROM coordinators AS coordinator"
            " JOIN coordinator_assignments AS assigned ON assigned.coordinator_id = coordinator.id"
            " JOIN peer_mentors AS mentor ON mentor.id = assigned.mentor_id WHERE mentor.external_ref = %s",
            [event.ref],
        ).fetchall()
        if held:
            self._do("mentors", "assign", event.ref, *(str(each) for (each,) in held), "--remove", *WHY)

    def _edit(self, event: Event) -> None:
        """Change the website behind our back."""
        state = self.portal.simulator.state
        match event.kind:
            case "shown" | "hidden":
                self._set(event.ref, listed=event.kind == "shown")
            case "emptied":
                for key in self.portal.listed():
                    self._set(key, listed=False)
                for row in [each for each in self._rows() if each.values[state.table.key_column] is None]:
                    state.update(row, {state.table.listed_column: False})
            case "most hidden":
                for ref in self.portal.listed():
                    if ref in self.rules:
                        self._set(ref, listed=False)
            case "deleted":
                row = state.by_key(event.ref)
                assert row is not None
                state.delete(row)
                self.changed.add(event.ref)
            case "entered":
                self._entered(event.ref)
            case _:
                state.add(event.ref or None, listed=True)
                self.strangers += 1

    def _set(self, key: str, *, listed: bool) -> None:
        state = self.portal.simulator.state
        row = state.by_key(key)
        assert row is not None
        if row.values[state.table.listed_column] != listed:
            state.update(row, {state.table.listed_column: listed})
            self.edited[key] = listed
            self.since[key].add(listed)

    def _entered(self, ref: str) -> None:
        """Make the entry again, as an administrator does, and let what is dead for want of it be sent again."""
        self.portal.knows(ref, listed=False)
        self.since[ref] |= {False}
        queued = self.connection.execute(QUEUED, [ref]).fetchall()
        if queued and queued[-1][1] == "dead":
            self._do("queue", "retry", str(queued[-1][0]), *WHY)
            self.seen.append("dead letter retried")

    def _rows(self) -> list[Any]:
        return self.portal.simulator.state.page(0, 10_000, lambda _row: True)[0]

    # The night.

    def _remember_rule(self, expected: Expected) -> None:
        for ref, wanted in expected.wanted.items():
            self.since[ref].add(wanted)
        self.rules = dict(expected.wanted)

    def _night(self, day: Day, dispatched: int) -> None:
        """Let the night run, with its trouble, and hold what came of it against the oracle."""
        latest, entries = self._number(LAST_FINDING), len(self._rows())
        known, listed = self._findings(latest, latest), len(self.portal.listed())
        surely = self._surely_edited(day)
        faults = self._goes_wrong(day.trouble)
        self.misled = day.trouble is not None and day.trouble.misleads
        codes = self._run(day.day)
        self.misled = False
        self.portal.simulator.faults.clear()
        self._note(day, codes, befell=any(each.used for each in faults))
        if any(each.kind in MASS for each in day.events) or codes.of("reconcile") == REFUSED:
            codes = self._mass(day, codes, surely)
        self._check_codes(day, codes, min(listed, len(self.portal.listed())))
        self._check_ledger(day, dispatched)
        self._check_lagging(day, latest)
        assert len(self._rows()) == entries, "a night has made or deleted an entry"
        partial = ("sync", "reconcile") if missing(day.expected) else ()
        if codes.well(partial) and not (day.trouble and day.trouble.lasting):
            self._check_site(day)
            self._check_findings(day, codes, known, self._findings(latest), surely)
            self._check_given_up(day)
            self.since.clear()
            self.since |= {ref: {wanted} for ref, wanted in day.expected.wanted.items()}
        else:
            if day.trouble is None:
                self.memory.fail(day.day, f"nothing went wrong, and yet: {codes}")
            self._check_site_in_trouble(day, codes, surely)
        self.settled = codes.well(partial) and day.trouble is None
        self.at_rest = codes.well()
        self.edited.clear()
        self.changed.clear()
        self.changed_there.clear()

    def _surely_edited(self, day: Day) -> dict[str, bool]:
        """Return whom somebody listed or took off while nothing of ours was on its way about them."""
        excluded = self.changed | day.expected.paused
        return {ref: shown for ref, shown in self.edited.items() if self.settled and ref not in excluded}

    def _note(self, day: Day, codes: Codes, *, befell: bool) -> None:
        trouble = f", trouble: {day.trouble.name}, which befell {'it' if befell else 'nothing'}" if day.trouble else ""
        self.memory.note(day.day, f"{codes}{trouble}, paused {sorted(day.expected.paused)}")
        for ref in day.expected.paused:
            self.memory.note(day.day, "expected to be paused by the night", ref)
        if day.trouble and befell:
            self.seen.append(day.trouble.name)

    def _goes_wrong(self, trouble: Trouble | None) -> list[Fault]:
        if trouble is None:
            return []
        return [self.portal.fault(trouble.kind, area, **trouble.details) for area in trouble.areas]

    def _run(self, day: date) -> Codes:
        """Run the night: as one command where there is one, else step by step."""
        if self.nightly:
            result = self._job("nightly", day)
            steps = {str(each["job"]): int(each["exit_code"]) for each in result.json()["steps"]}
            worst = next((code for code in (1, 69, 77, 78, 4, 3, 75) if code in steps.values()), DONE)
            if result.exit_code != worst:
                self.memory.fail(day, f"nightly ended with {result.exit_code}, its steps with {steps}")
            return Codes(steps)
        codes = {step: self._job(step, day).exit_code for step in STEPS[:3]}
        return Codes(codes | {"reconcile": self._reconcile(day)})

    def _reconcile(self, day: date) -> int:
        """Reconcile alone; before there is such a command an administrator sends everybody again instead."""
        if self.reconciles:
            return self._job("reconcile", day).exit_code
        return self._job("force-sync", day, "--all", "--yes", *WHY).exit_code

    def _job(self, job: str, day: date, *options: str) -> Result:
        env = self.portal.env | {
            "CERTJOBS_NOTIFY_CHANNEL": "console",
            "CERTJOBS_PUBLIC_SITE_URL": f"{self.portal.simulator.url}/",
            "CERTJOBS_SYNC_CONCURRENCY": "1",
            "CERTJOBS_SYNC_BATCH_SIZE": "7",
        }
        result = self.certjobs(job, "--json", "--as-of", day.isoformat(), *options, url=self.database.job_url, env=env)
        if result.exit_code in (2, 78) or (result.exit_code == FAILED and not self.misled):
            self.memory.fail(
                day, f"{job} ended with {result.exit_code}\n{result.stdout[-2000:]}\n{result.stderr[-4000:]}"
            )
        return result

    def _mass(self, day: Day, codes: Codes, surely: Mapping[str, bool]) -> Codes:
        """Many are missing at once: that is refused, nothing is queued, and mended once a person approved it."""
        wanted = day.expected.wanted
        lost = {
            ref for ref, shown in surely.items() if not shown and wanted.get(ref) and ref not in day.expected.absent
        }
        active = sum(day.expected.states[ref].status == "active" for ref in wanted)
        many = len(lost) > 25 and len(lost) > active / 5
        if not self.reconciles:
            return codes
        approved = self.approved_on is not None and day.day - self.approved_on < APPROVED_FOR
        if many and not approved and codes.of("reconcile") != REFUSED:
            self.memory.fail(day.day, f"{len(lost)} of {active} are missing, and the guard lets it pass: {codes}")
        if codes.of("reconcile") != REFUSED:
            return codes
        self.seen.append("mass refused")
        still = {ref for ref in lost if self._shown(ref)}
        if still:
            self.memory.fail(day.day, "listed again though the guard refused it", still)
        pending = self.connection.execute("SELECT hash FROM guarded_sets WHERE approved_at IS NULL").fetchall()
        assert pending, "a refused run must store what it refused"
        for (guarded,) in pending:
            self._do("approve", str(guarded), *WHY)
        self.approved_on = day.day
        return Codes({**codes.steps, "reconcile": self._job("reconcile", day.day).exit_code})

    # What must be so after it.

    def _check_codes(self, day: Day, codes: Codes, fewest: int) -> None:
        """Pauses and reminders do not depend on the portal; what does may end badly where that is in trouble.

        ``fewest``: how many entries the listing had, before the night or after it.
        """
        allowed: dict[str, set[int]] = {step: {DONE} for step in STEPS}
        if day.trouble is not None:
            allowed["sync"] = allowed["reconcile"] = {DONE, PARTIAL, UNREACHABLE, REJECTED}
            if day.trouble.of_reading:
                allowed["sync"] = {DONE, PARTIAL} if missing(day.expected) else {DONE}
                if self.reconciles:
                    allowed["reconcile"] = {FAILED} if day.trouble.misleads else {UNREACHABLE, PARTIAL}
                if fewest <= PAGE:  # there is no second page for anything to befall
                    allowed["reconcile"] = allowed["reconcile"] | {DONE}
        elif missing(day.expected):
            allowed["sync"] = allowed["reconcile"] = {DONE, PARTIAL}
        for step, code in codes.steps.items():
            if code not in allowed[step]:
                expected = f"not one of {sorted(allowed[step])}; open: {self.connection.execute(OPEN).fetchall()}"
                self.memory.fail(day.day, f"{step} ended with {code}, {expected}")

    def _check_ledger(self, day: Day, dispatched: int) -> None:
        """The ledger of the night, and who was told of what, are the oracle's."""
        expected = day.expected
        rows = self.connection.execute(LEDGER, (day.day,)).fetchall()
        found = {Entry(ref, expiry, threshold): status for ref, expiry, threshold, status in rows}
        due = dict.fromkeys(expected.reminded, "due") | dict.fromkeys(expected.overtaken, "superseded")
        self.memory.compare(day.day, "the ledger differs", found, due)
        told = {Entry(*row): number for *row, number in self.connection.execute(TOLD, (dispatched,))}
        owed = {entry: expected.coordinators[entry.mentor_ref] for entry in expected.reminded}
        self.memory.compare(day.day, "the reminders sent differ", told, owed)
        told_of_pauses = {str(ref): int(number) for ref, number in self.connection.execute(PAUSES_TOLD, (dispatched,))}
        owed_of_pauses = {ref: expected.coordinators[ref] for ref in expected.paused}
        self.memory.compare(day.day, "the notices of pauses sent differ", told_of_pauses, owed_of_pauses)

    def _check_site(self, day: Day) -> None:
        """The website shows what the rule wants of everybody, at once as far as it accepted, and after the lag."""
        expected = day.expected
        wanted = {ref: listed for ref, listed in expected.wanted.items() if ref not in expected.absent}
        self.memory.compare(day.day, "the website differs from the rule", self._accepted(wanted), wanted)
        left = [each for each in self.connection.execute(OPEN) if str(each[0]) not in expected.absent]
        if left:
            self.memory.fail(day.day, f"everything is as it should be, and operations are open: {left}")
        self.portal.clock.advance(self.portal.simulator.state.lag)
        public = self.portal.simulator.state.public_listed()
        shown = {ref: ref in public for ref in wanted}
        self.memory.compare(day.day, "the public view differs from the rule after the lag", shown, wanted)
        for ref in missing(expected):
            statuses = [status for _, status in self.connection.execute(QUEUED, [ref])]
            if not statuses or statuses[-1] != "dead":
                self.memory.fail(
                    day.day, f"without an entry, and its operations are {statuses}, the last not dead", [ref]
                )
            self.seen.append("dead letter")

    def _findings(self, newer_than: int, not_over_before: int = 0) -> set[tuple[str, str]]:
        """Return the findings about mentors that are newer than one, and those before another that are not over."""
        rows = self.connection.execute(FINDINGS, [newer_than, not_over_before])
        return {(str(ref), str(kind)) for _, kind, ref in rows}

    def _check_lagging(self, day: Day, latest: int) -> None:
        """Nobody is said to be shown for too long whom nobody made so: the public view follows within its lag."""
        lagging = {str(ref) for (ref,) in self.connection.execute(LAGGING, [latest])}
        unfounded = {ref for ref in lagging if self.since[ref] == {False}}
        if unfounded:
            self.memory.fail(day.day, "said to be shown for too long, and the public view has long followed", unfounded)

    def _check_given_up(self, day: Day) -> None:
        """What is dead for want of an entry is not queued again while nothing about the mentor changes."""
        counted = {ref: len(self.connection.execute(QUEUED, [ref]).fetchall()) for ref in missing(day.expected)}
        for ref, number in counted.items():
            if self.reconciles and ref not in self.changed and number != self.given_up.get(ref, number):
                self.memory.fail(day.day, "queued again though the same was given up", [ref])
        self.given_up = counted

    def _check_findings(
        self,
        day: Day,
        codes: Codes,
        known: set[tuple[str, str]],
        new: set[tuple[str, str]],
        surely: Mapping[str, bool],
    ) -> None:
        """What somebody changed on the website is found, as what it is; what people did here was sync's to carry."""
        if not self.reconciles:
            return
        wanted = day.expected.wanted
        owed = {
            (ref, "extra" if shown else "missing")
            for ref, shown in surely.items()
            if ref in wanted and shown != wanted[ref] and ref not in day.expected.absent
        }
        lacking = owed - known - new
        if lacking:
            self.memory.fail(day.day, f"what somebody changed is not found: {lacking}", {ref for ref, _ in lacking})
        present = wanted.keys() - day.expected.absent
        contrary = {(ref, kind) for ref, kind in new if ref in present and self.since[ref] == {kind == "missing"}}
        if contrary:
            self.memory.fail(day.day, f"found, though the website never differed: {contrary}", {r for r, _ in contrary})
        astray = {(ref, kind) for ref, kind in new if ref in present - self.edited.keys() - self.changed_there}
        if astray and self.settled and codes.of("sync") == DONE:
            self.memory.fail(
                day.day, f"sync left it to reconcile, and nobody made it so: {astray}", {r for r, _ in astray}
            )
        if self.strangers and not self._number(UNKNOWN):
            self.memory.fail(day.day, "an entry that nobody has is not reported")

    def _check_site_in_trouble(self, day: Day, codes: Codes, surely: Mapping[str, bool]) -> None:
        """Nobody is shown, or not, as the rule never wanted them and nobody made them since a night last ended well."""
        expected = day.expected
        ours = {ref: listed for ref, listed in expected.wanted.items() if ref not in expected.absent}
        accepted = self._accepted(ours)
        wrong = {ref for ref, shown in accepted.items() if shown not in self.since[ref]}
        if wrong:
            self.memory.fail(day.day, "the website shows what nobody ever wanted", wrong)
        if codes.of("reconcile") != DONE and day.trouble is not None and day.trouble.of_reading:
            mended = {ref for ref, shown in surely.items() if ref in accepted and accepted[ref] != shown}
            if mended:
                self.memory.fail(day.day, "mended though the listing could not be read to its end", mended)
            if surely:
                self.seen.append("not mended unread")

    def _check_events(self, day: Day, before: int) -> None:
        """The status events of the day are what people did and whom the night had to pause."""
        rows = self.connection.execute(EVENTS, (before,)).fetchall()
        by_hand = [(STATUSES[each.kind], each.ref) for each in day.events if each.kind in STATUSES]
        expected = sorted([*by_hand, *((BY_JOB, ref) for ref in day.expected.paused)])
        happened = sorted((str(event), str(ref)) for event, ref, _ in rows)
        if happened != expected or {on for _, _, on in rows} - {day.day}:
            refs = {ref for _, ref in set(happened) ^ set(expected)}
            self.memory.fail(day.day, f"status events {rows}, expected {expected}", refs)

    def _check_states(self, day: Day) -> None:
        found = {str(ref): state_of(*columns) for ref, *columns in self.connection.execute(STATES)}
        self.memory.compare(day.day, "mentors differ", found, day.expected.states)

    def _check_foreign(self, day: Day) -> None:
        """What is not ours is as somebody else left it, on every night; who has left may still be listed for now."""
        foreign = day.expected.foreign
        found = {key: self._shown(key) for key in foreign}
        for key, shown in found.items():
            if shown != foreign[key] and shown not in self.since.get(key, set()):
                self.memory.compare(day.day, "what is not ours was touched", found, foreign)

    def _again_is_nothing(self, day: Day) -> None:
        """The same night again pauses nobody, tells nobody, queues nothing and changes nothing on the website."""

        def everything() -> dict[str, Any]:
            numbers = {each: self._number(each) for each in (LAST_EVENT, LAST_DISPATCH, LAST_QUEUED, LAST_FINDING)}
            return {**numbers, "listed": self.portal.listed()}

        before = everything()
        if not self.nightly:
            for step in STEPS[:3]:
                self._job(step, day.day)
        else:
            self._job("nightly", day.day)
        self.memory.compare(day.day, "the same night again has changed something", everything(), before)
        self.seen.append("again")

    def _accepted(self, refs: Iterable[str]) -> dict[str, bool]:
        return {ref: self._shown(ref) for ref in refs}

    def _shown(self, key: str) -> bool:
        row = self.portal.simulator.state.by_key(key)
        return row is not None and bool(row.values[self.portal.simulator.state.table.listed_column])

    def _number(self, query: str) -> int:
        row = self.connection.execute(query.encode()).fetchone()
        return int(row[0]) if row else 0

    def _do(self, *argv: str, stdin: bytes = b"", job: bool = False) -> None:
        """Carry out a command that must succeed."""
        url = self.database.job_url if job else None
        result = self.certjobs(*argv, url=url, env=self.portal.env if job else None, stdin=stdin)
        assert result.exit_code == DONE, f"certjobs {' '.join(argv)}: exit {result.exit_code}\n{result.stderr}"
