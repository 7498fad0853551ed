"""The roster file."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, BinaryIO, cast

import typer

from certjobs.cli.options import ADMIN_EXITS, AsOf, Debug, DryRun, Json, Local, as_date, exits
from certjobs.errors import ExitCode

app = typer.Typer(help="Bring the roster in from a file.", no_args_is_help=True)


@app.command("import", epilog=exits(ExitCode.INPUT))
def import_(
    file: Annotated[str, typer.Argument(metavar="FILE.csv", help="The roster file; - reads standard input.")],
    as_of: AsOf = None,
    dry_run: DryRun = False,
    local: Local = False,
    json: Json = False,
    debug: Debug = False,  # noqa: ARG001 - read by main
) -> None:
    r"""Import mentors and their certifications from a CSV file, all of it or nothing.

    One row a certification; a mentor without one has those columns empty. The columns, found by the header in any
    order: mentor_ref, name, organisation, chapter, coordinators, certificate_ref, issued_on, expires_on, withdrawn_on.
    Coordinators are written Name <address>, several separated by |. UTF-8, comma or semicolon, dates as 2026-11-22.

    What the file names is added or updated, a named mentor's coordinators are replaced, and what it does not name
    stays. Importing the same file again changes nothing.

    \b
    Examples:
      certjobs roster import mentors.csv --dry-run
      certjobs roster import mentors.csv
      export-from-elsewhere | certjobs roster import -
    """
    from certjobs import bootstrap
    from certjobs.admin import roster
    from certjobs.cli import render

    request = bootstrap.Request(local=local, dry_run=dry_run, as_of=as_date(as_of), json=json, reason="roster import")
    with (
        _opened(file) as stream,
        bootstrap.environment(request, render.progress()) as env,
        env.administration() as database,
    ):
        rows, merged = roster.import_roster(database.transaction, stream, calendar=env.calendar)
    render.merged(rows, merged, dry_run=dry_run, as_json=json)


def _opened(file: str) -> BinaryIO:
    """Open the roster file. Standard input is read to its end first: a slow writer must not hold a transaction open."""
    import shutil
    from tempfile import TemporaryFile

    from certjobs.errors import UsageError

    if file == "-":
        spool = cast(BinaryIO, TemporaryFile())  # noqa: SIM115 - the caller closes it
        shutil.copyfileobj(sys.stdin.buffer, spool)
        spool.seek(0)
        return spool
    try:
        return Path(file).open("rb")
    except OSError as exc:
        msg = f"The file {file} cannot be read: {exc.strerror}."
        raise UsageError(msg, hint="Check its path and permissions.") from exc


@app.command("sample", epilog=ADMIN_EXITS)
def sample(as_of: AsOf = None) -> None:
    r"""Print a sample roster of invented people, to try things out with.

    \b
    Example:
      certjobs roster sample > sample.csv
    """
    from datetime import UTC, datetime

    from certjobs.local.sample import write_sample

    write_sample(sys.stdout, as_date(as_of) or datetime.now(UTC).date())
