"""Small rosters for tests, as a roster file would give them."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING

from certjobs.domain.roster_row import COLUMNS

if TYPE_CHECKING:
    from collections.abc import Iterable

TODAY = date(2026, 11, 22)  # the tests' usual night, given to commands as --as-of
KARI = "Kari Eksempel <kari@example.org>"
OLA = "Ola Eksempel <ola@example.org>"


def in_days(days: int) -> str:
    """Return the date that many days from the tests' usual night, as the file writes it."""
    return (TODAY + timedelta(days=days)).isoformat()


@dataclass(frozen=True)
class Mentor:
    """One row of a roster file. ``expires`` in days from TODAY, None for a mentor without a certification."""

    ref: str
    expires: int | None = -1
    coordinators: str = KARI
    organisation: str = "HLF"
    chapter: str = "Prøveby"
    certificate: str | None = None
    withdrawn: int | None = None

    def row(self) -> dict[str, str]:
        """Return the row."""
        certified = self.expires is not None
        return {
            "mentor_ref": self.ref,
            "name": f"Mentor {self.ref}",
            "organisation": self.organisation,
            "chapter": self.chapter,
            "coordinators": self.coordinators,
            "certificate_ref": (self.certificate or f"C-{self.ref}") if certified else "",
            "issued_on": in_days((self.expires or 0) - 730) if certified else "",
            "expires_on": in_days(self.expires or 0) if certified else "",
            "withdrawn_on": in_days(self.withdrawn) if self.withdrawn is not None else "",
        }


def file_of(mentors: Iterable[Mentor]) -> bytes:
    """Return a roster file of these rows."""
    stream = io.StringIO()
    writer = csv.DictWriter(stream, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(each.row() for each in mentors)
    return stream.getvalue().encode()
