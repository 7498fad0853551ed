"""Mentors by hand."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from certjobs.cli.administration import administering, confirmed
from certjobs.cli.commands import group
from certjobs.cli.options import (
    ADMIN_EXITS,
    AsOf,
    Chapter,
    Debug,
    DryRun,
    Json,
    Limit,
    Local,
    MentorRef,
    Org,
    Reason,
    Within,
    clean_reason,
)

app = group("mentors")


class Status(StrEnum):
    """The statuses a mentor can have."""

    ACTIVE = "active"
    PAUSED = "paused"


@app.command("list", epilog=ADMIN_EXITS)
def list_(
    org: Org = None,
    chapter: Chapter = None,
    status: Annotated[Status | None, typer.Option(help="Only mentors of this status.")] = None,
    expiring_within: Within = None,
    expired: Annotated[bool, typer.Option("--expired", help="Only those whose certification has ended.")] = False,
    ready: Annotated[
        bool, typer.Option("--ready", help="Only those paused for expiry who are valid again: to be reinstated.")
    ] = False,
    without_coordinator: Annotated[
        bool, typer.Option("--without-coordinator", help="Only those of whom no coordinator is told.")
    ] = False,
    limit: Limit = None,
    as_of: AsOf = None,
    local: Local = False,
    json: Json = False,
    debug: Debug = False,  # noqa: ARG001 - read by main
) -> None:
    r"""List mentors; several filters together narrow further.

    \b
    Examples:
      certjobs mentors list --org HLF --expiring-within 30
      certjobs mentors list --ready
      certjobs mentors list --status paused --json
    """
    from certjobs.admin import mentors
    from certjobs.cli import render_roster as render

    with (
        administering(local=local, json=json, as_of=as_of, reads_only=True) as (_, transaction),
        mentors.listed(
            transaction,
            org=org,
            chapter=chapter,
            status=status.value if status else None,
            within=expiring_within,
            expired=expired,
            ready=ready,
            without_coordinator=without_coordinator,
            limit=render.fetched(limit, as_json=json),
        ) as found,
    ):
        render.listed("Mentors", found, limit=limit, as_json=json)


@app.command("show", epilog=ADMIN_EXITS)
def show(
    mentor: MentorRef,
    as_of: AsOf = None,
    local: Local = False,
    json: Json = False,
    debug: Debug = False,  # noqa: ARG001 - read by main
) -> None:
    r"""Show one mentor: certifications, coordinators, and what happened.

    \b
    Example:
      certjobs mentors show HLF-0042
    """
    from certjobs.admin import mentors
    from certjobs.cli import render_roster as render

    with administering(local=local, json=json, as_of=as_of, reads_only=True) as (env, transaction):
        found = mentors.show(transaction, mentor, calendar=env.calendar)
    render.mentor(found, as_json=json)


@app.command("pause", epilog=ADMIN_EXITS)
def pause(
    mentor: MentorRef,
    reason: Reason,
    as_of: AsOf = None,
    dry_run: DryRun = False,
    local: Local = False,
    json: Json = False,
    debug: Debug = False,  # noqa: ARG001 - read by main
) -> None:
    r"""Pause an active mentor for a reason of your own. The nightly job then leaves the mentor alone.

    \b
    Example:
      certjobs mentors pause HLF-0042 --reason "on leave until spring"
    """
    from certjobs.admin import mentors
    from certjobs.cli import render_roster as render

    with administering(local=local, json=json, dry_run=dry_run, as_of=as_of, reason=reason) as (env, transaction):
        changed = mentors.pause(transaction, mentor, clean_reason(reason), calendar=env.calendar)
    render.mentor_changed(changed, dry_run=dry_run, as_json=json)


@app.command("reinstate", epilog=ADMIN_EXITS)
def reinstate(
    mentor: MentorRef,
    reason: Reason,
    force: Annotated[
        bool, typer.Option("--force", help="Also without a valid certification; the next night pauses again.")
    ] = False,
    as_of: AsOf = None,
    dry_run: DryRun = False,
    local: Local = False,
    json: Json = False,
    debug: Debug = False,  # noqa: ARG001 - read by main
) -> None:
    r"""Make a paused mentor active again. A renewal alone never does that.

    \b
    Example:
      certjobs mentors reinstate HLF-0042 --reason "renewed, course passed"
    """
    from certjobs.admin import mentors
    from certjobs.cli import render_roster as render

    with administering(local=local, json=json, dry_run=dry_run, as_of=as_of, reason=reason) as (env, transaction):
        changed = mentors.reinstate(transaction, mentor, calendar=env.calendar, force=force)
    render.mentor_changed(changed, dry_run=dry_run, as_json=json)


@app.command("assign", epilog=ADMIN_EXITS)
def assign(
    mentor: MentorRef,
    addresses: Annotated[list[str], typer.Argument(metavar="ADDRESS...", help="Coordinators, by address.")],
    reason: Reason,
    only: Annotated[bool, typer.Option("--only", help="These and no others.")] = False,
    remove: Annotated[bool, typer.Option("--remove", help="Take these away instead.")] = False,
    dry_run: DryRun = False,
    local: Local = False,
    json: Json = False,
    debug: Debug = False,  # noqa: ARG001 - read by main
) -> None:
    r"""Give a mentor coordinators, or take some away. Notices still owed follow.

    \b
    Examples:
      certjobs mentors assign HLF-0042 kari@example.org --reason "shares the work from now on"
      certjobs mentors assign HLF-0042 kari@example.org --only --reason "takes over"
      certjobs mentors assign HLF-0042 ola@example.org --remove --reason "left"
    """
    from certjobs.admin import mentors
    from certjobs.cli import render_roster as render

    if only and remove:
        msg = "and --remove exclude each other"
        raise typer.BadParameter(msg, param_hint="--only")
    with administering(local=local, json=json, dry_run=dry_run, reason=reason) as (_, transaction):
        changed = mentors.assign(transaction, mentor, addresses, only=only, remove=remove)
    render.mentor_changed(changed, dry_run=dry_run, as_json=json, what="")


@app.command("move", epilog=ADMIN_EXITS)
def move(
    mentor: MentorRef,
    chapter: Annotated[str, typer.Option(metavar="NAME", help="The chapter the mentor will belong to.")],
    reason: Reason,
    org: Annotated[
        str | None, typer.Option(metavar="CODE", help="Its organisation, where that is another one, as NHF.")
    ] = None,
    create: Annotated[bool, typer.Option("--create", help="Add the chapter where it does not exist.")] = False,
    dry_run: DryRun = False,
    local: Local = False,
    json: Json = False,
    debug: Debug = False,  # noqa: ARG001 - read by main
) -> None:
    r"""Move a mentor to another chapter, or to a chapter of another organisation.

    \b
    Examples:
      certjobs mentors move HLF-0042 --chapter Prøveby --reason "moved house"
      certjobs mentors move HLF-0042 --chapter Eksempeldal --org NHF --reason "changed organisation"
    """
    from certjobs.admin import mentors
    from certjobs.cli import render_roster as render

    with administering(local=local, json=json, dry_run=dry_run, reason=reason) as (_, transaction):
        changed = mentors.move(transaction, mentor, chapter, org=org, create=create)
    render.mentor_changed(
        changed,
        dry_run=dry_run,
        as_json=json,
        what=f"belongs to {changed.mentor.organisation}, {changed.mentor.chapter}",
    )


@app.command("erase", epilog=ADMIN_EXITS)
def erase(
    mentor: MentorRef,
    reason: Reason,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask first; on a terminal it asks otherwise.")] = False,
    dry_run: DryRun = False,
    local: Local = False,
    json: Json = False,
    debug: Debug = False,  # noqa: ARG001 - read by main
) -> None:
    r"""Erase a mentor and everything personal, for good. The audit stays and tells of nobody.

    Name, reference, certifications and coordinators go; notices not yet sent are suppressed. Erase the mentor where the
    roster comes from as well, or the next import brings the mentor back.

    \b
    Example:
      certjobs mentors erase HLF-0042 --reason "asked for it in writing"
    """
    from certjobs.admin import mentors
    from certjobs.cli import render_roster as render

    reason = clean_reason(reason)
    if not (yes or dry_run):
        confirmed(f"Erase {mentor} for good? This cannot be undone.")
    with administering(local=local, json=json, dry_run=dry_run, reason=reason) as (_, transaction):
        erased = mentors.erase(transaction, mentor)
    render.mentor_erased(erased, dry_run=dry_run, as_json=json)
