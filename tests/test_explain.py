"""explain through the command line: what happened to one mentor, and why they are (not) paused, reminded and listed."""

from __future__ import annotations

import re
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from certjobs.admin.because import RULES
from tests.conftest import ROOT
from tests.portal import Portal, running
from tests.roster import KARI, OLA, TODAY, Mentor, file_of
from tests.test_mentors import contents
from tests.test_outbox import WHY, do
from tests.test_remind import clear

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.conftest import Certjobs, Result, TestDatabase

CONSOLE = {"CERTJOBS_NOTIFY_CHANNEL": "console"}
EXAMPLES = max(5, settings().max_examples // 8)
ABOUT = ("pause", "reminder", "listing")
ANSWERS = {"yes": True, "no": False, "unknown": None}


def today() -> date:
    """Return today where the organisation is: what is explained goes by the database's own clock."""
    return datetime.now(ZoneInfo("Europe/Oslo")).date()


def day(days: int) -> str:
    """Return the day that many days from today, as an option takes it."""
    return (today() + timedelta(days=days)).isoformat()


def load(certjobs: Certjobs, *mentors: tuple[str, int | None, str, str]) -> None:
    """Import mentors: reference, days from today to the last valid one, coordinators, organisation."""
    shift = (today() - TODAY).days
    rows = [
        Mentor(ref, None if days is None else shift + days, coordinators, organisation)
        for ref, days, coordinators, organisation in mentors
    ]
    result = certjobs("roster", "import", "-", stdin=file_of(rows))
    assert result.exit_code == 0, result


def one(certjobs: Certjobs, days: int | None, *, coordinators: str = KARI, organisation: str = "HLF") -> None:
    """Import one mentor, M."""
    load(certjobs, ("M", days, coordinators, organisation))


def explain(certjobs: Certjobs, *options: str, ref: str = "M") -> dict[str, Any]:
    """Explain a mentor, and return the document."""
    result = certjobs("explain", ref, "--json", *options)
    assert result.exit_code == 0, result
    document: dict[str, Any] = result.json()
    return document


def said(document: dict[str, Any], about: str) -> tuple[bool | None, str]:
    """Return the answer and every sentence about something, with the rules."""
    reasons = [each for each in document["because"] if each["about"] == about]
    assert reasons, about
    assert len({each["answer"] for each in reasons}) == 1, "one answer"
    return reasons[0]["answer"], " ".join(f"{each['sentence']} [{each['rule']}]" for each in reasons)


def holds(document: dict[str, Any], about: str, answer: str, *phrases: str) -> None:
    """Hold an answer and key phrases against what is said."""
    found, sentences = said(document, about)
    assert found is ANSWERS[answer], sentences
    for phrase in phrases:
        assert phrase in sentences, sentences


@pytest.fixture
def portal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Portal]:
    """Run a portal on a clock that only rests move."""
    with running(tmp_path, monkeypatch) as found:
        yield found


def sync(certjobs: Certjobs, portal: Portal, *, exit_code: int = 0, env: dict[str, str] | None = None) -> Result:
    """Send what waits; it must end with this exit code."""
    result = certjobs("sync", "--json", env=portal.env | (env or {}))
    assert result.exit_code == exit_code, result
    return result


def run_id(result: Result) -> str:
    """Return how a run's id begins."""
    return str(result.json()["run_id"])[:8]


# Pausing.


def test_a_valid_mentor(certjobs: Certjobs) -> None:
    """An active mentor with a valid certification is not paused, and the certification is named."""
    one(certjobs, 90)
    found = explain(certjobs)
    holds(found, "pause", "no", "active, and certified until", "C-M", "[the rule on expiry]")
    (reason,) = [each for each in found["because"] if each["about"] == "pause"]
    assert reason["row"] == {
        "table": "certifications",
        "certificate_ref": "C-M",
        "issued_on": day(90 - 730),
        "ends_on": day(90),
        "withdrawn_on": None,
    }


def test_flags_that_are_off(certjobs: Certjobs) -> None:
    """In an organisation whose flags are off nobody is paused, reminded or listed, and each sentence names the flag."""
    one(certjobs, -1, organisation="NHF")
    found = explain(certjobs)
    holds(found, "pause", "no", "auto_pause is off", "the certification ended", "[the rule on pausing]")
    holds(found, "reminder", "no", "remind is off", "[the rule on reminders]")
    holds(found, "listing", "no", "Not ours to list: NHF is not synchronised", "[the rule on the public listing]")
    rows = [each["row"] for each in found["because"] if "setting" in each["row"]]
    assert [row["setting"] for row in rows] == ["auto_pause", "remind", "website_sync"]
    assert all(row["value"] is False and row["organisation"] == "NHF" for row in rows)


def test_flags_that_are_off_for_a_valid_mentor(certjobs: Certjobs) -> None:
    """That the nightly job pauses nobody there is said of a valid mentor too."""
    one(certjobs, 90, organisation="NHF")
    holds(explain(certjobs), "pause", "no", "certified until", "auto_pause is off")


def test_never_certified(certjobs: Certjobs) -> None:
    """Who never had a certification is not paused, not reminded and not listed."""
    one(certjobs, None)
    found = explain(certjobs)
    holds(found, "pause", "no", "never was a certification", "[the rule on expiry]")
    holds(found, "reminder", "no", "never was a certification")
    holds(found, "listing", "no", "Not to be listed: no certification", "acknowledged nothing")


def test_paused_by_hand(certjobs: Certjobs) -> None:
    """A pause by hand is told with who, when and why, and with its row."""
    one(certjobs, 10)
    do(certjobs, "mentors", "pause", "M", "--reason", "on leave")
    found = explain(certjobs)
    holds(found, "pause", "yes", f"Paused by hand, by test on {day(0)}: on leave", "leaves them alone")
    holds(found, "reminder", "no", "nobody is reminded of a paused mentor")
    holds(found, "listing", "no", "Not to be listed: paused (on leave)")
    row = next(each["row"] for each in found["because"] if each["about"] == "pause")
    assert (row["table"], row["event"], row["effective_on"]) == ("mentor_status_events", "paused", day(0))
    assert row["occurred_at"]


def test_paused_for_another_reason(certjobs: Certjobs, database: TestDatabase) -> None:
    """A pause by the application is told with its reason; an expired mentor is not paused again."""
    one(certjobs, -1)
    database.execute("UPDATE peer_mentors SET status = 'paused', pause_reason = 'moved'")
    holds(explain(certjobs), "pause", "yes", "Paused by hand, by postgres", "moved", "[the rule on pausing]")


def test_paused_and_nobody_wrote_it_down(certjobs: Certjobs, database: TestDatabase) -> None:
    """A pause from before the audit is told as one of which nobody knows when."""
    one(certjobs, 10)
    database.execute(
        "SET session_replication_role = replica; UPDATE peer_mentors SET status = 'paused', pause_reason = 'old'"
    )
    holds(explain(certjobs), "pause", "yes", "Paused (old)", "not written down")


def test_expired_and_paused_tonight(certjobs: Certjobs) -> None:
    """The day after the last valid one expiry-check pauses; then its run is named; a renewal waits for a person."""
    one(certjobs, -1)
    holds(explain(certjobs), "pause", "yes", f"Will be paused in the night of {day(0)}", f"ended on {day(-1)}")
    night = certjobs("expiry-check", "--json")
    found = explain(certjobs)
    holds(found, "pause", "yes", f"expiry-check did it on {day(0)} in run {run_id(night)}", "had ended")
    holds(found, "listing", "no", "paused (expired_cert)", "Operation 1, which takes them off, is on its way")
    do(certjobs, "certs", "renew", "C-M", "--expires", day(300), *WHY)
    holds(explain(certjobs), "pause", "yes", "never reinstates", "mentors reinstate M", "[the rule on renewals]")


def test_on_the_last_valid_day(certjobs: Certjobs) -> None:
    """On the last valid day a mentor is neither paused nor taken off."""
    one(certjobs, 0)
    found = explain(certjobs)
    holds(found, "pause", "no", "certified until")
    holds(found, "listing", "yes", "To be listed: active, valid until")


def test_the_guard_waits(certjobs: Certjobs) -> None:
    """Who is in a set that the guard refused is not paused until a person approves it."""
    load(certjobs, ("M", -1, KARI, "HLF"), ("N", -1, KARI, "HLF"))
    env = {"CERTJOBS_GUARD_COUNT": "1", "CERTJOBS_GUARD_SHARE": "0"}
    assert certjobs("expiry-check", env=env).exit_code == 4
    holds(explain(certjobs), "pause", "no", "the guard refused", "certjobs approve", "[the rule on mass change]")


# Reminders.


def test_due_tonight(certjobs: Certjobs) -> None:
    """Who is due is told the threshold, those that it overtakes, and the next one."""
    one(certjobs, 10)
    found = explain(certjobs)
    holds(found, "reminder", "yes", "Will be reminded: 10 days left, which the threshold of 14 covers")
    holds(found, "reminder", "yes", "Overtaken by it: 30 days", f"next reminder is due on {day(3)}, 7 days")
    assert found["because"][2]["row"] == {"setting": "CERTJOBS_THRESHOLDS", "value": [30, 14, 7]}


def test_reminded_and_reminded_before(certjobs: Certjobs, database: TestDatabase) -> None:
    """What was decided is told with its run, that day and on later ones, and what it overtook."""
    one(certjobs, 10)
    night = certjobs("remind", "--json", env=CONSOLE)
    found = explain(certjobs)
    holds(
        found, "reminder", "yes", f"threshold of 14 days before {day(10)} was decided that day in run {run_id(night)}"
    )
    holds(found, "reminder", "yes", "1 notice owed", "Overtaken by it: 30 days; recorded as superseded")
    later = explain(certjobs, "--on", day(1))
    holds(later, "reminder", "no", f"already reminded at the threshold of 14 days, on {day(0)} in run")
    holds(later, "reminder", "no", f"The next reminder is due on {day(3)}")
    row = next(each["row"] for each in later["because"] if each["about"] == "reminder")
    assert (row["table"], row["threshold_day"], row["status"]) == ("cert_expiry_reminders", 14, "due")
    assert row["run_id"] == str(database.one("SELECT run_id FROM cert_expiry_reminders WHERE status = 'due'"))


def test_a_baseline_counts_as_told(certjobs: Certjobs) -> None:
    """What a baseline recorded is told as superseded."""
    one(certjobs, 10)
    do(certjobs, "remind", "--baseline")
    holds(explain(certjobs), "reminder", "no", "14 days was recorded as superseded", "baseline")


def test_too_far_ahead(certjobs: Certjobs) -> None:
    """Who has more days left than the largest threshold is told the day when the first one is due."""
    one(certjobs, 40)
    found = explain(certjobs)
    holds(found, "reminder", "no", "40 days left, more than the thresholds cover (30, 14, 7)")
    holds(found, "reminder", "no", f"The next reminder is due on {day(10)}, 30 days")


def test_expiry_overtakes(certjobs: Certjobs) -> None:
    """Of an expired certification nobody is reminded, and the thresholds are overtaken."""
    one(certjobs, -1)
    holds(explain(certjobs), "reminder", "no", "expiry has overtaken them")


def test_thresholds_of_the_organisation(certjobs: Certjobs) -> None:
    """An organisation's own thresholds are named as the setting where they count."""
    one(certjobs, 40)
    do(certjobs, "orgs", "set", "HLF", "--thresholds", "45,5", *WHY)
    env = {"CERTJOBS_PER_ORGANISATION_THRESHOLDS": "true"}
    found = certjobs("explain", "M", "--json", env=env).json()
    holds(found, "reminder", "yes", "which the threshold of 45 covers", f"due on {day(35)}, 5 days")
    holds(explain(certjobs), "reminder", "no", "more than the thresholds cover (30, 14, 7)")


def test_snoozed(certjobs: Certjobs) -> None:
    """A snooze is told with whom, which threshold and until when."""
    one(certjobs, 10)
    do(
        certjobs,
        *("notifications", "snooze", "M", "kari@example.org", "--threshold", "14", "--until", day(5)),
        *("--reason", "course booked"),
    )
    holds(explain(certjobs), "reminder", "yes", f"not told of the threshold of 14 days before {day(5)}", "snoozed")


def test_without_coordinator(certjobs: Certjobs) -> None:
    """Without a coordinator the fallback address hears it; without either the notice stays owed."""
    one(certjobs, 10, coordinators="")
    holds(explain(certjobs), "reminder", "yes", "no fallback address, so notices stay owed", "[the rule on recipients]")
    do(certjobs, "orgs", "set", "HLF", "--fallback-address", "post@example.org", *WHY)
    holds(explain(certjobs), "reminder", "yes", "notices go to the organisation's fallback address")


# The public listing.


def test_unknown_to_the_website(certjobs: Certjobs) -> None:
    """Where the website has acknowledged nothing that is said, and what is on its way."""
    one(certjobs, 90)
    found = explain(certjobs)
    holds(found, "listing", "yes", "acknowledged nothing about this mentor yet", "[the rule on sending to the website]")
    holds(found, "listing", "yes", "Operation 1, which lists them, is on its way: not sent yet")


def test_acknowledged(certjobs: Certjobs, portal: Portal) -> None:
    """What the website acknowledged is told with operation and run; nothing is on its way then."""
    one(certjobs, 90)
    portal.knows("M", listed=False)
    result = sync(certjobs, portal)
    found = explain(certjobs)
    holds(found, "listing", "yes", "that they are listed", f"(operation 1 in run {run_id(result)})")
    assert "on its way" not in said(found, "listing")[1]


def test_the_website_shows_something_else(certjobs: Certjobs, database: TestDatabase) -> None:
    """Where the website said something else than the rule wants, and nothing is on its way, force-sync is named."""
    one(certjobs, 90)
    database.execute("UPDATE sync_queue SET status = 'done', sent = 'restore', finished_at = clock_timestamp()")
    database.execute("INSERT INTO website_listing (mentor_id, listed) SELECT id, false FROM peer_mentors")
    holds(explain(certjobs), "listing", "yes", "not what the rule wants", "certjobs force-sync M")


def test_an_operation_that_rests(certjobs: Certjobs, database: TestDatabase) -> None:
    """An operation that is not due is told with why it failed and when it is due again."""
    one(certjobs, 90)
    database.execute(
        "UPDATE sync_queue SET status = 'failed', failures = 3, last_error = 'The portal was busy.',"
        " not_before = clock_timestamp() + interval '1 hour'"
    )
    found = explain(certjobs)
    holds(found, "listing", "yes", "is on its way: The portal was busy; due again")
    row = found["because"][-1]["row"]
    assert (row["table"], row["id"], row["status"]) == ("sync_queue", 1, "failed")


def test_an_operation_under_way(certjobs: Certjobs, database: TestDatabase) -> None:
    """An operation under way is told as one that a run has in hand."""
    one(certjobs, 90)
    database.execute("UPDATE sync_queue SET status = 'processing', sent = operation")
    holds(explain(certjobs), "listing", "yes", "another run has it in hand")


def test_an_operation_behind_another(certjobs: Certjobs, database: TestDatabase) -> None:
    """What came after an operation under way waits for it, and what is the opposite of an unanswered one waits too."""
    one(certjobs, 90)
    database.execute("UPDATE sync_queue SET status = 'processing', sent = operation")
    database.execute("UPDATE peer_mentors SET status = 'paused', pause_reason = 'moved'")
    database.execute("UPDATE sync_queue SET explained = true WHERE status = 'pending'")
    holds(
        explain(certjobs), "listing", "no", "Operation 2, which takes them off", "an earlier operation of this mentor"
    )
    database.execute(
        "UPDATE sync_queue SET status = 'superseded', unsure_until = clock_timestamp() + interval '5 minutes'"
        " WHERE status = 'processing'"
    )
    holds(explain(certjobs), "listing", "no", "an earlier request was not answered")


def test_an_operation_that_is_overtaken_by_the_day(certjobs: Certjobs, database: TestDatabase) -> None:
    """Where the rule wants the opposite of what was queued by now, it is said that this is what is sent."""
    one(certjobs, 90)
    database.execute("ALTER TABLE peer_mentors DISABLE TRIGGER certjobs_queue_changes")
    database.execute("UPDATE certifications SET expires_on = current_date - 2")
    holds(explain(certjobs), "listing", "no", "Operation 1, which lists them", "the rule wants the opposite")


def test_an_operation_that_is_dead(certjobs: Certjobs, portal: Portal) -> None:
    """A dead operation is told with the portal's reason and what to do."""
    one(certjobs, 90)
    sync(certjobs, portal, exit_code=3)
    holds(explain(certjobs), "listing", "yes", "is dead: the portal answered 404", "certjobs queue retry 1")


def test_an_operation_that_the_guard_holds(certjobs: Certjobs, database: TestDatabase, portal: Portal) -> None:
    """A removal that nothing explains is told as one for the guard, and once refused as one for a person."""
    one(certjobs, 90)
    portal.knows("M", listed=False)
    sync(certjobs, portal)
    database.execute("UPDATE peer_mentors SET status = 'paused', pause_reason = 'moved'")
    holds(explain(certjobs), "listing", "no", "the next sync asks the guard first", "[the rule on mass change]")
    sync(certjobs, portal, exit_code=4, env={"CERTJOBS_GUARD_COUNT": "0", "CERTJOBS_GUARD_SHARE": "0"})
    holds(explain(certjobs), "listing", "no", "the guard refused it (set", "waits for a person")


# The timeline.


def test_the_timeline_of_real_nights(certjobs: Certjobs, portal: Portal) -> None:
    """After real nights everything that happened stands there in order, with who, why and the short id of the run."""
    one(certjobs, 10)
    portal.knows("M", listed=False)
    first = sync(certjobs, portal)
    remind = certjobs("remind", "--json", env=CONSOLE)
    do(certjobs, "certs", "withdraw", "C-M", "--on", day(0), "--reason", "sent back")
    check = certjobs("expiry-check", "--json", env=CONSOLE)
    last = sync(certjobs, portal)
    do(certjobs, "certs", "add", "M", "--ref", "C-NEW", "--issued", day(0), "--expires", day(400), *WHY)
    do(certjobs, "mentors", "reinstate", "M", "--reason", "renewed")
    timeline = explain(certjobs)["timeline"]
    happened = [(each["what"], each["run"]["short"] if each["run"] else None) for each in timeline]
    assert happened == [
        ("certification issued", None),
        ("certification ends", None),
        ("certification issued", None),
        ("assigned", None),
        ("certification added", None),
        ("restore queued", None),
        ("restore done", run_id(first)),
        ("threshold superseded", run_id(remind)),
        ("reminder due", run_id(remind)),
        ("reminder notice sent", run_id(remind)),
        ("certification withdrawn", None),
        ("remove queued", None),
        ("expired_cert", run_id(check)),
        ("remove superseded", None),
        ("remove queued", run_id(check)),
        ("pause notice sent", run_id(check)),
        ("remove done", run_id(last)),
        ("website acknowledged", run_id(last)),
        ("certification added", None),
        ("reinstated", None),
        ("restore queued", None),
        ("certification ends", None),
    ], happened
    by_what = {each["what"]: each for each in timeline}
    assert by_what["reinstated"]["reason"] == "renewed"
    assert by_what["reinstated"]["actor"] == "test"
    assert by_what["pause notice sent"]["detail"].endswith("kari@example.org")
    assert by_what["restore queued"]["detail"].endswith("because of reinstated")
    assert by_what["expired_cert"]["run"]["job"] == "expiry-check"
    moments = [datetime.fromisoformat(each["at"]) for each in timeline if "T" in each["at"]]
    assert moments == sorted(moments)


def test_a_warning_stands_on_the_timeline(certjobs: Certjobs) -> None:
    """Who was made active uncertified has a finding there, and it is told when it is cleared."""
    one(certjobs, -1)
    do(certjobs, "expiry-check")
    do(certjobs, "mentors", "reinstate", "M", "--force", *WHY)
    do(certjobs, "mentors", "pause", "M", *WHY)
    whats = [each["what"] for each in explain(certjobs)["timeline"]]
    assert whats.index("finding: warning") < whats.index("finding cleared: warning")


def test_people_read_it(certjobs: Certjobs) -> None:
    """People get the timeline as a table, three questions with their answers, and rule and row of each sentence."""
    one(certjobs, 10)
    shown = certjobs("explain", "M").stdout
    assert "what happened, oldest first (Europe/Oslo)" in shown
    for line in ("Paused? No.", "Reminded? Yes.", "Listed? Yes.", f"On {day(0)}, today:"):
        assert line in shown
    assert "[the rule on expiry; certifications C-M]" in shown
    assert "setting CERTJOBS_THRESHOLDS 30, 14, 7]" in shown


# Other days.


def back(database: TestDatabase, days: int) -> None:
    """Let everything that the audit holds have happened so many days earlier."""
    with database.connect() as connection:
        connection.execute("SET session_replication_role = replica")
        for table in ("certification_events", "roster_events", "mentor_status_events"):
            connection.execute(
                f"UPDATE {table} SET occurred_at = occurred_at - make_interval(days => %s)".encode(), [days]
            )
        connection.execute("UPDATE mentor_status_events SET effective_on = effective_on - CAST(%s AS integer)", [days])


def test_a_day_that_is_over(certjobs: Certjobs, database: TestDatabase) -> None:
    """Of a past day status, certification and settings are those that the audit tells of, not those of now."""
    one(certjobs, 20)
    back(database, 10)
    do(certjobs, "mentors", "pause", "M", "--reason", "on leave")
    do(certjobs, "certs", "withdraw", "C-M", "--on", day(-9), *WHY)
    do(certjobs, "orgs", "set", "HLF", "--no-auto-pause", *WHY)
    back(database, 5)
    then = explain(certjobs, "--on", day(-8))
    holds(then, "pause", "no", f"active, and certified until {day(20)} by certification C-M")
    assert "auto_pause" not in said(then, "pause")[1]
    holds(then, "listing", "yes", "To be listed: active")
    holds(then, "reminder", "no", "no run decided that day", "threshold of 30 days")
    after = explain(certjobs, "--on", day(-4))
    holds(after, "pause", "yes", f"Paused by hand, by test on {day(-5)}")
    holds(after, "listing", "no", "paused (on leave)")


def test_a_night_that_was_missed(certjobs: Certjobs, database: TestDatabase) -> None:
    """Of a past day on which an expired mentor was still active it is said that no run had paused them."""
    one(certjobs, -3)
    back(database, 10)
    holds(explain(certjobs, "--on", day(-2)), "pause", "no", "Not paused by the end of that day", "no run had done it")


def test_a_past_reminder(certjobs: Certjobs, database: TestDatabase) -> None:
    """Of a past day it is told which reminder was decided on it."""
    one(certjobs, 20)
    back(database, 10)
    assert certjobs("remind", "--as-of", day(-3)).exit_code == 0
    holds(explain(certjobs, "--on", day(-3)), "reminder", "yes", "the threshold of 30 days", "was decided that day")
    holds(explain(certjobs, "--on", day(-2)), "reminder", "no", "already reminded at the threshold of 30 days")
    holds(explain(certjobs, "--on", day(-4)), "reminder", "no", "no run decided that day")


def test_what_the_website_had_said_by_then(certjobs: Certjobs, database: TestDatabase, portal: Portal) -> None:
    """Of a past day it is told what the website had acknowledged by its end, and nothing of what is on its way now."""
    one(certjobs, 90)
    portal.knows("M", listed=False)
    sync(certjobs, portal)
    back(database, 10)
    database.execute("UPDATE sync_queue SET finished_at = finished_at - interval '3 days'")
    do(certjobs, "mentors", "pause", "M", "--reason", "on leave")
    holds(explain(certjobs, "--on", day(-4)), "listing", "yes", "acknowledged nothing about this mentor by then")
    then = explain(certjobs, "--on", day(-3))
    holds(then, "listing", "yes", f"The website acknowledged on {day(-3)}", "that they are listed (operation 1")
    assert "Operation 2" not in said(then, "listing")[1]
    holds(explain(certjobs), "listing", "no", "Operation 2, which takes them off")


def test_before_the_audit(certjobs: Certjobs) -> None:
    """Of a day before the audit tells of this mentor it is said that nobody knows."""
    one(certjobs, 20)
    found = explain(certjobs, "--on", day(-1))
    for about in ABOUT:
        holds(found, about, "unknown", "cannot be known", f"begins on {day(0)}", "[the rule on the past]")
    assert certjobs("explain", "M", "--on", day(-1)).stdout.count("Not known.") == 3


def test_a_day_to_come(certjobs: Certjobs) -> None:
    """A day to come is as it will be if nothing changes before: paused from the day after the last valid one."""
    one(certjobs, 10)
    soon = explain(certjobs, "--on", day(5))
    holds(soon, "pause", "no", "certified until")
    holds(soon, "reminder", "yes", "threshold of 7 covers", "a run before that day may be the one")
    holds(soon, "listing", "yes", "To be listed")
    late = explain(certjobs, "--on", day(20))
    holds(late, "pause", "yes", f"Will be paused by {day(20)}, from {day(11)} on")
    holds(late, "reminder", "no", "expiry has overtaken them")
    holds(late, "listing", "no", "expired, was valid until")


# The command.


def test_the_document(certjobs: Certjobs) -> None:
    """--json gives mentor, day, timeline and reasons, each with its five fields, and every rule by its name."""
    one(certjobs, 10)
    found = explain(certjobs, "--on", day(2))
    assert list(found) == ["mentor", "on", "timeline", "because"]
    assert (found["mentor"]["mentor_ref"], found["on"]) == ("M", day(2))
    assert [each["about"] for each in found["because"]] == sorted(
        (each["about"] for each in found["because"]), key=ABOUT.index
    )
    for each in found["because"]:
        assert list(each) == ["about", "answer", "sentence", "rule", "row"]
        assert each["rule"] in RULES
        assert each["row"]
    for each in found["timeline"]:
        assert list(each) == ["at", "what", "detail", "reason", "actor", "run", "row"]


def test_nothing_is_written_and_nobody_named_in_logs(certjobs: Certjobs, database: TestDatabase) -> None:
    """No row of any table changes, and neither name nor address reaches stderr."""
    load(certjobs, ("M", -1, f"{KARI}|{OLA}", "HLF"), ("N", 10, "", "NHF"))
    assert certjobs("expiry-check", env=CONSOLE).exit_code == 0
    before = contents(database)
    for argv in (["M"], ["N", "--json"], ["M", "--on", day(-9)], ["M", "--on", day(99)]):
        result = certjobs("explain", *argv, env={"CERTJOBS_LOG_LEVEL": "debug"})
        assert result.exit_code == 0
        for private in ("@example.org", "Eksempel", "Mentor M"):
            assert private not in result.stderr
    assert contents(database) == before


def test_an_unknown_mentor(certjobs: Certjobs) -> None:
    """An unknown reference is wrong usage, and those that look like it are named: a letter away, case aside."""
    load(certjobs, *((ref, 10, KARI, "HLF") for ref in ("HLF-0042", "HLF-0107", "NHF_1")))
    alike = {
        "HLF-0043": "HLF-0042",
        "hlf-107": "HLF-0107",
        "LHF-0107": "HLF-0107",
        "HLF-00042": "HLF-0042",
        "NHF_": "NHF_1",
        "HLF-01": "HLF-0107",
    }
    for unknown, near in alike.items():
        result = certjobs("explain", unknown)
        assert result.exit_code == 2, result
        assert repr(unknown) in result.stderr
        assert f"There is {near}" in result.stderr, result.stderr
    for unknown in ("%", "Qqqq", "", "x" * 500):
        result = certjobs("explain", unknown)
        assert result.exit_code == 2, result
        assert "There is no mentor" in result.stderr
        assert "There is HLF" not in result.stderr, result.stderr


def test_days_that_no_calendar_holds(certjobs: Certjobs, database: TestDatabase) -> None:
    """A certification without end, and one that an application keeps till the end of time, are told of as they are."""
    one(certjobs, 10)
    database.execute("UPDATE certifications SET expires_on = '9999-12-31', issued_on = '0001-01-01'")
    holds(explain(certjobs), "pause", "no", "certified until 9999-12-31")
    database.execute("UPDATE certifications SET expires_on = 'infinity'")
    found = explain(certjobs)
    holds(found, "pause", "no", "certified until a day without end")
    holds(found, "reminder", "no", "days without end, more than the thresholds cover")
    holds(found, "listing", "yes", "active, valid without end")
    assert explain(certjobs, "--on", "9999-12-30")["on"] == "9999-12-30"
    assert explain(certjobs, "--on", "0001-01-02")["because"][0]["answer"] is None


def test_who_moved(certjobs: Certjobs, database: TestDatabase) -> None:
    """Of a day before a move to another organisation it is told what that one wanted."""
    load(certjobs, ("M", 90, KARI, "HLF"), ("N", 90, KARI, "NHF"))
    back(database, 10)
    do(certjobs, "mentors", "move", "M", "--chapter", "Eksempeldal", "--org", "NHF", "--create", *WHY)
    holds(explain(certjobs, "--on", day(-2)), "listing", "yes", "To be listed: active")
    found = explain(certjobs)
    holds(found, "listing", "no", "NHF is not synchronised", "Operation 2, which takes them off, is on its way")
    assert "moved to another organisation" in [each["detail"] for each in found["timeline"]]


def test_an_erased_mentor(certjobs: Certjobs) -> None:
    """Of who was erased nothing is told any more."""
    one(certjobs, 10)
    do(certjobs, "mentors", "erase", "M", "--yes", *WHY)
    result = certjobs("explain", "M")
    assert result.exit_code == 2
    assert "erased" in result.stderr


def test_the_readme_describes_each_rule() -> None:
    """Every rule that a sentence can name is described in the README under that name, and no other."""
    section = (
        (ROOT / "README.md").read_text(encoding="utf-8").split("\n### The rules by name\n", 1)[1].split("\n#", 1)[0]
    )
    assert re.findall(r"^- \*\*(the rule on [^*]+)\*\*", section, re.MULTILINE) == list(RULES)


# The nights agree.

MENTORS = st.lists(
    st.tuples(
        st.one_of(st.none(), st.integers(-20, 45)), st.sampled_from(["HLF", "HLF", "NHF"]), st.booleans(), st.booleans()
    ),
    min_size=1,
    max_size=4,
)


@settings(max_examples=EXAMPLES)
@given(mentors=MENTORS, earlier=st.none() | st.integers(1, 12), ahead=st.just(0) | st.integers(0, 20))
def test_the_nights_agree(
    certjobs: Certjobs,
    database: TestDatabase,
    mentors: list[tuple[int | None, str, bool, bool]],
    earlier: int | None,
    ahead: int,
) -> None:
    """The answers for a day are what its jobs would do and the listing rule says, and the same once they have."""
    clear(database)
    load(
        certjobs,
        *((f"M{n}", days, KARI if told else "", org) for n, (days, org, _, told) in enumerate(mentors)),
    )
    for number, (_, _, paused, _) in enumerate(mentors):
        if paused:
            do(certjobs, "mentors", "pause", f"M{number}", *WHY)
    if earlier is not None:
        for job in ("expiry-check", "remind"):
            assert certjobs(job, "--as-of", day(-earlier)).exit_code in (0, 3)
    on = day(ahead)
    check = certjobs("expiry-check", "--dry-run", "--json", "--as-of", on).json()
    remind = certjobs("remind", "--dry-run", "--json", "--as-of", on).json()
    to_pause = {each["mentor_ref"] for each in check["paused"]}
    to_remind = {each["mentor_ref"] for each in remind["reminders"]}
    answers = {}
    for number, (days, org, _, _) in enumerate(mentors):
        ref = f"M{number}"
        found = explain(certjobs, "--on", on, ref=ref)
        active = found["mentor"]["status"] == "active"
        listed = org == "HLF" and active and days is not None and days >= ahead
        answers[ref] = (not active or ref in to_pause, ref in to_remind, listed)
        assert tuple(said(found, about)[0] for about in ABOUT) == answers[ref], found
    if ahead == 0:
        for job in ("expiry-check", "remind"):
            assert certjobs(job).exit_code in (0, 3)
        for ref, before in answers.items():
            found = explain(certjobs, ref=ref)
            assert tuple(said(found, about)[0] for about in ABOUT) == before, found
