"""``roster import`` through the command line: all of a file or nothing, and every bad line by its number."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any
from unicodedata import normalize

from hypothesis import given, settings
from hypothesis import strategies as st
from psycopg import sql

from certjobs.domain.roster_row import COLUMNS
from tests.roster import KARI, OLA, TODAY, Mentor, file_of, in_days

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from tests.conftest import Certjobs, Result, TestDatabase

MENTOR_COLUMNS = COLUMNS[:5]
CERTIFICATE_COLUMNS = COLUMNS[5:]
HEADER = ",".join(COLUMNS)
EXAMPLES = max(5, settings().max_examples // 5)


def row(**changes: str) -> dict[str, str]:
    """Return a good row of a mentor M with a certification, but for these changes."""
    return Mentor("M", 30).row() | changes


def write(
    rows: Iterable[Mapping[str, str]],
    columns: Sequence[str] = COLUMNS,
    *,
    delimiter: str = ",",
    line_end: str = "\n",
    encoding: str = "utf-8",
    quote_all: bool = False,
) -> bytes:
    """Return a roster file in one of the ways that programs write them."""
    stream = io.StringIO(newline="")
    writer = csv.writer(
        stream,
        delimiter=delimiter,
        lineterminator=line_end,
        quoting=csv.QUOTE_ALL if quote_all else csv.QUOTE_MINIMAL,
    )
    writer.writerow(columns)
    writer.writerows([each[column] for column in columns] for each in rows)
    return stream.getvalue().encode(encoding)


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


def imported(certjobs: Certjobs, file: bytes, *options: str) -> dict[str, Any]:
    """Import a file that must be accepted, and return what it changed: the counts that are not 0."""
    result = certjobs("roster", "import", "-", "--json", *options, stdin=file)
    assert result.exit_code == 0, result
    document: dict[str, Any] = result.json()
    return {name: number for name, number in document.items() if number and name not in ("rows", "dry_run")}


def refused(certjobs: Certjobs, database: TestDatabase, file: bytes) -> list[tuple[int, str, str]]:
    """Import a file that must be refused with nothing written, and return its problems."""
    before = contents(database)
    result = certjobs("roster", "import", "-", "--json", stdin=file)
    assert result.exit_code == 65, result
    assert contents(database) == before
    document = result.json()
    assert (document["exit_code"], document["status"]) == (65, "failed")
    assert "nothing" in document["message"].lower()
    problems = [(each["line"], each["column"], each["reason"]) for each in document["problems"]]
    assert all(reason for _, _, reason in problems)
    return problems


def places(problems: Iterable[tuple[int, str, str]]) -> list[tuple[int, str]]:
    """Return where problems are, without why."""
    return [(line, column) for line, column, _ in problems]


MENTORS = """
    SELECT m.external_ref, m.name, o.code, ch.name, m.status, m.certification_expiry,
           ARRAY(SELECT c.name || ' <' || c.address || '>'
                   FROM coordinator_assignments a JOIN coordinators c ON c.id = a.coordinator_id
                  WHERE a.mentor_id = m.id ORDER BY c.address)
      FROM peer_mentors m
      JOIN organisations o ON o.id = m.organisation_id
      JOIN chapters ch ON ch.id = m.chapter_id AND ch.organisation_id = o.id
     ORDER BY m.external_ref COLLATE "C"
"""
CERTIFICATIONS = """
    SELECT m.external_ref, c.external_ref, c.issued_on, c.expires_on, c.withdrawn_on
      FROM certifications c JOIN peer_mentors m ON m.id = c.mentor_id
     ORDER BY m.external_ref COLLATE "C", c.external_ref COLLATE "C"
"""

# What a good file does.


def test_brings_in_what_the_file_says(certjobs: Certjobs, database: TestDatabase) -> None:
    """Mentors, chapters, coordinators and certifications are in the database as the file has them."""
    file = file_of(
        [
            Mentor("A", -10, f"{OLA}|{KARI}", certificate="C-1"),
            Mentor("A", 20, f"{OLA}|{KARI}", certificate="C-2", withdrawn=5),
            Mentor("B", None, "", organisation="NHF", chapter="Sandvik"),
        ]
    )
    assert imported(certjobs, file) == {
        "organisations_added": 1,
        "chapters_added": 2,
        "coordinators_added": 2,
        "mentors_added": 2,
        "assignments_added": 2,
        "certifications_added": 2,
    }
    assert database.all(MENTORS) == [
        ("A", "Mentor A", "HLF", "Prøveby", "active", TODAY + timedelta(days=4), [KARI, OLA]),
        ("B", "Mentor B", "NHF", "Sandvik", "active", None, []),
    ]
    assert database.all(CERTIFICATIONS) == [
        ("A", "C-1", TODAY - timedelta(days=740), TODAY - timedelta(days=10), None),
        ("A", "C-2", TODAY - timedelta(days=710), TODAY + timedelta(days=20), TODAY + timedelta(days=5)),
    ]


def test_again_is_nothing(certjobs: Certjobs, database: TestDatabase) -> None:
    """The same file imported again changes no row of any table, and says so."""
    file = file_of([Mentor("A", -1, f"{KARI}|{OLA}"), Mentor("B", None), Mentor("C", 9, "", organisation="NHF")])
    imported(certjobs, file)
    before = contents(database)
    assert imported(certjobs, file) == {}
    assert contents(database) == before
    assert "already" in certjobs("roster", "import", "-", stdin=file).stdout


def test_updates_what_the_file_names(certjobs: Certjobs, database: TestDatabase) -> None:
    """Name, organisation, chapter, coordinator's name and dates become the file's, and the audit says what changed."""
    imported(certjobs, file_of([Mentor("A", 10, certificate="C-1"), Mentor("B", 10, certificate="C-2")]))
    changed = [
        row(
            mentor_ref="A",
            certificate_ref="C-1",
            name="New Name",
            organisation="NHF",
            chapter="Sandvik",
            coordinators="Kari Ny <kari@example.org>",
            expires_on=in_days(99),
        ),
        Mentor("B", 10, "Kari Ny <kari@example.org>", certificate="C-2", withdrawn=3).row(),
    ]
    assert imported(certjobs, write(changed)) == {
        "organisations_added": 1,
        "chapters_added": 1,
        "coordinators_updated": 1,
        "mentors_updated": 1,
        "certifications_updated": 2,
    }
    assert database.all(MENTORS) == [
        (
            "A",
            "New Name",
            "NHF",
            "Sandvik",
            "active",
            TODAY + timedelta(days=99),
            ["Kari Ny <kari@example.org>"],
        ),
        (
            "B",
            "Mentor B",
            "HLF",
            "Prøveby",
            "active",
            TODAY + timedelta(days=2),
            ["Kari Ny <kari@example.org>"],
        ),
    ]
    events = database.all(
        "SELECT event, before ->> 'expires_on', after ->> 'expires_on', after ->> 'withdrawn_on', actor, reason"
        " FROM certification_events WHERE event <> 'added' ORDER BY event"
    )
    assert events == [
        ("changed", in_days(10), in_days(99), None, "test", "roster import"),
        ("withdrawn", in_days(10), in_days(10), in_days(3), "test", "roster import"),
    ]


def test_replaces_the_coordinators_of_a_named_mentor(certjobs: Certjobs, database: TestDatabase) -> None:
    """A named mentor has the coordinators of the file and no others; another mentor's stay."""
    imported(certjobs, file_of([Mentor("A", 1, KARI), Mentor("B", 1, KARI), Mentor("C", 1, KARI)]))
    assert imported(certjobs, file_of([Mentor("A", 1, OLA), Mentor("B", 1, "")])) == {
        "coordinators_added": 1,
        "assignments_added": 1,
        "assignments_removed": 2,
    }
    assert [found[-1] for found in database.all(MENTORS)] == [[OLA], [], [KARI]]


def test_what_is_not_named_stays(certjobs: Certjobs, database: TestDatabase) -> None:
    """Other mentors, a named mentor's other certifications, a status and settings outlive an import."""
    imported(
        certjobs,
        file_of(
            [
                Mentor("A", 10, certificate="C-1"),
                Mentor("A", 20, certificate="C-2"),
                Mentor("B", -1, organisation="NHF"),
            ]
        ),
    )
    certjobs("mentors", "pause", "A", "--reason", "on leave")
    certjobs("orgs", "set", "HLF", "--reason", "a test", "--no-remind", "--fallback-address", "drift@example.org")
    before = contents(database)
    assert imported(certjobs, file_of([Mentor("A", 15, certificate="C-1")])) == {"certifications_updated": 1}
    after = contents(database)
    changed = {name for name in before if before[name] != after[name]}
    assert changed == {"certifications", "certification_events"}
    assert database.one("SELECT pause_reason FROM peer_mentors WHERE external_ref = 'A'") == "on leave"


def test_a_new_organisation_starts_with_every_flag_off(certjobs: Certjobs, database: TestDatabase) -> None:
    """An organisation that a file is the first to name lets no job touch its mentors; HLF keeps what it had."""
    imported(certjobs, file_of([Mentor("A"), Mentor("B", organisation="NHF"), Mentor("C", organisation="LHL")]))
    assert database.all("SELECT code, auto_pause, remind, website_sync FROM organisations ORDER BY code") == [
        ("HLF", True, True, True),
        ("LHL", False, False, False),
        ("NHF", False, False, False),
    ]


def test_reads_every_way_that_programs_write(certjobs: Certjobs) -> None:
    """Column order, comma or semicolon, byte-order mark, CRLF, quotes and blank lines make no difference."""
    mentors = [Mentor("A", -1, f"{KARI}|{OLA}"), Mentor("B", None, ""), Mentor("C", 9, withdrawn=2)]
    rows = [each.row() for each in mentors]
    plain = write(rows)
    imported(certjobs, plain)
    for file in (
        write(rows, COLUMNS[::-1]),
        write(rows, delimiter=";"),
        write(rows, encoding="utf-8-sig", line_end="\r\n"),
        write(rows, [*COLUMNS[4:], *COLUMNS[:4]], delimiter=";", encoding="utf-8-sig", quote_all=True),
        plain.rstrip(b"\n"),
        plain.replace(b"\n", b"\n\n,,,,,,,,\n"),
        plain.replace(b",", b" , "),
    ):
        assert imported(certjobs, file) == {}, file


def test_keeps_every_character_of_a_name(certjobs: Certjobs, database: TestDatabase) -> None:
    """Quotes, commas, semicolons, emoji and æøå arrive as written, letters composed, without the blanks around them."""
    names = ['Kari "K", Nord; Sør', "  Blåbær Ærlig-Østby \t", "🧑‍🦯 Ma\u0308rz", "نور", "'; DROP TABLE --", "\\N"]
    rows = [row(mentor_ref=f"M{n}", certificate_ref=f"C{n}", name=name) for n, name in enumerate(names)]
    rows[0]["coordinators"] = '"Nord; Åse, æøå" <åse@example.org>|Ola  Eksempel <OLA@Example.org>'
    imported(certjobs, write(rows[:3]))
    imported(certjobs, write(rows[3:], delimiter=";", quote_all=True))
    found = database.all("SELECT name FROM peer_mentors ORDER BY external_ref")
    assert [name for (name,) in found] == [normalize("NFC", name.strip()) for name in names]
    assert sorted(database.all(MENTORS)[0][-1]) == ["Nord; Åse, æøå <åse@example.org>", OLA]


def test_a_file_without_certificate_columns(certjobs: Certjobs, database: TestDatabase) -> None:
    """The certificate columns may be absent together: mentors are brought in and certifications stay."""
    imported(certjobs, file_of([Mentor("A", 10)]))
    rows = [Mentor("A", 10, OLA).row(), Mentor("B", None).row()]
    assert imported(certjobs, write(rows, MENTOR_COLUMNS)) == {
        "mentors_added": 1,
        "coordinators_added": 1,
        "assignments_added": 2,
        "assignments_removed": 1,
    }
    assert database.one("SELECT count(*) FROM certifications") == 1


def test_reads_a_file_by_its_path(certjobs: Certjobs, database: TestDatabase, tmp_path: Path) -> None:
    """A file named on the command line is read like standard input, and a person is told in words."""
    path = tmp_path / "en roster.csv"
    path.write_bytes(file_of([Mentor("A"), Mentor("B")]))
    result = certjobs("roster", "import", str(path))
    assert (result.exit_code, result.stderr) == (0, "")
    assert "2 rows read." in result.stdout
    assert database.one("SELECT count(*) FROM peer_mentors") == 2


def test_a_path_that_is_no_file(certjobs: Certjobs, tmp_path: Path) -> None:
    """A file that is missing and a directory are wrong usage: exit 2, a sentence that names the path, no traceback."""
    for path in (tmp_path / "missing.csv", tmp_path):
        result = certjobs("roster", "import", str(path))
        assert result.exit_code == 2
        assert str(path) in result.stderr
        assert "Traceback" not in result.stderr


def test_header_only_is_a_roster_of_nobody(certjobs: Certjobs, database: TestDatabase) -> None:
    """A file with a header and no rows names nobody, so it changes nothing and is no error."""
    before = contents(database)
    assert imported(certjobs, f"{HEADER}\n".encode()) == {}
    assert contents(database) == before


def test_the_sample_can_be_imported(certjobs: Certjobs, database: TestDatabase) -> None:
    """What ``roster sample`` prints is accepted whole, and again is nothing."""
    sample = certjobs("roster", "sample", "--as-of", TODAY.isoformat())
    file = sample.stdout.encode()
    assert imported(certjobs, file)["mentors_added"] > 300
    assert imported(certjobs, file) == {}
    listed = {line["mentor_ref"] for line in csv.DictReader(io.StringIO(sample.stdout))}
    assert database.one("SELECT count(*) FROM peer_mentors") == len(listed)


def test_dry_run_says_what_would_change_and_writes_nothing(certjobs: Certjobs, database: TestDatabase) -> None:
    """A dry-run reports the very changes that the import then makes, and leaves every table as it was."""
    imported(certjobs, file_of([Mentor("A", 10), Mentor("B", 10)]))
    file = file_of([Mentor("A", 20, OLA), Mentor("C", 5, organisation="NHF")])
    before = contents(database)
    would = imported(certjobs, file, "--dry-run")
    shown = certjobs("roster", "import", "-", "--dry-run", stdin=file)
    assert contents(database) == before
    assert "nothing was written" in shown.stdout.lower()
    assert imported(certjobs, file) == would
    again = certjobs("roster", "import", "-", "--dry-run", stdin=file)
    assert "already" in again.stdout


def test_dry_run_of_a_bad_file_is_refused_too(certjobs: Certjobs) -> None:
    """A dry-run tells of bad lines as the import would, with its exit code."""
    result = certjobs("roster", "import", "-", "--dry-run", "--json", stdin=write([row(name="")]))
    assert result.exit_code == 65
    assert [(each["line"], each["column"]) for each in result.json()["problems"]] == [(2, "name")]


# What is refused, and how.


def test_a_header_that_cannot_be_used(certjobs: Certjobs, database: TestDatabase) -> None:
    """Unknown, doubled and missing columns are all named at once, the certificate's four go together."""
    for header, expected in (
        (f"{HEADER},phone,", ["phone", "column 11"]),
        (f"{HEADER},name", ["name"]),
        ("mentor_ref,name,expires_on", [*COLUMNS[2:7], "withdrawn_on"]),
        (",".join((*MENTOR_COLUMNS, "certificate_ref")), CERTIFICATE_COLUMNS[1:]),
        (HEADER.replace("withdrawn_on", "Withdrawn_On"), ["Withdrawn_On", "withdrawn_on"]),
    ):
        found = places(refused(certjobs, database, f"{header}\nM,Mentor M,HLF,Prøveby,,,,,\n".encode()))
        assert sorted(found) == sorted((1, column) for column in expected), header


def test_a_file_without_a_header(certjobs: Certjobs, database: TestDatabase) -> None:
    """An empty file, a lone byte-order mark, a blank line and data without a header are refused at line 1."""
    data = write([row()]).partition(b"\n")[2]
    for file in (b"", b"\xef\xbb\xbf", b"\n", data):
        found = places(refused(certjobs, database, file))
        assert {line for line, _ in found} == {1}, file


def test_every_bad_row_is_reported_at_once(certjobs: Certjobs, database: TestDatabase) -> None:
    """Each problem of each line stands with its line and column; the good rows between them are not written."""
    rows = [
        row(mentor_ref="A", certificate_ref="C1"),
        row(mentor_ref="B", certificate_ref="C2", name="", expires_on="soon"),
        row(mentor_ref="C", certificate_ref="C3"),
        row(mentor_ref="D", certificate_ref="", coordinators="kari@example.org"),
        row(mentor_ref="", organisation="", chapter=" ", certificate_ref="C5"),
        row(mentor_ref="F", certificate_ref="C6", issued_on="", expires_on=""),
        row(mentor_ref="G", certificate_ref="C7", withdrawn_on="never"),
    ]
    assert places(refused(certjobs, database, write(rows))) == [
        (3, "name"),
        (3, "expires_on"),
        (5, "coordinators"),
        (5, "certificate_ref"),
        (6, "mentor_ref"),
        (6, "organisation"),
        (6, "chapter"),
        (7, "issued_on"),
        (7, "expires_on"),
        (8, "withdrawn_on"),
    ]


def test_problems_are_told_to_a_person_line_by_line(certjobs: Certjobs) -> None:
    """Without --json the problems stand on stderr, one a line, then one sentence and what to do; stdout is empty."""
    result = certjobs("roster", "import", "-", stdin=write([row(name=""), row(mentor_ref="N", issued_on="22.11.2026")]))
    assert result.exit_code == 65
    assert result.stdout == ""
    lines = result.stderr.splitlines()
    assert lines[0] == "line 2, name: is empty"
    assert lines[1].startswith("line 3, issued_on: '22.11.2026'")
    assert "2 problems" in lines[2]


def test_problems_repeat_no_name(certjobs: Certjobs, database: TestDatabase) -> None:
    """What stands in the wrong place may be a person: neither a header nor a date that is none is repeated then."""
    header = f"{HEADER},Åse Nordmann,ase@example.org\n".encode()
    rows = write([row(issued_on="Åse Nordmann", expires_on="ase@example.org")])
    for file, columns in ((header, ["column 10", "column 11"]), (rows, ["issued_on", "expires_on"])):
        found = refused(certjobs, database, file)
        assert [column for _, column, _ in found] == columns
        assert not any("Nordmann" in reason or "@" in reason for _, _, reason in found)


def test_wrong_dates(certjobs: Certjobs, database: TestDatabase) -> None:
    """Only real days written as 2026-11-22 are dates: each other writing is refused on its own line."""
    wrong = [
        "2026-02-30",
        "2025-02-29",
        "2026-13-01",
        "2026-00-10",
        "22.11.2026",
        "11/22/2026",
        "20261122",
        "2026-11-2",
        "2026-W47-7",
        "2026-326",
        "2026-11-22T00:00:00",
        "-2026-11-22",
        "12026-11-22",
        "0001-01-01",
        "0000-01-01",
        "1899-12-31",
        "\u0662\u0660\u0662\u0666-11-22",
        "2026\u201311\u201322",
        "46348",
        "infinity",
        "today",
        "NULL",
    ]
    rows = [row(mentor_ref=f"M{n}", certificate_ref=f"C{n}", withdrawn_on=text) for n, text in enumerate(wrong)]
    found = refused(certjobs, database, write(rows))
    assert places(found) == [(line, "withdrawn_on") for line in range(2, 2 + len(wrong))]
    assert all("2026-11-22" in reason or "before 1900" in reason for _, _, reason in found)


def test_a_certification_that_ends_before_it_begins(certjobs: Certjobs, database: TestDatabase) -> None:
    """expires_on may be the day of issued_on, not the day before it; 29 February exists in leap years."""
    day = row(issued_on="2024-02-29", expires_on="2024-02-29")
    assert imported(certjobs, write([day]))["certifications_added"] == 1
    found = refused(certjobs, database, write([day | {"expires_on": "2024-02-28"}]))
    assert places(found) == [(2, "expires_on")]


def test_a_line_that_is_not_utf8(certjobs: Certjobs, database: TestDatabase) -> None:
    """A Latin-1 line is named by its number, whether in the header or below it, as is UTF-16 without its mark."""
    good = write([row(), row(mentor_ref="N", certificate_ref="N")])
    assert places(refused(certjobs, database, good + "O,Bjørn,HLF,X,,,,,\n".encode("latin-1"))) == [(4, "")]
    assert refused(certjobs, database, b"\xff" + good)[0][0] == 1
    assert refused(certjobs, database, write([row()], encoding="utf-16-le"))[0][0] == 1


def test_a_line_that_is_not_utf8_hides_no_other(certjobs: Certjobs, database: TestDatabase) -> None:
    """Every bad row is reported, also where one of them is not UTF-8."""
    file = write([row(name="")]) + "O,Bjørn,HLF,X,,,,,\n".encode("latin-1") + b"P,,HLF,X,,,,,\n"
    assert places(refused(certjobs, database, file)) == [(2, "name"), (3, ""), (4, "name")]


def test_lines_that_are_not_csv(certjobs: Certjobs, database: TestDatabase) -> None:
    """Text after a closing quote and a wrong number of fields are named by line, and lines after them are read."""
    lines = [
        HEADER,
        'A,"Mentor" A,HLF,X,,,,,',
        "B,Mentor B,HLF,X",
        "C,Mentor, C,HLF,X,,,,,",
        'D,"Mentor"D,HLF,X,,,,,',
        "E,,HLF,X,,,,,",
        f"F,{'x' * 200_000},HLF,X,,,,,",
        "G,,HLF,X,,,,,",
        'H,"unclosed,HLF,X,,,,,',
        "I,,HLF,X,,,,,",
    ]
    found = refused(certjobs, database, "\n".join(lines).encode())
    assert places(found) == [(2, ""), (3, ""), (4, ""), (5, ""), (6, "name"), (7, ""), (8, "name"), (9, "")]
    assert "4 fields" in found[1][2]
    assert "10 fields" in found[2][2]


def test_a_header_that_is_not_csv(certjobs: Certjobs, database: TestDatabase) -> None:
    """A header that is not well-formed CSV is a bad line like any other: exit 65, line 1."""
    for header in ('"mentor_ref,name', f'"{HEADER}', f'"mentor_ref"x{HEADER[10:]}'):
        file = f"{header}\nM,Mentor M,HLF,X,,,,,\n".encode()
        assert places(refused(certjobs, database, file)) == [(1, "")], header


def test_control_characters(certjobs: Certjobs, database: TestDatabase) -> None:
    """What could move a terminal's cursor, break a line or turn the direction of writing is refused in any field."""
    columns = ("mentor_ref", "name", "organisation", "chapter", "coordinators", "certificate_ref")
    rows: list[dict[str, str]] = []
    for character in "\0\a\t\x1b\x7f\x85\x9b\u2028\u202e\u2066":
        for column in columns:
            good = row(mentor_ref=f"M{len(rows)}", certificate_ref=f"C{len(rows)}")
            rows.append(good | {column: f"a{character}{good[column]}"})
    expected = [(line, columns[number % 6]) for number, line in enumerate(range(2, 2 + len(rows)))]
    assert places(refused(certjobs, database, write(rows))) == expected


def test_a_quoted_line_break(certjobs: Certjobs, database: TestDatabase) -> None:
    """A break inside a reference is refused where its row begins, and lines after a break keep their own numbers."""
    lines = [HEADER, '"A', 'Lines",Two,HLF,X,,,,,', "", 'B,"Mentor B', '",HLF,X,,,,,', "C,,HLF,X,,,,,"]
    for end in ("\n", "\r\n"):
        found = places(refused(certjobs, database, end.join(lines).encode()))
        assert found == [(2, "mentor_ref"), (7, "name")]


def test_the_longest_that_is_accepted(certjobs: Certjobs, database: TestDatabase) -> None:
    """Each field is accepted at its greatest length and refused one character above it."""
    limits = {"mentor_ref": 100, "name": 200, "organisation": 50, "chapter": 200, "certificate_ref": 100}
    longest = {column: "Ø" * limit for column, limit in limits.items()}
    address = f"Kari <k@{'a' * 240}.example>"
    assert imported(certjobs, write([row(**longest, coordinators=address)]))["certifications_added"] == 1
    longer = [row(mentor_ref=f"M{n}", certificate_ref=f"C{n}") for n in range(6)]
    for each, (column, text) in zip(longer, longest.items(), strict=False):
        each[column] = f"{text}Ø"
    longer[5]["coordinators"] = address.replace("@", "@aaaaaaa")
    assert places(refused(certjobs, database, write(longer))) == [
        *enumerate(limits, start=2),
        (7, "coordinators"),
    ]


def test_bad_coordinators(certjobs: Certjobs, database: TestDatabase) -> None:
    """Whatever is not ``Name <address>`` separated by | is refused, and no reason repeats the address."""
    wrong = [
        "kari@example.org",
        "<kari@example.org>",
        '"" <kari@example.org>',
        '" " <kari@example.org>',
        "Kari kari@example.org",
        "Kari <kari@example.org",
        "Kari <kari@example.org> Nord",
        "Kari <>",
        "Kari <kari>",
        "Kari <kari@localhost>",
        "Kari <kari@@example.org>",
        "Kari <kari@example..org>",
        "Kari <ka ri@example.org>",
        "Kari <kari@example.org,ola@example.org>",
        f"{KARI}, {OLA}",
        f"{KARI}; {OLA}",
        f"{KARI}|",
        f"|{KARI}",
        f"{KARI}||{OLA}",
        f"{KARI}|Kari Igjen <KARI@example.org>",
    ]
    rows = [row(mentor_ref=f"M{n}", certificate_ref=f"C{n}", coordinators=text) for n, text in enumerate(wrong)]
    found = refused(certjobs, database, write(rows))
    assert places(found) == [(line, "coordinators") for line in range(2, 2 + len(wrong))]
    assert not any("kari@" in reason for _, _, reason in found)


def test_rows_of_one_mentor_that_contradict_each_other(certjobs: Certjobs, database: TestDatabase) -> None:
    """Rows of one mentor must agree: each difference is reported at the later line and names the earlier one."""
    first = row(certificate_ref="C0")
    changes = [{"name": "Other"}, {"organisation": "NHF"}, {"chapter": "Other"}, {"coordinators": OLA}, {}]
    rows = [first, *(first | {"certificate_ref": f"C{n}"} | each for n, each in enumerate(changes, start=1))]
    found = refused(certjobs, database, write(rows))
    assert places(found) == [(3, "name"), (4, "organisation"), (5, "chapter"), (6, "coordinators")]
    assert all("line 2" in reason for _, _, reason in found)


def test_the_order_of_coordinators_is_no_contradiction(certjobs: Certjobs, database: TestDatabase) -> None:
    """Two rows of a mentor may name the same coordinators in another order and another case."""
    rows = [
        row(certificate_ref="C1", coordinators=f"{KARI}|{OLA}"),
        row(certificate_ref="C2", coordinators=f"{OLA}|Kari Eksempel <KARI@EXAMPLE.ORG>"),
    ]
    imported(certjobs, write(rows))
    assert database.all(MENTORS)[0][-1] == [KARI, OLA]


def test_one_address_with_two_names(certjobs: Certjobs, database: TestDatabase) -> None:
    """An address belongs to one coordinator: another name for it in the same file is refused, without repeating it."""
    rows = [
        row(mentor_ref="A", certificate_ref="C1"),
        row(mentor_ref="B", certificate_ref="C2", coordinators=f"Kari Annen <KARI@example.org>|{OLA}"),
    ]
    ((line, column, reason),) = refused(certjobs, database, write(rows))
    assert (line, column) == (3, "coordinators")
    assert "line 2" in reason
    assert "@" not in reason


def test_a_certificate_reference_is_used_once(certjobs: Certjobs, database: TestDatabase) -> None:
    """A certificate_ref twice in a file, or one that another mentor has in the database, is refused."""
    imported(certjobs, write([row(mentor_ref="A", certificate_ref="C-A")]))
    rows = [
        row(mentor_ref="B", certificate_ref="C-B"),
        row(mentor_ref="C", certificate_ref="C-A"),
        row(mentor_ref="D", certificate_ref="C-B"),
        row(mentor_ref="B", certificate_ref="C-B"),
    ]
    found = refused(certjobs, database, write(rows))
    assert places(found) == [(line, "certificate_ref") for line in (3, 4, 5)]
    assert "another mentor" in found[0][2]
    assert all("line 2" in reason for _, _, reason in found[1:])


def test_contradictions_are_reported_together_with_bad_rows(certjobs: Certjobs, database: TestDatabase) -> None:
    """What is wrong in a row and what is wrong between rows come in one report, in the order of the lines."""
    rows = [
        row(mentor_ref="A", certificate_ref="C1"),
        row(mentor_ref="A", certificate_ref="C2", chapter="Other"),
        row(mentor_ref="B", certificate_ref="C3", name=""),
        row(mentor_ref="C", certificate_ref="C1"),
    ]
    expected = [(3, "chapter"), (4, "name"), (5, "certificate_ref")]
    assert places(refused(certjobs, database, write(rows))) == expected


def test_problems_as_json_are_one_document(certjobs: Certjobs) -> None:
    """With --json a program reads the problems from stdout as one document, whose message counts them."""
    result: Result = certjobs("roster", "import", "-", "--json", stdin=write([row(name="", chapter="")]))
    document = result.json()
    assert set(document) == {"status", "exit_code", "message", "hint", "total_problems", "problems"}
    assert "2 problems" in document["message"]
    assert document["problems"][0] == {"line": 2, "column": "name", "reason": "is empty"}


# The whole of it: random rosters against a model of what importing means.


@dataclass
class Person:
    """A mentor as a file gives one; certifications by reference: issued, expires, withdrawn."""

    name: str
    organisation: str
    chapter: str
    coordinators: frozenset[str]
    certifications: dict[str, tuple[date, date, date | None]] = field(default_factory=dict)


@dataclass
class Roster:
    """A file's mentors by reference, and its coordinators' names by address."""

    people: dict[str, Person]
    directory: dict[str, str]

    def rows(self) -> list[dict[str, str]]:
        """Return the rows of the file."""
        found = []
        for ref, person in self.people.items():
            common = {
                "mentor_ref": ref,
                "name": person.name,
                "organisation": person.organisation,
                "chapter": person.chapter,
                "coordinators": "|".join(f"{self.directory[each]} <{each}>" for each in person.coordinators),
            }
            empty = dict.fromkeys(CERTIFICATE_COLUMNS, "")
            found += [
                common
                | {
                    "certificate_ref": certificate,
                    "issued_on": issued.isoformat(),
                    "expires_on": expires.isoformat(),
                    "withdrawn_on": withdrawn.isoformat() if withdrawn else "",
                }
                for certificate, (issued, expires, withdrawn) in person.certifications.items()
            ] or [common | empty]
        return found

    def updated(self, newer: Roster) -> Roster:
        """Return what importing a newer file after this one must give."""
        used = {address for person in newer.people.values() for address in person.coordinators}
        people = dict(self.people)
        for ref, person in newer.people.items():
            kept = people[ref].certifications if ref in people else {}
            people[ref] = Person(
                person.name,
                person.organisation,
                person.chapter,
                person.coordinators,
                kept | person.certifications,
            )
        return Roster(people, self.directory | {address: newer.directory[address] for address in used})


TURNS = "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"  # refused, as control characters are
words = st.text(
    st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp"], exclude_characters=TURNS), min_size=1, max_size=12
)
names = words.map(lambda text: normalize("NFC", text).strip()).filter(bool)
coordinator_names = words.map(
    lambda text: " ".join(normalize("NFC", "".join(each for each in text if each not in '<>|"')).split())
)
certifications = st.builds(
    lambda issued, days, withdrawn: (
        issued,
        issued + timedelta(days=days),
        issued + timedelta(days=withdrawn) if withdrawn is not None else None,
    ),
    st.dates(date(1900, 1, 1), date(2100, 12, 31)),
    st.integers(0, 2000),
    st.none() | st.integers(0, 2500),
)
ADDRESSES = [f"person{n}@example.org" for n in range(4)]


@st.composite
def rosters(draw: st.DrawFn) -> Roster:
    """Draw a roster; several share references, so that a later one updates an earlier one."""
    people = {}
    for ref in draw(st.lists(st.sampled_from(["A", "B", "C"]) | names, unique=True, max_size=6)):
        held = draw(st.dictionaries(st.sampled_from(["1", "2", "3"]), certifications, max_size=3))
        people[ref] = Person(
            draw(names),
            draw(st.sampled_from(["HLF", "NHF", "Ørnes; lag"])),
            draw(st.sampled_from(["Prøveby", "Nord, Sør", '"Vik"'])),
            draw(st.frozensets(st.sampled_from(ADDRESSES))),
            {f"{ref}/{number}": dates for number, dates in held.items()},
        )
    return Roster(people, {address: draw(coordinator_names.filter(bool)) for address in ADDRESSES})


def end(dates: tuple[date, date, date | None]) -> date:
    """Return the last valid day of a certification (DESIGN section 2)."""
    _, expires, withdrawn = dates
    return expires if withdrawn is None else min(expires, withdrawn - timedelta(days=1))


def assert_database_is(database: TestDatabase, expected: Roster) -> None:
    """Compare every mentor and certification with the model."""
    people = expected.people
    assert {found[0]: found[1:] for found in database.all(MENTORS)} == {
        ref: (
            person.name,
            person.organisation,
            person.chapter,
            "active",
            max(map(end, person.certifications.values()), default=None),
            [f"{expected.directory[address]} <{address}>" for address in sorted(person.coordinators)],
        )
        for ref, person in people.items()
    }
    assert {(found[0], found[1]): found[2:] for found in database.all(CERTIFICATIONS)} == {
        (ref, certificate): dates
        for ref, person in people.items()
        for certificate, dates in person.certifications.items()
    }


def forget(database: TestDatabase) -> None:
    """Empty the roster."""
    for table in ("coordinator_assignments", "certifications", "peer_mentors", "coordinators", "chapters"):
        database.execute(f"DELETE FROM {table}")
    database.execute("DELETE FROM organisations WHERE code <> 'HLF'")


@settings(max_examples=EXAMPLES)
@given(
    first=rosters(),
    second=rosters(),
    columns=st.permutations(COLUMNS),
    delimiter=st.sampled_from(",;"),
    line_end=st.sampled_from(["\n", "\r\n"]),
    encoding=st.sampled_from(["utf-8", "utf-8-sig"]),
    quote_all=st.booleans(),
)
def test_any_roster(
    certjobs: Certjobs,
    database: TestDatabase,
    first: Roster,
    second: Roster,
    columns: list[str],
    delimiter: str,
    line_end: str,
    encoding: str,
    quote_all: bool,
) -> None:
    """Whatever the rosters and their writing, the database is what the files say in turn, and again is nothing."""
    forget(database)
    imported(certjobs, write(first.rows()))
    assert_database_is(database, first)
    file = write(
        second.rows(),
        columns,
        delimiter=delimiter,
        line_end=line_end,
        encoding=encoding,
        quote_all=quote_all,
    )
    imported(certjobs, file)
    assert_database_is(database, first.updated(second))
    before = contents(database)
    assert imported(certjobs, file) == {}
    assert contents(database) == before
