"""sync: send the operations that are open to the public website, until the queue is empty."""

from __future__ import annotations

from typing import TYPE_CHECKING

from certjobs.jobs.syncing import NO_LIMIT, send, without_portal

if TYPE_CHECKING:
    from certjobs.domain.outcome import Outcome
    from certjobs.jobs.context import JobContext
    from certjobs.jobs.options import SyncOptions


def sync(ctx: JobContext[SyncOptions]) -> Outcome:
    """Send the operations that are open, each as the rule wants it now.

    Afterwards the portal has acknowledged what the rule says for every mentor whose operation was sent; what failed is
    still open, or dead with its reason. Again is nothing. With no portal set nothing is claimed. Raises
    CredentialsRejected, ConfigurationError and Unavailable before anything was tried.
    """
    if ctx.portal is None:
        return without_portal(ctx)
    return send(ctx, ctx.portal, left=ctx.options.limit or NO_LIMIT, wait=ctx.options.wait)
