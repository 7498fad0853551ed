"""Notices on their way: what fails and how, what is gathered and accounted for, and what a person can do about it."""

from __future__ import annotations

import json
from datetime import timedelta
from itertools import repeat
from typing import TYPE_CHECKING

import psycopg
import pytest

from certjobs.errors import (
    ChannelDown,
    CredentialsRejected,
    DeliveryFailed,
    DeliveryRefused,
    DeliveryUnknown,
    RateLimited,
)
from tests.children.helpers import CONSOLE, last_run, load, locks, log_lines
from tests.roster import KARI, OLA, TODAY, Mentor
from tests.test_remind import (
    KARIS,
    NONE,
    OFFICE,
    OLAS,
    SETTLED,
    Troubled,
    again_is_nothing,
    before,
    check,
    contents,
    dispatched,
    do,
    owed,
    remind,
    told,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from threading import Event
    from typing import Any

    from tests.conftest import Certjobs, TestDatabase

QUARTER = timedelta(minutes=15)
PRIVATE = ("example.org", "Eksempel", "Mentor A", "Mentor B", "Prøveby")


def hours_pass(database: TestDatabase) -> None:
    """Let every rest after a failure be over."""
    database.execute("UPDATE notifications SET not_before = clock_timestamp() - interval '1 second'")


@pytest.fixture
def rests(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Record how long a run rests, instead of waiting."""
    taken: list[float] = []

    def sleep(_clock: object, seconds: float, _until: Event) -> None:
        taken.append(seconds)

    monkeypatch.setattr("certjobs.adapters.clock.SystemClock.sleep", sleep)
    return taken


def statuses(database: TestDatabase) -> dict[str, str]:
    """Return the status of the notice of each mentor."""
    return {ref: status for ref, _, _, status in owed(database)}


# What fails, and how.


def test_a_failure_rests_for_a_quarter_of_an_hour(
    certjobs: Certjobs, database: TestDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What fails for now stays owed, rests 12 to 18 minutes, is not tried meanwhile, exit 3, and is sent afterwards."""
    load(certjobs, *(Mentor(f"M{n}", 30) for n in range(8)))
    channel = Troubled({f"M{n}": iter([DeliveryFailed("Later.")]) for n in range(8)})
    channel.install(monkeypatch)
    remind(certjobs, database, exit_code=3)
    waits = [
        rest
        for (rest,) in database.all(
            "SELECT n.not_before - d.occurred_at FROM notifications n"
            " JOIN reminder_dispatch_log d ON d.notification_id = n.id WHERE n.status = 'failed'"
        )
    ]
    assert len(waits) == 8
    slack = timedelta(seconds=5)
    assert all(timedelta(minutes=12) - slack <= each <= timedelta(minutes=18) + slack for each in waits), waits
    assert len(set(waits)) > 4, "jittered"
    result = remind(certjobs, database, exit_code=3)
    assert (len(channel.tried), result.json()["counts"]["notices_open"]) == (8, 8)
    hours_pass(database)
    remind(certjobs, database)
    assert len(channel.sent) == 8
    assert database.all("SELECT DISTINCT attempt, status FROM notifications") == [(2, "sent")]
    again_is_nothing(certjobs, database)


def test_later_failures_rest_longer(
    certjobs: Certjobs, database: TestDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every further failure rests longer than the first did, and each attempt has its entry in the dispatch log."""
    load(certjobs, Mentor("A", 30))
    Troubled({"A": repeat(DeliveryFailed("Later."))}).install(monkeypatch)
    waits = []
    for _ in range(4):
        hours_pass(database)
        remind(certjobs, database, exit_code=3)
        waits.append(
            database.one(
                "SELECT n.not_before - max(d.occurred_at) FROM notifications n"
                " JOIN reminder_dispatch_log d ON d.notification_id = n.id GROUP BY n.not_before"
            )
        )
    assert all(later > waits[0] for later in waits[1:]), waits
    assert database.all("SELECT attempt, outcome FROM reminder_dispatch_log ORDER BY id") == [
        (n, "failed") for n in (1, 2, 3, 4)
    ]
    assert database.all("SELECT status, attempt, last_error FROM notifications") == [("failed", 4, "Later.")]


def test_refused_is_dead_at_once(certjobs: Certjobs, database: TestDatabase, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the channel refuses for good is dead with the reason and never tried again; the others are sent."""
    load(certjobs, Mentor("A", 30), Mentor("B", 30), Mentor("C", 30))
    channel = Troubled({"B": repeat(DeliveryRefused("No such recipient."))})
    channel.install(monkeypatch)
    counts = remind(certjobs, database, exit_code=3).json()["counts"]
    assert (counts["notices_dead"], counts["owed_dead"], counts["owed_sent"]) == (1, 1, 2)
    assert statuses(database) == {"A": "sent", "B": "dead", "C": "sent"}
    assert database.one("SELECT last_error FROM notifications WHERE status = 'dead'") == "No such recipient."
    assert [outcome for *_, outcome in dispatched(database)] == ["sent", "refused", "sent"]
    again_is_nothing(certjobs, database)
    assert len(channel.tried) == 3


def test_unknown_is_not_sent_again(certjobs: Certjobs, database: TestDatabase, monkeypatch: pytest.MonkeyPatch) -> None:
    """What may or may not have arrived is unknown: shown, not sent again by itself; the others are sent."""
    load(certjobs, Mentor("A", 30), Mentor("B", 30))
    channel = Troubled({"A": repeat(DeliveryUnknown("The connection ended."))})
    channel.install(monkeypatch)
    result = certjobs("remind", "--as-of", TODAY.isoformat(), "--json", url=database.job_url, env=CONSOLE)
    assert result.json()["counts"]["notices_unknown"] == result.json()["counts"]["owed_unknown"] == 1
    assert statuses(database) == {"A": "unknown", "B": "sent"}
    assert [outcome for *_, outcome in dispatched(database)] == ["unknown", "sent"]
    again_is_nothing(certjobs, database)
    assert len(channel.tried) == 2


def test_one_recipient_among_many_fails(
    certjobs: Certjobs, database: TestDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where one coordinator is refused for good and another for now, everybody else still hears everything."""
    per = "Per Eksempel <per@example.org>"
    load(certjobs, *(Mentor(ref, 7, f"{KARI}|{OLA}|{per}") for ref in "ABC"))
    channel = Troubled({OLAS: repeat(DeliveryRefused("No.")), "per@example.org": repeat(DeliveryFailed("Later."))})
    channel.install(monkeypatch)
    remind(certjobs, database, exit_code=3)
    assert channel.arrived() == [(KARIS, ref) for ref in "ABC"]
    assert sorted(status for *_, status in owed(database)) == ["dead"] * 3 + ["failed"] * 3 + ["sent"] * 3


def test_a_surprise_from_the_channel(
    certjobs: Certjobs, database: TestDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An error that no channel should raise loses nothing: the run says so, and the other notices are accounted for."""
    load(certjobs, Mentor("A", 30), Mentor("B", 30))
    Troubled({"A": iter([RuntimeError("Kari Eksempel")])}).install(monkeypatch)
    result = certjobs("remind", "--as-of", TODAY.isoformat(), "--json", url=database.job_url, env=CONSOLE)
    assert result.exit_code != 0
    assert "Kari" not in result.stdout + result.stderr
    assert locks(database) == 0
    hours_pass(database)
    certjobs("remind", "--as-of", TODAY.isoformat(), url=database.job_url, env=CONSOLE)
    assert statuses(database)["B"] == "sent"
    assert statuses(database)["A"] in {"sent", "unknown"}


# A channel that asks for a rest, or is not there.


def test_a_rest_is_taken_and_everything_arrives(
    certjobs: Certjobs, database: TestDatabase, monkeypatch: pytest.MonkeyPatch, rests: list[float]
) -> None:
    """A channel that asks for 30 seconds gets them, then everything arrives, exit 0; a rest is no failed attempt."""
    load(certjobs, *(Mentor(ref, 30) for ref in "ABCD"))
    channel = Troubled({"B": iter([RateLimited("Too many.", 30)])})
    channel.install(monkeypatch)
    counts = remind(certjobs, database).json()["counts"]
    assert sum(rests) == pytest.approx(30, abs=3)
    assert sorted(channel.arrived()) == [(KARIS, ref) for ref in "ABCD"]
    assert (counts["notices_sent"], counts["notices_failed"]) == (4, 0)
    assert set(statuses(database).values()) == {"sent"}
    assert sorted(outcome for *_, outcome in dispatched(database)) == ["limited", "sent", "sent", "sent", "sent"]
    again_is_nothing(certjobs, database)


def test_a_rest_of_unknown_length(
    certjobs: Certjobs, database: TestDatabase, monkeypatch: pytest.MonkeyPatch, rests: list[float]
) -> None:
    """A channel that asks for a rest and does not say how long gets one, and everything arrives."""
    load(certjobs, *(Mentor(ref, 30) for ref in "AB"))
    channel = Troubled({"A": iter([RateLimited("Too many.", None)])})
    channel.install(monkeypatch)
    remind(certjobs, database)
    assert sum(rests) > 0
    assert sorted(channel.arrived()) == [(KARIS, "A"), (KARIS, "B")]


@pytest.mark.parametrize("seconds", [301.0, 80.0], ids=["one", "together"])
def test_a_rest_too_long_ends_the_sending(
    certjobs: Certjobs, database: TestDatabase, monkeypatch: pytest.MonkeyPatch, rests: list[float], seconds: float
) -> None:
    """Rests of more than 300 seconds in all end the sending: exit 3, the others owed and not failed, sent later."""
    load(certjobs, *(Mentor(ref, 30) for ref in "ABC"))
    channel = Troubled({"A": iter([RateLimited("Too many.", seconds)] * (1 if seconds > 300 else 4))})
    channel.install(monkeypatch)
    counts = remind(certjobs, database, exit_code=3).json()["counts"]
    assert sum(rests) <= 300
    assert counts["notices_failed"] == 0
    assert counts["owed_open"] >= 1
    assert set(statuses(database).values()) <= {"pending", "failed", "sent"}
    hours_pass(database)
    remind(certjobs, database)
    assert sorted(channel.arrived()) == [(KARIS, ref) for ref in "ABC"]


def test_a_channel_that_is_down(
    certjobs: Certjobs, database: TestDatabase, monkeypatch: pytest.MonkeyPatch, rests: list[float]
) -> None:
    """Not reached three times in a row the channel is given up: exit 69, everything owed, and sent by a later run."""
    load(certjobs, *(Mentor(f"M{n}", 30) for n in range(10)))
    down = ChannelDown("Connection refused.")
    channel = Troubled({KARIS: iter([down] * 3)})
    channel.install(monkeypatch)
    counts = remind(certjobs, database, exit_code=69).json()["counts"]
    assert (len(channel.tried), len(channel.sent), counts["owed_open"]) == (3, 0, 10)
    assert set(statuses(database).values()) <= {"pending", "failed"}
    assert last_run(database).status == "failed"
    hours_pass(database)
    remind(certjobs, database)
    assert len(channel.sent) == 10
    assert sum(rests) <= 300


def test_a_channel_that_is_down_now_and_then(
    certjobs: Certjobs, database: TestDatabase, monkeypatch: pytest.MonkeyPatch, rests: list[float]
) -> None:
    """Not reached twice and then reached is no reason to give up: the others are sent, exit 3 at the worst."""
    load(certjobs, *(Mentor(f"M{n}", 30) for n in range(6)))
    down = ChannelDown("Connection refused.")
    Troubled({ref: iter([down]) for ref in ("M0", "M1", "M3", "M4")}).install(monkeypatch)
    result = certjobs("remind", "--as-of", TODAY.isoformat(), "--json", url=database.job_url, env=CONSOLE)
    assert result.exit_code in {0, 3}
    assert {"M2", "M5"} <= {ref for ref, status in statuses(database).items() if status == "sent"}
    assert sum(rests) <= 300


def test_credentials_rejected(certjobs: Certjobs, database: TestDatabase, monkeypatch: pytest.MonkeyPatch) -> None:
    """A channel that does not know us ends the sending at once: exit 77, everything owed, nothing dead, sent later."""
    load(certjobs, *(Mentor(f"M{n}", 30) for n in range(5)))
    channel = Troubled({"M2": iter([CredentialsRejected("The channel does not know us.")])})
    channel.install(monkeypatch)
    result = remind(certjobs, database, exit_code=77)
    assert result.json()["counts"]["owed_sent"] + result.json()["counts"]["owed_open"] == 5
    assert len(channel.tried) <= 5
    assert set(statuses(database).values()) <= {"pending", "failed", "sent"}
    assert statuses(database)["M2"] != "sent"
    hours_pass(database)
    remind(certjobs, database)
    assert sorted(ref for _, ref in channel.arrived()) == [f"M{n}" for n in range(5)]


def test_decisions_stand_whatever_the_channel_does(
    certjobs: Certjobs, database: TestDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A pause and a reminder stay as they are where every single send fails."""
    load(certjobs, Mentor("A", 30), Mentor("B", -1))
    check(certjobs, database)
    Troubled({KARIS: repeat(DeliveryFailed("Later."))}).install(monkeypatch)
    remind(certjobs, database, exit_code=3)
    assert database.one("SELECT status FROM peer_mentors WHERE external_ref = 'B'") == "paused"
    assert database.one("SELECT count(*) FROM cert_expiry_reminders WHERE status = 'due'") == 1


# Gathering.


def test_a_channel_that_gathers(certjobs: Certjobs, database: TestDatabase, monkeypatch: pytest.MonkeyPatch) -> None:
    """One message a coordinator and night with pauses and reminders together; each notice is in one message only."""
    do(certjobs, "orgs", "set", "HLF", "--fallback-address", OFFICE)
    load(
        certjobs,
        Mentor("A", 30),
        Mentor("B", 7, f"{KARI}|{OLA}"),
        Mentor("C", -1),
        Mentor("D", 14, OLA),
        Mentor("E", -3, ""),
        Mentor("F", 3, ""),
    )
    channel = Troubled(gathers=True)
    channel.install(monkeypatch)
    check(certjobs, database)
    assert channel.sent == []
    remind(certjobs, database)
    assert {
        message.recipient_address: {(each.kind, each.mentor_ref) for each in message.notices}
        for message in channel.sent
    } == {
        KARIS: {("reminder", "A"), ("reminder", "B"), ("pause", "C")},
        OLAS: {("reminder", "B"), ("reminder", "D")},
        OFFICE: {("pause", "E"), ("reminder", "F")},
    }
    assert len(channel.sent) == 3
    keys = [each.idempotency_key for message in channel.sent for each in message.notices]
    assert len(set(keys)) == len(keys) == 7
    assert len({message.key for message in channel.sent}) == 3
    assert database.one("SELECT count(*) FROM reminder_dispatch_log WHERE outcome = 'sent'") == 7
    assert database.one("SELECT count(DISTINCT message_id) FROM notifications") == 3
    again_is_nothing(certjobs, database)


def test_expiry_check_leaves_pauses_to_a_channel_that_gathers(
    certjobs: Certjobs, database: TestDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the channel gathers, expiry-check sends nothing, exit 0, and remind sends its notices, once."""
    load(certjobs, Mentor("A", -1), Mentor("B", 30))
    channel = Troubled(gathers=True)
    channel.install(monkeypatch)
    check(certjobs, database, env=CONSOLE)
    assert channel.tried == []
    remind(certjobs, database)
    assert [len(message.notices) for message in channel.sent] == [2]
    check(certjobs, database, env=CONSOLE)
    again_is_nothing(certjobs, database)
    assert len(channel.sent) == 1


def test_a_gathered_message_that_fails(
    certjobs: Certjobs, database: TestDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A message that fails for now keeps all its notices owed; later they go out, with what became due since."""
    load(certjobs, Mentor("A", 30), Mentor("B", 13), Mentor("C", 30, OLA), Mentor("D", 31))
    channel = Troubled({KARIS: iter([DeliveryFailed("Later.")])}, gathers=True)
    channel.install(monkeypatch)
    counts = remind(certjobs, database, day=before(1), exit_code=3).json()["counts"]
    assert (counts["owed_sent"], counts["owed_open"]) == (0, 1)
    assert [outcome for *_, outcome in dispatched(database)] == ["failed"]
    hours_pass(database)
    remind(certjobs, database)
    assert {ref for _, ref in channel.arrived()} == {"A", "B", "C"}
    assert len(channel.arrived()) == 3
    assert [message.recipient_address for message in channel.sent].count(KARIS) == 1


def test_a_gathered_message_of_which_nobody_knows(
    certjobs: Certjobs, database: TestDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where a gathered message may have arrived all its notices are unknown, and where it is refused all are dead."""
    load(certjobs, *(Mentor(ref, 30) for ref in "AB"), *(Mentor(ref, 30, OLA) for ref in "CD"))
    channel = Troubled({KARIS: repeat(DeliveryUnknown("?")), OLAS: repeat(DeliveryRefused("No."))}, gathers=True)
    channel.install(monkeypatch)
    counts = certjobs("remind", "--as-of", TODAY.isoformat(), "--json", url=database.job_url, env=CONSOLE).json()
    assert (counts["counts"]["owed_unknown"], counts["counts"]["owed_dead"]) == (2, 2)
    assert statuses(database) == {"A": "unknown", "B": "unknown", "C": "dead", "D": "dead"}
    again_is_nothing(certjobs, database)
    assert len(channel.tried) == 2


# Accounting.


def lose(database: TestDatabase, condition: str) -> None:
    """Let the database drop notices without a word."""
    database.execute("CREATE FUNCTION lose() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$")
    database.execute(
        f"CREATE TRIGGER lose BEFORE INSERT ON notifications FOR EACH ROW WHEN ({condition}) EXECUTE FUNCTION lose()"
    )


@pytest.mark.parametrize("env", [CONSOLE, NONE], ids=["console", "none"])
def test_a_lost_notice_fails_the_run(certjobs: Certjobs, database: TestDatabase, env: dict[str, str]) -> None:
    """A reminder whose notice got lost is a remainder: exit 1, said in the run log, whatever the channel."""
    load(certjobs, Mentor("A", 30), Mentor("B", 14, f"{KARI}|{OLA}"))
    lose(database, "NEW.coordinator_id = 2")
    result = remind(certjobs, database, env=env, exit_code=1)
    assert (last_run(database).status, last_run(database).exit_code) == ("failed", 1)
    assert last_run(database).error_message
    assert result.json()["counts"]["notices_owed"] == 3
    again = remind(certjobs, database)
    assert sorted(told(result) + told(again)) == [(KARIS, "A"), (KARIS, "B")]


def test_a_notice_that_is_gone_before_the_end(
    certjobs: Certjobs, database: TestDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A notice that vanishes while the run works fails it just as well."""
    load(certjobs, Mentor("A", 30), Mentor("B", 14))
    channel = Troubled()
    channel.on_first = lambda: database.execute("DELETE FROM notifications WHERE status = 'pending'")
    channel.install(monkeypatch)
    remind(certjobs, database, exit_code=1)


def test_everything_at_once_adds_up(
    certjobs: Certjobs, database: TestDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sent, failed, dead, unknown and suppressed in one run: each is counted once, and the sum is what was owed."""
    refs = [f"M{n:02}" for n in range(40)]
    load(certjobs, *(Mentor(ref, (30, 14, 7)[n % 3], (KARI, f"{KARI}|{OLA}")[n % 2]) for n, ref in enumerate(refs)))
    errors: dict[str, Iterator[Exception]] = {
        "M01": repeat(DeliveryFailed("Later.")),
        "M02": repeat(DeliveryRefused("No.")),
        "M03": repeat(DeliveryUnknown("?")),
    }
    channel = Troubled(errors)
    channel.on_first = lambda: database.execute(
        "UPDATE peer_mentors SET status = 'paused', pause_reason = 'leave' WHERE external_ref = 'M39'"
    )
    channel.install(monkeypatch)
    counts = remind(certjobs, database, exit_code=3).json()["counts"]
    assert counts["notices_owed"] == 60
    assert {name: counts[f"owed_{name}"] for name in SETTLED} == {
        "sent": 60 - 2 - 1 - 2 - 2,
        "suppressed": 2,
        "superseded": 0,
        "dead": 1,
        "unknown": 2,
        "discarded": 0,
        "open": 2,
    }
    assert last_run(database).counts == counts


# What a person can do.


def number(database: TestDatabase, ref: str) -> str:
    """Return the number of the notice of a mentor."""
    return str(
        database.one(
            "SELECT n.id FROM notifications n JOIN peer_mentors m ON m.id = n.mentor_id WHERE m.external_ref = %s", ref
        )
    )


def listed(certjobs: Certjobs, *options: str) -> list[str]:
    """Return the mentors of the notices listed, sorted."""
    result = certjobs("notifications", "list", "--json", *options)
    assert result.exit_code == 0, result
    return sorted(each["mentor_ref"] for each in result.json())


@pytest.fixture
def mixed(certjobs: Certjobs, database: TestDatabase, monkeypatch: pytest.MonkeyPatch) -> Troubled:
    """A night after which there is a notice of every kind: A sent, B failed, C dead, D unknown, E a pause, N of NHF."""
    load(
        certjobs,
        Mentor("A", 30),
        Mentor("B", 14),
        Mentor("C", 7, OLA),
        Mentor("D", 7),
        Mentor("E", -1, OLA),
        Mentor("N", 30, organisation="NHF"),
    )
    do(certjobs, "orgs", "set", "NHF", "--remind")
    check(certjobs, database)
    channel = Troubled(
        {
            "B": iter([DeliveryFailed("Later.")]),
            "C": iter([DeliveryRefused("No such recipient.")]),
            "D": iter([DeliveryUnknown("The connection ended.")]),
        }
    )
    channel.install(monkeypatch)
    remind(certjobs, database, exit_code=3)
    return channel


@pytest.mark.usefixtures("mixed")
def test_list_filters(certjobs: Certjobs) -> None:
    """Each filter of the list shows what it names, filters add up, and what does not exist is wrong usage."""
    for options, expected in (
        ((), "ABCDEN"),
        (("--status", "open"), "B"),
        (("--status", "failed"), "B"),
        (("--status", "sent"), "AEN"),
        (("--status", "dead"), "C"),
        (("--status", "unknown"), "D"),
        (("--status", "discarded"), ""),
        (("--kind", "pause"), "E"),
        (("--kind", "reminder"), "ABCDN"),
        (("--mentor", "A"), "A"),
        (("--coordinator", OLAS), "CE"),
        (("--org", "NHF"), "N"),
        (("--org", "HLF", "--status", "sent"), "AE"),
        (("--coordinator", OLAS, "--kind", "pause"), "E"),
    ):
        assert listed(certjobs, *options) == list(expected), options
    assert len(listed(certjobs, "--limit", "2")) == 2
    for wrong in (
        ("--status", "lost"),
        ("--kind", "other"),
        ("--mentor", "Z"),
        ("--coordinator", "nobody@example.org"),
        ("--org", "XX"),
        ("--limit", "0"),
    ):
        assert certjobs("notifications", "list", *wrong).exit_code == 2, wrong


@pytest.mark.usefixtures("mixed")
def test_list_is_newest_first_and_says_why(certjobs: Certjobs) -> None:
    """The list has the newest notice first, and gives the reason of what was not sent."""
    document = certjobs("notifications", "list", "--json").json()
    assert [each["id"] for each in document] == sorted((each["id"] for each in document), reverse=True)
    by_mentor = {each["mentor_ref"]: each for each in document}
    assert by_mentor["C"]["last_error"] == "No such recipient."
    assert by_mentor["E"]["threshold_day"] is None
    assert by_mentor["B"]["not_before"] is not None
    table = certjobs("notifications", "list", "--status", "dead").stdout
    assert "No such recipient." in table


@pytest.mark.usefixtures("mixed")
def test_show_one_notice(certjobs: Certjobs, database: TestDatabase) -> None:
    """A notice is shown with every attempt to send it; a number that no notice has is wrong usage."""
    notice = number(database, "B")
    hours_pass(database)
    remind(certjobs, database)
    shown = certjobs("notifications", "show", notice, "--json")
    assert shown.exit_code == 0, shown
    text = json.dumps(shown.json())
    assert shown.json()["status"] == "sent"
    assert text.count('"outcome"') == 2
    for part in ("failed", "Later.", "sent"):
        assert part in text
    table = certjobs("notifications", "show", notice)
    assert table.exit_code == 0
    assert "Later." in table.stdout
    for wrong in ("0", "999999", "-1", "x"):
        assert certjobs("notifications", "show", wrong).exit_code == 2, wrong


@pytest.mark.parametrize("ref", ["B", "C", "D"], ids=["failed", "dead", "unknown"])
def test_retry_sends_again_under_the_same_key(
    certjobs: Certjobs, database: TestDatabase, mixed: Troubled, ref: str
) -> None:
    """A failed, dead or unknown notice given another try goes out under its key; who and why is kept."""
    notice = number(database, ref)
    keys = [each.idempotency_key for message in mixed.tried for each in message.notices if each.mentor_ref == ref]
    mixed.sent.clear()
    unchanged = contents(database)
    dry = certjobs("notifications", "retry", notice, "--reason", "corrected", "--dry-run")
    assert dry.exit_code == 0, dry
    assert contents(database) == unchanged
    do(certjobs, "notifications", "retry", notice)
    assert database.all(
        "SELECT handled_by, handled_reason, handled_at IS NOT NULL FROM notifications WHERE id = %s", notice
    ) == [("test", "a test", True)]
    remind(certjobs, database, exit_code=0 if ref == "B" else 3)
    assert [ref for _, ref in mixed.arrived()] == [ref]
    keys += [each.idempotency_key for message in mixed.sent for each in message.notices]
    assert len(keys) == 2
    assert len(set(keys)) == 1
    assert database.all(
        "SELECT outcome FROM reminder_dispatch_log WHERE notification_id = %s ORDER BY attempt", notice
    ) == [({"B": "failed", "C": "refused", "D": "unknown"}[ref],), ("sent",)]


def test_retry_looks_again(certjobs: Certjobs, database: TestDatabase, mixed: Troubled) -> None:
    """A notice given another try that no longer holds is suppressed, not sent."""
    do(certjobs, "certs", "renew", "C-C", "--expires", before(-400).isoformat())
    do(certjobs, "notifications", "retry", number(database, "C"))
    mixed.sent.clear()
    remind(certjobs, database, exit_code=3)
    assert mixed.sent == []
    assert statuses(database)["C"] == "suppressed"


@pytest.mark.parametrize("ref", ["B", "C", "D"], ids=["failed", "dead", "unknown"])
def test_discard_never_sends(certjobs: Certjobs, database: TestDatabase, mixed: Troubled, ref: str) -> None:
    """A notice that a person gave up on is never sent; who and why is kept, and a retry can take that back."""
    notice = number(database, ref)
    unchanged = contents(database)
    assert certjobs("notifications", "discard", notice, "--reason", "by telephone", "--dry-run").exit_code == 0
    assert contents(database) == unchanged
    result = certjobs("notifications", "discard", notice, "--reason", "by telephone", "--json")
    assert result.exit_code == 0, result
    assert database.all("SELECT status, handled_by, handled_reason FROM notifications WHERE id = %s", notice) == [
        ("discarded", "test", "by telephone")
    ]
    mixed.sent.clear()
    hours_pass(database)
    remind(certjobs, database)
    assert ref not in [each for _, each in mixed.arrived()]
    do(certjobs, "notifications", "retry", notice)
    remind(certjobs, database)
    assert ref in [each for _, each in mixed.arrived()]


@pytest.mark.usefixtures("mixed")
@pytest.mark.parametrize("command", ["retry", "discard"])
def test_wrong_numbers_change_nothing(certjobs: Certjobs, database: TestDatabase, command: str) -> None:
    """A number that no notice has is wrong usage, and nothing changes of the others either."""
    unchanged = contents(database)
    good = number(database, "C")
    for wrong in ("999999", "0", "x"):
        result = certjobs("notifications", command, good, wrong, "--reason", "a test")
        assert result.exit_code == 2, (wrong, result)
        assert contents(database) == unchanged
    assert certjobs("notifications", command, good).exit_code == 2, "a reason is needed"
    assert certjobs("notifications", command, good, "--reason", " ").exit_code == 2, "a reason is needed"
    sent = number(database, "A")
    result = certjobs("notifications", command, sent, "--reason", "a test")
    assert (sent in result.stdout, "sent" in result.stdout) == (True, True), "what was sent stays, and that is said"
    assert contents(database) == unchanged


@pytest.mark.parametrize("command", [("show",), ("retry", "--reason", "a test"), ("discard", "--reason", "a test")])
@pytest.mark.parametrize("wrong", ["9" * 19, "9" * 30])
def test_a_number_too_long_is_wrong_usage(certjobs: Certjobs, command: tuple[str, ...], wrong: str) -> None:
    """A number with a key stuck is a number that no notice has: wrong usage, not an unexpected error."""
    assert certjobs("notifications", *command, wrong).exit_code == 2


def test_discarded_while_owed_is_accounted_for(
    certjobs: Certjobs, database: TestDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A notice that a person discards while the run works is not sent and counts as discarded."""
    load(certjobs, Mentor("A", 7), Mentor("B", 30))
    channel = Troubled()
    channel.on_first = lambda: database.execute(
        "UPDATE notifications SET status = 'discarded' WHERE status = 'pending'"
    )
    channel.install(monkeypatch)
    counts = remind(certjobs, database).json()["counts"]
    assert (counts["owed_sent"], counts["owed_discarded"], len(channel.sent)) == (1, 1, 1)


def test_snooze_and_snoozes(certjobs: Certjobs, database: TestDatabase) -> None:
    """A snooze is listed with who, what, until when and why; a dry-run stores none; wrong names are wrong usage."""
    load(certjobs, Mentor("A", 30), Mentor("B", 30, OLA))
    command = ("notifications", "snooze", "A", KARIS, "--threshold", "30", "--until", "2999-12-10")
    unchanged = contents(database)
    assert certjobs(*command, "--reason", "course booked", "--dry-run").exit_code == 0
    for wrong in (
        ("notifications", "snooze", "Z", KARIS, "--threshold", "30", "--until", "2999-12-10"),
        ("notifications", "snooze", "A", "nobody@example.org", "--threshold", "30", "--until", "2999-12-10"),
        ("notifications", "snooze", "A", KARIS, "--threshold", "-1", "--until", "2999-12-10"),
        ("notifications", "snooze", "A", KARIS, "--threshold", "30", "--until", "soon"),
    ):
        assert certjobs(*wrong, "--reason", "a test").exit_code == 2, wrong
    assert certjobs(*command).exit_code == 2, "a reason is needed"
    assert contents(database) == unchanged
    assert certjobs(*command, "--reason", "course booked").exit_code == 0
    (found,) = certjobs("notifications", "snoozes", "--json").json()
    assert found == {
        "mentor_ref": "A",
        "coordinator": KARIS,
        "threshold_day": 30,
        "until": "2999-12-10",
        "reason": "course booked",
        "actor": "test",
    }
    table = certjobs("notifications", "snoozes").stdout
    assert all(part in table for part in ("A", KARIS, "2999-12-10", "course booked"))


def test_a_snooze_that_is_over_is_not_listed(certjobs: Certjobs, database: TestDatabase) -> None:
    """The list says who is not told until when: a snooze whose day has come is not in it."""
    load(certjobs, Mentor("A", 25))
    do(
        certjobs, "notifications", "snooze", "A", KARIS, "--threshold", "30",
        "--until", before(4).isoformat(), "--as-of", before(5).isoformat(),
    )  # fmt: skip
    assert database.one("SELECT count(*) FROM notice_snoozes") == 1
    assert certjobs("notifications", "snoozes", "--json").json() == []


# Nothing private in logs.


@pytest.mark.parametrize(
    "error",
    [
        DeliveryFailed("Later."),
        DeliveryRefused("No."),
        DeliveryUnknown("?"),
        ChannelDown("Connection refused."),
        CredentialsRejected("The channel does not know us."),
        ValueError(f"{KARI} Mentor A"),
        KeyError("kari@example.org"),
    ],
    ids=lambda error: type(error).__name__,
)
@pytest.mark.parametrize("gathers", [False, True], ids=["one by one", "gathered"])
def test_no_name_in_a_log(
    certjobs: Certjobs, database: TestDatabase, monkeypatch: pytest.MonkeyPatch, error: Exception, gathers: bool
) -> None:
    """However sending fails, neither log nor run row nor dispatch log holds a name or address."""
    load(certjobs, Mentor("A", 30), Mentor("B", -1))
    check(certjobs, database)
    Troubled({KARIS: repeat(error)}, gathers=gathers).install(monkeypatch)
    result = certjobs("remind", "--as-of", TODAY.isoformat(), url=database.job_url, env=CONSOLE)
    assert log_lines(result)
    stored: list[tuple[Any, ...]] = database.all("SELECT to_jsonb(r)::text FROM scheduler_run_log r")
    stored += database.all("SELECT to_jsonb(d)::text FROM reminder_dispatch_log d")
    stored += database.all("SELECT to_jsonb(n)::text FROM notifications n")
    for text in (result.stderr, result.stdout, repr(stored)):
        assert [word for word in PRIVATE[:4] if word in text] == []


def test_no_address_in_the_log_of_those_without_one(certjobs: Certjobs, database: TestDatabase) -> None:
    """A run that has nobody to go to, and one that tells, log no name and no address."""
    load(certjobs, Mentor("A", 30, ""), Mentor("B", 30))
    result = certjobs("remind", "--as-of", TODAY.isoformat(), url=database.job_url, env=CONSOLE)
    assert (result.exit_code, told(result)) == (3, [(KARIS, "B")])
    assert [word for word in PRIVATE if word in result.stderr] == []


# What happens to a notice while it waits.


def test_a_larger_threshold_is_not_retried_after_a_smaller_one(certjobs: Certjobs, database: TestDatabase) -> None:
    """A 30-day notice given another try after the 14-day one was told no longer holds: it is not sent."""
    load(certjobs, Mentor("A", 14))
    with pytest.MonkeyPatch.context() as patch:
        Troubled({"A": iter([DeliveryRefused("No.")])}).install(patch)
        remind(certjobs, database, day=before(16), exit_code=3)
    assert told(remind(certjobs, database)) == [(KARIS, "A")]
    do(certjobs, "notifications", "retry", str(database.one("SELECT min(id) FROM notifications")))
    assert told(remind(certjobs, database)) == []
    assert [threshold for _, threshold, _, status in owed(database) if status == "sent"] == [14]


def test_a_reminder_is_not_retried_after_the_end(certjobs: Certjobs, database: TestDatabase) -> None:
    """A reminder given another try after the certification ended is not sent, though nobody paused the mentor."""
    load(certjobs, Mentor("A", -1))
    with pytest.MonkeyPatch.context() as patch:
        Troubled({"A": iter([DeliveryRefused("No.")])}).install(patch)
        remind(certjobs, database, day=before(5), exit_code=3)
    do(certjobs, "notifications", "retry", str(database.one("SELECT min(id) FROM notifications")))
    assert told(remind(certjobs, database)) == []
    again_is_nothing(certjobs, database)


@pytest.mark.parametrize("status", ["suppressed", "superseded", "sent"])
def test_what_is_over_is_not_retried(certjobs: Certjobs, database: TestDatabase, status: str) -> None:
    """A notice that was sent, suppressed or superseded is not owed again, and the command says so."""
    load(certjobs, Mentor("A", 7))
    match status:
        case "superseded":
            remind(certjobs, database, day=before(20), env=NONE)
        case "suppressed":
            remind(certjobs, database, env=NONE)
            do(certjobs, "mentors", "pause", "A")
    remind(certjobs, database)
    if status == "suppressed":
        do(certjobs, "mentors", "reinstate", "A", "--as-of", TODAY.isoformat())
    notice = str(database.one("SELECT min(id) FROM notifications WHERE status = %s", status))
    unchanged = contents(database)
    for command in ("retry", "discard"):
        result = certjobs("notifications", command, notice, "--reason", "a test")
        assert status in result.stdout + result.stderr
        assert contents(database) == unchanged


def test_a_failed_notice_is_overtaken(
    certjobs: Certjobs, database: TestDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A 30-day notice that failed and rests is superseded by the 14-day one and never sent."""
    load(certjobs, Mentor("A", 14))
    channel = Troubled({"A": iter([DeliveryFailed("Later.")])})
    channel.install(monkeypatch)
    remind(certjobs, database, day=before(16), exit_code=3)
    remind(certjobs, database)
    hours_pass(database)
    remind(certjobs, database)
    assert owed(database) == [("A", 30, KARIS, "superseded"), ("A", 14, KARIS, "sent")]
    assert [each.threshold_day for message in channel.sent for each in message.notices] == [14]


def test_a_coordinator_replaced_while_the_notice_rests(
    certjobs: Certjobs, database: TestDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A new coordinator is told of what the former could not be told of, and not of what the former was told."""
    load(certjobs, Mentor("A", 30), Mentor("B", 30), Mentor("C", 200, OLA))
    channel = Troubled({"A": iter([DeliveryFailed("Later.")])})
    channel.install(monkeypatch)
    remind(certjobs, database, exit_code=3)
    channel.sent.clear()
    for ref in "AB":
        do(certjobs, "mentors", "assign", ref, OLAS, "--only")
    hours_pass(database)
    remind(certjobs, database)
    assert channel.arrived() == [(OLAS, "A")]
    assert owed(database) == [
        ("A", 30, KARIS, "suppressed"),
        ("A", 30, OLAS, "sent"),
        ("B", 30, KARIS, "sent"),
    ]
    again_is_nothing(certjobs, database)


def test_a_gathered_message_leaves_out_what_is_snoozed(
    certjobs: Certjobs, database: TestDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A coordinator's one message carries everything but the reminder they snoozed, which comes on its day."""
    load(certjobs, Mentor("A", 29), Mentor("B", 29))
    do(
        certjobs, "notifications", "snooze", "A", KARIS, "--threshold", "30",
        "--until", TODAY.isoformat(), "--as-of", before(1).isoformat(),
    )  # fmt: skip
    channel = Troubled(gathers=True)
    channel.install(monkeypatch)
    remind(certjobs, database, day=before(1))
    assert channel.arrived() == [(KARIS, "B")]
    remind(certjobs, database)
    assert channel.arrived() == [(KARIS, "B"), (KARIS, "A")]
    assert [message.notices[0].days_left for message in channel.sent] == [30, 29]


@pytest.mark.parametrize("table", ["peer_mentors", "notifications", "coordinators"])
def test_a_row_that_somebody_holds_stops_nobody_else(certjobs: Certjobs, database: TestDatabase, table: str) -> None:
    """While another session holds a mentor, a notice or a coordinator, everybody else's notices are sent."""
    load(certjobs, Mentor("A", 30), Mentor("B", 30, OLA), Mentor("C", 30, OLA))
    remind(certjobs, database, env=NONE)
    with psycopg.connect(database.url) as holder:
        holder.execute(f"SELECT 1 FROM {table} WHERE id = (SELECT min(id) FROM {table}) FOR UPDATE".encode())
        impatient = CONSOLE | {"CERTJOBS_LOCK_TIMEOUT_SECONDS": "0.3"}
        result = certjobs("remind", "--as-of", TODAY.isoformat(), "--json", url=database.job_url, env=impatient)
        assert result.exit_code in {0, 3}, result
        assert {(OLAS, "B"), (OLAS, "C")} <= set(told(result))
        counts = result.json()["counts"]
        holder.rollback()
    later = remind(certjobs, database)
    assert sorted(told(result) + told(later)) == [(KARIS, "A"), (OLAS, "B"), (OLAS, "C")], counts


def test_reminders_of_who_no_longer_reminds_are_not_sent(certjobs: Certjobs, database: TestDatabase) -> None:
    """A reminder still owed when its organisation switches reminding off is suppressed; a pause is told."""
    load(certjobs, Mentor("A", 30), Mentor("B", -1))
    remind(certjobs, database, env=NONE)
    check(certjobs, database)
    do(certjobs, "orgs", "set", "HLF", "--no-remind")
    assert told(remind(certjobs, database)) == [(KARIS, "B")]
    assert statuses(database) == {"A": "suppressed", "B": "sent"}
