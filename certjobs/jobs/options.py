"""What each job can be told. Apart from the jobs, so that one is loaded only where it is carried out."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta


@dataclass(frozen=True, slots=True)
class ExpiryCheckOptions:
    """``org``: only this organisation's code; ``batch_size``: mentors paused in one transaction.

    ``baseline``: the first contact with a live roster, where what expired long ago is no news: nobody is told.
    """

    org: str | None = None
    batch_size: int = 1000
    baseline: bool = False


@dataclass(frozen=True, slots=True)
class RemindOptions:
    """``org``: only this organisation's code; ``thresholds``: days ahead, largest first.

    ``per_organisation_thresholds``: an organisation's own count where it has some. ``baseline``: the first contact with
    a live roster, where nobody is told of what is due already.
    """

    org: str | None = None
    thresholds: tuple[int, ...] = (30, 14, 7)
    per_organisation_thresholds: bool = False
    baseline: bool = False


@dataclass(frozen=True, slots=True)
class SyncOptions:
    """``limit``: how many operations a run takes at most (None: all).

    ``wait``: whether it waits for what failed a moment ago; a watcher does not, for others would wait with it.
    """

    limit: int | None = None
    wait: bool = True


@dataclass(frozen=True, slots=True)
class ForceSyncOptions:
    """One of three: ``mentors`` by reference, all of a ``chapter``, or ``all``; ``org`` narrows the last two."""

    mentors: tuple[str, ...] = ()
    chapter: str | None = None
    all: bool = False
    org: str | None = None


@dataclass(frozen=True, slots=True)
class ReconcileOptions:
    """``report_only``: say what differs and mend nothing; ``adopt``: keep what the website shows at first contact.

    ``public_lag``: how long the public site may lag behind what the portal acknowledged.
    """

    report_only: bool = False
    adopt: bool = False
    public_lag: timedelta = timedelta(minutes=15)


@dataclass(frozen=True, slots=True)
class NightlyOptions:
    """``with_names``: whether the report may name who was paused; ``days``: how many coming nights it foretells.

    ``thresholds`` and ``per_organisation_thresholds`` are those of ``remind``.
    """

    with_names: bool = False
    days: int = 28
    thresholds: tuple[int, ...] = (30, 14, 7)
    per_organisation_thresholds: bool = False


@dataclass(frozen=True, slots=True)
class PruneOptions:
    """``retention_days``: how long history is kept (None: for ever); ``rows``: deleted in one transaction.

    ``retention_failures_days``: how long what went wrong is kept (None: three times as long).
    """

    retention_days: int | None = None
    retention_failures_days: int | None = None
    rows: int = 10_000
