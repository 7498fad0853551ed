"""Examining an installation."""

from __future__ import annotations

import typer

from certjobs.cli.options import Debug, Json, Local, exits
from certjobs.errors import ExitCode


def register(app: typer.Typer) -> None:
    """Add ``doctor``."""
    app.command("doctor", epilog=exits(ExitCode.PARTIAL))(doctor)


def doctor(local: Local = False, json: Json = False, debug: Debug = False) -> None:
    r"""Examine the installation: settings, database, website, who is told, and how the nights go.

    Each line is ok, a warning, failed, or skipped where something else has to be mended first, with the command or step
    that mends it. Every setting that is set is shown with where it comes from; secrets and passwords never are.

    Nothing is written, no lock is taken and nobody is told: it logs in at the mail server and sends no mail, connects
    to webhooks and posts nothing. No check waits for more than half a minute. The login of the jobs is enough.

    It exits with 0 where nothing failed, warnings or not; else with the worst: 78 for settings, schema and privileges,
    77 for credentials, 69 for what cannot be reached, 3 for a job that did not succeed for 50 hours.

    \b
    Examples:
      certjobs doctor
      certjobs doctor --json
    """
    from certjobs import bootstrap
    from certjobs.admin import doctor as admin
    from certjobs.cli import output
    from certjobs.cli import render_doctor as render

    request = bootstrap.Request(local=local, json=json, debug=debug, reads_only=True)
    with bootstrap.examined(request, output.progress()) as sources:
        found = admin.doctor(sources, unexpected=_traceback if debug else lambda _exc: None)
        render.examined(found, sources.origins, as_json=json)
    raise typer.Exit(int(found.exit_code))


def _traceback(exc: Exception) -> None:
    import traceback

    traceback.print_exception(exc)
