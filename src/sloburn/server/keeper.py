"""Engine and store as one: what is counted is kept, and what the store cannot keep is not counted.

A store that was damaged is moved aside, and deleted only when several newer ones were too. Found at a start, the
numbers in it are lost: history begins anew, and everybody is told. Where only rows that explain are damaged, they alone
are lost and the numbers stay. Found while the processor runs, what the engine has in memory is not lost, so a new store
is written from it and from what can be read of the history of removed SLOs.
"""

from __future__ import annotations

import contextlib
import logging
import shutil
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TypedDict

from sloburn.duration import HOUR
from sloburn.errors import StorageCorrupt, StorageError
from sloburn.otlp.anyvalue import any_value
from sloburn.server.looks import LookKeeper
from sloburn.server.quarantine import move_aside, prune
from sloburn.server.records import Scribe, write_keys
from sloburn.server.recovery import drop_explanations, read_notices, restore, revive
from sloburn.server.removed import Removed
from sloburn.server.salvage import salvage
from sloburn.server.states import write_alerts, write_annotation
from sloburn.server.storage import FILE_NAME, Store
from sloburn.sli.commit import Commit
from sloburn.sli.dedupe import DEFAULT_CAPACITY
from sloburn.sli.engine import Engine
from sloburn.sli.loss_points import OUR_EXPORTERS
from sloburn.sli.series import SeriesKey
from sloburn.slo.alerting import Alert
from sloburn.slo.annotation import Annotation
from sloburn.slo.model import Slo

log = logging.getLogger("sloburn.server")

MENDING = "mending"


class Options(TypedDict):
    """What every engine is made with."""

    time_scale: int
    our_exporters: tuple[str, ...]
    seen_capacity: int


class Keeper:
    """Owns engine and store. Used from one thread.

    Args:
        folder: Where the store lies.
        slos: The promises.
        now: Nanoseconds since the epoch.
        time_scale: How many times faster than written the windows run.
        our_exporters: Patterns of the names of a Collector's exporters that send to us.
        dedupe_spans: How many counted spans are remembered at the most.

    Raises:
        StorageError: The store cannot be used.
    """

    store_type: type[Store] = Store
    engine_type: type[Engine] = Engine

    def __init__(
        self,
        folder: Path,
        slos: Sequence[Slo],
        now: int,
        *,
        time_scale: int = 1,
        our_exporters: tuple[str, ...] = OUR_EXPORTERS,
        dedupe_spans: int = DEFAULT_CAPACITY,
    ) -> None:
        self._folder = folder
        self.slos = tuple(slos)
        self._options: Options = {
            "time_scale": time_scale,
            "our_exporters": our_exporters,
            "seen_capacity": dedupe_spans,
        }
        self._tidied = now
        self._damage: StorageCorrupt | None = None
        try:
            self._start(now)
        except StorageCorrupt as error:
            aside = move_aside(folder / FILE_NAME, now)
            self._start(now)
            self._note(f"{error}; it was moved aside as {aside.name}, and history begins here", now)
        prune(folder / FILE_NAME)

    def _start(self, now: int) -> None:
        """Open the store and read it; without the damaged rows that only explain, if there are any."""
        damage = self._taken_up(self.store_type(self._folder, now), now)
        if damage:  # not while it is handled: its traceback keeps SQLite's lock
            if not drop_explanations(self._folder / FILE_NAME, damage, now):
                raise StorageCorrupt(damage)
            damage = self._taken_up(self.store_type(self._folder, now), now)
        if damage:
            raise StorageCorrupt(damage)

    def _taken_up(self, store: Store, now: int) -> str:
        """Read everything that a start needs from a store; return what is damaged, empty if nothing is."""
        try:
            self._take_up(store, now)
        except StorageCorrupt as error:
            store.close()
            self._damage = None
            return str(error)
        except BaseException:
            store.close()
            raise
        return ""

    def _take_up(self, store: Store, now: int) -> None:
        self.store = store
        self.engine = self.engine_type(self.slos, any_value, epoch=store.epoch, **self._options)
        self._scribe, self.applied = restore(self.engine, store)
        self.notices = read_notices(store)
        self.removed = Removed(store)
        self._looks = LookKeeper(self.engine, now)
        self.tidy(now)

    @property
    def epoch(self) -> int:
        """When the history begins, nanoseconds since the epoch."""
        return self.store.epoch

    def commit(self, commit: Commit, now: int) -> None:
        """Make a commit durable and count it.

        Raises:
            StorageError: It is not durable; nothing was counted.
        """
        if not commit.is_empty:
            with self._watching():
                self.store.append(now, *self._scribe.write(commit))
            self._scribe.written()
        self.engine.apply(commit)

    def checkpoint(self, now: int) -> None:
        """Store what the commits add up to, so that a start need not read them again.

        Raises:
            StorageError: Nothing was stored.
        """
        with self._watching():
            checkpoint = self._scribe.checkpoint(now)
            self.store.checkpoint(checkpoint, now)
        self._scribe.kept(checkpoint)
        with self._watching():
            self._looks.write(self.engine, self.store, now)
        if now - self._tidied >= HOUR:
            self.tidy(now)

    def finish(self, now: int) -> None:
        """Store all that is known, before the end.

        Raises:
            StorageError: Something could not be stored; commits are safe all the same.
        """
        self.checkpoint(now)
        with self._watching():
            self._looks.write(self.engine, self.store, now, everything=True)

    def tidy(self, now: int) -> None:
        """Delete the history of SLOs that were removed long ago.

        Raises:
            StorageError: Nothing was deleted.
        """
        with self._watching():
            self.removed.note(self.store, self.engine, self._scribe, now)
        self.engine.begin(self.removed.since())
        self._tidied = now

    def reload(self, slos: Sequence[Slo], now: int) -> None:
        """Count for other SLOs from now on: every commit so far was judged by the old ones, every later one by these.

        Raises:
            StorageError: The store cannot be read or written; everything is as it was.
        """
        self.checkpoint(now)
        engine = self.engine_type(slos, any_value, epoch=self.epoch, **self._options)
        engine.groups.inherit(self.engine.groups)
        with self._watching():
            revive(engine, self.engine, self.store)
        engine.inherit(self.engine)  # nothing can fail from here on
        self._scribe.serve(engine)
        self.engine, self.slos = engine, tuple(slos)
        try:
            self.tidy(now)
        except StorageError:
            log.exception("which SLOs are in force could not be stored; the next checkpoint tries again")
            self._tidied = 0

    def save_alerts(self, alerts: Iterable[tuple[SeriesKey, tuple[Alert, ...]]]) -> None:
        """Store the alerts of some series.

        Raises:
            StorageError: Nothing was stored.
        """
        with self._watching():
            self.store.save_alerts((key, write_alerts(found)) for key, found in alerts)

    def annotate(self, annotation: Annotation) -> Annotation:
        """Keep an annotation durably; return it, or the one that said the same a moment before.

        Raises:
            StorageError: It is not durable; it stays until the processor ends.
        """
        found = self.engine.timeline.add(annotation)
        self.save_annotations()
        return found

    def save_annotations(self) -> None:
        """Store the annotations if there are new ones.

        Raises:
            StorageError: They were not stored.
        """
        timeline = self.engine.timeline
        if timeline.is_changed:
            with self._watching():
                self.store.save_annotations(map(write_annotation, timeline.annotations))
            timeline.is_changed = False

    @contextlib.contextmanager
    def _watching(self) -> Iterator[None]:
        """Touch a store no more that turned out to be damaged."""
        if self._damage is not None:
            raise StorageError(f"{self._damage}; a new store is yet to be written")
        try:
            yield
        except StorageCorrupt as error:
            self._damage = error
            raise

    @property
    def is_damaged(self) -> bool:
        """Whether the store turned out to be damaged and nothing can be kept before `mend`."""
        return self._damage is not None

    def mend(self, now: int) -> None:
        """Write a new store from memory in the place of one that turned out to be damaged.

        Raises:
            StorageError: It could not be written.
            OSError: Likewise.
        """
        fresh, lost = self._written_anew(now)
        with contextlib.suppress(StorageError):
            self.store.close()
        aside = move_aside(self._folder / FILE_NAME, now)
        (fresh / FILE_NAME).rename(self._folder / FILE_NAME)
        fresh.rmdir()
        self.store = self.store_type(self._folder, now)
        self.removed.lose(lost)
        gone = f", but for what it held of removed SLOs: {', '.join(sorted(name for name, _ in lost))}" if lost else ""
        self._note(f"{self._damage}; it was moved aside as {aside.name} and written anew from memory{gone}", now)
        self._damage = None
        prune(self._folder / FILE_NAME)

    def _note(self, text: str, now: int) -> None:
        log.error("%s", text)
        self.store.note(now, text)
        self.notices = tuple(self.store.notices())

    def _written_anew(self, now: int) -> tuple[Path, set[tuple[str, str]]]:
        """Write everything into a store in a folder of its own; return the folder, and what could not be read."""
        saved = salvage(self.store, self.engine, self.removed.slos())
        folder = self._folder / MENDING
        shutil.rmtree(folder, ignore_errors=True)
        store = self.store_type(folder, self.epoch)
        try:
            for at, text in self.notices:
                store.note(at, text)
            for touched, at, packed in self.engine.seen.packed():
                store.append(touched, "", b"", b"", write_keys(at, packed))
            scribe = Scribe(self.engine, left=saved.evidence)
            checkpoint = scribe.checkpoint(now, whole=True)
            saved.add_to(checkpoint)
            store.checkpoint(checkpoint, now)
            scribe.kept(checkpoint)
            alerts = [(key, write_alerts(one.alerts)) for key, one in self.engine.series.items()]
            store.save_alerts([*alerts, *saved.alerts])
            store.save_annotations(map(write_annotation, self.engine.timeline.annotations))
            store.serve(row for row in self.removed.rows() if row[:2] not in saved.lost)
            self._looks.write(self.engine, store, now, everything=True)
        finally:
            store.close()
        self._scribe = scribe
        return folder, saved.lost
