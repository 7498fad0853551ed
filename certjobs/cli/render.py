"""What people and programs see of jobs, runs, the guard and the schema."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from certjobs.cli.output import cell, document, say, table
from certjobs.domain.coverage import WHOLE_NIGHT
from certjobs.domain.thresholds import DECIDED_FOR_ALL
from certjobs.errors import ExitCode

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from certjobs.admin.approvals import Approved
    from certjobs.db.runs import Run
    from certjobs.db.schema import Step
    from certjobs.domain.outcome import Report


ALLOWED = {"sync": "take them off the website", "reconcile": "list them on the website again"}


def report(found: Report, *, as_json: bool) -> None:
    """Show how a run went."""
    if as_json:
        document(found.as_json())
        return
    details = found.outcome.details
    if found.dry_run:
        say("Dry-run: nothing was written and nobody was told.")
    if "steps" in details:
        from certjobs.cli import render_night

        render_night.told(details, dry_run=found.dry_run)
    else:
        _roster(found)
        _website(found)
        _deleted(found)
        _refused(details)
    _verdict(found)


def _roster(found: Report) -> None:
    """Show who was paused, reminded and told, and what came later than promised."""
    from certjobs.cli import render_notices

    details = found.outcome.details
    if details.get("organisations"):
        _checked(found)
    if details.get("reminded"):
        render_notices.reminded(details, dry_run=found.dry_run)
    render_notices.notices(found.outcome.counts, details)
    if details.get("missed") or details.get("volumes"):
        from certjobs.cli import render_night

        render_night.missed(details.get("missed", ()))
        render_night.volumes(details.get("volumes", ()))


def _website(found: Report) -> None:
    """Show what was compared with the website, and what was sent there."""
    details, counts = found.outcome.details, found.outcome.counts
    if "divergences" not in details and "sent" not in details:
        return
    from certjobs.cli import render_sync

    if "divergences" in details:
        render_sync.compared(counts, details, dry_run=found.dry_run)
    if "sent" in details:
        show = render_sync.forced if "mentors" in details else render_sync.synced
        show(counts, details, dry_run=found.dry_run)


def _deleted(found: Report) -> None:
    would = "would be deleted" if found.dry_run else "deleted"
    for name, number in found.outcome.counts.items():
        if name.endswith("_deleted") and number:
            say(f"{name.removesuffix('_deleted').replace('_', ' ')}: {number} {would}")


def _refused(details: Mapping[str, Any]) -> None:
    """Show what was not known, and whom the database or the guard refused."""
    if details.get("unknown"):
        say(f"Not known: {', '.join(map(repr, details['unknown']))}")
    for each in details.get("failed", ()):
        say(f"Not paused, because the database refused it: {each}")
    for each in details.get("guarded", ()):
        say(f"Refused by the guard, {each['organisation']}: {_listed(each['mentors'], each['size'])}")


def _checked(found: Report) -> None:
    """Show what expiry-check did: by organisation, and whom it paused."""
    details, counts = found.outcome.details, found.outcome.counts
    headings = ("organisation", "today", "expired", "paused", "refused", "failed", "open", "never certified")
    keys = ("organisation", "today", "expired", "paused", "refused", "failed", "open", "never_certified")
    table(
        f"{found.job_name}, by organisation",
        headings,
        [[each[key] for key in keys] for each in details["organisations"]],
    )
    if details.get("paused"):
        _paused(details["paused"], counts.get("paused", 0), dry_run=found.dry_run)
    else:
        say("Nobody was paused." if not found.dry_run else "Nobody would be paused.")


def _paused(mentors: Sequence[dict[str, Any]], total: int, *, dry_run: bool) -> None:
    more = f" (the first {len(mentors)} of {total})" if total > len(mentors) else ""
    table(
        f"{'Would be paused' if dry_run else 'Paused'}{more}",
        ("mentor", "organisation", "chapter", "last valid day", "notices"),
        [
            (each["mentor_ref"], each["organisation"], each["chapter"], each["certification_expiry"], each["notices"])
            for each in mentors
        ],
    )


def _verdict(found: Report) -> None:
    code = found.outcome.exit_code
    sentence = f"{found.job_name} {code.status} (exit {int(code)}) in {found.seconds:.1f} s, run {found.run_id}."
    say(*(line for line in (sentence, found.outcome.message, found.outcome.hint) if line))


def runs(found: Sequence[Run], *, as_json: bool) -> None:
    """List runs."""
    if as_json:
        document([_run_document(each) for each in found])
        return
    if not found:
        say("No such runs.")
        return
    table(
        "Runs, newest first",
        ("run", "job", "started (UTC)", "seconds", "status", "exit", "what happened"),
        [
            (
                str(each.run_id)[:8],
                each.job_name,
                each.started_at,
                _seconds(each),
                each.status,
                each.exit_code,
                each.error_message or _counted(each.counts),
            )
            for each in found
        ],
    )


def _seconds(each: Run) -> str | None:
    return f"{(each.finished_at - each.started_at).total_seconds():.1f}" if each.finished_at else None


def _counted(counts: dict[str, Any]) -> str:
    """Return counts in words, without those that only prove what others say already."""
    shown = (
        name
        for name, number in counts.items()
        if number and not name.startswith(("owed_", DECIDED_FOR_ALL, WHOLE_NIGHT))
    )
    return ", ".join(f"{name.replace('_', ' ')} {counts[name]}" for name in shown) or "nothing to do"


def _run_document(each: Run) -> dict[str, Any]:
    return asdict(each)


def run(found: Run, *, as_json: bool) -> None:
    """Show one run."""
    if as_json:
        document(_run_document(found))
        return
    facts = [(name.replace("_", " "), value) for name, value in asdict(found).items() if name != "counts"]
    facts += [(f"counted: {name.replace('_', ' ')}", number) for name, number in found.counts.items()]
    if found.exit_code is not None:
        facts.append(("who acts", ExitCode(found.exit_code).who_acts))
    table("Run", ("", ""), [(name, cell(value)) for name, value in facts if value is not None])


def approved(found: Approved, *, dry_run: bool, as_json: bool) -> None:
    """Say what was approved, and for how long."""
    guarded = found.guarded
    if as_json:
        document(asdict(guarded) | {"approved_until": found.until, "mentors": list(found.mentors), "dry_run": dry_run})
        return
    say(
        f"{'Dry-run: nothing was approved. The set is' if dry_run else 'Approved:'} {guarded.size} mentors of"
        f" {guarded.organisation} in {guarded.job_name}, refused on {guarded.refused_at:%Y-%m-%d %H:%M} UTC:",
        f"  {_listed(found.mentors, guarded.size)}",
    )
    if not dry_run:
        does = ALLOWED.get(guarded.job_name, "pause them")
        say(f"Runs until {found.until:%Y-%m-%d %H:%M} UTC may {does}. Next: certjobs {guarded.job_name}")


def _listed(refs: Sequence[str], total: int) -> str:
    more = f" and {total - len(refs)} more" if total > len(refs) else ""
    return f"{', '.join(refs)}{more}"


def upgraded(steps: Sequence[Step], version: str | None, *, as_json: bool) -> None:
    """Say which migrations ran."""
    if as_json:
        document({"version": version, "ran": [asdict(step) for step in steps]})
        return
    if steps:
        table("Migrations that ran", ("version", "what"), [(step.revision, step.title) for step in steps])
    say(f"The schema is at {version}." if steps else f"The schema is at {version} already; nothing to do.")


def version(current: str | None, head: str, *, as_json: bool) -> None:
    """Say which version the schema has."""
    if as_json:
        document({"version": current, "needed": head})
        return
    say(f"The schema is at {current or 'nothing yet'}; this program needs {head}.")


def differences(found: Sequence[str], *, as_json: bool) -> None:
    """List where the schema differs."""
    if as_json:
        document({"differences": list(found)})
        return
    say(*(found or ["The schema is as this program needs it."]))
