"""Keys of counted spans: found as long as promised, forgotten in whole slices, never confused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sloburn.duration import SECOND
from sloburn.sli.dedupe import BUSY_NS, HOLD_NS, MAX_LOOSE, QUIET_NS, SeenKeys, pack_keys, span_key, unpack_keys
from tests.sli.harness import NOW


def key(number: int) -> bytes:
    """Return the key of a span."""
    return span_key(number.to_bytes(16, "big"), number.to_bytes(8, "big"))


def keys(*numbers: int) -> set[bytes]:
    """Return the keys of spans."""
    return {key(number) for number in numbers}


steps = st.lists(
    st.tuples(st.integers(0, 3), st.sets(st.integers(1, 12), max_size=5), st.sampled_from((0, QUIET_NS + 1))),
    max_size=30,
)


@given(steps=steps)
def test_every_key_is_found_in_its_slice(steps: list[tuple[int, set[int], int]]) -> None:
    """Loose, packed and unpacked again, within the time that is promised exactly the added keys are found."""
    seen, model, now = SeenKeys(), dict[int, set[bytes]](), NOW
    for at, numbers, pause in steps[: HOLD_NS // (QUIET_NS + 1) - 1]:
        now += pause
        asked = keys(*range(1, 13))
        assert seen.find(at, asked) == model.get(at, set())
        seen.add({at: keys(*numbers)} if numbers else {}, now)
        model.setdefault(at, set()).update(keys(*numbers))
    assert len(seen) == sum(map(len, model.values()))


def test_stored_keys_are_found() -> None:
    """Keys that a restart read back are known, and counted once beside new ones."""
    seen = SeenKeys()
    seen.add_packed(5, pack_keys(keys(1, 2)), NOW)
    assert seen.find(5, keys(2, 3)) == keys(2)
    seen.add({5: keys(3)}, NOW)
    assert (seen.find(5, keys(1, 2, 3, 4)), len(seen)) == (keys(1, 2, 3), 3)


def test_packed_keys_come_apart_again() -> None:
    """Nothing is lost by packing."""
    assert set(unpack_keys(pack_keys(keys(*range(100))))) == keys(*range(100))


def test_quiet_slices_take_sixteen_bytes_a_key() -> None:
    """A slice to which nothing came for a while is packed."""
    seen = SeenKeys()
    seen.add({1: keys(*range(1000))}, NOW)
    loose = seen.size_bytes
    seen.add({2: keys(0)}, NOW + QUIET_NS + 1)
    assert (loose, seen.size_bytes) == (112_000, 16_000 + 112)
    assert seen.find(1, keys(999, 1000)) == keys(999)


def test_too_many_loose_keys_are_packed_at_once() -> None:
    """A burst does not stay in sets when it is over."""
    seen = SeenKeys()
    for at in range(3):
        fresh = keys(*range(at * MAX_LOOSE // 2, (at + 1) * MAX_LOOSE // 2))
        seen.add({at: fresh}, NOW + at * (BUSY_NS + 1))
    assert seen.size_bytes < (MAX_LOOSE + 1) * 112 + MAX_LOOSE * 16


def test_a_slice_that_grows_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Packing what the next request unpacks would cost more than it saves; a pause of two seconds tells."""
    monkeypatch.setattr("sloburn.sli.dedupe.MAX_LOOSE", 10)
    seen = SeenKeys()
    seen.add({1: keys(*range(11))}, NOW)
    seen.add({2: keys(1)}, NOW + BUSY_NS)
    assert seen.size_bytes == 12 * 112
    seen.add({2: keys(2)}, NOW + BUSY_NS + 1)
    assert seen.size_bytes == 11 * 16 + 2 * 112
    assert seen.find(1, keys(7)) == keys(7)


def test_loose_keys_are_bounded_however_busy_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    """A flood over many slices does not stay in sets."""
    monkeypatch.setattr("sloburn.sli.dedupe.MAX_LOOSE", 10)
    monkeypatch.setattr("sloburn.sli.dedupe.MOST_LOOSE", 20)
    seen = SeenKeys()
    for at in range(30):
        seen.add({at: keys(at)}, NOW)
    assert seen.size_bytes <= 20 * 112 + 30 * 16
    assert all(seen.find(at, keys(at)) for at in range(30))


def test_keys_are_held_as_long_as_promised() -> None:
    """A key is known for the promised time after it came, then its slice is forgotten."""
    seen = SeenKeys()
    seen.add({1: keys(1)}, NOW)
    seen.add({2: keys(2)}, NOW + HOLD_NS)
    assert seen.find(1, keys(1)) == keys(1)
    seen.add({3: keys(3)}, NOW + HOLD_NS + 1)
    assert (seen.find(1, keys(1)), len(seen)) == (set(), 2)
    assert seen.horizon_ns(NOW + HOLD_NS + 1) == HOLD_NS


def test_the_horizon_says_when_room_was_short() -> None:
    """Beyond the capacity the slices to which nothing came for longest go, and the horizon shrinks to what is held."""
    seen = SeenKeys(capacity=10)
    for at in range(4):
        seen.add({at: keys(*range(at * 4, at * 4 + 4))}, NOW + at * SECOND)
    assert [bool(seen.find(at, keys(at * 4))) for at in range(4)] == [False, False, True, True]
    assert seen.horizon_ns(NOW + 3 * SECOND) == 2 * SECOND


def test_one_slice_is_bounded_too() -> None:
    """Spans that all ended at one moment cannot fill the memory; the newest half is known."""
    seen = SeenKeys(capacity=8)
    for number in range(100):
        seen.add({0: keys(number)}, NOW)
        assert seen.find(0, keys(*range(max(0, number - 3), number + 1))) == keys(
            *range(max(0, number - 3), number + 1)
        )
    assert len(seen) <= 10
