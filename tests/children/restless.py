"""certjobs in a process of its own whose rests take no time."""

from __future__ import annotations

import sys

from certjobs.adapters.clock import SystemClock
from certjobs.cli import main

if __name__ == "__main__":
    SystemClock.sleep = lambda *_: None  # type: ignore[method-assign]
    sys.exit(main(sys.argv[1:]))
