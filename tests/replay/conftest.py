"""Fixtures of the replays."""

from __future__ import annotations

import pytest

from .register import REGISTER, Timeline, read_timeline


@pytest.fixture(scope="session")
def timeline() -> Timeline:
    """Return the register's timeline; the test is skipped where the register is absent."""
    if not REGISTER.exists():
        pytest.skip("the licence register is not here")
    return read_timeline(REGISTER)
