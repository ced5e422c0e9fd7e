"""Limits are checked at start, and pending bytes are always given back."""

from __future__ import annotations

import pytest

from sloburn.errors import ConfigError, Overloaded
from sloburn.receiver.limits import Hold, Limits, Pending


@pytest.mark.parametrize("name", ["max_body_bytes", "max_pending_bytes", "read_seconds"])
def test_a_limit_that_lets_nothing_through_is_refused(name: str) -> None:
    """A limit of 0 is a mistake, named by its key."""
    with pytest.raises(ConfigError, match=f"{name}: expected a number above 0, found 0"):
        Limits(**{name: 0})


def test_the_default_body_limit_is_what_otlp_recommends() -> None:
    """64 MiB."""
    assert Limits().max_body_bytes == 67_108_864


def test_what_a_request_held_is_given_back() -> None:
    """The account of a request is empty after it, also if it failed."""
    pending = Pending(10)
    with pending.hold() as first:
        first.grow(7)
        with pytest.raises(Overloaded), pending.hold() as second:
            second.grow(4)
        assert pending.held_bytes == 7
    assert pending.held_bytes == 0


def test_a_request_that_is_alone_is_always_served() -> None:
    """A request larger than the bound is not told to retry for ever: it gets its turn when nothing else is pending."""
    pending = Pending(10)
    with pending.hold() as hold:
        _grow(hold, 7, 7)
        assert pending.held_bytes == 14


def test_more_than_may_be_held_is_overload() -> None:
    """The request that would go over the bound is told to retry; what it held until then is given back."""
    pending = Pending(10)
    with pending.hold() as first:
        first.grow(6)
        with pytest.raises(Overloaded, match="holds 9 bytes"), pending.hold() as second:
            _grow(second, 3, 2)
        assert pending.held_bytes == 6


def test_a_request_that_ended_cannot_hold_more() -> None:
    """A worker thread that outlives its request cannot leak bytes."""
    pending = Pending(10)
    with pending.hold() as hold:
        pass
    with pytest.raises(Overloaded, match="given up"):
        hold.grow(1)
    assert pending.held_bytes == 0


def _grow(hold: Hold, *counts: int) -> None:
    for count in counts:
        hold.grow(count)
