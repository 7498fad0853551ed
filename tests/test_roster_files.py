"""``roster import`` and ``roster export`` as files: round trips, rejects, other layouts, and what is hostile."""

from __future__ import annotations

import csv
import io
import os
import resource
import shlex
import subprocess
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any
from unicodedata import normalize

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from psycopg import sql

from certjobs.domain.roster_row import COLUMNS
from tests.conftest import TEMPLATE, _database
from tests.roster import KARI, OLA, Mentor, file_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from tests.conftest import Certjobs, CertjobsProcess, Cluster, Result, TestDatabase

HEADER = ",".join(COLUMNS)
REJECT_COLUMNS = ["rejected_line", "rejected_because"]
EXAMPLES = max(5, settings.default.max_examples // 3) if settings.default else 5


@pytest.fixture(scope="module")
def shared(cluster: Cluster) -> Iterator[TestDatabase]:
    """Give these many small tests one database: to empty a roster is quicker than to clone one."""
    yield from _database(cluster, TEMPLATE)


@pytest.fixture
def database(shared: TestDatabase) -> TestDatabase:
    """Give the test a roster of nobody: HLF exists, no mentor does. The audit of earlier tests may be there."""
    forget(shared)
    return shared


def person(ref: str, **changes: str) -> dict[str, str]:
    """Return a good row of a mentor with a certification, but for these changes."""
    return Mentor(ref, 30).row() | changes


def write(
    rows: Iterable[Mapping[str, str]],
    columns: Sequence[str] = COLUMNS,
    *,
    delimiter: str = ",",
    encoding: str = "utf-8",
) -> bytes:
    """Return a roster file written in one of the ways there are."""
    stream = io.StringIO(newline="")
    writer = csv.DictWriter(stream, columns, delimiter=delimiter, lineterminator="\r\n")
    writer.writeheader()
    writer.writerows(rows)
    return stream.getvalue().encode(encoding)


def lines(*texts: str | bytes) -> bytes:
    """Return a file of the usual header and these lines."""
    return b"\n".join(each if isinstance(each, bytes) else each.encode() for each in (HEADER, *texts)) + b"\n"


def contents(database: TestDatabase) -> dict[str, list[str]]:
    """Return every row of every table."""
    with database.connect() as connection:
        tables = connection.execute(
            "SELECT table_name FROM information_schema.tables"
            " WHERE table_schema = 'public' AND table_type = 'BASE TABLE' ORDER BY 1"
        ).fetchall()
        query = sql.SQL("SELECT to_jsonb(t)::text FROM {} t ORDER BY 1")
        return {
            name: [text for (text,) in connection.execute(query.format(sql.Identifier(name)))] for (name,) in tables
        }


def refs(database: TestDatabase) -> list[str]:
    """Return the mentors there are."""
    return [ref for (ref,) in database.all('SELECT external_ref FROM peer_mentors ORDER BY external_ref COLLATE "C"')]


def took(certjobs: Certjobs, file: bytes | Path, *options: str) -> dict[str, Any]:
    """Import a file that must be accepted, and return what it changed: the counts that are not 0."""
    path, stdin = ("-", file) if isinstance(file, bytes) else (str(file), b"")
    result = certjobs("roster", "import", path, "--json", *options, stdin=stdin)
    assert result.exit_code == 0, result
    document: dict[str, Any] = result.json()
    return {name: number for name, number in document.items() if number and name not in ("rows", "dry_run")}


def refused(certjobs: Certjobs, file: bytes, *options: str) -> list[tuple[int, str, str]]:
    """Import a file that must be refused for its contents, and return its problems."""
    result = certjobs("roster", "import", "-", "--json", *options, stdin=file)
    assert result.exit_code == 65, result
    return [(each["line"], each["column"], each["reason"]) for each in result.json()["problems"]]


def exported(certjobs: Certjobs, *options: str) -> bytes:
    """Return the roster's file; it must be one that import takes."""
    result = certjobs("roster", "export", *options)
    assert (result.exit_code, result.stderr) == (0, "")
    return result.stdout.encode()


def rows_of(path: Path) -> list[list[str]]:
    """Return the rows of a rejects file below its header, which must be that of the file with two columns before."""
    with path.open(encoding="utf-8", errors="surrogateescape", newline="") as stream:
        header, *rows = csv.reader(stream, strict=True)
    assert header[:2] == REJECT_COLUMNS
    return rows


def mode(path: Path) -> int:
    """Return who may do what with a file."""
    return path.stat().st_mode & 0o7777


def assert_usage(result: Result) -> None:
    """Say that a command was refused for how it was called, in words."""
    assert result.exit_code == 2, result
    assert "Traceback" not in result.stderr
    assert result.stderr.strip()


@contextmanager
def small_files(size: int) -> Iterator[None]:
    """Let this process write no file beyond a size, as a full disk would."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


# An application's own rosters, straight into the database.


@dataclass
class Person:
    """A mentor as an application keeps one; coordinators by address, certifications by reference."""

    name: str
    organisation: str = "HLF"
    chapter: str = "Prøveby"
    coordinators: Sequence[str] = ()
    certifications: dict[str, tuple[date, date, date | None]] = field(default_factory=dict)


@dataclass
class Roster:
    """Mentors by reference, and coordinators' names by address."""

    people: dict[str, Person]
    directory: dict[str, str] = field(default_factory=dict)


def keep(database: TestDatabase, roster: Roster) -> None:
    """Write a roster as an application would: without certjobs."""
    with database.connect() as connection, connection.transaction():
        for address, name in roster.directory.items():
            connection.execute("INSERT INTO coordinators (address, name) VALUES (%s, %s)", (address, name))
        for ref, each in roster.people.items():
            connection.execute(
                "INSERT INTO organisations (code) VALUES (%s) ON CONFLICT DO NOTHING", (each.organisation,)
            )
            connection.execute(
                "INSERT INTO chapters (organisation_id, name) SELECT id, %s FROM organisations WHERE code = %s"
                " ON CONFLICT DO NOTHING",
                (each.chapter, each.organisation),
            )
            connection.execute(
                "INSERT INTO peer_mentors (external_ref, name, organisation_id, chapter_id)"
                " SELECT %s, %s, o.id, c.id FROM organisations o JOIN chapters c ON c.organisation_id = o.id"
                "  WHERE o.code = %s AND c.name = %s",
                (ref, each.name, each.organisation, each.chapter),
            )
            connection.execute(
                "INSERT INTO coordinator_assignments (mentor_id, coordinator_id)"
                " SELECT m.id, c.id FROM peer_mentors m, coordinators c"
                "  WHERE m.external_ref = %s AND c.address = ANY(%s)",
                (ref, list(each.coordinators)),
            )
            for certificate, (issued, expires, withdrawn) in each.certifications.items():
                connection.execute(
                    "INSERT INTO certifications (external_ref, mentor_id, issued_on, expires_on, withdrawn_on)"
                    " SELECT %s, id, %s, %s, %s FROM peer_mentors WHERE external_ref = %s",
                    (certificate, issued, expires, withdrawn, ref),
                )


def forget(database: TestDatabase) -> None:
    """Empty the roster."""
    with database.connect() as connection:
        for table in ("coordinator_assignments", "certifications", "peer_mentors", "coordinators", "chapters"):
            connection.execute(sql.SQL("DELETE FROM {}").format(sql.Identifier(table)))
        connection.execute("DELETE FROM organisations WHERE code <> 'HLF'")


def kept(database: TestDatabase) -> dict[str, Person]:
    """Return the mentors of the database, a coordinator as name and address."""
    people = {
        ref: Person(name, organisation, chapter, coordinators)
        for ref, name, organisation, chapter, coordinators in database.all(
            "SELECT m.external_ref, m.name, o.code, ch.name,"
            "       ARRAY(SELECT c.name || '@@' || c.address"
            "               FROM coordinator_assignments a JOIN coordinators c ON c.id = a.coordinator_id"
            '              WHERE a.mentor_id = m.id ORDER BY c.address COLLATE "C")'
            "  FROM peer_mentors m JOIN organisations o ON o.id = m.organisation_id"
            "  JOIN chapters ch ON ch.id = m.chapter_id"
        )
    }
    for ref, certificate, *dates in database.all(
        "SELECT m.external_ref, c.external_ref, c.issued_on, c.expires_on, c.withdrawn_on"
        "  FROM certifications c JOIN peer_mentors m ON m.id = c.mentor_id"
    ):
        people[ref].certifications[certificate] = (dates[0], dates[1], dates[2])
    return people


def spelled(text: str) -> str:
    """Return a text as it is but for outer white space and the composition of its letters."""
    return normalize("NFC", text.strip())


def as_kept_after_a_round_trip(roster: Roster) -> dict[str, Person]:
    """Return what the database must hold of an application's roster when it went out to a file and in again."""
    return {
        ref: Person(
            spelled(each.name),
            each.organisation,
            spelled(each.chapter),
            [f"{spelled(roster.directory[address])}@@{address}" for address in sorted(each.coordinators)],
            each.certifications,
        )
        for ref, each in roster.people.items()
    }


# Refused as control characters are: what turns the direction of writing. A line may end inside of a name.
TURNS = "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
PIECES = [
    *'"",;|<>\\/\'= \n\r',
    *('\\"', '""', "\r\n", "\n\n", "  ", "\\n", "\\N", "{}", "NULL", " | ", "> |", '" <', "<a@example.org>", '"|"'),
    *("Kari", "æøå", "ÆØÅ", "a\u030a", "A\u0308", "\u212b", "\u0338", "\u037e", "\u1fef", "\u00a0", "\u3000", "\ufeff"),
    *("🧑‍🦯", "🇳🇴", "نور", "\u200f", "가", "\u1112\u1161\u11ab", "\ufb01"),
]
texts = st.lists(
    st.sampled_from(PIECES)
    | st.text(st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp"], exclude_characters=TURNS), max_size=4),
    min_size=1,
    max_size=8,
).map("".join)
names = texts.filter(lambda text: 0 < len(spelled(text)) <= 200)
references = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=8)
certifications = st.builds(
    lambda issued, days, withdrawn: (
        issued,
        issued + timedelta(days=days),
        None if withdrawn is None else issued + timedelta(days=withdrawn),
    ),
    st.dates(date(1900, 1, 1), date(2100, 12, 31)),
    st.integers(0, 2000),
    st.none() | st.integers(0, 2500),
)
ADDRESSES = ["kari@example.org", "ola.nord+1@example.org", "åse@blåbær.example", "o'neil@a-b.example.org", "_@1.no"]


@st.composite
def rosters(draw: st.DrawFn) -> Roster:
    """Draw a roster with everything in it that a file could break."""
    people = {
        ref: Person(
            draw(names),
            draw(st.sampled_from(["HLF", "NHF", 'Ørnes; "lag", |']) | names.filter(is_one_line).map(spelled)),
            draw(st.sampled_from(["Nord", "Nord, Sør", '"Vik"']) | names),
            draw(st.lists(st.sampled_from(ADDRESSES), unique=True)),
        )
        for ref in draw(st.lists(references, unique=True, max_size=4))
    }
    for number, certificate in enumerate(draw(st.lists(references, unique=True, max_size=6)) if people else ()):
        holder = draw(st.sampled_from(sorted(people)), label=f"holder of {number}")
        people[holder].certifications[certificate] = draw(certifications)
    return Roster(people, {address: draw(names) for address in ADDRESSES})


def is_one_line(text: str) -> bool:
    """Tell whether a text may be the code of an organisation."""
    return not set(text) & set("\r\n") and len(spelled(text)) <= 50


TRICKY = Roster(
    {
        "A": Person(' "Kari" | Nord\\ ', "HLF", "Fjell \r\n Fjord", ADDRESSES, {"1": (date(2026, 1, 1),) * 3}),
        "B": Person("\rOla\rNordmann", "HLF", "Fjell\nFjord", ADDRESSES[1:3]),
        "C": Person("a\u030a;,\u0338", "NHF", '"', ADDRESSES[:1], {"3": (date(2026, 1, 1), date(2028, 1, 1), None)}),
    },
    dict(zip(ADDRESSES, ['"', '\\"<\\|> ', " a  b ", '"Kari" <kari@example.org>', "\u0338\r\n\\"], strict=True)),
)


@settings(max_examples=EXAMPLES)
@given(roster=rosters())
@example(roster=TRICKY)
def test_out_and_in_again_is_the_same(certjobs: Certjobs, database: TestDatabase, roster: Roster) -> None:
    """Any roster, exported, imported into an empty one and exported again, gives the same bytes and the same names.

    And importing that file once more changes nothing.
    """
    forget(database)
    keep(database, roster)
    file = exported(certjobs)
    forget(database)
    took(certjobs, file)
    assert exported(certjobs) == file
    assert kept(database) == as_kept_after_a_round_trip(roster)
    assert took(certjobs, file) == {}


def test_out_and_in_again_with_addresses_in_capitals(certjobs: Certjobs, database: TestDatabase) -> None:
    """Addresses that an application keeps with capitals give the same bytes after a round trip as well."""
    directory = {"Zoe@example.org": "Zoe", "alf@Example.org": "Alf", "BEA@EXAMPLE.ORG": "Bea", "Åse@example.org": "Åse"}
    keep(database, Roster({"A": Person("A", coordinators=list(directory))}, directory))
    file = exported(certjobs)
    forget(database)
    took(certjobs, file)
    assert exported(certjobs) == file


def test_what_was_exported_changes_nothing_where_it_came_from(certjobs: Certjobs, database: TestDatabase) -> None:
    """The file of a roster, imported into that very roster, changes no row of any table."""
    people = {
        "A": Person('Kari "K"\nNord', "HLF", "Fjell | Fjord", ["Kari@Example.org", "ÅSE@example.org"]),
        "B": Person("B", "NHF", "Sør", ["Kari@Example.org"], {"1": (date(2024, 1, 1), date(2026, 1, 1), None)}),
        "C": Person("C", "NHF", "Sør", [], {"2": (date(2024, 1, 1), date(2026, 1, 1), date(2025, 1, 1))}),
    }
    keep(database, Roster(people, {"Kari@Example.org": "Fjell | Fjord", "ÅSE@example.org": "Åse"}))
    file = exported(certjobs)
    before = contents(database)
    assert took(certjobs, file) == {}
    assert contents(database) == before


def test_an_exported_file_is_what_a_spreadsheet_expects(certjobs: Certjobs) -> None:
    """It is UTF-8 with commas and CRLF, by mentor and then certificate, by bytes and not by an alphabet."""
    mentors = [Mentor("b", 9, certificate="2"), Mentor("b", 5, certificate="10"), Mentor("Å"), Mentor("a"), Mentor("B")]
    took(certjobs, file_of(mentors))
    file = exported(certjobs)
    assert file.count(b"\r\n") == file.count(b"\n") == 6
    rows = list(csv.DictReader(io.StringIO(file.decode(), newline="")))
    assert [(each["mentor_ref"], each["certificate_ref"]) for each in rows] == [
        ("B", "C-B"),
        ("a", "C-a"),
        ("b", "10"),
        ("b", "2"),
        ("Å", "C-Å"),
    ]
    assert rows == [mentors[n].row() for n in (4, 3, 1, 0, 2)]


def test_an_empty_roster_is_a_header(certjobs: Certjobs) -> None:
    """A roster of nobody is exported as a header alone, which import takes."""
    assert exported(certjobs) == f"{HEADER}\r\n".encode()
    assert took(certjobs, exported(certjobs)) == {}


# --rejects: the good lines go in, the others come out.

MIXED = lines(
    "A,Mentor A,HLF,Nord,,C-A,2024-01-01,2026-01-01,",  # 2
    "B,,HLF,Nord,,C-B,2024-01-01,soon,",  # 3: two problems
    "C,Mentor C,HLF,Nord,,,,,",  # 4
    "A,Mentor Annen,HLF,Nord,,C-A2,2024-01-01,2026-01-01,",  # 5: contradicts line 2
    "D,Bjørn,HLF,Nord,,,,,".encode("latin-1"),  # 6
    'E,"Mentor" E,HLF,Nord,,,,,',  # 7
    "F,Mentor F,HLF",  # 8
    "",  # 9
    "G,Mentor, G,HLF,Nord,,,,,",  # 10
    'H,"Mentor',  # 11, ends on 12
    'H",HLF,Nord,,C-A,2024-01-01,2026-01-01,',  # 12: stands already on line 2
    "I,Mentor I,HLF,Nord,,,,,",  # 13
)


def test_good_lines_go_in_and_the_others_come_out(certjobs: Certjobs, database: TestDatabase, tmp_path: Path) -> None:
    """With --rejects the good lines are imported, exit 3, the others stand in the file by line with every reason."""
    path = tmp_path / "avvist.csv"
    result = certjobs("roster", "import", "-", "--rejects", str(path), stdin=MIXED)
    assert result.exit_code == 3, result
    assert refs(database) == ["A", "C", "I"]
    assert database.all("SELECT external_ref FROM certifications") == [("C-A",)]
    rows = rows_of(path)
    assert [int(each[0]) for each in rows] == [3, 5, 6, 7, 8, 10, 11]
    reasons = [each[1] for each in rows]
    assert "name" in reasons[0]
    assert "expires_on" in reasons[0]
    assert "name" in reasons[1]
    assert "line 2" in reasons[1]
    assert "UTF-8" in reasons[2]
    assert "CSV" in reasons[3]
    assert "3 fields" in reasons[4]
    assert "10 fields" in reasons[5]
    assert "certificate_ref" in reasons[6]
    assert "line 2" in reasons[6]
    assert [each[2:] for each in rows] == [
        ["B", "", "HLF", "Nord", "", "C-B", "2024-01-01", "soon", ""],
        ["A", "Mentor Annen", "HLF", "Nord", "", "C-A2", "2024-01-01", "2026-01-01", ""],
        ["D", "Bj\udcf8rn", "HLF", "Nord", "", "", "", "", ""],
        ['E,"Mentor" E,HLF,Nord,,,,,'],
        ["F", "Mentor F", "HLF"],
        ["G", "Mentor", " G", "HLF", "Nord", "", "", "", "", ""],
        ["H", "Mentor\nH", "HLF", "Nord", "", "C-A", "2024-01-01", "2026-01-01", ""],
    ]


def test_people_and_programs_are_told_of_rejected_lines(certjobs: Certjobs, tmp_path: Path) -> None:
    """A person reads how many lines were rejected and where they are, a program counts of both, and neither a name."""
    path = tmp_path / "r.csv"
    told = certjobs("roster", "import", "-", "--rejects", str(path), "--dry-run", stdin=MIXED)
    assert "7 lines" in told.stdout
    assert str(path) in told.stdout
    assert "Mentor" not in told.stdout + told.stderr
    result = certjobs("roster", "import", "-", "--json", "--rejects", str(path), stdin=MIXED)
    assert (told.exit_code, result.exit_code) == (3, 3)
    document = result.json()
    assert (document["rows"], document["rejected"], document["mentors_added"]) == (3, 7, 3)


def test_rejected_bytes_stay_what_they_were(certjobs: Certjobs, tmp_path: Path) -> None:
    """Bytes that are no UTF-8 come out as they went in, so that another encoding can still read them."""
    name = bytes(range(0x80, 0x100))
    path = tmp_path / "r.csv"
    certjobs("roster", "import", "-", "--rejects", str(path), stdin=lines(b"A," + name + b",HLF,Nord,,,,,"))
    assert b",A," + name + b",HLF,Nord,,,,," in path.read_bytes()


def test_rejects_in_the_columns_of_the_file(certjobs: Certjobs, tmp_path: Path) -> None:
    """The rejected lines have the file's own columns in its own order, without the certificate's where it has none."""
    columns = ["coordinators", "name", "chapter", "mentor_ref", "organisation"]
    file = write([{name: person("A", name="")[name] for name in columns}], columns, delimiter=";")
    path = tmp_path / "r.csv"
    assert certjobs("roster", "import", "-", "--rejects", str(path), stdin=file).exit_code == 3
    assert path.read_text(encoding="utf-8").splitlines()[0] == ",".join(REJECT_COLUMNS + columns)
    assert [each[2:] for each in rows_of(path)] == [[KARI, "", "Prøveby", "A", "HLF"]]


def test_rejects_corrected_complete_the_import(certjobs: Certjobs, database: TestDatabase, tmp_path: Path) -> None:
    """The rejects, corrected where they are and imported as they are, give the roster of the corrected file."""
    whole = [
        person("A"),
        person("B"),
        person("A", certificate_ref="C-A2", expires_on="2027-01-01"),
        person("C", name='"Kari"; |\nNord'),
    ]
    took(certjobs, write(whole))
    wanted = kept(database)
    forget(database)
    broken = [whole[0], whole[1] | {"coordinators": "nobody"}, whole[2] | {"name": "Other"}, whole[3] | {"chapter": ""}]
    path = tmp_path / "r.csv"
    assert certjobs("roster", "import", "-", "--rejects", str(path), stdin=write(broken)).exit_code == 3
    assert refs(database) == ["A"]
    with path.open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    corrections: list[dict[str, str]] = [{"coordinators": KARI}, {"name": "Mentor A"}, {"chapter": "Prøveby"}]
    path.write_bytes(
        write(
            [each | change for each, change in zip(rows, corrections, strict=True)],
            [*REJECT_COLUMNS, *COLUMNS],
        )
    )
    assert took(certjobs, path)["certifications_added"] == 3
    assert kept(database) == wanted


@pytest.mark.parametrize(
    ("options", "delimiter", "encoding", "days"),
    [
        ((), ";", "utf-16", ("2024-03-05", "2028-03-05")),
        (("--delimiter", "|", "--encoding", "cp1252"), "|", "cp1252", ("2024-03-05", "2028-03-05")),
        (("--date-format", "D.M.YYYY"), ",", "utf-8", ("5.3.2024", "5.3.2028")),
    ],
    ids=["utf-16", "cp1252 and bars", "dates"],
)
def test_the_command_that_is_named_imports_the_corrected_rejects(
    certjobs: Certjobs,
    database: TestDatabase,
    tmp_path: Path,
    options: tuple[str, ...],
    delimiter: str,
    encoding: str,
    days: tuple[str, str],
) -> None:
    """Whatever layout the file had, the corrected rejects go in by the command that the import named."""
    certificate = {"issued_on": days[0], "expires_on": days[1]}
    rows = [
        person(ref, name=name, **certificate, coordinators="") for ref, name in (("A", "Bjørn Éa"), ("B", "Åse WRONG"))
    ]
    rows[1]["organisation"] = ""
    path = tmp_path / "r.csv"
    file = write(rows, delimiter=delimiter, encoding=encoding)
    result = certjobs("roster", "import", "-", *options, "--rejects", str(path), stdin=file)
    assert result.exit_code == 3, result
    path.write_bytes(path.read_bytes().replace(b",,Pr", b",HLF,Pr").replace(b" WRONG", b""))
    (command,) = [line for line in result.stdout.splitlines() if "certjobs roster import" in line]
    again = certjobs(*shlex.split(command.partition("certjobs ")[2]))
    assert again.exit_code == 0, again
    assert database.all(
        "SELECT m.name, c.expires_on FROM peer_mentors m JOIN certifications c ON c.mentor_id = m.id ORDER BY 1"
    ) == [("Bjørn Éa", date(2028, 3, 5)), ("Åse", date(2028, 3, 5))]


def test_rejects_of_rejects(certjobs: Certjobs, database: TestDatabase, tmp_path: Path) -> None:
    """Rejects corrected in part give new rejects of the same form: two columns before, the line and reason anew."""
    first, second = tmp_path / "1.csv", tmp_path / "2.csv"
    file = lines("A,,HLF,Nord,,,,,", "B,Mentor B,HLF,Nord,,,,,", "C,,HLF,Nord,,,,,", "D,Mentor D,HLF")
    certjobs("roster", "import", "-", "--rejects", str(first), stdin=file)
    assert [each[0] for each in rows_of(first)] == ["2", "4", "5"]
    first.write_bytes(first.read_bytes().replace(b",A,,", b",A,Mentor A,"))
    assert certjobs("roster", "import", str(first), "--rejects", str(second)).exit_code == 3
    assert refs(database) == ["A", "B"]
    rows = rows_of(second)
    assert second.read_text(encoding="utf-8").splitlines()[0] == ",".join([*REJECT_COLUMNS, *COLUMNS])
    assert [each[0] for each in rows] == ["3", "4"]
    assert rows[0][2:] == ["C", "", "HLF", "Nord", "", "", "", "", ""]


def test_a_short_line_stays_as_it_is_in_rejects_of_rejects(certjobs: Certjobs, tmp_path: Path) -> None:
    """A line with too few fields does not grow by the old line number and reason each time that it is rejected."""
    first, second = tmp_path / "1.csv", tmp_path / "2.csv"
    certjobs("roster", "import", "-", "--rejects", str(first), stdin=lines("D,Mentor D,HLF"))
    certjobs("roster", "import", str(first), "--rejects", str(second))
    assert rows_of(second)[0][2:] == rows_of(first)[0][2:] == ["D", "Mentor D", "HLF"]


def test_rejects_are_not_written_over_the_input(certjobs: Certjobs, database: TestDatabase, tmp_path: Path) -> None:
    """The file that is read cannot be the rejects file, by whatever name: exit 2, and it stays as it is."""
    path = tmp_path / "inn.csv"
    path.write_bytes(MIXED)
    soft, hard = tmp_path / "soft.csv", tmp_path / "hard.csv"
    soft.symlink_to(path)
    hard.hardlink_to(path)
    before = contents(database)
    for other in (path, soft, hard, tmp_path / "." / "inn.csv"):
        assert_usage(certjobs("roster", "import", str(path), "--rejects", str(other)))
        assert_usage(certjobs("roster", "import", str(other), "--rejects", str(path)))
        assert path.read_bytes() == MIXED
        assert soft.is_symlink()
    assert contents(database) == before


NO_PLACES = ("missing/r.csv", "a file/r.csv", "a directory", "x" * 300)


def test_rejects_that_cannot_be_written(certjobs: Certjobs, database: TestDatabase, tmp_path: Path) -> None:
    """A rejects file for which there is no place is wrong usage: exit 2 in words, and nothing is imported."""
    (tmp_path / "a file").write_text("kept")
    (tmp_path / "a directory").mkdir()
    before = contents(database)
    codes = {
        place: certjobs("roster", "import", "-", "--rejects", str(tmp_path / place), stdin=MIXED).exit_code
        for place in NO_PLACES
    }
    assert contents(database) == before
    assert sorted(each.name for each in tmp_path.iterdir()) == ["a directory", "a file"]
    assert codes == dict.fromkeys(NO_PLACES, 2)


def test_a_disk_that_is_full_of_rejects(certjobs: Certjobs, database: TestDatabase, tmp_path: Path) -> None:
    """Where the rejects do not fit on the disk nothing is imported, and what stood in their place stays."""
    path, inn = tmp_path / "r.csv", tmp_path / "inn.csv"
    path.write_text("earlier")
    inn.write_bytes(lines("A,Mentor A,HLF,Nord,,,,,", *(f"M{n},,HLF,Nord,,,,," for n in range(2000))))
    before = contents(database)
    with small_files(10_000):
        result = certjobs("roster", "import", str(inn), "--rejects", str(path))
    assert result.exit_code not in (0, 3)
    assert "cannot be written" in result.stderr
    assert contents(database) == before
    assert path.read_text() == "earlier"
    assert sorted(each.name for each in tmp_path.iterdir()) == ["inn.csv", "r.csv"]


def test_nothing_rejected(certjobs: Certjobs, database: TestDatabase, tmp_path: Path) -> None:
    """Where every line is good the exit code is 0 and the rejects file holds a header alone, also over an old one."""
    path = tmp_path / "r.csv"
    path.write_text("earlier rejects\n")
    assert took(certjobs, file_of([Mentor("A"), Mentor("B")]), "--rejects", str(path))["mentors_added"] == 2
    assert path.read_text() == ",".join([*REJECT_COLUMNS, *COLUMNS]) + "\n"
    assert took(certjobs, path) == {}
    assert refs(database) == ["A", "B"]


def test_everything_rejected(certjobs: Certjobs, database: TestDatabase, tmp_path: Path) -> None:
    """Where no line is good nothing changes, the exit code is 3 and every line stands in the rejects."""
    before = contents(database)
    path = tmp_path / "r.csv"
    file = lines(*(f"M{n},,HLF,Nord,,,,," for n in range(1500)))
    assert certjobs("roster", "import", "-", "--rejects", str(path), stdin=file).exit_code == 3
    assert contents(database) == before
    assert [int(each[0]) for each in rows_of(path)] == list(range(2, 1502))


def test_rejects_are_for_their_owner_alone(certjobs: Certjobs, tmp_path: Path) -> None:
    """A rejects file holds personal data: only its owner can read it, also where an open one stood before."""
    path = tmp_path / "r.csv"
    for _ in range(2):
        certjobs("roster", "import", "-", "--rejects", str(path), stdin=MIXED)
        assert mode(path) == 0o600
        path.chmod(0o644)


def test_dry_run_writes_rejects_and_nothing_else(certjobs: Certjobs, database: TestDatabase, tmp_path: Path) -> None:
    """A dry-run leaves every table as it was and writes the very rejects that the import then writes."""
    path = tmp_path / "r.csv"
    before = contents(database)
    result = certjobs("roster", "import", "-", "--dry-run", "--rejects", str(path), stdin=MIXED)
    assert result.exit_code == 3
    assert "nothing was written" in result.stdout.lower()
    assert contents(database) == before
    would = path.read_bytes()
    assert certjobs("roster", "import", "-", "--rejects", str(path), stdin=MIXED).exit_code == 3
    assert path.read_bytes() == would


def test_a_file_that_cannot_be_understood_at_all(certjobs: Certjobs, database: TestDatabase, tmp_path: Path) -> None:
    """Where no line can be understood, --rejects saves nothing: exit 65, no rejects, and earlier ones stay."""
    files = {
        "empty": b"",
        "columns that are missing": b"mentor_ref,name\nA,B\n",
        "an unknown column": HEADER.replace("name", "navn").encode() + b"\nA,Mentor A,HLF,Nord,,,,,\n",
        "a column twice": f"{HEADER},rejected_line,rejected_line\nA,Mentor A,HLF,Nord,,,,,,,\n".encode(),
        "no CSV": f'"{HEADER}\nA,Mentor A,HLF,Nord,,,,,\n'.encode(),
        "not UTF-8": HEADER.replace("name", "n\xe5me").encode("latin-1") + b"\nA,Mentor A,HLF,Nord,,,,,\n",
        "cut within a character": write([person("A"), person("B")], encoding="utf-16")[:-1],
    }
    path = tmp_path / "r.csv"
    before = contents(database)
    for old in (None, "earlier"):
        if old:
            path.write_text(old)
        for what, file in files.items():
            assert refused(certjobs, file, "--rejects", str(path)), what
            assert (path.read_text() if path.exists() else None) == old, what
    assert contents(database) == before
    assert len(list(tmp_path.iterdir())) == 1


def test_rejects_are_not_for_standard_output_by_a_dash(
    certjobs: Certjobs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A dash, which elsewhere is a standard stream, makes no file of that name, whose import would then read stdin."""
    monkeypatch.chdir(tmp_path)
    certjobs("roster", "import", "-", "--rejects", "-", stdin=MIXED)
    assert list(tmp_path.iterdir()) == []


def test_a_line_rejected_for_a_certificate_of_another(
    certjobs: Certjobs, database: TestDatabase, tmp_path: Path
) -> None:
    """A certificate that another mentor has in the database stays theirs; only the line that claims it is rejected."""
    took(certjobs, write([person("A", certificate_ref="C-1")]))
    path = tmp_path / "r.csv"
    file = write([person("B", certificate_ref="C-1"), person("B", certificate_ref="C-2")])
    assert certjobs("roster", "import", "-", "--rejects", str(path), stdin=file).exit_code == 3
    assert [(each[0], each[2], each[7]) for each in rows_of(path)] == [("2", "B", "C-1")]
    found = {ref: set(each.certifications) for ref, each in kept(database).items()}
    assert found == {"A": {"C-1"}, "B": {"C-2"}}


# Layouts: what separates the columns, how days are written, which bytes are which letters.


def test_a_delimiter_by_name_or_character(certjobs: Certjobs, database: TestDatabase) -> None:
    """Each usual delimiter can be given by its name or as itself, any other character as itself."""
    names = {"comma": ",", "semicolon": ";", "tab": "\t", "pipe": "|", "\\t": "\t"}
    for given_as, character in [*names.items(), *((each, each) for each in ",;\t|^:")]:
        name = f"a{given_as}{character}b".replace("\t", " ")
        file = write([person("A", name=name, coordinators="")], delimiter=character)
        assert took(certjobs, file, "--delimiter", given_as), given_as
        assert kept(database)["A"].name == name


def test_layouts_that_there_are_not(certjobs: Certjobs, database: TestDatabase) -> None:
    """A delimiter, date format or encoding that means nothing is wrong usage, exit 2, and not a bad file."""
    wrong = {
        "--delimiter": ["", ";;", '"', "\n", "\r", "ø", "colon", "TAB TAB", "\\x"],
        "--date-format": [
            "",
            "DD.MM",
            "DD.MM.YY",
            "yyyy-mm-dd",
            "%d.%m.%Y",
            "D.M.YYYY-D",
            "D.DD.YYYY",
            "D,M,YYYY",
            "iso",
        ],
        "--encoding": [
            "",
            "klingon",
            "hex",
            "rot13",
            "rot_13",
            "base64",
            "zlib",
            "bz2",
            "uu",
            "quopri",
            "../x",
            "x" * 500,
        ],
    }
    before = contents(database)
    for option, values in wrong.items():
        for value in values:
            assert_usage(certjobs("roster", "import", "-", option, value, stdin=file_of([Mentor("A")])))
    assert contents(database) == before


def test_tabs_and_marked_utf16_are_found_out(certjobs: Certjobs, database: TestDatabase) -> None:
    """Tabs and UTF-16 with its mark need no option, for that is what spreadsheets save."""
    for delimiter, encoding in (("\t", "utf-8"), ("\t", "utf-16"), (";", "utf-16"), (",", "utf-16")):
        forget(database)
        row = person("A", name="Bjørn 🧑‍🦯; Ærlig, jr.")
        took(certjobs, write([row, person("B")], delimiter=delimiter, encoding=encoding))
        assert kept(database)["A"].name == "Bjørn 🧑‍🦯; Ærlig, jr."
    for mark, encoding in ((b"\xff\xfe", "utf-16-le"), (b"\xfe\xff", "utf-16-be")):
        took(certjobs, mark + write([person("A", name=f"Bjørn {encoding}")], encoding=encoding))
        assert kept(database)["A"].name == f"Bjørn {encoding}"


def test_dates_as_they_are_written(certjobs: Certjobs, database: TestDatabase) -> None:
    """5 March is 5 March in each way of writing it, in each of the three columns."""
    day = date(2026, 3, 5)
    for date_format, text in (
        ("YYYY-MM-DD", "2026-03-05"),
        ("D.M.YYYY", "5.3.2026"),
        ("D.M.YYYY", "05.03.2026"),
        ("DD.MM.YYYY", "05.03.2026"),
        ("M/D/YYYY", "3/5/2026"),
        ("M/D/YYYY", "03/05/2026"),
        ("DD/MM/YYYY", "05/03/2026"),
        ("YYYYMMDD", "20260305"),
        ("D-M-YYYY", "5-3-2026"),
        ("YYYY/M/D", "2026/3/5"),
        ("D. M. YYYY", "5. 3. 2026"),
    ):
        forget(database)
        row = person("A", issued_on=text, expires_on=text, withdrawn_on=text)
        took(certjobs, write([row]), "--date-format", date_format)
        assert kept(database)["A"].certifications == {"C-A": (day, day, day)}


def test_days_that_do_not_exist(certjobs: Certjobs) -> None:
    """A day that there is not, or that is written otherwise than was said, is refused on its own line."""
    for date_format, good, wrong in (
        ("D.M.YYYY", "29.2.2024", ["31.4.2026", "29.2.2025", "0.1.2026", "1.0.2026", "1.13.2026", "1.1.0000"]),
        ("D.M.YYYY", "1.1.1900", ["31.12.1899", "1.1.26", "1.1.20260", "001.1.2026", "1/1/2026", "1.1", "1..2026"]),
        ("D.M.YYYY", " 01.01.2026 ", ["\u0661.1.2026", "1\u20241\u20242026", "1.1.2026.", "-1.1.2026", "1. 1.2026"]),
        ("DD.MM.YYYY", "28.02.2026", ["5.3.2026", "05.3.2026", "5.03.2026", "31.02.2026"]),
        ("M/D/YYYY", "12/31/2026", ["13/1/2026", "31/12/2026", "2/30/2026", "1.1.2026", "2026-01-01"]),
        ("YYYYMMDD", "20240229", ["20260229", "2026031", "202603050", "2026-03-05", "20261301"]),
    ):
        rows = [
            person(f"M{n}", issued_on=good, expires_on=good, withdrawn_on=text)
            for n, text in enumerate([*wrong, good, ""])
        ]
        found = refused(certjobs, write(rows), "--date-format", date_format)
        expected = [(line, "withdrawn_on") for line in range(2, 2 + len(wrong))]
        assert [(line, column) for line, column, _ in found] == expected


def test_a_date_is_never_one_of_two(certjobs: Certjobs, database: TestDatabase) -> None:
    """1112026 could be 11 January or 1 November: it is not taken for either in silence."""
    file = write([person("A", issued_on="1112026", expires_on="1112026")])
    result = certjobs("roster", "import", "-", "--date-format", "DMYYYY", stdin=file)
    assert result.exit_code in (2, 65), result
    assert refs(database) == []


def test_an_encoding_that_is_named(certjobs: Certjobs, database: TestDatabase) -> None:
    """The letters of a file are those of the encoding that is named."""
    names = {"windows-1252": "cp1252", "CP1252": "cp1252", "iso-8859-1": "latin-1", "latin1": "latin-1"}
    same = ("cp1252", "utf-16", "utf-16-le", "utf-16-be", "utf-8", "utf-8-sig", "mac-roman")
    for given_as, encoding in [*names.items(), *((each, each) for each in same)]:
        forget(database)
        took(certjobs, write([person("A", name="Bjørn Ærlig-Åsen é")], encoding=encoding), "--encoding", given_as)
        assert kept(database)["A"].name == "Bjørn Ærlig-Åsen é", given_as


def test_an_encoding_that_is_named_and_marked(certjobs: Certjobs) -> None:
    """A byte-order mark is no part of the first column's name, also where the encoding is given."""
    pairs = {"utf-8": "utf-8-sig", "UTF8": "utf-8-sig", "utf-16-le": "utf-16"}
    codes = {
        given_as: certjobs(
            "roster", "import", "-", "--encoding", given_as, stdin=write([person("A")], encoding=encoding)
        ).exit_code
        for given_as, encoding in pairs.items()
    }
    assert codes == dict.fromkeys(pairs, 0)


def test_the_error_says_which_option_to_try(certjobs: Certjobs) -> None:
    """For a file in another layout the error names the option that reads it, to a person and to a program."""
    for file, suggested in (
        (write([person("A", name="Bjørn")], encoding="latin-1"), "--encoding cp1252"),
        (write([person("A", expires_on="31.12.2026")]), "--date-format D.M.YYYY"),
        (write([person("A", expires_on="12/31/2026")]), "M/D/YYYY"),
        (write([person("A", expires_on="20261231")]), "--date-format YYYYMMDD"),
        (write([person("A", coordinators="")], delimiter="|"), "--delimiter"),
        (write([person("A", coordinators="")], encoding="utf-16-le"), "--encoding"),
    ):
        told = certjobs("roster", "import", "-", stdin=file)
        assert told.exit_code == 65
        assert suggested in told.stderr
        assert suggested in certjobs("roster", "import", "-", "--json", stdin=file).stdout


def test_what_the_errors_suggest_reads_the_file(certjobs: Certjobs, database: TestDatabase) -> None:
    """A file as a Norwegian Excel saves it is read whole by the options that its errors suggest."""
    row = person("A", name="Bjørn Ærlig", issued_on="1.2.2024", expires_on="31.12.2026")
    file = write([row], delimiter=";", encoding="cp1252")
    took(certjobs, file, "--encoding", "cp1252", "--date-format", "D.M.YYYY")
    found = kept(database)["A"]
    assert found.name == "Bjørn Ærlig"
    assert found.certifications == {"C-A": (date(2024, 2, 1), date(2026, 12, 31), None)}


# Export.


def test_only_one_organisation(certjobs: Certjobs) -> None:
    """--org writes that organisation's mentors and nobody else's."""
    file = [Mentor("A"), Mentor("B", organisation="NHF"), Mentor("C", None), Mentor("D", organisation="hlf")]
    took(certjobs, file_of(file))
    for code, expected in (("HLF", ["A", "C"]), ("NHF", ["B"]), ("hlf", ["D"])):
        rows = csv.DictReader(io.StringIO(exported(certjobs, "--org", code).decode()))
        assert [each["mentor_ref"] for each in rows] == expected


def test_an_organisation_that_there_is_not(
    certjobs: Certjobs, certjobs_process: CertjobsProcess, tmp_path: Path
) -> None:
    """An unknown organisation is wrong usage: exit 2, nothing on stdout, and a file that was there stays."""
    path = tmp_path / "ut.csv"
    path.write_text("earlier")
    assert_usage(certjobs("roster", "export", str(path), "--org", "NOPE"))
    assert [(each.name, each.read_text()) for each in tmp_path.iterdir()] == [("ut.csv", "earlier")]
    result = certjobs_process("roster", "export", "--org", "NOPE")
    assert_usage(result)
    assert result.stdout == ""


def test_a_refused_export_leaves_standard_output_open(certjobs: Certjobs) -> None:
    """Standard output is the caller's: it can still be written to after an export that was refused."""
    assert_usage(certjobs("roster", "export", "--org", "NOPE"))


def test_an_export_that_fails_replaces_nothing(certjobs: Certjobs, database: TestDatabase, tmp_path: Path) -> None:
    """Without privileges, without a database and on a full disk the earlier file stays, and nothing beside it."""
    took(certjobs, file_of([Mentor(f"M{n}") for n in range(300)]))
    path = tmp_path / "ut.csv"
    path.write_text("earlier")
    results = [
        certjobs("roster", "export", str(path), url=database.job_url),
        certjobs("roster", "export", str(path), url=database.url.replace(database.name, "no_such_database")),
    ]
    with small_files(10_000):
        results.append(certjobs("roster", "export", str(path)))
    for result in results:
        assert result.exit_code not in (0, 3), result
        assert "Traceback" not in result.stderr
        assert [(each.name, each.read_text()) for each in tmp_path.iterdir()] == [("ut.csv", "earlier")]


def test_an_export_that_has_no_place(certjobs: Certjobs, tmp_path: Path) -> None:
    """A file for which there is no place is wrong usage: exit 2 in words, and nothing is left behind."""
    (tmp_path / "a file").write_text("kept")
    (tmp_path / "a directory").mkdir()
    codes = {place: certjobs("roster", "export", str(tmp_path / place)).exit_code for place in NO_PLACES}
    assert sorted(each.name for each in tmp_path.iterdir()) == ["a directory", "a file"]
    assert codes == dict.fromkeys(NO_PLACES, 2)


def test_an_export_to_a_full_device(certjobs: Certjobs) -> None:
    """A device without room is named in words, like a disk without."""
    result = certjobs("roster", "export", "/dev/full")
    assert result.exit_code != 0
    assert "unexpected" not in result.stderr
    assert "/dev/full" in result.stderr


def test_an_exported_file_is_for_its_owner_alone(certjobs: Certjobs, tmp_path: Path) -> None:
    """The file holds personal data: only its owner can read it, also where an open one stood before."""
    path = tmp_path / "ut.csv"
    for _ in range(2):
        assert certjobs("roster", "export", str(path)).exit_code == 0
        assert mode(path) == 0o600
        path.chmod(0o644)


def test_an_export_to_a_path(certjobs: Certjobs, tmp_path: Path) -> None:
    """A file that is named is the very one that is printed, and is counted for people and programs.

    Without a file --json is wrong usage, for both would go to standard output.
    """
    took(certjobs, file_of([Mentor("A", 3, f"{KARI}|{OLA}"), Mentor("B", None, "")]))
    path = tmp_path / "ut.csv"
    told = certjobs("roster", "export", str(path))
    assert (told.exit_code, told.stderr) == (0, "")
    assert "2 rows" in told.stdout
    result = certjobs("roster", "export", str(path), "--json")
    assert result.exit_code == 0
    assert (result.json()["rows"], result.json()["not_importable"]) == (2, 0)
    assert path.read_bytes() == exported(certjobs)
    assert took(certjobs, path) == {}
    assert_usage(certjobs("roster", "export", "--json"))
    assert_usage(certjobs("roster", "export", "-", "--json"))


LONG = "Langnavn" * 40
UNFIT = Roster(
    {
        "M0": Person("Good Person", coordinators=["kari@example.org"]),
        "M1": Person("Es\x1b[31m cape"),
        "M2": Person(LONG),
        "M3": Person("Mentor M3", coordinators=["KARI@LOCALHOST"]),
        "M4": Person("Mentor M4", chapter="Tab\there"),
        "M5": Person("Turned \u202eround"),
        "M6": Person(""),
        "M7": Person("Mentor M7", certifications={"C7": (date(2026, 1, 2), date(2026, 1, 1), None)}),
        "M8": Person("Mentor M8", certifications={"": (date(2026, 1, 1), date(2026, 1, 2), None)}),
        "M9": Person("Mentor M9", certifications={"C9": (date(1850, 1, 1), date(2026, 1, 2), None)}),
    },
    {"kari@example.org": "Kari Eksempel", "KARI@LOCALHOST": "Kari Vert"},
)
UNFIT_REFS = [f"M{n}" for n in range(1, 10)]


def test_what_import_would_refuse_is_written_and_reported(
    certjobs: Certjobs, database: TestDatabase, tmp_path: Path
) -> None:
    """What an application wrote and import would refuse is exported as it is, exit 3, named by reference alone."""
    keep(database, UNFIT)
    path = tmp_path / "ut.csv"
    to_file = certjobs("roster", "export", str(path))
    to_stdout = certjobs("roster", "export")
    assert (to_file.exit_code, to_stdout.exit_code) == (3, 3)
    assert to_stdout.stdout.encode() == path.read_bytes()
    with path.open(encoding="utf-8", newline="") as stream:
        rows = {each["mentor_ref"]: each for each in csv.DictReader(stream)}
    assert {ref: each["name"] for ref, each in rows.items()} == {ref: each.name for ref, each in UNFIT.people.items()}
    assert "kari@localhost" in rows["M3"]["coordinators"].lower()
    assert rows["M4"]["chapter"] == "Tab\there"
    assert (rows["M7"]["issued_on"], rows["M7"]["expires_on"]) == ("2026-01-02", "2026-01-01")
    for told in (to_file.stdout + to_file.stderr, to_stdout.stderr):
        assert [ref for ref in UNFIT_REFS if f"{ref}:" in told] == UNFIT_REFS
        assert "M0:" not in told
        assert "9 rows" in told
        for secret in ("kari", "localhost", "langnavn", "mentor m", "esc", "\x1b", "\u202e"):
            assert secret not in told.lower()


def test_what_is_reported_is_what_import_refuses(certjobs: Certjobs, database: TestDatabase, tmp_path: Path) -> None:
    """The lines that export reports are those that import rejects, and --json lists them for a program."""
    keep(database, UNFIT)
    path, rejects = tmp_path / "ut.csv", tmp_path / "r.csv"
    result = certjobs("roster", "export", str(path), "--json")
    assert result.exit_code == 3
    document = result.json()
    assert (document["rows"], document["not_importable"]) == (10, 9)
    assert [each["mentor_ref"] for each in document["examples"]] == UNFIT_REFS
    forget(database)
    assert certjobs("roster", "import", str(path), "--rejects", str(rejects)).exit_code == 3
    assert [each[2] for each in rows_of(rejects)] == UNFIT_REFS
    assert refs(database) == ["M0"]


def test_every_row_that_import_would_refuse_is_counted(
    certjobs: Certjobs, database: TestDatabase, tmp_path: Path
) -> None:
    """Where they are many some are named and all of them counted."""
    keep(database, Roster({f"M{n}": Person("a\x07b") for n in range(50)}))
    result = certjobs("roster", "export", str(tmp_path / "ut.csv"), "--json")
    assert (result.exit_code, result.json()["not_importable"]) == (3, 50)
    assert 0 < len(result.json()["examples"]) <= 50


def test_a_reference_with_blanks_around_it(certjobs: Certjobs, database: TestDatabase, tmp_path: Path) -> None:
    """Import would take ' M 1 ' for another mentor, 'M 1': export writes it as it is, reports it, and exits with 3."""
    keep(database, Roster({" M 1 ": Person("Mentor"), "M2": Person("Mentor")}))
    path = tmp_path / "ut.csv"
    result = certjobs("roster", "export", str(path))
    assert result.exit_code == 3, result
    assert "M 1" in result.stdout
    with path.open(encoding="utf-8", newline="") as stream:
        assert [each["mentor_ref"] for each in csv.DictReader(stream)] == [" M 1 ", "M2"]


def test_a_key_in_another_spelling(certjobs: Certjobs, database: TestDatabase) -> None:
    """A key that import would read as another one is reported, or what was exported changes nothing where it was."""
    certificate: dict[str, tuple[date, date, date | None]] = {" C": (date(2026, 1, 1), date(2026, 1, 2), None)}
    cases = {
        "reference of other letters": Roster({"A\u030a": Person("A")}),
        "organisation": Roster({"A": Person("A", organisation="NHF ")}),
        "certificate": Roster({"A": Person("A", certifications=certificate)}),
        "address": Roster({"A": Person("A", coordinators=[" kari@example.org"])}, {" kari@example.org": "Kari"}),
        "two addresses that are one": Roster(
            {"A": Person("A", coordinators=["kari@example.org"])},
            {"kari@example.org": "Kari", "Kari@example.org": "Kari"},
        ),
    }
    found = {}
    for what, roster in cases.items():
        forget(database)
        keep(database, roster)
        result = certjobs("roster", "export")
        found[what] = "reported" if result.exit_code == 3 else took(certjobs, result.stdout.encode())
    assert {what: each for what, each in found.items() if each not in ("reported", {})} == {}


def test_one_address_in_two_spellings_with_two_names(certjobs: Certjobs, database: TestDatabase) -> None:
    """Two coordinators whose addresses differ only in case make a file that import refuses: export must say so."""
    directory = {"Kari@example.org": "Kari Nord", "kari@example.org": "Kari Sør"}
    people = {name: Person("Mentor", coordinators=[address]) for name, address in zip("AB", directory, strict=True)}
    keep(database, Roster(people, directory))
    result = certjobs("roster", "export")
    forget(database)
    again = certjobs("roster", "import", "-", stdin=result.stdout.encode())
    assert (result.exit_code, again.exit_code) in ((3, 65), (0, 0))


def test_a_certification_that_never_ends(certjobs: Certjobs, database: TestDatabase, tmp_path: Path) -> None:
    """A date that the database has and the file has not is reported by reference, exit 3, and the others go out."""
    people = {"A": Person("A", certifications={"C": (date(2026, 1, 1), date(2026, 1, 2), None)}), "B": Person("B")}
    keep(database, Roster(people))
    path = tmp_path / "ut.csv"
    for day in ("infinity", "12026-01-01"):
        database.execute("UPDATE certifications SET expires_on = %s::date", day)
        result = certjobs("roster", "export", str(path))
        assert result.exit_code == 3, result
        assert "A:" in result.stdout
        assert b"\nB,B," in path.read_bytes()


# One address, however its letters are cased.


@pytest.mark.parametrize("address", ["Kari@Example.org", "ÅSE@Blåbær.Example"])
def test_an_address_in_capitals_is_the_same_coordinator(
    certjobs: Certjobs, database: TestDatabase, address: str
) -> None:
    """An import that writes an address in lower case means the coordinator whom the application keeps in capitals."""
    keep(database, Roster({"A": Person("Mentor A", coordinators=[address])}, {address: "Kari Eksempel"}))
    number = database.one("SELECT id FROM coordinators")
    row = Mentor("A", None, f"Kari Eksempel <{address.lower()}>", chapter="Prøveby").row()
    assert took(certjobs, write([row])) == {}
    changed = [row | {"coordinators": f"Kari Ny <{address.upper()}>"}, Mentor("B", None, f"Kari Ny <{address}>").row()]
    assert took(certjobs, write(changed)) == {"coordinators_updated": 1, "mentors_added": 1, "assignments_added": 1}
    assert database.all("SELECT id, address, name FROM coordinators") == [(number, address, "Kari Ny")]
    assert database.one("SELECT count(*) FROM coordinator_assignments WHERE coordinator_id = %s", number) == 2


# What nobody writes by mistake.

BIG = "x" * 10_000_000
STRANGE = ("utf-7", "utf-32", "idna", "punycode", "unicode_escape", "raw_unicode_escape", "cp037", "gb18030")
ODD = lines("A,+2AA-,HLF,Nord,,,,,", "B,\\ud800,HLF,Nord,,,,,", b"C,\xff\x80,HLF,Nord,,,,,")
MARKS = "\u0301\u0327"


def cells(column: str, *texts: str) -> bytes:
    """Return a file with each of these texts in a column of a row of its own, as CSV writes it, and a good row."""
    rows = [person(f"M{n}") | {column: text} for n, text in enumerate(texts)]
    return write([*rows, person("Good")])


HOSTILE = {
    "a cell of 10 MB": lines(f"A,{BIG},HLF,N,,,,,", f'B,"{BIG}",HLF,N,,,,,', "C,Mentor C,HLF,N,,,,,"),
    "10 MB without a line end": BIG.encode(),
    "a header of 10 MB": f"{HEADER},{BIG}\nA,Mentor A,HLF,Nord,,,,,\n".encode(),
    "a quote that never ends": lines('A,"' + "B,Mentor B,HLF,Nord,,,,,\n" * 6000),
    "blanks for coordinators": cells("coordinators", " " * 100_000),
    "blanks within coordinators": cells("coordinators", f"a{' ' * 100_000}b", f"a{' ' * 9990}b", f'"a"{" " * 9990}b'),
    "blanks in an address": cells("coordinators", f"a <{' ' * 9990}>", f"a <a{' ' * 9980}@b.c>", f"<>{' ' * 9990}x"),
    "bars": cells("coordinators", "|" * 9999, "| " * 4999, "|\n" * 4999),
    "angle brackets": cells("coordinators", "<" * 9999, "<>" * 4999, ">" * 9999, "< |" * 3333),
    "dots in an address": cells("coordinators", f"a <a@{'.' * 9990}>", f"a <a@{'a.' * 120}>", f"a <{'a@' * 120}>"),
    "quotes": cells("coordinators", '"' * 100_000, '"' * 9999, '"' * 10_000, '"|' * 4999, '"| ' * 3333, '" ' * 4999),
    "backslashes": cells("coordinators", '"' + "\\" * 9990, '"\\|' * 3333, '"\\"|' * 2499, '"' + '\\"' * 4990 + "|"),
    "deep quotes": lines(
        "A," + '"' * 100_002 + ",HLF,Nord,,,,,", "B," + '"' * 99_999 + "x,HLF,Nord,,,,,", "C," + 'x"' * 60_000
    ),
    "nothing but NUL": b"\0" * 1_000_000,
    "a header with NUL": f"{HEADER}\0\nA,Mentor A,HLF,Nord,,,,,\n".encode(),
    "NUL in every cell": lines("A\0,Mentor\0A,HLF,Nord,,,,,", "B,\0,HLF,Nord,,,,,", "\0C,C,HLF,Nord,\0,\0,\0,\0,\0"),
    "NUL as a line": lines("\0", "\0,\0,\0,\0,\0,\0,\0,\0,\0"),
    "fields without end": lines("," * 300_000),
    "lines without end": lines("\r" * 50_000, "\r\n" * 50_000),
    "blank rows without end": lines(*[",,,,,,,,"] * 20_000),
    "a long date": cells("withdrawn_on", "1" * 100_000, "1." * 50_000, f"2026-01-01{' ' * 50_000}x", "1" * 20),
    "combining marks": cells("name", f"a{MARKS * 90}", f"a{MARKS * 150}"),
    "surrogates": lines(b"A,\xed\xa0\x80,HLF,N,,,,,", b"B,\xf5\x80\x80\x80,HLF,N,,,,,", b"C,\xc0\x80,HLF,N,,,,,"),
    "half of a UTF-16 pair": f"{HEADER}\nA,".encode("utf-16") + b"\x00\xd8" + ",HLF,N,,,,,\n".encode("utf-16-le"),
}


def assert_no_surprise(result: Result, *codes: int) -> None:
    """Say that a file was taken or refused for what it is, not for what we did not think of."""
    assert result.exit_code in codes, result.stderr[:2000]
    assert "Traceback" not in result.stderr
    assert "unexpected" not in result.stderr
    assert "Exception" not in result.stderr


@pytest.mark.parametrize("part", range(3))
def test_hostile_files(certjobs: Certjobs, database: TestDatabase, tmp_path: Path, part: int) -> None:
    """What is out of all measure is refused or rejected line by line, never an error that nobody foresaw."""
    path = tmp_path / "r.csv"
    for what in list(HOSTILE)[part::3]:
        before = contents(database)
        result = certjobs("roster", "import", "-", stdin=HOSTILE[what])
        assert_no_surprise(result, 0, 65)
        if result.exit_code:
            assert contents(database) == before, what
        path.unlink(missing_ok=True)
        assert_no_surprise(certjobs("roster", "import", "-", "--rejects", str(path), stdin=HOSTILE[what]), 0, 3, 65)
        if path.exists():
            again = certjobs("roster", "import", str(path), "--rejects", str(tmp_path / "again.csv"))
            assert_no_surprise(again, 0, 3)


def test_good_lines_beside_hostile_ones(certjobs: Certjobs, database: TestDatabase, tmp_path: Path) -> None:
    """A line after one of 10 MB is read as any other, and the great one comes out whole among the rejects."""
    file = HOSTILE["a cell of 10 MB"]
    path = tmp_path / "r.csv"
    assert certjobs("roster", "import", "-", "--rejects", str(path), stdin=file).exit_code == 3
    assert refs(database) == ["C"]
    assert path.read_bytes().count(BIG.encode()) == 2


@pytest.mark.parametrize(
    "file",
    [f"{HEADER},{','.join(f'c{n}' for n in range(100_000))}\n".encode(), cells("name", *[f"a{MARKS * 50_000}"] * 10)],
    ids=["100 000 columns", "combining marks"],
)
def test_work_in_proportion(certjobs_process: CertjobsProcess, tmp_path: Path, file: bytes) -> None:
    """A header of very many columns and names of very many marks take work by their length, not by its square."""
    path = tmp_path / "inn.csv"
    path.write_bytes(file)
    process = certjobs_process.start("roster", "import", str(path))
    try:
        process.communicate(timeout=20)  # a second where it is in proportion, minutes where it is not
        assert process.returncode == 65
    except subprocess.TimeoutExpired:
        pytest.fail("the file was still being looked at")
    finally:
        process.kill()
        process.communicate()


def test_strange_encodings(certjobs: Certjobs) -> None:
    """An encoding that reads other characters than it should is refused in words."""
    for encoding in STRANGE:
        assert_no_surprise(certjobs("roster", "import", "-", "--encoding", encoding, stdin=ODD), 2, 65)


def test_rejects_of_strange_encodings(certjobs_process: CertjobsProcess, tmp_path: Path) -> None:
    """Characters that are half of a pair can be read by some encodings, and are rejected as any that are not text."""
    rejects = ("--rejects", str(tmp_path / "r.csv"))
    result = certjobs_process("roster", "import", "-", "--encoding", "utf-7", *rejects, stdin=ODD)
    assert_no_surprise(result, 2, 3, 65)


@settings(max_examples=EXAMPLES)
@given(
    file=st.binary(max_size=200)
    | st.lists(st.sampled_from([*PIECES, ",", "\n", "\0", "HLF", "2026-01-01", "A,B,HLF,C,,,,,\n"]), max_size=60)
    .map("".join)
    .map(lines),
    encoding=st.sampled_from(["", "", "utf-8", "utf-16", "cp1252"]),
    delimiter=st.sampled_from(["", "", ";", "tab", "|"]),
)
def test_any_bytes_at_all(
    certjobs: Certjobs,
    tmp_path_factory: pytest.TempPathFactory,
    file: bytes,
    encoding: str,
    delimiter: str,
) -> None:
    """Whatever the bytes and the options, an import takes or refuses them, and its rejects can be read again."""
    options = [*(("--encoding", encoding) if encoding else ()), *(("--delimiter", delimiter) if delimiter else ())]
    path = tmp_path_factory.mktemp("any") / "any.csv"
    assert_no_surprise(certjobs("roster", "import", "-", "--dry-run", *options, stdin=file), 0, 65)
    result = certjobs("roster", "import", "-", "--dry-run", *options, "--rejects", str(path), stdin=file)
    assert_no_surprise(result, 0, 3, 65)
    assert path.exists() == (result.exit_code != 65)
    if path.exists():
        again = os.fspath(path.with_name("again.csv"))
        result = certjobs("roster", "import", str(path), "--dry-run", "--rejects", again)
        assert_no_surprise(result, 0, 3)
