"""What people and programs see of one mentor explained."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from certjobs.admin.because import SHORT
from certjobs.admin.explain import MOST
from certjobs.cli.output import document, say, table
from certjobs.domain.days import local

if TYPE_CHECKING:
    from certjobs.admin.explain import Explained
    from certjobs.db.explanations import Entry

TITLES = {"pause": "Paused?", "reminder": "Reminded?", "listing": "Listed?"}
ANSWERS = {True: "yes", False: "no", None: "not known"}


def explained(found: Explained, *, as_json: bool) -> None:
    """Show a mentor's timeline, and below it the reasons."""
    state = found.mentor
    if as_json:
        document(
            {
                "mentor": {
                    "mentor_ref": state.ref,
                    "organisation": state.organisation,
                    "chapter": state.chapter,
                    "status": state.status,
                    "pause_reason": state.pause_reason,
                    "certification_expiry": state.certification_expiry,
                },
                "on": found.on,
                "timeline": [_plain(each, state.time_zone) for each in found.timeline],
                "because": [asdict(each) for each in found.because],
            }
        )
        return
    table(
        f"{state.ref}, {state.organisation}: what happened, oldest first ({state.time_zone})",
        ("when", "what", "detail", "by", "why"),
        [_row(each, state.time_zone) for each in found.timeline],
    )
    if len(found.timeline) == MOST:
        say(f"These are the newest {MOST}.")
    named = {-1: "a day that is over", 0: "today", 1: "if nothing changes before"}
    say(f"On {found.on}, {named[(found.on > found.today) - (found.on < found.today)]}:")
    for about, title in TITLES.items():
        reasons = [each for each in found.because if each.about == about]
        say("", f"{title} {ANSWERS[reasons[0].answer].capitalize()}.")
        say(*(f"  {each.sentence} [{each.rule}; {_named(each.row)}]" for each in reasons))


def _row(entry: Entry, time_zone: str) -> tuple[object, ...]:
    run = f"{entry.job_name or 'run'} {str(entry.run_id)[:SHORT]}" if entry.run_id else None
    when = f"{entry.day}" if entry.day else f"{local(entry.at, time_zone):%Y-%m-%d %H:%M:%S}"
    return when, entry.what, entry.detail, run or entry.actor, entry.reason


def _plain(entry: Entry, time_zone: str) -> dict[str, Any]:
    run_id = str(entry.run_id) if entry.run_id else None
    return {
        "at": entry.day or local(entry.at, time_zone),
        "what": entry.what,
        "detail": entry.detail,
        "reason": entry.reason,
        "actor": entry.actor,
        "run": {"run_id": run_id, "short": run_id[:SHORT], "job": entry.job_name} if run_id else None,
        "row": {"table": entry.source, "key": entry.row},
    }


def _named(row: dict[str, Any] | Any) -> str:
    """Name a row in few words."""
    of = row.get("table", "setting")
    for name in ("certificate_ref", "id", "hash", "operation_id"):
        if row.get(name) is not None:
            return f"{of} {row[name]}"
    if "threshold_day" in row:
        return f"{of} {row['threshold_day']} days"
    if "setting" in row:
        value = row["value"]
        shown = ", ".join(map(str, value)) if isinstance(value, list) else ("on" if value else "off")
        return f"{row.get('organisation', 'setting')} {row['setting']} {shown}"
    return str(of)
