"""Sending mentors to the public website by hand."""

from __future__ import annotations

from typing import Annotated

import typer

from certjobs.cli.administration import confirmed
from certjobs.cli.jobs import carry_out
from certjobs.cli.options import SYNC_EXITS, AsOf, Debug, DryRun, Json, Local, Org, Reason


def register(app: typer.Typer) -> None:
    """Add ``force-sync``."""
    app.command("force-sync", epilog=SYNC_EXITS)(force_sync)


def force_sync(
    reason: Reason,
    mentors: Annotated[
        list[str] | None, typer.Argument(metavar="[MENTOR]...", help="Mentors by reference, as in the roster file.")
    ] = None,
    everyone: Annotated[bool, typer.Option("--all", help="Every mentor of the synchronised organisations.")] = False,
    chapter: Annotated[str | None, typer.Option("--chapter", metavar="NAME", help="Every mentor of a chapter.")] = None,
    org: Org = None,
    yes: Annotated[
        bool, typer.Option("--yes", help="Do not ask first; on a terminal --all and --chapter ask otherwise.")
    ] = False,
    as_of: AsOf = None,
    dry_run: DryRun = False,
    local: Local = False,
    json: Json = False,
    debug: Debug = False,
) -> None:
    r"""Send mentors to the public website again, at once, whatever it was told before.

    For when the website shows what it should not, or does not show what it should. What is sent is what the rule wants:
    to list somebody whom it does not list, change the mentor. Says of each what the rule wants and why, what was sent,
    what the portal answered, and when the public site will show it. Nothing else that waits is sent, but with --all.

    A mentor who is named is taken off without more ado where the rule wants that. With --chapter and --all the guard
    looks first: where unusually many would be taken off it stores the set and exits 4 until a person approves it.

    \b
    Examples:
      certjobs force-sync HLF-0042 --reason "the chapter called: still on the website"
      certjobs force-sync HLF-0042 HLF-0107 --reason "which of them are shown?" --dry-run
      certjobs force-sync --chapter Prøveby --org HLF --reason "the page was empty this morning"
      certjobs force-sync --all --yes --reason "the website was restored from a backup"
    """
    if (everyone or chapter is not None) and not (mentors or yes or dry_run):
        what = f"chapter {chapter}" if chapter is not None else (org or "every synchronised organisation")
        confirmed(f"Send all mentors of {what} to the website again?")
    carry_out(
        "force-sync",
        {"mentors": tuple(mentors or ()), "all": everyone, "chapter": chapter, "org": org},
        as_of=as_of,
        dry_run=dry_run,
        local=local,
        json=json,
        debug=debug,
        reason=reason,
    )
