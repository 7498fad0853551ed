"""Website, ledger and database compared: what differs, what is queued to mend it, and the log of findings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from certjobs.db.sqlfiles import statement, stream
from certjobs.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Sequence
    from datetime import date, datetime, timedelta

    from certjobs.ports import ListedPage

_MAY_STAGE = sa.text(
    "SELECT has_database_privilege(current_database(), 'TEMPORARY') AS may, current_database() AS database"
)
# In a dry-run several steps share one transaction, which is when these end.
_AGAIN = sa.text("DROP TABLE IF EXISTS pg_temp.listing_staging, pg_temp.divergences")
_FINDINGS_AGAIN = sa.text("DROP TABLE IF EXISTS pg_temp.findings_now")
# The portal's own id stands with an entry only where that has no key: more is not needed to tell them apart.
MOST_UNKNOWN = 1000  # unknown entries that are told of one by one; a wrong key column makes everybody unknown
_STAGING = sa.text("CREATE TEMPORARY TABLE listing_staging (mentor_ref text, entry text) ON COMMIT DROP")
_DIVERGENCES = sa.text(
    "CREATE TEMPORARY TABLE divergences (finding text NOT NULL, mentor_id bigint, organisation_id bigint,"
    " mentor_ref text, entry text, certification_expiry date, left_out boolean NOT NULL, given_up boolean NOT NULL,"
    " refused boolean NOT NULL DEFAULT false) ON COMMIT DROP"
)
_FINDINGS = sa.text(
    "CREATE TEMPORARY TABLE findings_now (finding text NOT NULL, mentor_id bigint, certification_expiry_date date,"
    " detail text NOT NULL, done text, unsure boolean NOT NULL DEFAULT false) ON COMMIT DROP"
)
# The join holds the roster, or the listing, in memory: by default there is too little of it for either.
_ROOM = sa.text("SELECT set_config('work_mem', '64MB', true)")
_KEEP_BACK = sa.text(
    "UPDATE divergences d SET refused = true WHERE d.organisation_id = :organisation_id AND d.finding = 'missing'"
    " AND NOT d.left_out AND NOT d.given_up"
    " AND NOT EXISTS (SELECT 1 FROM approved_changes a WHERE a.job_name = :job_name AND a.mentor_id = d.mentor_id"
    " AND a.certification_expiry = d.certification_expiry)"
)
# A key is told where it looks like a reference, and the portal's id where it looks like one: whatever else stands there
# may be somebody's name or address.
_TOLD = sa.text(
    "SELECT d.finding, certjobs_telling_ref(d.mentor_ref) AS mentor_ref, certjobs_telling_id(d.entry) AS entry,"
    " d.given_up, d.refused"
    " FROM (SELECT d.*, row_number() OVER (PARTITION BY d.finding ORDER BY d.mentor_ref, d.entry) AS number"
    " FROM divergences d WHERE NOT d.left_out) d WHERE d.number <= :limit ORDER BY d.finding, d.number"
)
_KEPT = sa.text(
    "SELECT count(*) AS ours, count(*) FILTER (WHERE left_out) AS left_out,"
    " count(*) FILTER (WHERE given_up AND NOT left_out) AS given_up, count(*) FILTER (WHERE refused) AS refused"
    " FROM divergences WHERE finding IN ('extra', 'missing')"
)
_UNNAMED = sa.text("SELECT DISTINCT mentor_ref FROM divergences WHERE finding = 'unknown' AND entry IS NULL")
_NAME = sa.text(
    "UPDATE divergences d SET entry = n.entry"
    " FROM unnest(CAST(:refs AS text[]), CAST(:entries AS text[])) AS n (mentor_ref, entry)"
    " WHERE d.finding = 'unknown' AND d.mentor_ref = n.mentor_ref"
)
_QUEUED = sa.text(
    "SELECT DISTINCT mentor_id FROM sync_queue WHERE status IN ('pending', 'failed', 'processing')"
    " AND triggered_by_event = 'reconciliation' ORDER BY mentor_id"
)
_EMPTIED = sa.text(
    "SELECT NOT EXISTS (SELECT 1 FROM listing_staging) AND EXISTS (SELECT 1 FROM website_listing w WHERE w.listed)"
)
_SURELY_LISTED = sa.text(
    "SELECT s.mentor_ref FROM listing_staging s JOIN peer_mentors m ON m.external_ref = s.mentor_ref"
    " JOIN website_listing w ON w.mentor_id = m.id WHERE w.listed AND w.acknowledged_at < :before LIMIT :limit"
)
# Whom the portal took off and does not list now either, as the rule has it; others differ, or are not ours.
_TAKEN_OFF = sa.text(
    "SELECT m.id AS mentor_id, m.external_ref AS mentor_ref, m.certification_expiry"
    " FROM website_listing w JOIN peer_mentors m ON m.id = w.mentor_id"
    " JOIN organisations o ON o.id = m.organisation_id"
    " WHERE NOT w.listed AND w.acknowledged_at < :before"
    " AND certjobs_listing(o.website_sync, m.status, m.certification_expiry, certjobs_today(o.time_zone))"
    " = 'not listed' AND NOT EXISTS (SELECT 1 FROM listing_staging s WHERE s.mentor_ref = m.external_ref)"
    " ORDER BY m.external_ref"
)
_LAGGING = sa.text(
    "INSERT INTO findings_now (finding, mentor_id, certification_expiry_date, detail, done)"
    " SELECT 'lagging', t.mentor_id, t.certification_expiry,"
    " 'The public site still shows the mentor, whom the portal took off long enough ago.', 'Reported only.'"
    " FROM unnest(CAST(:ids AS bigint[]), CAST(:expiries AS date[])) AS t (mentor_id, certification_expiry)"
)
_MENDED = sa.text(
    "WITH mended AS (UPDATE reconciliation_log l SET cleared_at = clock_timestamp(), done = 'Queued, and acknowledged.'"
    " FROM unnest(CAST(:ids AS bigint[])) AS t (mentor_id)"
    " WHERE l.mentor_id = t.mentor_id AND l.finding IN ('extra', 'missing') AND l.cleared_at IS NULL"
    " AND l.done IS DISTINCT FROM 'Queued again: what was acknowledged before did not last.'"
    " AND (SELECT q.status FROM sync_queue q WHERE q.mentor_id = t.mentor_id AND q.status <> 'superseded'"
    " ORDER BY q.id DESC LIMIT 1) = 'done' RETURNING l.finding)"
    " SELECT finding, count(*) AS number FROM mended GROUP BY finding"
)
_EXAMPLES = sa.text(
    "SELECT concat_ws(': ', m.external_ref, concat_ws(' ', l.detail, l.done)) FROM reconciliation_log l"
    " LEFT JOIN peer_mentors m ON m.id = l.mentor_id"
    " WHERE l.cleared_at IS NULL AND l.finding = :finding ORDER BY l.id DESC LIMIT :limit"
)
# How many findings there are tonight no statistics can tell; looked for one by one, many take hours.
_NO_LOOPS = sa.text("SELECT set_config('enable_nestloop', :loops, true)")
# What COPY reads as something else than the character.
_SPECIAL = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r", "\0": "\N{REPLACEMENT CHARACTER}"})
_NULL = "\\N"
_NO_ENTRY = f"\t{_NULL}\n"


@dataclass(frozen=True, slots=True)
class Compared:
    """The entries that were read, by what they are, and the mentors who are ``missing`` among them.

    ``staged`` is how many were read, counted as they came in; the others are counted by the comparison.
    """

    staged: int
    agreeing: int
    extra: int
    unknown: int
    not_ours: int
    missing: int


@dataclass(frozen=True, slots=True)
class Missing:
    """Who would be put back in one organisation: approved by a person or not; ``emptied``: the website shows nobody."""

    organisation_id: int
    approved: int
    unapproved: int
    emptied: bool


@dataclass(frozen=True, slots=True)
class Divergence:
    """Where website and rule differ, or an entry that no mentor has: its key and the portal's own id.

    ``given_up``: the same was tried before in vain; ``refused``: the guard waits for a person.
    """

    finding: str
    mentor_ref: str | None
    entry: str | None
    given_up: bool
    refused: bool


@dataclass(frozen=True, slots=True)
class Kept:
    """How many mentors differ, and who of them is not mended now: on their way already, given up before, refused."""

    ours: int
    left_out: int
    given_up: int
    refused: int


@dataclass(frozen=True, slots=True)
class Noted:
    """One kind of finding: how many are open, how many of them new, and how many others were cleared."""

    finding: str
    open: int
    new: int
    cleared: int


@dataclass(frozen=True, slots=True)
class TakenOff:
    """A mentor whom the portal acknowledged to have taken off the website."""

    mentor_id: int
    mentor_ref: str
    certification_expiry: date | None


class Reconciliation:
    """The comparison, on one transaction: what is staged and found lives as long as it does."""

    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection

    # The website.

    def require_tables(self) -> None:
        """Raise ConfigurationError unless this login may make tables of its session's own."""
        row = self._connection.execute(_MAY_STAGE).one()
        if not row.may:
            msg = "The database login may not make temporary tables, in which the website is compared."
            hint = f'Let the database\'s owner run: GRANT TEMPORARY ON DATABASE "{row.database}" TO certjobs_job.'
            raise ConfigurationError(msg, hint=hint)

    def stage(self, pages: Iterable[ListedPage]) -> int:
        """Copy what the website lists beside the roster, and return how many entries it is."""
        self._connection.execute(_AGAIN)
        self._connection.execute(_STAGING)
        self._connection.execute(_DIVERGENCES)
        self._connection.execute(_ROOM)
        driver: Any = self._connection.connection.driver_connection
        staged = 0
        with driver.cursor().copy("COPY listing_staging FROM STDIN") as copy:
            for page in pages:
                if page.refs:
                    copy.write(_as_copied(page))
                staged += len(page.refs)
        self._connection.execute(sa.text("ANALYZE listing_staging"))
        return staged

    def compare(self, staged: int, since: datetime) -> Compared:
        """Compare what was staged with the rule, and keep the divergences; ``since``: when the reading began."""
        row = self._connection.execute(statement("compare_listing"), {"since": since, "most": MOST_UNKNOWN}).one()
        return Compared(staged, *row)

    def name_unknown(self, pages: Iterable[ListedPage]) -> None:
        """Look up in the pages the portal's own ids of entries whose key no mentor has."""
        unnamed = set(self._connection.execute(_UNNAMED).scalars())
        if not unnamed:
            return
        found = {
            key: entry
            for page in pages
            for ref, entry in zip(page.refs, page.entries, strict=True)
            if ref is not None and (key := _readable(ref)) in unnamed
        }
        self._connection.execute(
            _NAME, {"refs": list(found), "entries": [_readable(entry) for entry in found.values()]}
        )

    def missing(self, job_name: str) -> Sequence[Missing]:
        """Return, by organisation, who would be put back on the website, where there are some."""
        rows = self._connection.execute(statement("missing_by_organisation"), {"job_name": job_name})
        return [Missing(*row) for row in rows]

    def keep_back(self, organisation_id: int, job_name: str) -> None:
        """Let nobody of an organisation be put back whom no person approved."""
        self._connection.execute(_KEEP_BACK, {"organisation_id": organisation_id, "job_name": job_name})

    def queue(self) -> tuple[Sequence[int], int]:
        """Queue what mends the divergences; return of which mentors, and of how many others somebody just did."""
        rows = self._connection.execute(statement("queue_divergences")).all()
        queued = [row.queued for row in rows if row.queued is not None]
        return queued, len(rows) - len(queued)

    def has_emptied(self) -> bool:
        """Tell whether the website shows nobody at all, where it is known to have shown somebody."""
        return bool(self._connection.execute(_EMPTIED).scalar_one())

    def queued(self) -> Sequence[int]:
        """Return of which mentors something is open or under way that a comparison queued."""
        return self._connection.execute(_QUEUED).scalars().all()

    def adopt(self, since: datetime) -> int:
        """Keep what the website shows of each mentor as what it acknowledged; return of how many that was news.

        Of who has an operation on its way, or done since, something newer is known or will be.
        """
        return self._connection.execute(statement("adopt_listing"), {"since": since}).rowcount

    def kept(self) -> Kept:
        """Return how many mentors differ, and how many of them are not mended now."""
        return Kept(*self._connection.execute(_KEPT).one())

    def divergences(self, limit: int) -> Sequence[Divergence]:
        """Return the divergences that are not on their way already, at most ``limit`` of a kind."""
        return [Divergence(*row) for row in self._connection.execute(_TOLD, {"limit": limit})]

    def surely_listed(self, before: datetime, limit: int) -> Sequence[str]:
        """Return mentors whom the portal lists and acknowledged before that moment, at most so many."""
        return self._connection.execute(_SURELY_LISTED, {"before": before, "limit": limit}).scalars().all()

    def taken_off(self, before: datetime) -> Generator[TakenOff]:
        """Yield whom the portal acknowledged to have taken off before that moment."""
        return stream(self._connection, _TAKEN_OFF, {"before": before}, TakenOff)

    # The log of findings.

    def begin_findings(self) -> None:
        """Begin to gather what is found in this transaction."""
        self._connection.execute(_FINDINGS_AGAIN)
        self._connection.execute(_FINDINGS)

    def find_divergences(self, *, unknown: int, report_only: bool) -> None:
        """Gather what the comparison found; ``unknown``: how many entries no mentor has."""
        values = {"report_only": report_only, "unknown": unknown, "most": MOST_UNKNOWN}
        self._connection.execute(statement("find_divergences"), values)

    def find_lagging(self, mentors: Sequence[TakenOff]) -> None:
        """Gather who is still visible to the public."""
        self._connection.execute(
            _LAGGING,
            {
                "ids": [each.mentor_id for each in mentors],
                "expiries": [each.certification_expiry for each in mentors],
            },
        )

    def find_traces(self, *, jobs: Sequence[str], today: date, time_zone: str, back: timedelta, sends: bool) -> None:
        """Gather what the database alone shows to be wrong.

        ``back``: for how long what is past is told of; ``sends``: whether operations are sent anywhere.
        """
        values = {"jobs": list(jobs), "today": today, "time_zone": time_zone, "back": back, "sends": sends}
        self._connection.execute(statement("find_traces"), values)

    def mended(self, queued: Sequence[int]) -> dict[str, int]:
        """Clear the findings about these mentors whose last operation is done; return how many, by kind."""
        rows = self._connection.execute(_MENDED, {"ids": list(queued)})
        return {row.finding: row.number for row in rows}

    def examples(self, finding: str, limit: int) -> Sequence[str]:
        """Return the newest open findings of a kind in words, with the mentor's reference where there is one."""
        return self._connection.execute(_EXAMPLES, {"finding": finding, "limit": limit}).scalars().all()

    def note(self, kinds: Sequence[str]) -> Sequence[Noted]:
        """Bring the log to what was gathered, for these kinds; return what there is of each."""
        self._connection.execute(_NO_LOOPS, {"loops": "off"})
        rows = self._connection.execute(statement("note_findings"), {"kinds": list(kinds)}).all()
        self._connection.execute(_NO_LOOPS, {"loops": "on"})
        return [Noted(*row) for row in rows]


def _as_copied(page: ListedPage) -> bytes:
    """Return a page as COPY reads it, keys that no text column can hold made readable."""
    refs = page.refs
    if None not in refs:
        text = "\n".join(refs)  # type: ignore[arg-type] # none of them is None
        if text.count("\n") == len(refs) - 1 and not any(each in text for each in "\\\t\r\0"):
            return (text.replace("\n", _NO_ENTRY) + _NO_ENTRY).encode("utf-8", "replace")
    rows = [
        f"{_NULL}\t{_column(entry)}\n" if ref is None else f"{_column(ref)}{_NO_ENTRY}"
        for ref, entry in zip(refs, page.entries, strict=True)
    ]
    return "".join(rows).encode("utf-8", "replace")


def _column(value: str) -> str:
    return value.translate(_SPECIAL)


def _readable(value: str) -> str:
    """Return text as a text column gives it back."""
    return value.replace("\0", "\N{REPLACEMENT CHARACTER}").encode("utf-8", "replace").decode()
