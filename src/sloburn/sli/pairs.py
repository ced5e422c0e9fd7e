"""Two counters of one SLO, settled: see `sloburn.sli.account`.

A sender that sends both counters has an account of its own, so how the requests of several senders interleave changes
nothing. What comes from senders of one side only is put together in one account of the series.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from sloburn.sli.account import GRACE_NS, Account
from sloburn.sli.commit import Commit
from sloburn.sli.horizon import Horizon
from sloburn.sli.outcome import Outcomes
from sloburn.sli.series import SeriesKey
from sloburn.sli.temporality import StreamState
from sloburn.slo.model import Counter


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """A pair of counters of one series.

    Args:
        key: The series that notes are for.
        numbers: Of every series that counts the events.
        part: The counter of good or of bad events.
        part_is_bad: Which of the two it is.
        whole: The counter of all events.
    """

    key: SeriesKey
    numbers: tuple[int, ...]
    part: Counter
    part_is_bad: bool
    whole: Counter

    def account_key(self, origin: bytes) -> bytes:
        """Return 16 bytes that name its account with a sender among the metric streams."""
        text = repr(("pair", self.key.slo, self.key.generation, self.key.group))
        return hashlib.blake2b(text.encode("utf-8", "surrogatepass") + origin, digest_size=16).digest()


class Pairs:
    """Takes what the points of one request tell of pairs, and books it at its end.

    Args:
        streams: Accounts and last points that are durable.
        horizon: Which moments can be counted.
    """

    def __init__(self, streams: Mapping[bytes, StreamState], horizon: Horizon) -> None:
        self._streams = streams
        self._horizon = horizon
        self._told: dict[tuple[Pair, bytes], list[tuple[bool, int, int]]] = {}

    def hear(self, pair: Pair, origin: bytes, *, whole: bool, at_unix_nano: int, events: int) -> None:
        """Take what one point of a sender told."""
        self._told.setdefault((pair, origin), []).append((whole, at_unix_nano, events))

    def settle(self, outcomes: Outcomes, commit: Commit) -> None:
        """Book what can be booked."""
        for (pair, origin), told in self._told.items():
            account = self._open(pair, origin, told, commit)
            if account.whole_unix_nano and account.part_unix_nano:
                self._absorb(pair, account, commit)
                self._book(pair, account, outcomes, commit)
            else:
                self._book_shared(pair, account, outcomes, commit)
            commit.streams[pair.account_key(origin)] = account.state()
        self._told.clear()

    def _open(self, pair: Pair, origin: bytes, told: Iterable[tuple[bool, int, int]], commit: Commit) -> Account:
        key = pair.account_key(origin)
        account = Account.of(commit.streams.get(key) or self._streams.get(key))
        for whole, at, events in told:
            begin = self._horizon.slice_of(at)
            account.hear(whole=whole, at_unix_nano=at, slice_unix_nano=begin, events=events)
        return account

    def _absorb(self, pair: Pair, account: Account, commit: Commit) -> None:
        """Give a sender of both sides what waits in the shared account: nobody may ever speak there again."""
        shared = self._open(pair, b"", (), commit)
        if shared.held:
            account.take(shared)
            commit.streams[pair.account_key(b"")] = shared.state()

    def _book_shared(self, pair: Pair, lonely: Account, outcomes: Outcomes, commit: Commit) -> None:
        """Put what a sender of one side has told to what others told of the other side."""
        at_once = pair.part_is_bad and not lonely.part_unix_nano
        told = [
            (whole, at, events)
            for at, *sides in lonely.release(at_once=at_once)
            for whole, events in zip((True, False), sides, strict=True)
            if events
        ]
        heard = max(lonely.whole_unix_nano, lonely.part_unix_nano) - (0 if at_once else GRACE_NS)
        told.append((lonely.whole_unix_nano > 0, heard, 0))
        shared = self._open(pair, b"", told, commit)
        self._book(pair, shared, outcomes, commit)
        commit.streams[pair.account_key(b"")] = shared.state()
        if not lonely.whole_unix_nano and not shared.whole_unix_nano:
            note = f"a sender of {pair.part.metric} sent no {pair.whole.metric}: without a total nothing is counted"
            commit.notes[pair.key, note] = None
        if not lonely.part_unix_nano and not shared.part_unix_nano:
            verdict = "good" if pair.part_is_bad else "bad"
            note = f"a sender of {pair.whole.metric} sent no {pair.part.metric} yet: all its events count as {verdict}"
            commit.notes[pair.key, note] = None

    def _book(self, pair: Pair, account: Account, outcomes: Outcomes, commit: Commit) -> None:
        booked = account.settle(self._horizon.slice_ns, waits=not pair.part_is_bad)
        for at, events, part in booked:
            for is_bad, count in ((pair.part_is_bad, part), (not pair.part_is_bad, events - part)):
                if count:
                    commit.count(outcomes.of((number, is_bad) for number in pair.numbers), at, count)
        if booked and account.waiting > sum(events for _, events, _ in booked):
            rest = "which should hold them all: what is more waits"
            note = f"{pair.part.metric} counts more events than {pair.whole.metric}, {rest}"
            commit.notes[pair.key, note] = None
