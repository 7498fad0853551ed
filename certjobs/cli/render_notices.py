"""What people and programs see of notices and reminders."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from certjobs.cli.output import document, say, table
from certjobs.domain.text import counted

if TYPE_CHECKING:
    from collections.abc import Mapping

    from certjobs.admin.notices import Handled, Shown


def notice(found: Shown, *, as_json: bool) -> None:
    """Show one notice and every attempt to send it."""
    if as_json:
        document(asdict(found.notice) | {"attempts": [asdict(each) for each in found.attempts]})
        return
    about = asdict(found.notice)
    table("Notice", ("", ""), [(name.replace("_", " "), value) for name, value in about.items() if value is not None])
    if found.attempts:
        table(
            "Attempts, newest first (UTC)",
            ("when", "attempt", "channel", "outcome", "why"),
            [(each.occurred_at, each.attempt, each.channel, each.outcome, each.error) for each in found.attempts],
        )
    else:
        say("It was never tried.")


def handled(found: Handled, what: str, *, dry_run: bool, as_json: bool) -> None:
    """Say which notices a command changed."""
    if as_json:
        document(
            {
                "changed": [asdict(each) for each in found.changed],
                "unchanged": [asdict(each) for each in found.unchanged],
                "dry_run": dry_run,
            }
        )
        return
    would = "Dry-run, nothing was written. Would be" if dry_run else "Now"
    if found.changed:
        say(f"{would} {what}: {', '.join(str(each.id) for each in found.changed)}.")
    for each in found.unchanged:
        say(f"{each.id} stays as it is: {each.status}.")


def reminded(details: Mapping[str, Any], *, dry_run: bool) -> None:
    """Show what a run decided: by organisation, whom about, and in a dry-run who would hear it."""
    table(
        "remind, by organisation",
        ("organisation", "today", "thresholds", "reminders", "superseded", "notices"),
        [
            (
                each["organisation"],
                each["today"],
                ", ".join(map(str, each["thresholds"])),
                each["reminders"],
                each["superseded"],
                each["notices"],
            )
            for each in details["reminded"]
        ],
    )
    rows = details.get("reminders", ())
    total = sum(each["reminders"] for each in details["reminded"])
    if rows:
        more = f" (the first {len(rows)} of {total})" if total > len(rows) else ""
        table(
            f"{'Would be reminded of' if dry_run else 'Reminded of'}{more}",
            ("mentor", "organisation", "chapter", "last valid day", "days left", "threshold", "notices"),
            [
                (
                    each["mentor_ref"],
                    each["organisation"],
                    each["chapter"],
                    each["certification_expiry"],
                    each["days_left"],
                    each["threshold_day"],
                    each["notices"],
                )
                for each in rows
            ],
        )
    else:
        say("Nobody is newly due.")
    recipients = details.get("recipients", ())
    heard = [(each["recipient"], _of_whom(each)) for each in recipients if each["waits"] is None]
    if heard:
        table("Who would hear what", ("recipient", "of whom"), heard)
    waiting = [
        (each["recipient"], _of_whom(each), _why(each["waits"], details["channel"]))
        for each in recipients
        if each["waits"] is not None
    ]
    if waiting:
        table("What would stay owed", ("recipient", "of whom", "why"), waiting)


def _of_whom(recipient: Mapping[str, Any]) -> str:
    def one(notice: Mapping[str, Any]) -> str:
        what = "paused" if notice["threshold_day"] is None else f"{notice['threshold_day']} days"
        return f"{notice['mentor_ref']} ({what})"

    return ", ".join(map(one, recipient["notices"]))


def _why(waits: str, channel: str) -> str:
    if waits == "nobody":
        return "no coordinator and no fallback address"
    if waits == "snoozed":
        return "snoozed"
    return "no channel is set" if channel == "none" else "it is quiet now"


def notices(counts: Mapping[str, int], details: Mapping[str, Any]) -> None:
    """Say what became of the notices."""
    found = {name.removeprefix("notices_"): number for name, number in counts.items() if name.startswith("notices_")}
    if not any(found.values()):
        return
    words = {
        "owed": "newly owed",
        "open": "still owed",
        "failed": "failed for now",
        "added": "added for new coordinators",
        "quiet": "waiting",
    }
    parts = ", ".join(f"{number} {words.get(name, name)}" for name, number in found.items() if number)
    why = ""
    if found.get("open"):
        if details.get("channel") == "none":
            why = " No channel is set, so they stay owed: see CERTJOBS_NOTIFY_CHANNEL."
        elif details.get("notices_left_for"):
            with_what = f"`certjobs {details['notices_left_for']}`, one message a coordinator"
            why = f" {counted(found['open'], 'notice')} will go out with {with_what}."
    say(f"Notices to coordinators: {parts}.{why}")
