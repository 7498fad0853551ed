"""What people see of operations on the public website."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from certjobs.cli.output import document, say, table
from certjobs.domain.findings import MEANING
from certjobs.domain.text import counted

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from certjobs.domain.outcome import Report


SHOWN = 20  # mentors that a table tells of
WORDS = {"remove": "taken off", "restore": "listed"}
ASKED = {"remove": "removal", "restore": "listing"}


def synced(counts: Mapping[str, int], details: Mapping[str, Any], *, dry_run: bool) -> None:
    """Show what a run sent, what it could not, and what is left."""
    sent, trouble = details["sent"], details["trouble"]
    total = counts["removed"] + counts["restored"]
    if sent:
        more = f" (the first {len(sent)} of {total})" if total > len(sent) else ""
        rows = [(each["mentor_ref"], WORDS[each["operation"]], each["triggered_by_event"]) for each in sent]
        if dry_run:
            table(f"Would be sent to the website{more}", ("mentor", "to be", "because of"), rows)
        else:
            answers = ["did not know them" if each["outcome"] == "absent" else "acknowledged" for each in sent]
            table(
                f"Sent to the website{more}",
                ("mentor", "now", "because of", "the portal"),
                [(*row, answer) for row, answer in zip(rows, answers, strict=True)],
            )
    _not_sent(trouble)
    _summary(counts)


FINDINGS = {"extra": "is listed, should not be", "missing": "is not listed, should be", "unknown": "no mentor has it"}


def compared(counts: Mapping[str, int], details: Mapping[str, Any], *, dry_run: bool) -> None:
    """Show where website and rule differ, what is done about it, and every kind of finding that is open."""
    mends = not (details["report_only"] or details["adopt"])
    rows = [
        (each["mentor_ref"] or each["entry"], FINDINGS[each["finding"]], _remedy(each, mends=mends, dry_run=dry_run))
        for each in details["divergences"]
    ]
    total = counts.get("differing", 0) + counts.get("unknown", 0) - counts.get("left_out", 0)
    if rows:
        more = f" (the first {len(rows)} of {total})" if total > len(rows) else ""
        table(f"Where the website differs{more}", ("mentor or entry", "the website", "done"), rows)
    if "entries" in counts:
        differ = counted(counts["differing"], "mentor")
        say(
            f"The website lists {counts['entries']}: {counts['agreeing']} as the rule says, {counts['extra']} too many,"
            f" {counts['unknown']} unknown, {counts['not_ours']} not ours; {counts['missing']} missing."
            f" {differ} {'differs' if counts['differing'] == 1 else 'differ'},"
            f" {counts['left_out']} of them with an operation on its way."
        )
    if details["adopt"]:
        verb = "Would be adopted" if dry_run else "Adopted"
        say(f"{verb}: what the website shows of {counted(counts.get('adopted', 0), 'mentor')}.")
    if details["findings"]:
        table(
            "Findings that are open",
            ("kind", "open", "new", "since (UTC)", "what it is"),
            [
                (each["finding"], each["open"], each["new"], each["since"], MEANING[each["finding"]][1])
                for each in details["findings"]
            ],
        )
    else:
        say("No finding is open.")


def _remedy(each: Mapping[str, Any], *, mends: bool, dry_run: bool) -> str:
    if each["finding"] == "unknown" or not mends:
        return "reported only"
    if each["given_up"]:
        return "nothing: the same was given up before"
    if each["refused"]:
        return "nothing: the guard waits for a person"
    what = "taking off" if each["finding"] == "extra" else "listing"
    return f"{what} {'would be queued' if dry_run else 'queued'}"


def forced(counts: Mapping[str, int], details: Mapping[str, Any], *, dry_run: bool) -> None:
    """Show of mentors sent by hand what the rule wants, what was sent, and what came of it."""
    mentors = details["mentors"]
    total = len(mentors) if details["named"] else counts["queued"]
    more = f" (the first {SHOWN} of {total})" if total > SHOWN else ""
    headings: tuple[str, ...] = ("mentor", "the rule wants", "asked for", "the portal", "public site by")
    rows: list[tuple[object, ...]] = [
        (
            each["mentor_ref"],
            f"{each['rule']}: {each['why']}",
            ASKED[each["sent"]] if each["sent"] else "nothing",
            each["answer"],
            _minute(each["public_by"]),
        )
        for each in mentors[:SHOWN]
    ]
    if dry_run:
        shown = 4 if any(each["status"] not in (None, "done") for each in mentors[:SHOWN]) else 3
        headings, rows = headings[:shown], [row[:shown] for row in rows]
    if rows:
        table(f"{'Would be sent' if dry_run else 'Sent'} to the website by hand{more}", headings, rows)
    if not details["named"]:
        _not_sent(details["trouble"])
    _summary(counts)


def _minute(moment: datetime | None) -> str | None:
    return f"{moment:%Y-%m-%d %H:%M %Z}" if moment else None


def _not_sent(trouble: Sequence[Mapping[str, Any]]) -> None:
    if trouble:
        table(
            "Could not be sent",
            ("mentor", "to be", "status", "failures", "why"),
            [
                (each["mentor_ref"], WORDS[each["operation"]], each["status"], each["failures"], each["error"])
                for each in trouble
            ],
        )


def _summary(counts: Mapping[str, int]) -> None:
    words = {
        "removed": "taken off",
        "restored": "listed",
        "superseded": "overtaken by later changes",
        "again": "queued again",
        "failed": "failed for now",
        "dead": "given up",
        "released": "put back",
        "open": "still open",
    }
    parts = ", ".join(f"{counts[name]} {word}" for name, word in words.items() if counts.get(name))
    say(f"Operations on the website: {parts}." if parts else "The website has nothing to learn.")
    earlier = counts.get("given_up", 0) - counts.get("dead", 0)
    if earlier > 0:
        say(f"{counted(earlier, 'operation')} given up by earlier runs: see `certjobs queue list --status dead`.")


def drained(report: Report, *, as_json: bool) -> None:
    """Say in one line what a drain of a watcher came to."""
    if as_json:
        document(report.as_json())
        return
    outcome = report.outcome
    done = ", ".join(
        f"{number} {word}"
        for name, word in {
            "removed": "taken off",
            "restored": "listed",
            "dead": "given up",
            "open": "still open",
        }.items()
        if (number := outcome.counts.get(name))
    )
    said = f"; {outcome.message}" if outcome.message else ""
    say(f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC  {done or 'nothing sent'} (exit {int(outcome.exit_code)}){said}")
