"""Files that a command writes: whole or not at all, and readable by their owner only, for they hold personal data."""

from __future__ import annotations

import io
import os
import sys
from contextlib import contextmanager
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import TYPE_CHECKING, BinaryIO, cast

from certjobs.errors import CertjobsError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import TextIO


@contextmanager
def output(file: str) -> Iterator[BinaryIO]:
    """Give standard output for ``-``, else a new file that takes the name when the block ends well."""
    if file == "-":
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
    if path.exists() and other_than != "-" and Path(other_than).exists() and path.samefile(other_than):
        msg = f"{path} is the file that is being read."
        raise UsageError(msg, hint="Name another file.")
    with _replacing(path) as out:
        text = io.TextIOWrapper(out, "utf-8", errors="surrogateescape", newline="")
        yield text
        text.flush()
        text.detach()


@contextmanager
def _replacing(path: Path) -> Iterator[BinaryIO]:
    if path.exists() and not path.is_file():  # a device or a pipe is written to as it is
        with path.open("wb") as out:
            yield out
        return
    try:
        made = NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False)  # noqa: SIM115 - renamed
    except OSError as exc:
        msg = f"The file {path} cannot be written: {exc.strerror}."
        raise UsageError(msg, hint="Check its directory and permissions.") from exc
    temporary = Path(made.name)
    try:
        with made:
            yield cast(BinaryIO, made.file)
            made.flush()
            os.fsync(made.fileno())
        temporary.replace(path)
    except OSError as exc:
        msg = f"The file {path} could not be written: {exc.strerror}."
        raise CertjobsError(msg, hint="Make room or name another place, and run the command again.") from exc
    finally:
        temporary.unlink(missing_ok=True)
