"""What was counted already: delivery is at-least-once, counting is once.

A sender that misses an answer sends again (opentelemetry-proto, OTLP/HTTP "Duplicate Data"), perhaps regrouped or over
another path, so spans are known by their own ids and not by the request that carried them.

However a span comes again, it ended at the same moment. Keys are therefore kept by the slice of time in which their
span ended: what arrives now is compared with the keys of now, in a set that is fast and takes about 110 bytes a key.
Slices to which nothing was added for a while are packed, 16 bytes a key, and unpacked only when a span comes late.
Nothing is approximate: a key that is held is found, and one that is not is never taken for one that is.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from sloburn.duration import MINUTE, SECOND

SPAN_KEY_BYTES = 16
DEFAULT_CAPACITY = 8_000_000

HOLD_NS = 15 * MINUTE
"""How long a key is held after it came, if there is room: a Collector's exporter retries for 5 minutes unless told."""

QUIET_NS = 20 * SECOND
"""A slice to which nothing was added for so long is packed."""

MAX_LOOSE = 400_000
"""Keys in sets; beyond, slices to which nothing was added for `BUSY_NS` are packed."""

BUSY_NS = 2 * SECOND
"""A slice that grew so shortly ago is likely to grow on: packed now, it would be unpacked for the next request."""

MOST_LOOSE = 2_000_000
"""Keys in sets; beyond, the slices to which nothing was added for longest are packed, however short that is."""

_LOOSE_BYTES = 112

Keys = Mapping[int, set[bytes]]
"""Keys by the slice in which their spans ended (its beginning, nanoseconds since the epoch)."""


def span_key(trace_id: bytes, span_id: bytes) -> bytes:
    """Return 16 bytes that identify a span: the random half of the trace id (W3C Trace Context), then the span id."""
    return trace_id[-8:] + span_id


def pack_keys(keys: set[bytes]) -> bytes:
    """Put keys one behind the other."""
    return b"".join(keys)


def unpack_keys(packed: bytes) -> list[bytes]:
    """Cut packed keys apart."""
    return [packed[at : at + SPAN_KEY_BYTES] for at in range(0, len(packed), SPAN_KEY_BYTES)]


class _Slice:
    """The keys of spans that ended in one slice of time."""

    __slots__ = ("loose", "older", "packed", "touched")

    def __init__(self) -> None:
        self.touched = 0
        self.loose: set[bytes] = set()
        self.older: set[bytes] = set()  # an earlier `loose` that grew too large
        self.packed: list[bytes] = []

    def __len__(self) -> int:
        return self.loose_len + sum(map(len, self.packed)) // SPAN_KEY_BYTES

    @property
    def loose_len(self) -> int:
        return len(self.loose) + len(self.older)

    def pack(self) -> None:
        self.packed += [pack_keys(keys) for keys in (self.older, self.loose) if keys]
        self.older, self.loose = set(), set()

    def unpack(self) -> None:
        for packed in self.packed:
            self.loose.update(unpack_keys(packed))
        self.packed = []


class SeenKeys:
    """The keys of counted spans, by the slice of time in which the spans ended.

    Args:
        capacity: How many keys are held at the most. Beyond, whole slices are forgotten, those first to which nothing
            was added for longest; at least half as many keys, the newest, are always held.
    """

    def __init__(self, capacity: int = DEFAULT_CAPACITY) -> None:
        self._capacity = capacity
        self._slices: dict[int, _Slice] = {}  # in the order in which they were last added to
        self._loose = 0
        self._packed = 0
        self._forgotten_unix_nano = 0

    def __len__(self) -> int:
        return self._loose + self._packed

    @property
    def capacity(self) -> int:
        """How many keys are held at the most."""
        return self._capacity

    @property
    def size_bytes(self) -> int:
        """About how much memory the keys take."""
        return self._loose * _LOOSE_BYTES + self._packed * SPAN_KEY_BYTES

    def horizon_ns(self, now: int) -> int:
        """Return for how long a key is held at the least, nanoseconds: less than `HOLD_NS` only for want of room."""
        return max(0, min(HOLD_NS, now - self._forgotten_unix_nano))

    def find(self, at: int, keys: set[bytes]) -> set[bytes]:
        """Return those of the keys that were counted; `at` is the slice in which their spans ended."""
        found = self._slices.get(at)
        if found is None:
            return set()
        if found.packed:
            before = found.loose_len
            packed = len(found) - before
            found.unpack()
            self._packed -= packed
            self._loose += found.loose_len - before
        if keys.isdisjoint(found.loose) and keys.isdisjoint(found.older):
            return set()
        return keys & found.loose | keys & found.older

    def add(self, seen: Keys, now: int) -> None:
        """Remember keys; `now` is when they came, nanoseconds since the epoch."""
        for at, keys in seen.items():
            found = self._touch(at, now)
            before = len(found.loose)
            found.loose |= keys
            self._loose += len(found.loose) - before
            if len(found.loose) > self._capacity // 2:
                self._loose -= len(found.older)
                found.older, found.loose = found.loose, set()
        self._tidy(now)

    def add_packed(self, at: int, packed: bytes, now: int) -> None:
        """Remember keys that were stored, packed as they are."""
        self._touch(at, now).packed.append(packed)
        self._packed += len(packed) // SPAN_KEY_BYTES
        self._tidy(now)

    def packed(self) -> Iterator[tuple[int, int, bytes]]:
        """Yield every slice with all of its keys, in the order of `add_packed`: when it was last added to, itself."""
        for at, found in self._slices.items():
            yield found.touched, at, b"".join((*found.packed, pack_keys(found.older), pack_keys(found.loose)))

    def _touch(self, at: int, now: int) -> _Slice:
        found = self._slices.pop(at, None) or _Slice()
        self._slices[at] = found
        found.touched = max(found.touched, now)
        return found

    def _tidy(self, now: int) -> None:
        """Forget what is old, keep to the capacity, pack what is quiet."""
        while len(self._slices) > 1:
            at, oldest = next(iter(self._slices.items()))
            if len(self) <= self._capacity and now - oldest.touched <= HOLD_NS:
                break
            del self._slices[at]
            self._loose -= oldest.loose_len
            self._packed -= len(oldest) - oldest.loose_len
            self._forgotten_unix_nano = oldest.touched
        for found in self._slices.values():
            if now - found.touched <= self._patience_ns():
                break
            count = found.loose_len
            if count:
                found.pack()
                self._loose -= count
                self._packed += count

    def _patience_ns(self) -> int:
        """Return for how long nothing must have been added to a slice that is packed."""
        if self._loose <= MAX_LOOSE:
            return QUIET_NS
        return BUSY_NS if self._loose <= MOST_LOOSE else -1
