"""Random kills with retrying senders: a short run of what `bench/kill9.py` does for long."""

from __future__ import annotations

import pytest
from bench.kill9 import run


@pytest.mark.timeout(500)
def test_random_kills_lose_nothing_and_double_nothing() -> None:
    """Ten kills at random moments: every span of every sender counted once, in the SLO and in its groups."""
    assert run(kills=10, seed=3)
