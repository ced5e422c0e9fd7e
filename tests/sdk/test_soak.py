"""The soak of bench/sdk_soak.py, short: the books balance, memory is flat, the log is quiet."""

from __future__ import annotations

from bench.sdk_soak import soak


def test_books_balance() -> None:
    """Every span is received or counted as lost, while the Collector comes, goes and refuses; metrics lose nothing.

    None is sent again, but those of the one request that was on its way when a Collector died. What waits at the end of
    a run on a machine that stands still may have been received so too.
    """
    books = soak(seconds=8, rate=300, queue=200)
    assert books.lives > 3
    assert books.received > 0
    assert -books.waiting <= books.missing <= 0
    assert books.again_for_nothing == 0
    assert books.counted == books.made
    assert max(books.memory) - books.memory[1] < 4
    assert books.lines <= 2 * books.lives
