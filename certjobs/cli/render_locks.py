"""What people and programs see of a lock that was taken from its owner."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from certjobs.admin.locks import holding
from certjobs.cli.output import document, say, table

if TYPE_CHECKING:
    from certjobs.admin.locks import Unlocked

NAMED = 20  # items in hand that a table names; --json names all


def not_held(job: str, *, exclusive: bool, dry_run: bool, as_json: bool) -> None:
    """Say that a job's lock is free."""
    if as_json:
        document({"job": job, "held": False, "unlocked": False, "dry_run": dry_run})
    elif exclusive:
        say(f"Nobody holds the lock of {job}: nothing is in the way of its next run.")
    else:
        say(f"{job} has no lock: its runs work side by side, and nothing is in the way of the next.")


def unlocked(found: Unlocked, *, dry_run: bool, as_json: bool) -> None:
    """Say from whom a lock was taken, and what becomes of what they had in hand."""
    lock = found.lock
    if as_json:
        document(
            {
                "job": lock.job,
                "held": True,
                "unlocked": not dry_run,
                "dry_run": dry_run,
                "run_id": lock.run_id,
                "holder": lock.holder,
                "since": lock.since,
                "heartbeat_at": lock.heartbeat_at,
                "session_there": lock.session_there,
                "run_abandoned": found.released.abandoned,
                "fencing_token": found.released.fencing_token,
                "in_hand": [asdict(each) for each in found.in_hand],
            }
        )
        return
    say(*holding(lock, found.in_hand, found.at))
    if found.in_hand:
        table(
            "In hand",
            ("what", "number", "mentor", "kind", "attempt"),
            [(each.what, each.id, each.mentor_ref, each.kind, each.attempt) for each in found.in_hand[:NAMED]],
        )
        if len(found.in_hand) > NAMED:
            say(f"These are the first {NAMED} of {len(found.in_hand)}; --json names all.")
        say("The next remind settles what it was sending; the next sync takes up what it had claimed.")
    if dry_run:
        say("Dry-run: nothing was written. The lock would be free now, and the run abandoned.")
        return
    ended = "the run is abandoned" if found.released.abandoned else "the run had ended before"
    say(f"The lock is free, and {ended}: should its process still be somewhere, it can neither write nor send.")
