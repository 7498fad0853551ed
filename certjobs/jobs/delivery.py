"""Sending the notices that are owed, after the transactions that caused them.

Each notice becomes ``sending`` by a commit of its own just before its own send, fenced like every other write: a run
whose lock was taken over sends nothing more. A failure stays with its notice and never undoes a pause.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from certjobs.errors import DeliveryError, DeliveryFailed, StatementFailed

if TYPE_CHECKING:
    from typing import Any

    from certjobs.jobs.context import JobContext
    from certjobs.ports import Notice, Notifier

PAGE = 500


def deliver_pause_notices(ctx: JobContext[Any], organisation_id: int | None) -> str | None:
    """Send the pause notices that may be sent now, of one organisation or (None) of all.

    Returns a sentence where some are still owed, else None.

    With no channel set nothing is claimed, everything stays owed, and that is no failure.
    """
    notifier = ctx.notifier
    if notifier is None:
        with ctx.transaction() as store:
            ctx.count(notices_open=store.notifications.still_open(organisation_id)[0])
        return None
    with ctx.transaction() as store:
        store.notifications.add_new_recipients(organisation_id)
        interrupted = store.notifications.settle_interrupted(honours_keys=notifier.honours_keys)
    ctx.count(notices_unknown=0 if notifier.honours_keys else interrupted)
    after = 0
    while True:
        with ctx.transaction() as store:
            page = store.notifications.owed(organisation_id, after=after, limit=PAGE)
        if not page:
            break
        for notification_id in page:
            with ctx.shield():
                _deliver_or_leave(ctx, notifier, notification_id)
        after = page[-1]
    return _unsent(ctx, organisation_id)


def _deliver_or_leave(ctx: JobContext[Any], notifier: Notifier, notification_id: int) -> None:
    """Deliver one notice; one that the database will not have changed stops no other."""
    try:
        _deliver(ctx, notifier, notification_id)
    except StatementFailed as exc:
        ctx.log.warning("notice.not_recorded", notice=notification_id, error=exc.reason)


def _deliver(ctx: JobContext[Any], notifier: Notifier, notification_id: int) -> None:
    with ctx.transaction() as store:
        notice = store.notifications.claim(notification_id)
    if notice is None:
        return
    try:
        message_id = notifier.send(notice)
    except DeliveryError as exc:
        _record_failure(ctx, notice, exc)
        return
    except Exception as exc:  # noqa: BLE001 - whatever a channel throws, one failure is one failure
        _record_failure(ctx, notice, DeliveryFailed(type(exc).__name__))
        return
    with ctx.transaction() as store:
        store.notifications.sent(notice, message_id)
    ctx.count(notices_sent=1)


def _record_failure(ctx: JobContext[Any], notice: Notice, exc: DeliveryError) -> None:
    ctx.log.warning("notice.not_sent", notice=notice.id, mentor=notice.mentor_ref, error=exc.reason)
    with ctx.transaction() as store:
        if isinstance(exc, DeliveryFailed):
            store.notifications.failed(notice, exc.reason)
        else:
            store.notifications.refused(notice, exc.reason)
            ctx.count(notices_dead=1)


def _unsent(ctx: JobContext[Any], organisation_id: int | None) -> str | None:
    """Count what is still owed and say it in a sentence."""
    with ctx.transaction() as store:
        still_open, nobody = store.notifications.still_open(organisation_id)
    ctx.count(notices_open=still_open)
    unknown, dead = ctx.counts.get("notices_unknown", 0), ctx.counts.get("notices_dead", 0)
    sentences = []
    if nobody:
        sentences.append(
            f"{nobody} notices have nobody to go to: give those mentors a coordinator, or the organisation a fallback"
            " address with `certjobs orgs set CODE --fallback-address ADDRESS --reason TEXT`."
        )
    if still_open > nobody:
        sentences.append(f"{still_open - nobody} notices could not be sent yet; the next run tries again.")
    if unknown:
        sentences.append(f"{unknown} notices were cut short while being sent; nobody knows whether they arrived.")
    if dead:
        sentences.append(f"{dead} notices were refused for good.")
    return " ".join(sentences) or None
