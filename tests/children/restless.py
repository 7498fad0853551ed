"""certjobs in a process of its own whose rests take no time."""

from __future__ import annotations

import sys

from certjobs import bootstrap
from certjobs.cli import main

if __name__ == "__main__":
    bootstrap.SystemClock.sleep = lambda *_: None  # type: ignore[method-assign]
    sys.exit(main(sys.argv[1:]))
