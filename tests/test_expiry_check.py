"""expiry-check through the command line: who is paused, who is not, and what that leaves behind."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.roster import TODAY, Mentor, file_of

if TYPE_CHECKING:
    from tests.conftest import Certjobs, TestDatabase


def test_pauses_the_expired_and_nobody_else(certjobs: Certjobs, database: TestDatabase) -> None:
    """A mentor whose last valid day was yesterday is paused, one whose last valid day is today is not."""
    certjobs("roster", "import", "-", stdin=file_of([Mentor("A", -1), Mentor("B", 0)]))
    result = certjobs("expiry-check", "--as-of", TODAY.isoformat(), "--json", url=database.job_url)
    assert result.exit_code == 0, result.stdout
    assert [each["mentor_ref"] for each in result.json()["paused"]] == ["A"]
    assert database.all("SELECT external_ref, status FROM peer_mentors ORDER BY 1") == [("A", "paused"), ("B", "active")]
