"""A file of numbers that one process adds to and others read at any moment.

Words of eight bytes. Four at the beginning: a mark, how many words are in use, how many updates were lost, one spare.
Then entries, which only ever are appended: words in all, bytes of text, the text (JSON), cells. An entry counts as
written when the number of words in use says so, and one aligned word is stored in one piece: a process that is
killed leaves a file that is right up to its last addition.
"""

from __future__ import annotations

import contextlib
import json
import mmap
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import cast

MARK = int.from_bytes(b"sloburn1", "big")
_HEADER_WORDS = 4
_WORD = 8
_FIRST_WORDS = 8192
LARGEST_WORDS = 8 * 1024 * 1024


class CellsFull(Exception):
    """There is no room for another entry."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One entry of a file.

    Args:
        text: What its writer said about it.
        cells: Index of the first cell, in words.
        end: Index after the last one.
    """

    text: Mapping[str, object]
    cells: int
    end: int


class Cells:
    """The writer's side: numbers in memory that is shared with a file, or only in memory.

    Args:
        descriptor: An open file that is empty; None for numbers that nobody else reads.
        largest_words: It never grows beyond that.
    """

    def __init__(self, descriptor: int | None = None, largest_words: int = LARGEST_WORDS) -> None:
        self._descriptor = descriptor
        self._largest_words = largest_words
        self._words = 0
        self._bytes = memoryview(b"")
        self.integers = self._bytes.cast("Q")
        self.doubles = self._bytes.cast("d")
        self._grow(min(_FIRST_WORDS, largest_words))
        self.integers[1] = _HEADER_WORDS
        self.integers[0] = MARK

    def append(self, text: Mapping[str, object], cells: int) -> int:
        """Add an entry whose cells are zero.

        Returns:
            The index of its first cell.

        Raises:
            CellsFull: The file may not, or cannot, grow any more.
        """
        packed = json.dumps(text, ensure_ascii=False, separators=(",", ":")).encode()
        start = self.integers[1]
        first = start + 2 + -(-len(packed) // _WORD)
        while first + cells > self._words:
            self._grow(self._words * 2)
        self.integers[start] = first + cells - start
        self.integers[start + 1] = len(packed)
        self._bytes[(start + 2) * _WORD : (start + 2) * _WORD + len(packed)] = packed
        self.integers[1] = first + cells
        return first

    def entries(self) -> Iterator[Entry]:
        """Yield every entry."""
        return _entries(self.integers, self._bytes)

    def count_loss(self) -> None:
        """Count an update that found no room."""
        self.integers[2] += 1

    @property
    def lost(self) -> int:
        """How many updates found no room."""
        return self.integers[2]

    def _grow(self, words: int) -> None:
        if words > self._largest_words:
            raise CellsFull
        old = bytes(self._bytes) if self._words and self._descriptor is None else b""
        if self._descriptor is None:
            memory = mmap.mmap(-1, words * _WORD)
        else:
            _reserve(self._descriptor, words * _WORD)
            memory = mmap.mmap(self._descriptor, words * _WORD)
        memory[: len(old)] = old
        # The old mapping goes with the last view of it.
        self._bytes = memoryview(memory)
        self.integers = self._bytes.cast("Q")
        self.doubles = self._bytes.cast("d")
        self._words = words


def _reserve(descriptor: int, size: int) -> None:
    """Make sure that the disk has the room: writing to a hole of a full one kills the process with SIGBUS."""
    try:
        if hasattr(os, "posix_fallocate"):
            os.posix_fallocate(descriptor, 0, size)
        else:
            os.ftruncate(descriptor, size)
    except OSError as error:
        raise CellsFull from error


class CellsReader:
    """The reader's side: a snapshot of which entries there are, and their numbers as they are now.

    Args:
        descriptor: An open file.
    """

    def __init__(self, descriptor: int) -> None:
        size = os.fstat(descriptor).st_size // _WORD * _WORD
        self._memory = mmap.mmap(descriptor, size, access=mmap.ACCESS_READ) if size else None
        self._bytes = memoryview(self._memory or bytes(_HEADER_WORDS * _WORD))
        self.integers = self._bytes.cast("Q")
        self.doubles = self._bytes.cast("d")

    @property
    def lost(self) -> int:
        """How many updates found no room."""
        return self.integers[2] if self._is_valid() else 0

    def entries(self) -> Iterator[Entry]:
        """Yield every entry; none if the file is not one of ours."""
        return _entries(self.integers, self._bytes) if self._is_valid() else iter(())

    def close(self) -> None:
        """Give the memory back."""
        for view in (self.integers, self.doubles, self._bytes):
            view.release()
        if self._memory is not None:
            # An entry that is still being looked at keeps it until it is gone.
            with contextlib.suppress(BufferError):
                self._memory.close()

    def _is_valid(self) -> bool:
        return len(self.integers) >= _HEADER_WORDS and self.integers[0] == MARK


def _entries(integers: memoryview[int], whole: memoryview[int]) -> Iterator[Entry]:
    at, end = _HEADER_WORDS, min(integers[1], len(integers))
    while at + 2 <= end:
        words, length = integers[at], integers[at + 1]
        if words < 2 or at + words > end:
            return
        packed = bytes(whole[(at + 2) * _WORD : (at + 2) * _WORD + length])
        text = cast("dict[str, object]", json.loads(packed))
        yield Entry(text=text, cells=at + 2 + -(-length // _WORD), end=at + words)
        at += words
