"""What people and programs see of an examination."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, Any

from certjobs.admin.doctor import FAILED, OK, SKIPPED, WARNING
from certjobs.cli.output import document, say, table
from certjobs.domain.text import counted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from certjobs.admin.doctor import Finding, Report
    from certjobs.origins import Origins

TITLES = {
    "settings": "Settings",
    "database": "Database",
    "portal": "Website",
    "notifier": "Who is told",
    "runs": "How the nights go",
}
BLANK = " "  # a cell with nothing in it


def examined(found: Report, origins: Origins, *, as_json: bool) -> None:
    """Show what every check found, and below each that is not ok what mends it."""
    if as_json:
        document(_document(found, origins))
        return
    for section, findings in groupby(found.findings, key=lambda each: each.section):
        rows = [row for each in findings for row in _rows(each)]
        table(TITLES[section], ("status", "what", "found"), rows)
    counts = [
        counted(found.number(WARNING), "warning"),
        *(f"{found.number(status)} {status}" for status in (FAILED, SKIPPED)),
    ]
    say(f"{found.number(OK)} ok, {', '.join(counts)} (exit {int(found.exit_code)}).")


def _rows(each: Finding) -> Iterator[tuple[str, str, str]]:
    yield each.status, each.what, each.found
    if each.status != OK and each.mend:
        yield BLANK, BLANK, f"→ {each.mend}"


def _document(found: Report, origins: Origins) -> dict[str, Any]:
    worst = found.worst
    return {
        "exit_code": int(found.exit_code),
        "message": worst.found if worst else None,
        "hint": worst.mend if worst else None,
        "counts": {status: found.number(status) for status in (OK, WARNING, FAILED, SKIPPED)},
        "checks": [
            {
                "name": each.name,
                "section": each.section,
                "status": each.status,
                "found": each.found,
                "mend": each.mend,
                "exit_code": int(each.exit_code),
                "details": dict(each.details),
            }
            for each in found.findings
        ],
        "settings": [{"name": each.variable, "origin": each.origin, "value": each.shown} for each in origins.settings],
    }
