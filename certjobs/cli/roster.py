"""The roster file."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, BinaryIO, cast

import typer

from certjobs.cli.commands import group
from certjobs.cli.options import ADMIN_EXITS, AsOf, Debug, DryRun, Json, Local, as_date, exits
from certjobs.errors import ExitCode

app = group("roster")


@app.command("import", epilog=exits(ExitCode.PARTIAL, ExitCode.INPUT))
def import_(
    file: Annotated[str, typer.Argument(metavar="FILE.csv", help="The roster file; - reads standard input.")],
    rejects: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Let the good lines in, and write the others here with their reasons (exit 3)."
        ),
    ] = None,
    delimiter: Annotated[
        str | None,
        typer.Option(metavar="CHAR", help="What separates the columns, where the header does not tell: , ; tab |"),
    ] = None,
    date_format: Annotated[
        str | None,
        typer.Option(metavar="FORMAT", help="How dates are written: YYYY, MM or M, DD or D. Unset means YYYY-MM-DD."),
    ] = None,
    encoding: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Where it is neither UTF-8 nor marked as UTF-16: as cp1252 (Windows)."),
    ] = None,
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

    With --rejects the good lines go in. The others are written to a file of the same columns, which can be corrected
    and imported as it is. Until then a mentor may lack the certification of a rejected line.

    \b
    Examples:
      certjobs roster import mentors.csv --dry-run
      certjobs roster import mentors.csv --rejects rejects.csv
      certjobs roster import from-excel.csv --encoding cp1252 --date-format D.M.YYYY
      export-from-elsewhere | certjobs roster import -
    """
    from shlex import quote

    from certjobs import bootstrap
    from certjobs.admin import roster
    from certjobs.cli import files, output
    from certjobs.cli import render_roster as render
    from certjobs.domain.roster_csv import Layout
    from certjobs.domain.roster_row import ISO

    if rejects is not None and str(rejects) == "-":
        msg = "must name a file"
        raise typer.BadParameter(msg, param_hint="--rejects")
    layout = Layout(delimiter, encoding, ISO if date_format is None else date_format)
    request = bootstrap.Request(local=local, dry_run=dry_run, as_of=as_date(as_of), json=json, reason="roster import")
    with (
        _opened(file) as stream,
        bootstrap.environment(request, output.progress()) as env,
        env.administration() as database,
        files.replaced(rejects, other_than=file) as out,
    ):
        imported = roster.import_roster(
            database.transaction, stream, layout, calendar=env.calendar, progress=env.progress, rejects=out
        )
    options = f" --date-format {quote(date_format)}" if date_format else ""
    render.imported(imported, rejects=rejects, again=options, dry_run=dry_run, as_json=json)
    if imported.rejected:
        raise typer.Exit(int(ExitCode.PARTIAL))


def _opened(file: str) -> BinaryIO:
    """Open the roster file from its beginning to be read as often as wanted.

    What cannot be read twice, as standard input, is read to its end first: a slow writer must not hold a transaction
    open.
    """
    from certjobs.errors import UsageError

    if file == "-":
        return _spooled(sys.stdin.buffer)
    try:
        stream = Path(file).open("rb")  # noqa: SIM115 - the caller closes it
    except OSError as exc:
        msg = f"The file {file} cannot be read: {exc.strerror}."
        raise UsageError(msg, hint="Check its path and permissions.") from exc
    return stream if stream.seekable() else _spooled(stream)


def _spooled(stream: BinaryIO) -> BinaryIO:
    import shutil
    from tempfile import TemporaryFile

    spool = cast(BinaryIO, TemporaryFile())  # noqa: SIM115 - the caller closes it
    shutil.copyfileobj(stream, spool)
    return spool


@app.command("export", epilog=exits(ExitCode.PARTIAL))
def export(
    file: Annotated[str, typer.Argument(metavar="[FILE.csv]", help="Where to; - writes to standard output.")] = "-",
    org: Annotated[str | None, typer.Option(metavar="CODE", help="Only this organisation, as HLF.")] = None,
    local: Local = False,
    json: Json = False,
    debug: Debug = False,  # noqa: ARG001 - read by main
) -> None:
    r"""Export the roster as a file that import takes. It holds names and addresses: keep it as carefully as them.

    As one moment of it, in UTF-8 with commas, by mentor and certificate. Importing it into an empty roster and
    exporting that gives the same file, byte for byte. What an application wrote and import would refuse is written as
    it is, reported, and the exit status is 3. Who is paused does not stand in it, nor the organisations' settings.

    \b
    Examples:
      certjobs roster export mentors.csv
      certjobs roster export --org HLF > mentors.csv
    """
    from certjobs import bootstrap
    from certjobs.admin import roster
    from certjobs.cli import files, output
    from certjobs.cli import render_roster as render
    from certjobs.errors import UsageError

    if file == "-" and json:
        msg = "The roster goes to standard output, and so would --json."
        raise UsageError(msg, hint="Name a file to export to.")
    request = bootstrap.Request(local=local, json=json)
    with (
        bootstrap.environment(request, output.progress()) as env,
        env.administration() as database,
        files.output(file) as out,
    ):
        exported = roster.export_roster(database.transaction, out, organisation=org, progress=env.progress)
    render.exported(exported, file=file, as_json=json)
    if exported.not_importable:
        raise typer.Exit(int(ExitCode.PARTIAL))


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
