"""Certifications by hand."""

from __future__ import annotations

from datetime import datetime  # noqa: TC003 - typer reads the annotations
from typing import Annotated

import typer

from certjobs.cli.administration import administering
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
    as_date,
)

app = group("certs")

CertRef = Annotated[str, typer.Argument(metavar="CERTIFICATE", help="The certification's reference.")]
DAY = ["%Y-%m-%d"]


@app.command("list", epilog=ADMIN_EXITS)
def list_(
    mentor: Annotated[str | None, typer.Option(metavar="MENTOR", help="Only this mentor's.")] = None,
    org: Org = None,
    chapter: Chapter = None,
    expiring_within: Within = None,
    limit: Limit = None,
    as_of: AsOf = None,
    local: Local = False,
    json: Json = False,
    debug: Debug = False,  # noqa: ARG001 - read by main
) -> None:
    r"""List certifications, with the last day each is valid and the days left until then.

    \b
    Examples:
      certjobs certs list --mentor HLF-0042
      certjobs certs list --org HLF --expiring-within 30 --json
    """
    from certjobs.admin import certifications
    from certjobs.cli import render_roster as render

    with (
        administering(local=local, json=json, as_of=as_of, reads_only=True) as (_, transaction),
        certifications.listed(
            transaction,
            mentor=mentor,
            org=org,
            chapter=chapter,
            within=expiring_within,
            limit=render.fetched(limit, as_json=json),
        ) as found,
    ):
        render.listed("Certifications", found, limit=limit, as_json=json)


@app.command("show", epilog=ADMIN_EXITS)
def show(
    certificate: CertRef,
    as_of: AsOf = None,
    local: Local = False,
    json: Json = False,
    debug: Debug = False,  # noqa: ARG001 - read by main
) -> None:
    r"""Show one certification.

    \b
    Example:
      certjobs certs show C-0042-1
    """
    from certjobs.admin import certifications
    from certjobs.cli import render_roster as render

    with administering(local=local, json=json, as_of=as_of, reads_only=True) as (_, transaction):
        found = certifications.show(transaction, certificate)
    render.facts("Certification", found, as_json=json)


@app.command("add", epilog=ADMIN_EXITS)
def add(
    mentor: MentorRef,
    ref: Annotated[str, typer.Option(metavar="CERTIFICATE", help="The reference it will have.")],
    issued: Annotated[datetime, typer.Option(formats=DAY, metavar="DATE", help="The day it was issued.")],
    expires: Annotated[datetime, typer.Option(formats=DAY, metavar="DATE", help="The last day it is valid.")],
    reason: Reason,
    as_of: AsOf = None,
    dry_run: DryRun = False,
    local: Local = False,
    json: Json = False,
    debug: Debug = False,  # noqa: ARG001 - read by main
) -> None:
    r"""Add a certification to a mentor. That alone reinstates nobody.

    \b
    Example:
      certjobs certs add HLF-0042 --ref C-0042-2 --issued 2026-11-20 --expires 2028-11-20 --reason "course of November"
    """
    from certjobs.admin import certifications
    from certjobs.cli import render_roster as render

    with administering(local=local, json=json, dry_run=dry_run, as_of=as_of, reason=reason) as (env, transaction):
        changed = certifications.add(transaction, mentor, ref, issued.date(), expires.date(), calendar=env.calendar)
    render.certification_changed(changed, dry_run=dry_run, as_json=json)


@app.command("renew", epilog=ADMIN_EXITS)
def renew(
    certificate: CertRef,
    expires: Annotated[datetime, typer.Option(formats=DAY, metavar="DATE", help="The new last day it is valid.")],
    reason: Reason,
    issued: Annotated[
        datetime | None, typer.Option(formats=DAY, metavar="DATE", help="The day of issue, where that changes too.")
    ] = None,
    as_of: AsOf = None,
    dry_run: DryRun = False,
    local: Local = False,
    json: Json = False,
    debug: Debug = False,  # noqa: ARG001 - read by main
) -> None:
    r"""Let a certification end on a later day. That alone reinstates nobody.

    Where a renewal has a reference of its own, add it with `certs add`.

    \b
    Example:
      certjobs certs renew C-0042-1 --expires 2028-11-20 --reason "renewed, course passed"
    """
    from certjobs.admin import certifications
    from certjobs.cli import render_roster as render

    with administering(local=local, json=json, dry_run=dry_run, as_of=as_of, reason=reason) as (env, transaction):
        changed = certifications.renew(
            transaction, certificate, expires.date(), issued_on=as_date(issued), calendar=env.calendar
        )
    render.certification_changed(changed, dry_run=dry_run, as_json=json)


@app.command("withdraw", epilog=ADMIN_EXITS)
def withdraw(
    certificate: CertRef,
    reason: Reason,
    on: Annotated[
        datetime | None,
        typer.Option("--on", formats=DAY, metavar="DATE", help="The first day it no longer counts; unset means today."),
    ] = None,
    undo: Annotated[bool, typer.Option("--undo", help="Take the withdrawal back.")] = False,
    as_of: AsOf = None,
    dry_run: DryRun = False,
    local: Local = False,
    json: Json = False,
    debug: Debug = False,  # noqa: ARG001 - read by main
) -> None:
    r"""Withdraw a certification: it stays on record and no longer counts. Nothing is ever deleted.

    \b
    Examples:
      certjobs certs withdraw C-0042-1 --reason "issued by mistake"
      certjobs certs withdraw C-0042-1 --undo --reason "it was the other one"
    """
    from certjobs.admin import certifications
    from certjobs.cli import render_roster as render

    if undo and on is not None:
        msg = "takes a withdrawal back; give it without --on"
        raise typer.BadParameter(msg, param_hint="--undo")
    with administering(local=local, json=json, dry_run=dry_run, as_of=as_of, reason=reason) as (env, transaction):
        changed = certifications.withdraw(transaction, certificate, on=as_date(on), undo=undo, calendar=env.calendar)
    render.certification_changed(changed, dry_run=dry_run, as_json=json)
