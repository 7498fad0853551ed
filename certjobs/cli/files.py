"""Files that a command writes: whole or not at all, and readable by their owner only, for they hold personal data."""

from __future__ import annotations

import codecs
import io
import os
import sys
from contextlib import contextmanager
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import TYPE_CHECKING, Any, BinaryIO, cast

from certjobs.errors import CertjobsError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import TextIO

_AS_IT_WAS = "certjobs_as_it_was"


def _as_it_was(exc: UnicodeError) -> tuple[bytes, int]:
    """Write bytes that were no text as they were, and what no text can hold as a question mark."""
    if not isinstance(exc, UnicodeEncodeError):
        raise exc
    given = exc.object[exc.start : exc.end]
    kept = (ord(each) - 0xDC00 if "\udc80" <= each <= "\udcff" else ord("?") for each in given)
    return bytes(kept), exc.end


codecs.register_error(_AS_IT_WAS, _as_it_was)


@contextmanager
def output(file: str) -> Iterator[BinaryIO]:
    """Give standard output for ``-``, else a new file that takes the name when the block ends well."""
    if file == "-":
        with _explained("standard output"):
            yield sys.stdout.buffer
            sys.stdout.buffer.flush()
        return
    with _replacing(Path(file)) as out:
        yield out


@contextmanager
def replaced(path: Path | None, *, other_than: str) -> Iterator[TextIO | None]:
    """Give a text file for bytes of any kind that takes the path's name when the block ends well; None for no path.

    Raises UsageError where it would take the place of ``other_than``.
    """
    if path is None:
        yield None
        return
    with _explained(f"the file {path}", UsageError):
        same = path.exists() and other_than != "-" and Path(other_than).exists() and path.samefile(other_than)
    if same:
        msg = f"{path} is the file that is being read."
        raise UsageError(msg, hint="Name another file.")
    with _replacing(path) as out:
        text = io.TextIOWrapper(out, "utf-8", errors=_AS_IT_WAS, newline="")
        try:
            yield text
            text.flush()
        finally:
            text.detach()


@contextmanager
def _replacing(path: Path) -> Iterator[BinaryIO]:
    with _explained(f"the file {path}", UsageError):
        path = path.resolve()  # what a link leads to is replaced, not the link
        if path.is_dir():
            msg = f"{path} is a directory."
            raise UsageError(msg, hint="Name a file in it.")
        is_device = path.exists() and not path.is_file()
        made = path.open("wb") if is_device else _temporary(path)
    temporary = None if is_device else Path(made.name)
    try:
        with _explained(f"the file {path}"):
            with made:
                yield cast(BinaryIO, made if is_device else made.file)  # type: ignore[union-attr]
                made.flush()
                if temporary:
                    os.fsync(made.fileno())
            if temporary:
                temporary.replace(path)
    finally:
        if temporary:
            temporary.unlink(missing_ok=True)


def _temporary(path: Path) -> Any:
    return NamedTemporaryFile(dir=path.parent, prefix=".certjobs-", delete=False)


@contextmanager
def _explained(what: str, kind: type[CertjobsError] = CertjobsError) -> Iterator[None]:
    try:
        yield
    except BrokenPipeError:
        raise  # the reader has read enough
    except OSError as exc:
        msg = f"{what[0].upper()}{what[1:]} cannot be written: {exc.strerror}."
        raise kind(
            msg, hint="Check the place and its permissions, or name another, and run the command again."
        ) from exc
