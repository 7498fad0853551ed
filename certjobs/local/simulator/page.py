"""The public site: one page of plain HTML that says who is listed now."""

from __future__ import annotations

from datetime import UTC, datetime
from html import escape
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from certjobs.local.simulator.wire import Reply

if TYPE_CHECKING:
    from collections.abc import Mapping

    from certjobs.local.simulator.state import State

SHOWN = 1000
_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>Mentors: what the public sees</title>
<style>
:root {{ color-scheme: light dark; }}
body {{ margin: 0 auto; padding: 1rem; max-width: 40rem; font: 1rem/1.5 system-ui, sans-serif; }}
li {{ overflow-wrap: anywhere; }}
</style>
</head>
<body>
<main>
<h1>Mentors</h1>
<p>{listed} At {now} UTC.</p>
<p>{waiting}</p>
{entries}
</main>
<footer><p>This is a simulator. Changes show {lag} after they were accepted.</p></footer>
</body>
</html>
"""


def public_page(state: State, now: float) -> Reply:
    """Return the page as it is at a moment: a change is on it when it was accepted longer ago than the lag."""
    public = state.public()
    shown = public.listed[:SHOWN]
    entries = "\n".join(f"<li>{escape(_words(each, state))}</li>" for each in shown)
    if len(public.listed) > SHOWN:
        entries += f"\n<li>and {len(public.listed) - SHOWN} more</li>"
    html = _PAGE.format(
        listed=_people(len(public.listed)),
        now=datetime.fromtimestamp(now, UTC).strftime("%Y-%m-%d %H:%M:%S"),
        waiting=_changes(public.waiting),
        entries=f"<ul>\n{entries}\n</ul>" if shown else "",
        lag=_duration(state.lag),
    )
    headers = [
        ("Content-Type", "text/html; charset=utf-8"),
        ("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'"),
        ("Cache-Control", "no-store"),
    ]
    return Reply(HTTPStatus.OK, headers, html.encode())


def _words(values: Mapping[str, Any], state: State) -> str:
    table = state.table
    key = values[table.key_column]
    others = " ".join(values[name] for name in table.columns if values[name])
    return ", ".join(each for each in (key, others) if each) or "a mentor without a key"


def _people(count: int) -> str:
    return {0: "Nobody is listed.", 1: "One mentor is listed."}.get(count, f"{count} mentors are listed.")


def _changes(count: int) -> str:
    words = {0: "Every accepted change is visible.", 1: "One accepted change is not visible yet."}
    return words.get(count, f"{count} accepted changes are not visible yet.")


def _duration(seconds: float) -> str:
    minutes, rest = divmod(seconds, 60)
    return f"{minutes:g} minutes" if minutes and not rest else f"{seconds:g} seconds"
