"""Pages of a listing that are read whole before any of them is used, in memory that does not grow with them."""

from __future__ import annotations

import marshal
from struct import Struct
from tempfile import SpooledTemporaryFile
from typing import TYPE_CHECKING
from weakref import finalize

from certjobs.ports import ListedPage

if TYPE_CHECKING:
    from collections.abc import Iterator

IN_MEMORY = 1 << 20  # bytes; what is longer goes to a file without a name, which is gone with the process
_LENGTH = Struct("<Q")


class Spool:
    """Takes pages, and gives them back in their order, as often as asked for. Its file is gone when nobody holds it."""

    def __init__(self) -> None:
        """Begin with none."""
        self._file = SpooledTemporaryFile(max_size=IN_MEMORY)  # noqa: SIM115 - it lasts as long as this
        finalize(self, self._file.close)

    def add(self, page: ListedPage) -> None:
        """Take one more page."""
        data = marshal.dumps((list(page.refs), list(page.entries)))
        self._file.write(_LENGTH.pack(len(data)) + data)

    def __iter__(self) -> Iterator[ListedPage]:
        """Yield the pages that were taken."""
        self._file.seek(0)
        while prefix := self._file.read(_LENGTH.size):
            yield ListedPage(*marshal.loads(self._file.read(*_LENGTH.unpack(prefix))))  # noqa: S302 - our own
