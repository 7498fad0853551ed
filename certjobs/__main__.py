"""``python -m certjobs`` and the ``certjobs`` command."""

from __future__ import annotations

import signal
import sys
from typing import TYPE_CHECKING, NoReturn

from certjobs.errors import ExitCode, Terminated

if TYPE_CHECKING:
    from types import FrameType


def run() -> NoReturn:
    """Run the command line and leave with its exit code, which is 143 where SIGTERM ended it.

    A run takes SIGTERM itself. All else is covered here and from the start, imports too: the first process of a
    container is not ended by a signal that it does not take.
    """
    arrived = False

    def end(_number: int, _frame: FrameType | None) -> NoReturn:
        nonlocal arrived
        arrived = True
        raise Terminated

    signal.signal(signal.SIGTERM, end)
    try:
        from certjobs.cli import main

        code = main(sys.argv[1:])
    except Terminated:
        code = ExitCode.TERMINATED
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
    if arrived:  # whatever the command made of it
        print("certjobs: Terminated. What it had committed stays.", file=sys.stderr)
        code = ExitCode.TERMINATED
    sys.exit(code)


if __name__ == "__main__":
    run()
