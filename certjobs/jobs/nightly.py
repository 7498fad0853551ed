"""nightly: the whole night in one run. Each job of it is a run of its own, with its own row, lock, outcome and alert.

A step that fails stops none after it: each does what it can. The worst of their outcomes is the night's. A signal ends
the step under way, and the night with it.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from certjobs.domain.coverage import equations
from certjobs.domain.outcome import Outcome, worst
from certjobs.errors import CertjobsError, ExitCode, StatementFailed
from certjobs.jobs.gathering import gather

if TYPE_CHECKING:
    from collections.abc import Sequence

    from certjobs.domain.outcome import Report
    from certjobs.jobs.context import JobContext
    from certjobs.jobs.options import NightlyOptions

ENDED = (ExitCode.INTERRUPTED, ExitCode.TERMINATED)


def nightly(ctx: JobContext[NightlyOptions]) -> Outcome:
    """Carry out every step, and say what the night came to.

    Afterwards each step has its own run row, under this one. Raises nothing of a step's: its outcome is told, and the
    worst of them is the night's.
    """
    reports: list[Report] = []
    ctx.count(steps=0, steps_failed=0)
    with ctx.progress.track("Tonight", len(ctx.steps)) as advance:
        for step in ctx.steps.values():
            report = step()
            reports.append(report)
            ctx.count(steps=1, steps_failed=report.outcome.exit_code is not ExitCode.OK)
            advance(1)
            if report.outcome.exit_code in ENDED:
                break
    outcome = _outcome(ctx, reports)
    if outcome.exit_code in ENDED:
        return outcome
    try:
        night = gather(ctx, reports, outcome)
    except (CertjobsError, StatementFailed) as exc:  # the steps have said what there is to say
        ctx.log.warning("nightly.not_gathered", error=str(exc))
        return outcome
    return replace(outcome, details={**outcome.details, "night": night})


def _outcome(ctx: JobContext[NightlyOptions], reports: Sequence[Report]) -> Outcome:
    """Say how the steps went together."""
    code = worst(report.outcome.exit_code for report in reports)
    failed = [report for report in reports if report.outcome.exit_code is not ExitCode.OK]
    message = " ".join(f"{each.job_name}: {each.outcome.message or each.outcome.exit_code.meaning}" for each in failed)
    hint = next((each.outcome.hint for each in failed if each.outcome.exit_code is code and each.outcome.hint), None)
    details = {"steps": [_step(report) for report in reports]}
    return Outcome(code, ctx.counts, message or None, hint, details)


def _step(report: Report) -> dict[str, Any]:
    told = [
        {"what": str(each), "remainder": each.remainder} for each in equations(report.job_name, report.outcome.counts)
    ]
    return report.as_json() | {"equations": told}
