"""Fixtures: commands as forked processes. A test module asks for them with ``pytest_plugins``."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.children.processes import DEADLINE, Forked
from tests.conftest import ROOT, TestDatabase

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def zygote() -> Iterator[socket.socket]:
    """Start the process that forks."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    script = Path(__file__).with_name("zygote.py")
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with ours, subprocess.Popen([sys.executable, str(script)], stdin=theirs.fileno(), env=environment) as process:
        theirs.close()
        yield ours
        ours.close()
        process.wait(DEADLINE)


@pytest.fixture
def forked(zygote: socket.socket, database: TestDatabase) -> Iterator[Forked]:
    """Return the command line as forked processes, on the test's database."""
    with ExitStack() as closing:
        yield Forked(database.url, zygote, closing)
