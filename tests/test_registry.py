"""The registry is data, and this test walks it."""

from __future__ import annotations

from dataclasses import fields, is_dataclass

import pytest

from certjobs import registry
from certjobs.domain.outcome import _WORST_FIRST, worst
from certjobs.errors import EXITS, ExitCode, UsageError


def test_every_job_is_complete_and_found_by_each_of_its_names() -> None:
    """Every entry has a summary, a documented function, frozen options with defaults, and names of its own."""
    names = [name for spec in registry.JOBS for name in (spec.name, *spec.aliases)]
    assert len(names) == len(set(names))
    for spec in registry.JOBS:
        assert spec.summary.endswith(".")
        assert spec.function.__doc__
        assert is_dataclass(spec.options)
        assert spec.make_options({}, {}) == spec.options()
        for name in (spec.name, *spec.aliases):
            assert registry.find(name) is spec


def test_the_specifications_name_is_an_alias() -> None:
    """The scheduler's name from the specification finds the job."""
    assert registry.find("certification_expiry_check").name == "expiry-check"


def test_an_unknown_name_is_answered_with_those_there_are() -> None:
    """An unknown name raises a usage error that lists every job, and repeats a long name only in part."""
    with pytest.raises(UsageError) as caught:
        registry.find("x" * 1000)
    assert all(spec.name in (caught.value.hint or "") for spec in registry.JOBS)
    assert len(caught.value.message) < 120


def test_options_come_from_the_caller_then_the_settings_then_the_job() -> None:
    """What is given wins over the default of the settings, and that over the job's own; None is not given."""
    spec = registry.find("expiry-check")
    assert {each.name for each in fields(spec.options)} == {"org", "batch_size", "baseline"}
    assert spec.make_options({"batch_size": 3}, {"batch_size": 2}).batch_size == 3
    assert spec.make_options({"batch_size": None}, {"batch_size": 2, "other": 1}).batch_size == 2
    assert spec.make_options({"org": "HLF"}, {}) == spec.options(org="HLF", batch_size=1000)


def test_the_worst_of_several_outcomes_counts() -> None:
    """DESIGN section 6: 1, 69, 77, 78, 4, 3, 75, 0, the first that occurs."""
    order = [ExitCode(code) for code in (1, 69, 77, 78, 4, 3, 75, 0)]
    for position, code in enumerate(order):
        assert worst(reversed(order[position:])) is code
    assert worst([]) is ExitCode.OK
    assert set(_WORST_FIRST) == set(ExitCode) == set(EXITS)
