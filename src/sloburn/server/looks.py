"""What the autopsy knows, in the store: how the events of each service looked, so a restart explains what it explained.

It only explains and is no count that anything is decided by, so it is written now and then and not with every commit:
a kill loses what came since, at most `WRITE_EVERY_NS` for few services.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator

from sloburn.duration import MINUTE
from sloburn.errors import StorageCorrupt
from sloburn.server.storage import Store
from sloburn.sli.autopsy import Entries, Traits, fold
from sloburn.sli.engine import Engine

WRITE_EVERY_NS = MINUTE
MAX_AT_ONCE = 8
"""Services whose looks are written in one turn: senders wait for it."""

MAX_LOOKS = 500
"""Looks of one service and block that are stored; the rest is stored by what it means."""

_Key = tuple[tuple[int, ...], tuple[int, ...], Traits]


class LookKeeper:
    """Stores how events looked.

    Args:
        engine: Whose autopsies they are.
        now: Nanoseconds since the epoch.
    """

    def __init__(self, engine: Engine, now: int) -> None:
        self._written = dict.fromkeys(engine.autopsies, now)

    def write(self, engine: Engine, store: Store, now: int, *, everything: bool = False) -> None:
        """Store what changed, of those services that wait for longest.

        Args:
            engine: Whose autopsies they are.
            store: Where to.
            now: Nanoseconds since the epoch.
            everything: All services, however long they wait.

        Raises:
            StorageError: It was not stored.
        """
        waiting = {
            service: self._written.get(service, 0)
            for service, autopsy in engine.autopsies.items()
            if autopsy.changed and (everything or now - self._written.get(service, 0) >= WRITE_EVERY_NS)
        }
        turn = sorted(waiting, key=lambda service: (waiting[service], service))
        for service in turn if everything else turn[:MAX_AT_ONCE]:
            autopsy = engine.autopsies[service]
            blocks = [(begin, write_looks(entries)) for begin, entries in autopsy.changes()]
            store.save_looks(service, blocks, autopsy.begin)
            autopsy.changed.clear()
            self._written[service] = now


def restore_looks(engine: Engine, store: Store) -> None:
    """Give an engine's autopsies what is stored.

    Raises:
        StorageCorrupt: It cannot be read back.
    """
    for service, begin, looks in store.looks():
        autopsy = engine.autopsies.get(service)
        if autopsy is not None:
            for good, bad, traits, events in read_looks(looks):
                autopsy.restore(begin, engine.outcome(good, bad), traits, events)
    for autopsy in engine.autopsies.values():
        autopsy.changed.clear()


def write_looks(entries: Entries) -> bytes:
    """Return how many events looked how, as bytes: each meaning once, then the looks."""
    meanings: dict[tuple[tuple[int, ...], tuple[int, ...]], int] = {}
    looks = [
        [meanings.setdefault((good, bad), len(meanings)), traits, events]
        for (good, bad, traits), events in _bounded(entries).items()
    ]
    text = json.dumps([[*meanings], looks], separators=(",", ":"))
    return zlib.compress(text.encode(), 1)


def _bounded(entries: Entries) -> dict[_Key, int]:
    """Return the most telling looks: bad ones first, then the most frequent; the rest by what it means."""
    found: dict[_Key, int] = {}
    ordered = sorted(entries.items(), key=lambda item: (not item[0].outcome.bad, -item[1]))
    for place, (look, events) in enumerate(ordered):
        traits = look.traits if place < MAX_LOOKS else fold(look.traits)
        key = tuple(look.outcome.good), tuple(look.outcome.bad), traits
        found[key] = found.get(key, 0) + events
    return found


def read_looks(looks: bytes) -> Iterator[tuple[list[int], list[int], Traits, int]]:
    """Yield what `write_looks` wrote: series to which it is good and bad, traits, events.

    Raises:
        StorageCorrupt: It is something else.
    """
    try:
        meanings, found = json.loads(zlib.decompress(looks))
        for meaning, traits, events in found:
            good, bad = meanings[meaning]
            yield good, bad, tuple((str(name), str(value)) for name, value in traits), int(events)
    except (ValueError, TypeError, IndexError, zlib.error) as error:
        raise StorageCorrupt(f"what the autopsy knew cannot be read back: {error!r}") from error
