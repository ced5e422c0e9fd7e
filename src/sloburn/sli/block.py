"""Runs of slices in as few bytes as their counts need: most slices of most series are empty, small or never bad.

A block begins as a sorted list of the slices where something happened and becomes a plain array once many of them have.
Then good and bad counts lie in arrays of their own, one to eight bytes wide, and there is no array of bad counts before
the first bad event.
"""

from __future__ import annotations

import struct
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterator

BLOCK_SLICES = 288  # a block of the coarsest ring is one UTC day

MAX_SPARSE = 96  # beyond, an entry for every slice takes less than places and counts

_WIDTHS = {1: "B", 2: "H", 4: "I", 8: "Q"}
_HEAD = struct.Struct("<BB?HQQ")  # widths of cells and bad counts, whether it is dense, cells, sums of good and bad
_MOST = 2**64 - 1


class Block:
    """A run of slices: good and bad counts, and their sums."""

    __slots__ = ("_bad", "_cells", "_is_dense", "bad", "good", "is_shared")

    def __init__(self) -> None:
        self.good = 0
        self.bad = 0
        self.is_shared = False  # a reader in another thread holds it: copy before changing
        self._is_dense = False
        self._cells: array[int] = array("H")  # offset, good and bad in turn; dense: the good counts of every slice
        self._bad: array[int] | None = None  # dense: the bad counts of every slice

    def add(self, offset: int, good: int, bad: int) -> None:
        """Add to the slice at `offset`."""
        self.good += good
        self.bad += bad
        if not self._is_dense:
            place = self._place(offset)
            if place >= 0:
                self._cells = _add(self._cells, place + 1, good)
                self._cells = _add(self._cells, place + 2, bad)
                return
            self._spread()
        self._cells = _add(self._cells, offset, good)
        if bad:
            self._bad = _add(self._bad or array("B", bytes(BLOCK_SLICES)), offset, bad)

    def _place(self, offset: int) -> int:
        """Return where the entry of a slice begins; room is made if it has none, and -1 says that there is no more."""
        cells = self._cells
        place = len(cells)
        if place and cells[-3] >= offset:
            place = 3 * bisect_left(cells[::3], offset)
            if cells[place] == offset:
                return place
        if len(cells) >= 3 * MAX_SPARSE:
            return -1
        cells[place:place] = array(cells.typecode, (offset, 0, 0))
        return place

    def _spread(self) -> None:
        """Give every slice an entry."""
        cells = self._cells
        self._cells = _laid_out(cells[::3], cells[1::3])
        self._bad = _laid_out(cells[::3], cells[2::3]) if self.bad else None
        self._is_dense = True

    def part(self, first: int, last: int) -> tuple[int, int]:
        """Return good and bad of the slices from offset `first` to `last`, both included."""
        if first == 0 and last == BLOCK_SLICES - 1:
            return self.good, self.bad
        cells = self._cells
        if not self._is_dense:
            offsets = cells[::3]
            begin, end = 3 * bisect_left(offsets, first), 3 * bisect_right(offsets, last)
            return sum(cells[begin + 1 : end : 3]), sum(cells[begin + 2 : end : 3])
        if first == last:
            return cells[first], 0 if self._bad is None else self._bad[first]
        return sum(cells[first : last + 1]), 0 if self._bad is None else sum(self._bad[first : last + 1])

    def cells(self) -> Iterator[tuple[int, int, int]]:
        """Yield offset, good and bad of every slice that holds events, in order."""
        if not self._is_dense:
            yield from zip(self._cells[::3], self._cells[1::3], self._cells[2::3], strict=True)
            return
        for offset, (good, bad) in enumerate(zip(self._cells, self._bad or bytes(BLOCK_SLICES), strict=True)):
            if good or bad:
                yield offset, good, bad

    def copy(self) -> Block:
        """Return a block of its own with the same counts."""
        other = Block()
        other.good, other.bad = self.good, self.bad
        other._is_dense = self._is_dense
        other._cells = self._cells[:]
        other._bad = None if self._bad is None else self._bad[:]
        return other

    def to_bytes(self) -> bytes:
        """Return the block as the machine writes integers: head, cells, bad counts."""
        bad = b"" if self._bad is None else self._bad.tobytes()
        width = 0 if self._bad is None else self._bad.itemsize
        head = _HEAD.pack(
            self._cells.itemsize, width, self._is_dense, len(self._cells), min(self.good, _MOST), min(self.bad, _MOST)
        )
        return b"".join((head, self._cells.tobytes(), bad))

    @classmethod
    def from_bytes(cls, data: bytes) -> Block:
        """Read what `to_bytes` wrote.

        Raises:
            ValueError: The data is no block.
        """
        if len(data) < _HEAD.size:
            raise ValueError(f"{len(data)} bytes are no block")
        width, bad_width, is_dense, entries, good, bad = _HEAD.unpack_from(data)
        bad_at = _HEAD.size + entries * width
        fits = entries == BLOCK_SLICES if is_dense else entries <= 3 * MAX_SPARSE and entries % 3 == 0 and not bad_width
        is_whole = len(data) == bad_at + entries * bad_width
        if width not in _WIDTHS or bad_width not in (0, *_WIDTHS) or not (fits and is_whole):
            raise ValueError(f"{len(data)} bytes are no block")
        block = cls()
        block.good, block.bad, block._is_dense = good, bad, bool(is_dense)
        block._cells = array(_WIDTHS[width], data[_HEAD.size : bad_at])
        block._bad = array(_WIDTHS[bad_width], data[bad_at:]) if bad_width else None
        return block


def _add(counts: array[int], index: int, more: int) -> array[int]:
    """Add to a count; return the array, or a wider one if the count does not fit."""
    try:
        counts[index] += more
    except OverflowError:
        return _widened(counts, index, more)
    return counts


def _widened(counts: array[int], index: int, more: int) -> array[int]:
    """Return the counts in the narrowest array that holds what one of them becomes."""
    value = min(counts[index] + more, _MOST)  # 2^64 events in a slice is nobody's traffic: stand still, do not fail
    wide = array(_code_for(value), counts.tolist())
    wide[index] = value
    return wide


def _laid_out(offsets: array[int], counts: array[int]) -> array[int]:
    """Return an entry for every slice, as narrow as the counts allow."""
    wide = array(_code_for(max(counts)), [0]) * BLOCK_SLICES
    for offset, count in zip(offsets, counts, strict=True):
        wide[offset] = count
    return wide


def _code_for(value: int) -> str:
    """Return the type code of the narrowest array that holds a number."""
    return next(code for width, code in _WIDTHS.items() if value < 1 << 8 * width)
