"""Requests are counted by signal, protocol and outcome."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from sloburn.otlp.signal import Signal
from sloburn.receiver.tally import RequestKey, Tally, Wire


def test_counts_from_many_threads_add_up() -> None:
    """No count is lost, and the copy that is read does not change any more."""
    tally = Tally()
    with ThreadPoolExecutor(4) as pool:
        for _ in range(1000):
            pool.submit(tally.count, Signal.LOGS, Wire.HTTP, "200")
    before = tally.requests()
    tally.count(None, Wire.GRPC, "OK")
    assert before == {RequestKey(Signal.LOGS, Wire.HTTP, "200"): 1000}
    assert tally.requests()[RequestKey(None, Wire.GRPC, "OK")] == 1


def test_unforeseen_errors_are_counted() -> None:
    """Each is counted, and the count so far returned."""
    tally = Tally()
    assert [tally.count_unforeseen(), tally.count_unforeseen(), tally.unforeseen] == [1, 2, 2]
