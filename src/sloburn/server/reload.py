"""SLO documents that change while the processor runs: they are read again, and wrong ones leave everything as it is.

A change is noticed by looking at the files every second and is taken when they were left alone for one look, so a
file that is being written is not read half. SIGHUP reads them at once.
"""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from sloburn.clock import Clock
from sloburn.duration import SECOND
from sloburn.errors import SpecError, StorageError
from sloburn.outputs.exposition import TallyKind, TallySample
from sloburn.server.memory import set_aside
from sloburn.server.pipeline import Pipeline
from sloburn.slo import naming
from sloburn.slo.model import Slo
from sloburn.spec import load_slos
from sloburn.spec.files import Stamp, content_digest, stamp_of

log = logging.getLogger("sloburn.server")

LOOK_SECONDS = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ReloadTally:
    """How often documents were read again.

    Args:
        taken: How often they were taken.
        refused: How often they were wrong or could not be taken.
        taken_unix_nano: When the SLOs of today were taken.
        trouble: Why the documents of today are not in force; empty if they are.
    """

    taken: int = 0
    refused: int = 0
    taken_unix_nano: int
    trouble: str = ""


class Reloader:
    """Keeps the processor's SLOs those of its documents.

    Args:
        paths: The documents, and folders of them.
        slos: What they said at the start.
        digest: Of the documents (`spec.files.content_digest`), from before they were read.
        pipeline: Whose SLOs they are.
        clock: Tells the time.
        watches: Look at the files; else only `nudge` reads them.
        look_seconds: How long to wait between two looks.
    """

    def __init__(
        self,
        paths: Sequence[Path],
        slos: Sequence[Slo],
        digest: bytes,
        pipeline: Pipeline,
        clock: Clock,
        *,
        watches: bool = True,
        look_seconds: float = LOOK_SECONDS,
    ) -> None:
        self._paths = tuple(paths)
        self._slos = tuple(slos)
        self._pipeline = pipeline
        self._clock = clock
        self._look_seconds = look_seconds if watches else None
        self._nudged = asyncio.Event()
        self._stamp: Stamp | None = None  # at the last look
        self._read: Stamp | None = None  # when they were read last
        self._digest = digest
        self.tally = ReloadTally(taken_unix_nano=clock.now_unix_nano())

    def nudge(self) -> None:
        """Read the documents at once."""
        self._nudged.set()

    async def run(self) -> None:
        """Look after the documents until the task is cancelled."""
        set_aside()
        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, self.nudge)
        while True:
            await self._turn()

    async def _turn(self) -> None:
        try:
            await asyncio.wait_for(self._nudged.wait(), self._look_seconds)
        except TimeoutError:
            await self._look()
        else:
            self._nudged.clear()
            await self._reload()

    async def _look(self) -> None:
        before = self._stamp
        self._stamp = await asyncio.to_thread(stamp_of, self._paths)
        if self._stamp == self._read or self._stamp != before:
            return
        self._read = self._stamp
        if await asyncio.to_thread(content_digest, self._paths) != self._digest:
            await self._reload()

    async def _reload(self) -> None:
        self._digest = await asyncio.to_thread(content_digest, self._paths)
        try:
            slos = await asyncio.to_thread(load_slos, self._paths)
            if slos != self._slos:
                await self._serve(slos)
        except (SpecError, StorageError, OSError) as error:
            self._refuse(error)
        except Exception as error:  # whatever the documents meet, the SLOs in force stay, and the next change is read
            log.exception("the SLO documents could not be taken")
            self._refuse(error)
        else:
            self._take(slos)

    async def _serve(self, slos: tuple[Slo, ...]) -> None:
        now = self._clock.now_unix_nano()
        await self._pipeline.between(lambda keeper: keeper.reload(slos, now))
        set_aside()

    def _take(self, slos: tuple[Slo, ...]) -> None:
        log.warning("the SLO documents were read again: %s", difference(self._slos, slos))
        self._slos = slos
        now, taken = self._clock.now_unix_nano(), self.tally.taken + 1
        self.tally = ReloadTally(taken=taken, refused=self.tally.refused, taken_unix_nano=now)
        self._pipeline.complain("", now)

    def _refuse(self, error: Exception) -> None:
        text = f"the SLO documents that were read again are not in force, the ones before them are: {error}"
        log.error("%s", text)
        if not isinstance(error, SpecError):
            self._read, self._digest = None, b""  # nothing is wrong with what they say: try again at the next look
        at, refused = self.tally.taken_unix_nano, self.tally.refused + 1
        self.tally = ReloadTally(taken=self.tally.taken, refused=refused, taken_unix_nano=at, trouble=text)
        self._pipeline.complain(text, self._clock.now_unix_nano())


def difference(before: Sequence[Slo], after: Sequence[Slo]) -> str:
    """Return in words what became of a set of SLOs."""
    old, new = ({slo.name: slo for slo in slos} for slos in (before, after))
    parts = (
        ("added", [name for name in new if name not in old]),
        ("changed", [name for name in new if name in old and new[name] != old[name]]),
        ("removed", [name for name in old if name not in new]),
    )
    said = [f"{word} {', '.join(names[:5])}{' and others' if len(names) > 5 else ''}" for word, names in parts if names]
    return "; ".join(said) or "nothing changed"


def reload_samples(reloader: Reloader) -> list[TallySample]:
    """Return what `/metrics` shows of it."""
    tally = reloader.tally
    outcomes = (("ok", tally.taken), ("refused", tally.refused))
    counters = [
        TallySample(
            name=naming.CONFIG_RELOADS_TOTAL,
            kind=TallyKind.COUNTER,
            help="SLO documents read again, by outcome.",
            labels=((naming.LABEL_OUTCOME, outcome),),
            value=count,
        )
        for outcome, count in outcomes
    ]
    gauges: tuple[tuple[str, str, Callable[[ReloadTally], float]], ...] = (
        (
            naming.CONFIG_RELOAD_OK,
            "1 while the SLOs in force are those of the documents, 0 while the documents are refused.",
            lambda found: float(not found.trouble),
        ),
        (
            naming.CONFIG_RELOAD_TIMESTAMP_SECONDS,
            "When the SLOs in force were read.",
            lambda found: found.taken_unix_nano / SECOND,
        ),
    )
    return counters + [
        TallySample(name=name, kind=TallyKind.GAUGE, help=text, value=value(tally)) for name, text, value in gauges
    ]
