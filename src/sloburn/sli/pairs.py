"""Two counters of one SLO, settled: see `sloburn.sli.account`.

A sender that sends both counters has an account of its own, so how the requests of several senders interleave changes
nothing: what it told of the part and has no whole for yet belongs to its next whole. What comes from senders of one
side only is put together in one account of the series, and so is what a sender of both leaves when it has ended.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from sloburn.sli.account import ENDED_NS, GRACE_NS, MAX_WAITING, OVERDUE_NS, Account, Waiting
from sloburn.sli.commit import Commit
from sloburn.sli.horizon import MAX_AHEAD_NS, Horizon
from sloburn.sli.outcome import Outcomes
from sloburn.sli.series import SeriesKey
from sloburn.sli.temporality import StreamState
from sloburn.slo.model import Counter

# No senders: in their places among the accounts stands who waits, of one side only and of both.
_WAITING = b"waiting"
_SETTLING = b"settling"


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
            key = pair.account_key(origin)
            account = self._account(key, commit)
            had_part = account.part_unix_nano > 0
            self._tell(account, told)
            if account.part_unix_nano and not had_part:
                commit.withdraw(pair.key, _no_part_yet(pair))
            is_whole_sender = account.whole_unix_nano > 0 and account.part_unix_nano > 0
            waiting = self._waiting(pair, commit)
            self._release_others(pair, waiting, key, max(at for _, at, _ in told), commit)
            if is_whole_sender:
                self._absorb(pair, account, commit)
                self._book(pair, account, outcomes, commit)
            else:
                is_full = len(waiting.since) >= MAX_WAITING
                self._book_shared(pair, account, outcomes, commit, may_wait=not is_full)
            commit.streams[key] = account.state()
            if waiting.hold(key, Account() if is_whole_sender else account):
                self._keep(pair, waiting, commit)
            self._note_settling(pair, key, account if is_whole_sender else Account(), commit)
        self._told.clear()

    def release(self, pair: Pair, lag: Lag, outcomes: Outcomes, commit: Commit) -> None:
        """Book what has waited too long for the other side, though nobody says anything any more."""
        shared_key, now = pair.account_key(b""), self._horizon.now_unix_nano
        waiting, settling = (self._waiting(pair, commit, which) for which in (_WAITING, _SETTLING))
        silent = {
            key: lag.silence_ns(key, self._streams.get(key), now)
            for key in (*waiting.since, *settling.since, shared_key)
        }
        overdue = {key for key, silence_ns in silent.items() if silence_ns >= OVERDUE_NS}
        lonely, newest = overdue & waiting.since.keys(), now + MAX_AHEAD_NS
        for key in sorted(lonely):
            account = self._account(key, commit)
            self._share(pair, key, account, account.release(newest), commit)
            waiting.hold(key, account)
        if lonely:
            self._keep(pair, waiting, commit)
        for key in sorted(overdue - lonely | ({shared_key} if lonely else set())):
            account = self._account(key, commit)
            if self._book(pair, account, outcomes, commit, overdue=True):
                commit.streams[key] = account.state()
            if key in settling.since and (silent[key] >= ENDED_NS or not account.held):
                self._share(pair, key, account, account.spare(newest), commit)
                self._note_settling(pair, key, Account(), commit)

    def _share(self, pair: Pair, key: bytes, account: Account, moved: Account, commit: Commit) -> None:
        """Put what an account held to what others told."""
        if moved.held:
            shared = self._account(pair.account_key(b""), commit)
            shared.take(moved)
            commit.streams[key], commit.streams[pair.account_key(b"")] = account.state(), shared.state()

    def _note_settling(self, pair: Pair, key: bytes, account: Account, commit: Commit) -> None:
        """Note whether a sender of both sides has something that waits.

        Of very many only so many are known: what a further one has of the part waits for its own next whole alone.
        """
        settling = self._waiting(pair, commit, _SETTLING)
        if account.held and key not in settling.since and len(settling.since) >= MAX_WAITING:
            return
        if settling.hold(key, account):
            self._keep(pair, settling, commit, _SETTLING)

    def _account(self, key: bytes, commit: Commit) -> Account:
        return Account.of(commit.streams.get(key) or self._streams.get(key))

    def _tell(self, account: Account, told: Iterable[tuple[bool, int, int]]) -> None:
        for whole, at, events in told:
            begin = self._horizon.slice_of(at)
            account.hear(whole=whole, at_unix_nano=at, slice_unix_nano=begin, events=events)

    def _waiting(self, pair: Pair, commit: Commit, which: bytes = _WAITING) -> Waiting:
        key = pair.account_key(which)
        return Waiting.of(commit.streams.get(key) or self._streams.get(key))

    def _keep(self, pair: Pair, waiting: Waiting, commit: Commit, which: bytes = _WAITING) -> None:
        commit.streams[pair.account_key(which)] = waiting.state(self._horizon.now_unix_nano)

    def _release_others(self, pair: Pair, waiting: Waiting, speaker: bytes, at: int, commit: Commit) -> None:
        """Put what a sender of one side told to what others told, once others are the grace past it.

        Such a sender may never speak again: nobody else knows that its events wait.
        """
        shared = self._account(pair.account_key(b""), commit)
        until = max(at, shared.whole_unix_nano, shared.part_unix_nano) - GRACE_NS
        overdue = [key for key, since in waiting.since.items() if since <= until and key != speaker]
        for key in overdue:
            lonely = self._account(key, commit)
            self._share(pair, key, lonely, lonely.release(until), commit)
            waiting.since.pop(key)
            waiting.hold(key, lonely)
        if overdue:
            self._keep(pair, waiting, commit)

    def _absorb(self, pair: Pair, account: Account, commit: Commit) -> None:
        """Give a sender of both sides what waits in the shared account: nobody may ever speak there again.

        Of the part it gets no more than it has a whole for: the rest is for whoever speaks next.
        """
        shared = self._account(pair.account_key(b""), commit)
        moved = shared.lend(max(account.unpaired + sum(whole for whole, _ in shared.held.values()), 0))
        if moved.held:
            account.take(moved)
            commit.streams[pair.account_key(b"")] = shared.state()

    def _book_shared(self, pair: Pair, lonely: Account, outcomes: Outcomes, commit: Commit, *, may_wait: bool) -> None:
        """Put what a sender of one side has told to what others told of the other side."""
        newest = max(lonely.whole_unix_nano, lonely.part_unix_nano)
        at_once = not may_wait or (pair.part_is_bad and not lonely.part_unix_nano)
        heard = newest if at_once else newest - GRACE_NS
        shared = self._account(pair.account_key(b""), commit)
        shared.take(lonely.release(heard))
        self._tell(shared, [(lonely.whole_unix_nano > 0, heard, 0)])
        self._book(pair, shared, outcomes, commit)
        commit.streams[pair.account_key(b"")] = shared.state()
        if not lonely.whole_unix_nano and not shared.whole_unix_nano:
            note = f"a sender of {pair.part.metric} sent no {pair.whole.metric}: without a total nothing is counted"
            commit.notes[pair.key, note] = None
        if not lonely.part_unix_nano and not shared.part_unix_nano:
            commit.notes[pair.key, _no_part_yet(pair)] = None

    def _book(self, pair: Pair, account: Account, outcomes: Outcomes, commit: Commit, *, overdue: bool = False) -> bool:
        """Book what can be booked; tell whether there was anything."""
        booked = account.settle(waits=not pair.part_is_bad, overdue=overdue)
        for at, events, part in booked:
            for is_bad, count in ((pair.part_is_bad, part), (not pair.part_is_bad, events - part)):
                if count:
                    commit.count(outcomes.of((number, is_bad) for number in pair.numbers), at, count)
        if booked and account.waiting > sum(events for _, events, _ in booked):
            rest = "which should hold them all: what is more waits"
            note = f"{pair.part.metric} counts more events than {pair.whole.metric}, {rest}"
            commit.notes[pair.key, note] = None
        return bool(booked)


class Lag:
    """Since when, by our clock, accounts say nothing; known anew after a restart."""

    def __init__(self) -> None:
        self._since: dict[bytes, tuple[StreamState, int]] = {}

    def silence_ns(self, key: bytes, state: StreamState | None, now: int) -> int:
        """Return for how long an account that holds something has been as it is, nanoseconds.

        Args:
            key: Of the account.
            state: As it is kept; None if there is none.
            now: Nanoseconds since the epoch.
        """
        if state is None or not Account.of(state).held:
            self._since.pop(key, None)
            return 0
        known, since = self._since.get(key, (None, now))
        if known is not state:
            since = now
        self._since[key] = state, since
        return now - since


def _no_part_yet(pair: Pair) -> str:
    verdict = "good" if pair.part_is_bad else "bad"
    return f"a sender of {pair.whole.metric} sent no {pair.part.metric} yet: all its events count as {verdict}"
