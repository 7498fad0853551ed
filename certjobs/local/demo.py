"""The demo: a first night on a sample roster, by the same commands that an administrator types."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import textwrap
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import psycopg

from certjobs import config
from certjobs.errors import CertjobsError
from certjobs.local import mailbox, postgres
from certjobs.local.sample import paused_by_hand, write_sample
from certjobs.local.simulator.clock import SetClock
from certjobs.local.simulator.server import Settings, Simulator, simulator

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import date
    from typing import LiteralString

FALLBACK = "mentors@example.org"


def run() -> int:
    """Show a first night, then a second one that changes nothing; return 0.

    Works in a database of its own, made anew each time, under ``CERTJOBS_LOCAL_DIR``. Raises CertjobsError when one of
    the commands does not end as it should.
    """
    directory = config.load().local_dir / "demo"
    today = datetime.now(ZoneInfo("Europe/Oslo")).date()
    clock = SetClock()
    with (
        postgres.server(directory) as address,
        mailbox.mailbox() as mail,
        simulator(Settings(), clock=clock) as website,
    ):
        with psycopg.connect(address, autocommit=True) as connection:
            connection.execute(f"DROP DATABASE IF EXISTS {postgres.DATABASE} WITH (FORCE)")
        sample = directory / "sample.csv"
        with sample.open("w", encoding="utf-8", newline="") as stream:
            write_sample(stream, today)
        _say(f"A first night, on an embedded PostgreSQL in {directory}. All people are invented.")
        settings = _settings(directory, mail, website)
        _steps(settings, _roster(sample, today))
        ours = _certified(address)
        for ref in ours:
            website.state.add(ref)
        _steps(settings, [("== 3. The website learns of the roster ==", ["sync"])])
        clock.advance(website.state.lag)
        before = website.state.public_listed()
        _steps(settings, _night())
        _show(mail)
        _steps(settings, [("== 7. The website follows ==", ["sync"])])
        _show_website(website, clock, before)
        sent = len(mail.messages)
        back = next(ref for ref in sorted(each for each in before if each) if ref not in website.state.listed())
        _list_again(website, back)
        _steps(settings, _next_night(directory, back))
        if not sent or len(mail.messages) != sent:
            msg = f"The demo's first night sent {sent} messages, and its second {len(mail.messages) - sent}."
            raise CertjobsError(msg, hint="The first should send some, the second none.")
        if website.state.listed() != _to_be_listed(address):
            msg = "The demo's website does not show whom the rule says."
            raise CertjobsError(msg, hint="Every change should have reached it.")
        _say(_next_steps(directory))
    return 0


def _steps(settings: dict[str, str], steps: Iterable[tuple[str | None, list[str]]]) -> None:
    for heading, arguments in steps:
        if heading:
            _say(f"\n{heading}")
        _command(settings, arguments)


def _certified(address: str) -> list[str]:
    """Return the mentors whom the website may have shown so far: HLF's, certified now or once."""
    query = (
        "SELECT m.external_ref FROM peer_mentors m JOIN organisations o ON o.id = m.organisation_id"
        " WHERE o.website_sync AND m.certification_expiry IS NOT NULL ORDER BY m.external_ref"
    )
    return _column(address, query)


def _to_be_listed(address: str) -> set[str]:
    """Return whom the listing rule says."""
    query = (
        "SELECT m.external_ref FROM peer_mentors m JOIN organisations o ON o.id = m.organisation_id WHERE"
        " certjobs_listing(o.website_sync, m.status, m.certification_expiry, certjobs_today(o.time_zone)) = 'listed'"
    )
    return set(_column(address, query))


def _column(address: str, query: LiteralString) -> list[str]:
    with psycopg.connect(address.replace("/postgres?", f"/{postgres.DATABASE}?")) as connection:
        return [value for (value,) in connection.execute(query)]


def _roster(sample: Path, today: date) -> Iterator[tuple[str | None, list[str]]]:
    yield "== 1. A schema ==", ["db", "upgrade"]
    yield "== 2. A roster ==", ["roster", "import", str(sample)]
    yield (
        "Whom to tell of mentors who have no coordinator:",
        ["orgs", "set", "HLF", "--fallback-address", FALLBACK, "--reason", "the demo"],
    )
    heading: str | None = "Some mentors are paused by hand; the night will leave them alone:"
    for ref, reason in paused_by_hand(today):
        yield heading, ["mentors", "pause", ref, "--reason", reason]
        heading = None


def _night() -> Iterator[tuple[str | None, list[str]]]:
    yield "== 4. What would the night do? ==", ["expiry-check", "--dry-run"]
    yield None, ["remind", "--dry-run"]
    yield "== 5. The night: expired mentors are paused ==", ["expiry-check"]
    yield "== 6. Their coordinators are told, and warned 30, 14 and 7 days ahead ==", ["remind"]


def _list_again(website: Simulator, ref: str) -> None:
    """Put a mentor who was taken off back on the website, as somebody might by hand."""
    row = website.state.by_key(ref)
    if row is not None:
        website.state.update(row, {website.state.table.listed_column: True})


def _next_night(directory: Path, back: str) -> Iterator[tuple[str | None, list[str]]]:
    yield (
        f"== 8. Somebody lists {back} again by hand; a whole night in one command puts that right ==",
        ["nightly", "--report", str(directory / "night.html"), "--language", "en"],
    )
    yield f"== 9. Why is {back} not listed? ==", ["explain", back]
    yield "== 10. What the scheduler and you can read afterwards ==", ["status"]
    yield None, ["runs"]


def _show_website(website: Simulator, clock: SetClock, before: set[str | None]) -> None:
    """Print who stood on the public site before the night, and who does now and a quarter of an hour later."""
    now = website.state.public_listed()
    clock.advance(website.state.lag)
    later = website.state.public_listed()
    gone = textwrap.wrap("gone: " + ", ".join(sorted(ref for ref in before - later if ref)), 80)
    lines = "\n".join(f"    | {line}" for line in gone)
    minutes = f"{website.state.lag / 60:.0f} minutes"
    _say(f"""
On the public site, which shows a change {minutes} after the portal accepted it:

    | before the night        {len(before):4} mentors
    | when sync ended         {len(now):4}
    | {minutes} later        {len(later):4}
    |
{lines}""")


def _show(mail: mailbox.Mailbox) -> None:
    """Print the message that has most to say, as its coordinator reads it."""
    fullest = max(mail.messages, key=lambda each: len(mailbox.as_read(each)), default=None)
    if fullest is None:
        return
    _say(f"\n{len(mail.messages)} messages went out, to a mail server on this machine. One of them, as it is read:\n")
    _say("\n".join(f"    | {line}" for line in mailbox.as_read(fullest).splitlines()))


def _settings(directory: Path, mail: mailbox.Mailbox, website: Simulator) -> dict[str, str]:
    """Return the environment of the demo's commands: no setting of this machine's own counts."""
    ours = {
        "LOCAL_DIR": str(directory),
        "LOG_LEVEL": "warning",
        "NOTIFY_CHANNEL": "email",
        "SMTP_HOST": mailbox.HOST,
        "SMTP_PORT": str(mail.port),
        "SMTP_SECURITY": "none",
        "MAIL_FROM": "HLF mentors <mentors@example.org>",
    }
    others = {name: value for name, value in os.environ.items() if not name.startswith(config.PREFIX)}
    website_settings = website.environment(directory / "secret")
    return others | website_settings | {f"{config.PREFIX}{name}": value for name, value in ours.items()}


def _command(settings: dict[str, str], arguments: list[str]) -> None:
    shown = shlex.join(
        ["certjobs", *(Path(each).name if each.endswith((".csv", ".html")) else each for each in arguments)]
    )
    _say(f"\n$ {shown} --local")
    done = subprocess.run(  # noqa: S603 - our own program, and our own words
        [sys.executable, "-m", "certjobs", *arguments, "--local"], env=settings, check=False
    )
    if done.returncode:
        msg = f"The demo's command `{shown}` ended with exit {done.returncode}."
        raise CertjobsError(msg, hint="What it printed above says why.")


def _next_steps(directory: Path) -> str:
    return f"""
== What to try next ==

  export CERTJOBS_LOCAL_DIR={shlex.quote(str(directory))}
  export PATH={shlex.quote(str(Path(sys.executable).parent))}:$PATH

  certjobs expiry-check --local --dry-run --as-of {datetime.now(ZoneInfo("Europe/Oslo")).year + 1}-12-24
                                                    far ahead, so many expire that the guard refuses
  certjobs remind --local --dry-run --as-of {datetime.now(ZoneInfo("Europe/Oslo")).date() + timedelta(days=7)}
                                                    who hears what in a week
  certjobs notifications list --local               what became of each notice
  certjobs simulator --roster {shlex.quote(str(directory / "sample.csv"))}
                                                    a portal of your own, for `certjobs sync --local`
  xdg-open {shlex.quote(str(directory / "night.html"))}
                                                    the night's report, as a page
  certjobs mentors reinstate HLF-0001 --reason "just trying" --local
  certjobs runs --local --json                      what a program reads
  certjobs roster sample                            the roster file, to change and import again
  certjobs --help                                   everything else
"""


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()
