"""Commands as processes: started by a fork of a process that has certjobs imported, so that dozens cost little."""

from __future__ import annotations

import fcntl
import json
import os
import select
import signal
import socket
import tempfile
import threading
from contextlib import ExitStack, contextmanager
from time import monotonic
from typing import IO, TYPE_CHECKING, Any, Self

import pytest

from tests.canaries import look
from tests.conftest import Certjobs, Result, TestDatabase

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from types import TracebackType

    from tests.children.zygote import Command, Death

DEADLINE = 30.0  # seconds that anything may take which a test waits for


class Child:
    """One command in a process of its own. Its output goes to files, unless ``stdout`` says where."""

    def __init__(self, requests: socket.socket, command: Command, *, stdout: int | None = None) -> None:
        self._closing = ExitStack()
        self._ended: int | None = None
        self._stdin, self._stdout, self._stderr = (self._closing.enter_context(_scratch()) for _ in range(3))
        told, status = os.pipe()
        self._told = self._closing.enter_context(os.fdopen(told, "rb", buffering=0))
        streams = [self._stdin.fileno(), self._stdout.fileno() if stdout is None else stdout, self._stderr.fileno()]
        socket.send_fds(requests, [json.dumps(command).encode()], [*streams, status])
        os.close(status)
        self.pid = self._number(DEADLINE)

    def ended(self, timeout: float = 0) -> bool:
        """Tell whether the process ends within the time given."""
        if self._ended is None and select.select([self._told], [], [], timeout)[0]:
            self._ended = self._number(timeout)
        return self._ended is not None

    def wait(self, timeout: float = DEADLINE) -> Result:
        """Return how the process ended; a negative exit code is the signal that ended it."""
        assert self.ended(timeout), f"still running after {timeout} s"
        assert self._ended is not None
        return Result(self._ended, _text(self._stdout), _text(self._stderr))

    def send(self, number: signal.Signals) -> None:
        """Send a signal."""
        os.kill(self.pid, number)

    def kill(self) -> Result:
        """End the process without its having a say."""
        self.send(signal.SIGKILL)
        return self.wait()

    def _number(self, timeout: float) -> int:
        """Read one line of what the process's supervisor tells."""
        line = b""
        deadline = monotonic() + max(timeout, 1)
        while not line.endswith(b"\n"):
            assert select.select([self._told], [], [], deadline - monotonic())[0], "the supervisor says nothing"
            line += (part := self._told.read(1))
            assert part, "the supervisor is gone"
        return int(line)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _type: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        if not self.ended():
            self.kill()
        self._closing.close()


def _scratch() -> IO[bytes]:
    return tempfile.TemporaryFile()


def _text(stream: IO[bytes]) -> str:
    stream.seek(0)
    return stream.read().decode()


class Forked(Certjobs):
    """Run a command as a process of its own, forked; started children are ended with the test."""

    def __init__(self, default_url: str | None, requests: socket.socket, closing: ExitStack) -> None:
        super().__init__(default_url)
        self._requests = requests
        self._closing = closing

    def start(
        self,
        *argv: str,
        url: str | None = None,
        env: Mapping[str, str] | None = None,
        death: Death | None = None,
        stdout: int | None = None,
    ) -> Child:
        """Start ``certjobs *argv`` and return the process."""
        variables = os.environ | self.environment(url, env)
        command: Command = {"argv": list(argv), "env": variables, "death": death}
        return self._closing.enter_context(Child(self._requests, command, stdout=stdout))

    def __call__(
        self, *argv: str, url: str | None = None, env: Mapping[str, str] | None = None, stdin: bytes = b""
    ) -> Result:
        """Run ``certjobs *argv`` to its end."""
        assert not stdin, "a forked command has an empty standard input"
        return self.start(*argv, url=url, env=env).wait()


class Stuck:
    """A process that stands still in the sending of a notice, because nobody takes what it prints."""

    def __init__(self, child: Child, pipe: IO[bytes], filler: int) -> None:
        self.child = child
        self._pipe = pipe
        self._filler = filler

    def release(self) -> str:
        """Take what it prints, to its end, and return that."""
        printed = b""
        deadline = monotonic() + DEADLINE
        while select.select([self._pipe], [], [], deadline - monotonic())[0]:
            printed += (part := os.read(self._pipe.fileno(), 1 << 16))
            if not part:
                look("the stdout of a process", printed)
                return printed[self._filler :].decode()
        pytest.fail("the process did not go on")


@contextmanager
def stuck_in_its_first_send(
    forked: Forked, database: TestDatabase, *argv: str, env: Mapping[str, str]
) -> Iterator[Stuck]:
    """Start a command whose output nobody takes, and wait until it has claimed its first notice."""
    taking, giving = os.pipe()
    with os.fdopen(taking, "rb", buffering=0) as pipe:
        try:
            size = fcntl.fcntl(giving, fcntl.F_SETPIPE_SZ, 4096)
            os.write(giving, b"\n" * size)
            child = forked.start(*argv, url=database.job_url, env=env, stdout=giving)
        finally:
            os.close(giving)
        eventually(database, "SELECT EXISTS (SELECT 1 FROM notifications WHERE status = 'sending')")
        yield Stuck(child, pipe, size)


def eventually(database: TestDatabase, condition: str, *parameters: Any, deadline: float = DEADLINE) -> None:
    """Wait until a query gives true."""
    never = threading.Event()
    end = monotonic() + deadline
    with database.connect() as connection:
        while connection.execute(condition, parameters).fetchone() != (True,):
            assert monotonic() < end, f"never came true: {condition}"
            never.wait(0.01)


def first_to_end(children: Sequence[Child], timeout: float = DEADLINE) -> Child:
    """Return the child that ends first."""
    deadline = monotonic() + timeout
    while (left := deadline - monotonic()) > 0:
        for child in children:
            if child.ended(min(left, 0.02)):
                return child
    pytest.fail(f"no process ended within {timeout} s")
