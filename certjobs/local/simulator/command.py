"""The command ``certjobs simulator``: rows from a file, addresses and settings on stdout, secrets in files only."""

from __future__ import annotations

import csv
import secrets
import shlex
import signal
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from certjobs import config
from certjobs.errors import ConfigurationError, UsageError
from certjobs.local.simulator.state import State, Table

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from certjobs.local.simulator.server import Simulator

_REFERENCE = "mentor_ref"


@dataclass(frozen=True)
class Options:
    """What the command was asked for. ``lag`` is in seconds; files that are None lie in the local directory."""

    port: int
    tls: bool
    lag: float
    state: Path | None
    roster: Path | None
    listed: bool
    tenant: str | None
    client_id: str | None
    secret_file: Path | None
    table: str
    key_column: str
    listed_column: str


def run(options: Options) -> int:
    """Run the simulator until Ctrl-C or SIGTERM and return 0.

    Raises ConfigurationError where the extra is missing, or a file or name cannot be used; UsageError where there is
    no such roster file; and Unavailable where the port cannot be had.
    """
    try:
        from certjobs.local.simulator import server
    except ImportError as exc:
        msg = "The simulator is not installed."
        raise ConfigurationError(msg, hint="Install it with `pip install 'certjobs[local]'`.") from exc
    directory = config.load().local_dir / "simulator"
    secret_file = options.secret_file or directory / "client-secret"
    try:
        directory.mkdir(parents=True, exist_ok=True)
        secret = _read_or_make(secret_file)
    except (OSError, UnicodeDecodeError) as exc:
        msg = f"The simulator's files cannot be used ({type(exc).__name__})."
        raise ConfigurationError(msg, hint="Set CERTJOBS_LOCAL_DIR or --secret-file to a place of your own.") from exc
    table = Table(options.table, options.table.removesuffix("s"), options.key_column, options.listed_column)
    settings = server.Settings(
        table=table,
        tenant=options.tenant or server.TENANT,
        client_id=options.client_id or server.CLIENT_ID,
        client_secret=secret,
        lag=options.lag,
        state_file=options.state,
        port=options.port,
        tls=options.tls,
    )
    keys = _keys(options.roster) if options.roster else []
    with _held_back(signal.SIGINT, signal.SIGTERM) as ending, server.simulator(settings) as running:
        added = _add(running.state, keys, listed=options.listed)
        _say(_introduction(running, running.environment(secret_file, directory / "ca.pem"), added))
        signal.sigwait(ending)
    _say("\nThe simulator has ended.")
    return 0


@contextmanager
def _held_back(*numbers: signal.Signals) -> Iterator[set[signal.Signals]]:
    """Keep signals for who waits for them, so that one that comes at any moment ends the simulator in order.

    Threads started in the block inherit this. A handler of Python's would not do: a signal that arrives just before a
    wait begins would be noticed only at its end, and this one has none.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, numbers)
    try:
        yield set(numbers)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _read_or_make(file: Path) -> str:
    """Return the secret of an earlier start, or a new one."""
    earlier = file.read_text(encoding="utf-8").strip() if file.exists() else ""
    return earlier or secrets.token_urlsafe(30)


def _keys(file: Path) -> list[str]:
    """Return the keys of a file, each once: a roster file's mentors, or one key a line."""
    try:
        with file.open(encoding="utf-8-sig", newline="") as stream:
            head = stream.readline()
            stream.seek(0)
            delimiter = max(",;\t", key=head.count) if _REFERENCE in head else ","
            rows = [row for row in csv.reader(stream, delimiter=delimiter) if row]
    except (OSError, UnicodeDecodeError, csv.Error) as exc:
        msg = f"The file of --roster cannot be read ({type(exc).__name__})."
        raise UsageError(msg, hint="Name a roster file, or a UTF-8 file with one key a line.") from exc
    column = 0
    if rows and _REFERENCE in rows[0]:
        column = rows.pop(0).index(_REFERENCE)
    keys = (row[column].strip() for row in rows if len(row) > column)
    return list(dict.fromkeys(key for key in keys if key))


def _add(state: State, keys: list[str], *, listed: bool) -> int:
    """Add the keys that have no row yet and return how many those were."""
    missing = [key for key in keys if state.by_key(key) is None]
    for key in missing:
        state.add(key, listed=listed)
    state.save()
    return len(missing)


def _introduction(running: Simulator, environment: dict[str, str], added: int) -> str:
    exports = "\n".join(f"  export {name}={shlex.quote(value)}" for name, value in environment.items())
    return f"""The simulator has {len(running.state)} rows in {running.settings.table.entity_set}, {added} of them new.

  public site   {running.url}/
  Web API       {running.api_url}
  tokens        {running.token_url}
  itself        {running.url}/simulator/state, /simulator/log, /simulator/faults

Settings for another terminal:

{exports}

Ctrl-C ends it."""


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()
