"""Import certjobs once, then carry out every command in a forked process of its own.

Standard input is a socket. Each message on it is one command as JSON, with four descriptors: what becomes its standard
input, output and error, and where its process id and its wait status are written, a line each.
"""

from __future__ import annotations

import gc
import json
import os
import signal
import socket
import sys
import traceback
from itertools import count
from typing import Any, Literal, NoReturn, TypedDict
from unittest import mock

import sqlalchemy.dialects.postgresql.psycopg
from sqlalchemy.engine.default import DefaultDialect

import certjobs.adapters.alerts
import certjobs.bootstrap
import certjobs.cli.render
from certjobs.cli import main


class Death(TypedDict):
    """Where a command kills itself: just before, or just after, its n-th commit has reached the server."""

    commit: int
    moment: Literal["before", "after"]


class Command(TypedDict):
    """One command."""

    argv: list[str]
    env: dict[str, str]
    death: Death | None


PRELOADED = (certjobs.adapters.alerts, certjobs.bootstrap, certjobs.cli.render, sqlalchemy.dialects.postgresql.psycopg)


def serve(requests: socket.socket) -> None:
    """Fork a supervisor for every message until the other end closes."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    gc.freeze()
    while True:
        message, descriptors, _flags, _address = socket.recv_fds(requests, 1 << 20, 4)
        if not message:
            return
        if os.fork() == 0:
            supervise(json.loads(message), descriptors)
        for descriptor in descriptors:
            os.close(descriptor)


def supervise(command: Command, descriptors: list[int]) -> NoReturn:
    """Fork the command's process, say its id, wait for its end and say how it ended."""
    *streams, status = descriptors
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    pid = os.fork()
    if pid == 0:
        os.close(status)
        for number, stream in enumerate(streams):
            os.dup2(stream, number)
            os.close(stream)
        become(command)
    for stream in streams:
        os.close(stream)
    os.write(status, f"{pid}\n".encode())
    _pid, ended = os.waitpid(pid, 0)
    os.write(status, f"{os.waitstatus_to_exitcode(ended)}\n".encode())
    os._exit(0)


def become(command: Command) -> NoReturn:
    """Be the command, to its end."""
    os.environ.clear()
    os.environ.update(command["env"])
    if command["death"] is not None:
        die_at(command["death"])
    sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115 - as at the start of a process
    sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", encoding="utf-8", buffering=1, closefd=False)  # noqa: SIM115
    code = 70
    try:
        code = main(command["argv"])
    except BaseException:  # noqa: BLE001 - this process has nobody above it
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def die_at(death: Death) -> None:
    """Arrange the death."""
    numbers = count(1)
    commit = DefaultDialect.do_commit

    def do_commit(self: DefaultDialect, connection: Any) -> None:
        doomed = next(numbers) == death["commit"]
        if doomed and death["moment"] == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        commit(self, connection)  # type: ignore[no-untyped-call]  # SQLAlchemy leaves it so
        if doomed:
            os.kill(os.getpid(), signal.SIGKILL)

    mock.patch.object(DefaultDialect, "do_commit", do_commit).start()


if __name__ == "__main__":
    with socket.socket(fileno=0) as parent:
        serve(parent)
