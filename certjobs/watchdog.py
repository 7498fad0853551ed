"""status --alert: people hear where the nights were not there, and where nobody can tell whether they were.

A night that never starts tells nobody. So this looks from outside, at a time of its own, and is no run: it has no row.
"""

from __future__ import annotations

from contextlib import closing, suppress
from typing import TYPE_CHECKING

from certjobs import bootstrap, logs
from certjobs.admin.status import overdue_watch, status
from certjobs.domain.outcome import Outcome
from certjobs.errors import CertjobsError, ConfigurationError, ExitCode
from certjobs.harness import explained
from certjobs.telling import People, failures

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import timedelta

    from certjobs.admin.status import Status
    from certjobs.ports import Progress

NAME = "status"  # the command in whose name people are told


def look(request: bootstrap.Request, progress: Progress, *, max_age: timedelta, counting: Sequence[str]) -> Status:
    """Return how things stand, as ``admin.status`` does, and tell people of jobs that are overdue.

    They hear of it once a day, and once when none of these jobs is overdue any more. Whatever keeps it from being seen,
    wrong settings too, is told them each time, and raised. An alert that cannot be sent changes neither.
    """
    try:
        opened = bootstrap.Environment(request, progress)
    except ConfigurationError as exc:
        with suppress(CertjobsError), bootstrap.mended(request, progress) as env:
            _tell_unseen(_people(env), exc)
        raise
    with closing(opened) as env:
        people = _people(env)
        try:
            with env.administration() as database:
                found = status(database.transaction, max_age=max_age, counting=counting)
        except Exception as exc:
            _tell_unseen(people, exc)
            raise
        counts = {"overdue": len(found.overdue), "exposed": found.exposed_total}
        outcome = Outcome(ExitCode.PARTIAL if found.overdue else ExitCode.OK, counts)
        people.tell(outcome, [overdue_watch(found, max_age)], database.transaction)
        return found


def _people(env: bootstrap.Environment) -> People:
    people = People(NAME, None, env.alerter, logs.get())
    if people.alerter is None:
        people.log.warning("alert.nobody_to_tell", unset="CERTJOBS_ALERT_WEBHOOK_URL, CERTJOBS_ALERT_APPRISE_URL")
    return people


def _tell_unseen(people: People, exc: Exception) -> None:
    known = explained(exc)
    message = f"Nobody can tell whether a job is overdue. {known.message}"
    outcome = Outcome(known.exit_code, {}, message, known.hint)
    people.tell(outcome, failures(NAME, outcome, lambda _: True), None)
