"""The ledger: integer counts by event time, at three resolutions."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sloburn.duration import DAY, HOUR, MINUTE, SECOND
from sloburn.sli.block import BLOCK_SLICES, Block
from sloburn.sli.ledger import Ledger, tiers
from sloburn.slo.budget import Count

NOW = 1_760_000_000 * SECOND
MONTH = 30 * DAY

events = st.lists(
    st.tuples(st.integers(0, 31 * DAY), st.integers(0, 3), st.integers(0, 3)), max_size=60
)  # age, good, bad


@given(events=events, length=st.sampled_from([5 * MINUTE, HOUR, 6 * HOUR, DAY, 3 * DAY, MONTH]))
def test_a_window_is_the_sum_of_its_slices(events: list[tuple[int, int, int]], length: int) -> None:
    """Every look-back equals a brute-force sum over all events whose slice it covers, in whatever order they came."""
    ledger = Ledger(tiers(MONTH))
    for age, good, bad in events:
        ledger.add(NOW - age, good, bad)
    slice_ns = ledger.ring_for(length).tier.slice_ns
    first = (NOW - length) // slice_ns
    covered = [(good, bad) for age, good, bad in events if first <= (NOW - age) // slice_ns]
    expected = Count(sum(good for good, _ in covered), sum(bad for _, bad in covered))
    assert ledger.window(NOW, length) == expected


@given(events=events)
def test_blocks_survive_storage(events: list[tuple[int, int, int]]) -> None:
    """Blocks that were written and read back hold the same windows."""
    ledger, copy = Ledger(tiers(MONTH)), Ledger(tiers(MONTH))
    for age, good, bad in events:
        ledger.add(NOW - age, good, bad)
    for mine, theirs in zip(ledger.rings, copy.rings, strict=True):
        theirs.blocks = {number: Block.from_bytes(block.to_bytes()) for number, block in mine.blocks.items()}
    assert [copy.window(NOW, n) for n in (HOUR, DAY, MONTH)] == [ledger.window(NOW, n) for n in (HOUR, DAY, MONTH)]


def test_counts_beyond_32_bits_stay_exact() -> None:
    """A slice that passes 32 bits is widened, not wrapped, and survives storage."""
    block = Block()
    for _ in range(3):
        block.add(7, 2**31, 1)
    assert block.part(7, 7) == (3 * 2**31, 3)
    assert Block.from_bytes(block.to_bytes()).part(0, BLOCK_SLICES - 1) == (3 * 2**31, 3)


_HEAD = bytes((3, 0, 255, 255)) + bytes(16)


additions = st.lists(
    st.tuples(st.integers(0, BLOCK_SLICES - 1), st.integers(0, 2**33), st.sampled_from((0, 0, 1, 300, 2**17))),
    max_size=200,
)


@given(additions=additions, first=st.integers(0, BLOCK_SLICES - 1), length=st.integers(1, BLOCK_SLICES))
def test_a_block_holds_what_was_added(additions: list[tuple[int, int, int]], first: int, length: int) -> None:
    """Sparse or dense, narrow or wide, copied or stored: any part of a block is the sum of what was added there."""
    block = Block()
    for offset, good, bad in additions:
        block.add(offset, good, bad)
    last = min(first + length, BLOCK_SLICES) - 1
    inside = [(good, bad) for offset, good, bad in additions if first <= offset <= last]
    expected = (sum(good for good, _ in inside), sum(bad for _, bad in inside))
    forms = (block, block.copy(), Block.from_bytes(block.to_bytes()))
    assert [one.part(first, last) for one in forms] == [expected] * 3


def test_a_copy_is_its_own() -> None:
    """What is added to a copy does not show in the block."""
    block = Block()
    block.add(3, 1, 1)
    block.copy().add(3, 5, 5)
    assert block.part(3, 3) == (1, 1)


def head(width: int, bad_width: int, *, dense: bool, cells: int) -> bytes:
    """Return the head of a stored block."""
    return struct.pack("<BB?HQQ", width, bad_width, dense, cells, 0, 0)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x04",
        head(3, 0, dense=True, cells=BLOCK_SLICES) + bytes(3 * BLOCK_SLICES),
        head(8, 0, dense=True, cells=BLOCK_SLICES) + bytes(4 * BLOCK_SLICES),
        head(1, 5, dense=True, cells=BLOCK_SLICES) + bytes(6 * BLOCK_SLICES),
        head(1, 0, dense=True, cells=7) + bytes(7),
        head(2, 0, dense=False, cells=4) + bytes(8),
        head(2, 0, dense=False, cells=3000) + bytes(6000),
    ],
)
def test_what_is_no_block_is_refused(data: bytes) -> None:
    """Cut or foreign bytes are no block."""
    with pytest.raises(ValueError, match="no block"):
        Block.from_bytes(data)


def test_old_blocks_are_forgotten() -> None:
    """What no window reaches any more leaves the fine ring and stays in the coarse one."""
    ledger = Ledger(tiers(MONTH))
    ledger.add(NOW - 2 * DAY, 1, 1)
    ledger.add(NOW, 1, 0)
    gone = [len(ring.prune(NOW)) for ring in ledger.rings]
    assert gone == [1, 0, 0]
    assert ledger.window(NOW, MONTH) == Count(2, 1)


def test_slices_are_whole_multiples() -> None:
    """Coarse slices hold whole fine ones at every scale, so no event moves between them."""
    for scale in (1, 7, 60, 720):
        fine, middle, coarse = tiers(MONTH // scale, scale)
        assert (middle.slice_ns % fine.slice_ns, coarse.slice_ns % fine.slice_ns) == (0, 0)


def test_the_ledger_knows_when_it_began_and_ended() -> None:
    """First and last event times follow the events, not their order."""
    ledger = Ledger(tiers(MONTH))
    for age in (5, 9, 1):
        ledger.add(NOW - age, 1, 0)
    assert (ledger.first_unix_nano, ledger.last_unix_nano, ledger.lifetime) == (NOW - 9, NOW - 1, Count(3, 0))
