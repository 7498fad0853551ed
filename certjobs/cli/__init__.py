"""The command line: options in, rendered result and exit code out.

Nothing here imports a database, HTTP, settings or logging library before a command runs: ``--help`` must be quick.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from certjobs.cli.app import app_for
from certjobs.cli.options import with_a_file
from certjobs.domain.text import printable
from certjobs.errors import CertjobsError, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["main"]


def main(argv: Sequence[str]) -> int:
    """Run one command and return its exit code; the one place where errors become words and codes."""
    arguments = list(argv)
    _mend_streams()
    try:
        _refuse_other_encodings(arguments)
        arguments = with_a_file(arguments)
        app_for(arguments)(args=arguments, prog_name="certjobs")
    except SystemExit as exc:
        return exc.code if isinstance(exc.code, int) else int(exc.code is not None)
    except CertjobsError as exc:
        return _explain(exc, arguments)
    except Exception as exc:
        if "--debug" in arguments:
            raise
        from certjobs.harness import explained

        return _explain(explained(exc), arguments)
    return 0


def _mend_streams() -> None:
    """Let no closed stream and no narrow encoding change what a command does."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, Path(os.devnull).open("w", encoding="utf-8"))  # noqa: SIM115 - for as long as we live
        elif hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")


def _refuse_other_encodings(arguments: Sequence[str]) -> None:
    """Raise UsageError for arguments that did not arrive as text: bytes of another encoding become lone surrogates."""
    if any("\ud800" <= character <= "\udfff" for argument in arguments for character in argument):
        msg = "An argument is not text in this system's encoding."
        raise UsageError(msg, hint="Type it again, in UTF-8.")


def _explain(exc: CertjobsError, arguments: Sequence[str]) -> int:
    if "--debug" in arguments:
        import traceback

        traceback.print_exception(exc)
    problems = getattr(exc, "problems", ())
    if "--json" in arguments:
        error = {
            "status": exc.exit_code.status,
            "exit_code": int(exc.exit_code),
            "message": exc.message,
            "hint": exc.hint,
        }
        if problems:
            error["total_problems"] = getattr(exc, "total", len(problems))
            error["problems"] = [{"line": p.line, "column": p.column, "reason": p.reason} for p in problems]
        print(json.dumps(error, ensure_ascii=False))
    else:
        for problem in problems:
            where = f"line {problem.line}, {problem.column}" if problem.column else f"line {problem.line}"
            print(printable(f"{where}: {problem.reason}"), file=sys.stderr)
    print(printable(f"certjobs: {exc.message}"), file=sys.stderr)
    if exc.hint:
        print(printable(f"          {exc.hint}"), file=sys.stderr)
    return int(exc.exit_code)
