"""Which coordinator's a login is, and whose word counts for who somebody is."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from certjobs.cli.administration import administering
from certjobs.cli.commands import group
from certjobs.cli.options import ADMIN_EXITS, STDIN, Debug, DryRun, Json, Local, Reason, clean_reason

app = group("access")

Login = Annotated[str, typer.Argument(metavar="LOGIN", help="The database login, as it stands in its address.")]
Issuer = Annotated[str, typer.Argument(metavar="ISSUER", help="Who signs, as the tokens' `iss` says.")]
MOST = 1_000_000  # characters of a file of keys


@app.command("list", epilog=ADMIN_EXITS)
def list_(local: Local = False, json: Json = False, debug: Debug = False) -> None:  # noqa: ARG001 - read by main
    r"""List coordinators' logins and trusted keys.

    \b
    Example:
      certjobs access list --json
    """
    from certjobs.admin import access
    from certjobs.cli import render_roster as render

    with administering(local=local, json=json) as (_, transaction):
        found = access.granted(transaction)
    render.listed("Access", iter(found), limit=len(found) or None, as_json=json)


@app.command("grant", epilog=ADMIN_EXITS)
def grant(
    login: Login,
    address: Annotated[str, typer.Argument(metavar="ADDRESS", help="The coordinator's e-mail address.")],
    reason: Reason,
    dry_run: DryRun = False,
    local: Local = False,
    json: Json = False,
    debug: Debug = False,  # noqa: ARG001 - read by main
) -> None:
    r"""Say which coordinator's a database login is.

    It sees the mentors assigned to them, and no others. It needs the role certjobs_coordinator. Take it back here
    when it is dropped there, for another of the same name would see the same.

    \b
    Example:
      certjobs access grant kari kari@example.org --reason "looks after her own list"
    """
    from certjobs.admin import access
    from certjobs.cli import render_roster as render

    with administering(local=local, json=json, dry_run=dry_run, reason=reason) as (env, transaction):
        changed = access.grant(transaction, login, address, actor=env.actor, reason=clean_reason(reason))
    said = f"{login} sees that coordinator's mentors now." if changed else "It was so already."
    render.access_changed(said, {"login": login, "changed": changed}, dry_run=dry_run, as_json=json)


@app.command("revoke", epilog=ADMIN_EXITS)
def revoke(
    login: Login,
    reason: Reason,
    dry_run: DryRun = False,
    local: Local = False,
    json: Json = False,
    debug: Debug = False,  # noqa: ARG001 - read by main
) -> None:
    r"""Let a login see nobody any more.

    \b
    Example:
      certjobs access revoke kari --reason "left in autumn"
    """
    from certjobs.admin import access
    from certjobs.cli import render_roster as render

    with administering(local=local, json=json, dry_run=dry_run, reason=reason) as (env, transaction):
        access.revoke(transaction, login, actor=env.actor, reason=clean_reason(reason))
    render.access_changed(f"{login} sees nobody now.", {"login": login, "changed": True}, dry_run=dry_run, as_json=json)


@app.command("trust", epilog=ADMIN_EXITS)
def trust(
    issuer: Issuer,
    file: Annotated[str, typer.Argument(metavar="FILE", help="The public JSON Web Key, or a set; - for stdin.")],
    reason: Reason,
    dry_run: DryRun = False,
    local: Local = False,
    json: Json = False,
    debug: Debug = False,  # noqa: ARG001 - read by main
) -> None:
    r"""Believe an application that signs who a session is.

    The application signs a JSON Web Token (RS256) with its `iss`, `aud` certjobs, `sub` the coordinator's address, and
    `exp`, and sets it as certjobs.claim in its transaction. Its login needs the role certjobs_coordinator.

    \b
    Example:
      certjobs access trust https://mentors.example.org jwks.json --reason "the coordinators' portal"
    """
    from certjobs.admin import access
    from certjobs.cli import render_roster as render

    text = _read(file)
    with administering(local=local, json=json, dry_run=dry_run, reason=reason) as (env, transaction):
        added = access.trust(transaction, issuer, text, actor=env.actor, reason=clean_reason(reason))
    said = f"Trusted now: {', '.join(added)}." if added else "Trusted already."
    render.access_changed(said, {"issuer": issuer, "keys": list(added)}, dry_run=dry_run, as_json=json)


@app.command("distrust", epilog=ADMIN_EXITS)
def distrust(
    issuer: Issuer,
    key_id: Annotated[str, typer.Argument(metavar="KEY", help="The key's id, as `access list` shows it.")],
    reason: Reason,
    dry_run: DryRun = False,
    local: Local = False,
    json: Json = False,
    debug: Debug = False,  # noqa: ARG001 - read by main
) -> None:
    r"""Believe a key no longer.

    What is signed by it is refused from the next statement on.

    \b
    Example:
      certjobs access distrust https://mentors.example.org 2026-11 --reason "rotated"
    """
    from certjobs.admin import access
    from certjobs.cli import render_roster as render

    with administering(local=local, json=json, dry_run=dry_run, reason=reason) as (env, transaction):
        access.distrust(transaction, issuer, key_id, actor=env.actor, reason=clean_reason(reason))
    render.access_changed(
        f"{key_id} is trusted no more.", {"issuer": issuer, "key": key_id}, dry_run=dry_run, as_json=json
    )


def _read(file: str) -> str:
    try:
        if file == STDIN:
            return sys.stdin.read(MOST)
        with Path(file).open(encoding="utf-8") as opened:
            return opened.read(MOST)
    except (OSError, UnicodeDecodeError) as exc:
        why = exc.strerror if isinstance(exc, OSError) else "it is no text"
        msg = f"{file} cannot be read: {why}"
        raise typer.BadParameter(msg, param_hint="FILE") from exc
