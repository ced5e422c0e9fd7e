"""Recorded telemetry through the engine on a virtual clock: what would have paged?

The clock is driven by the events: a request arrives when its newest event happened, never before the one recorded
before it. Between requests the engine is evaluated every tick, as it would have been; once every service has been
silent for so long that all alerts are frozen, the clock jumps, at most to where silence itself is judged. Nothing reads
the machine's clock and nothing is stored, so the same input gives the same output, byte for byte.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from sloburn.clock import ManualClock
from sloburn.duration import SECOND
from sloburn.otlp.anyvalue import any_value
from sloburn.otlp.recording import Flaw, Recorded, read_recording
from sloburn.otlp.signal import Signal
from sloburn.sli.commit import Commit
from sloburn.sli.engine import Engine
from sloburn.sli.status import SloStatus, Snapshot
from sloburn.slo.alerting import Alert, AlertState
from sloburn.slo.budget_alerts import budget_text
from sloburn.slo.model import Severity, Slo
from sloburn.slo.timed import nouns_of

TICK_NS = SECOND


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertChange:
    """An alert that began or ended to fire.

    Args:
        at_unix_nano: When.
        slo: Name of the SLO.
        group: Its group.
        severity: Page or ticket.
        kind: What it watches, as `Alert.kind` has it.
        state: Firing or resolved.
        reason: Why it fires, in words; empty for an end.
    """

    at_unix_nano: int
    slo: str
    group: tuple[tuple[str, str], ...]
    severity: Severity
    kind: str
    state: AlertState
    reason: str


class Rehearsal:
    """One set of SLOs on the virtual clock.

    Args:
        slos: The promises.
        epoch: When the recording begins, nanoseconds since the epoch.
        time_scale: How many times faster than written the windows run.
    """

    def __init__(self, slos: Sequence[Slo], epoch: int, time_scale: int) -> None:
        self._engine = Engine(slos, any_value, epoch=epoch, time_scale=time_scale)
        windows = [slo.scaled(time_scale).alerting.windows for slo in slos]
        self.quiet_ns = max((found[0].short_ns for found in windows if found), default=TICK_NS)
        self._alerts: dict[tuple[str, tuple[tuple[str, str], ...]], tuple[Alert, ...]] = {}
        self.changes: list[AlertChange] = []

    def take(self, recorded: Recorded, now: int) -> None:
        """Count a request."""
        commit, engine = Commit(), self._engine
        prepare = {
            Signal.TRACES: engine.prepare_traces,
            Signal.METRICS: engine.prepare_metrics,
            Signal.LOGS: engine.prepare_logs,
        }[recorded.signal]
        prepare(recorded.request, now, commit)  # type: ignore[operator]
        engine.apply(commit)

    def tick(self, now: int) -> Snapshot:
        """Judge slices of time, evaluate, and note which alerts changed."""
        self._engine.apply(self._engine.judge(now))
        snapshot = self._engine.tick(now)
        for status in snapshot.statuses:
            key = (status.slo.name, status.group)
            before = self._alerts.get(key, ())
            if status.alerts is not before:
                self._alerts[key] = status.alerts
                self._note(status, before, now)
        return snapshot

    def next_verdict(self, now: int) -> int | None:
        """Return when something can happen after `now` although nothing comes; None if nothing can."""
        return self._engine.next_verdict(now)

    def _note(self, status: SloStatus, before: tuple[Alert, ...], now: int) -> None:
        fired = {alert.identity for alert in before if alert.state is AlertState.FIRING}
        for alert in status.alerts:
            fires = alert.state is AlertState.FIRING
            if fires is not (alert.identity in fired):
                self.changes.append(
                    AlertChange(
                        at_unix_nano=now,
                        slo=status.slo.name,
                        group=status.group,
                        severity=alert.severity,
                        kind=alert.kind,
                        state=AlertState.FIRING if fires else AlertState.RESOLVED,
                        reason=_reason(status, alert) if fires else "",
                    )
                )


def _reason(status: SloStatus, alert: Alert) -> str:
    if alert.left is not None:
        return budget_text(status.count, status.slo, status.budget_remaining)
    many = nouns_of(status.slo.indicator)[1]
    for pair in status.pairs:
        if pair.window.severity is alert.severity and pair.over and pair.long_burn is not None:
            burn, factor = float(pair.long_burn), float(pair.window.factor)
            return f"burn rate {burn:.3g} over {factor:.4g}: {pair.long.bad} of {pair.long.total} {many} bad"
    return status.early.text if status.early else ""


@dataclass(slots=True)
class Outcome:
    """What a replay found.

    Args:
        begin_unix_nano: Where the virtual clock began; 0 if nothing was recorded.
        end_unix_nano: Where it ended.
        requests: How many requests were read.
        flaws: What could not be read, in order.
        moments: Snapshots of every rehearsal at the moments asked for, and at the end.
        changes: Alert changes of every rehearsal.
    """

    begin_unix_nano: int = 0
    end_unix_nano: int = 0
    requests: int = 0
    flaws: tuple[Flaw, ...] = ()
    moments: tuple[tuple[Snapshot, ...], ...] = ()
    changes: tuple[tuple[AlertChange, ...], ...] = ()


def replay(
    files: Sequence[Path],
    variants: Sequence[Sequence[Slo]],
    *,
    at: Sequence[int] = (),
    time_scale: int = 1,
    strict: bool = False,
) -> Outcome:
    """Run recordings through the engine, once for each set of SLOs.

    Args:
        files: Recordings; several are merged by the time of their events, each in its own order.
        variants: Sets of SLOs that see the same telemetry.
        at: Moments to look at, nanoseconds since the epoch.
        time_scale: How many times faster than written the windows run.
        strict: End at the first flaw.

    Raises:
        OSError: A recording cannot be opened.
    """
    return _Run(variants, sorted(at), time_scale).run(_merged(files), strict=strict)


def _merged(files: Sequence[Path]) -> Iterator[Recorded | Flaw]:
    """Yield the requests of all files as they would have arrived."""
    streams = [_stamped(path, place) for place, path in enumerate(files)]
    for *_, item in heapq.merge(*streams, key=lambda one: one[:3]):
        yield item


def _stamped(path: Path, place: int) -> Iterator[tuple[int, int, int, Recorded | Flaw]]:
    newest = 0
    for number, item in enumerate(read_recording(path)):
        if isinstance(item, Recorded):
            newest = max(newest, item.at_unix_nano)
        yield newest, place, number, item


class _Run:
    def __init__(self, variants: Sequence[Sequence[Slo]], at: Sequence[int], time_scale: int) -> None:
        self._variants, self._time_scale = variants, time_scale
        self._asked = list(at)
        self._tick_ns = max(1, TICK_NS // time_scale)
        self._rehearsals: list[Rehearsal] = []
        self._clock = ManualClock()
        self._heard = 0
        self._moments: list[tuple[Snapshot, ...]] = []
        self._outcome = Outcome()

    def run(self, items: Iterable[Recorded | Flaw], *, strict: bool) -> Outcome:
        flaws: list[Flaw] = []
        for item in items:
            if isinstance(item, Flaw):
                flaws.append(item)
                if strict:
                    break
                continue
            self._outcome.requests += 1
            self._take(item)
        self._finish()
        return replace(self._outcome, flaws=tuple(flaws))

    def _take(self, item: Recorded) -> None:
        if not self._rehearsals and item.at_unix_nano:
            self._outcome.begin_unix_nano = item.at_unix_nano
            self._clock.set(item.at_unix_nano)
            self._rehearsals = [Rehearsal(slos, item.at_unix_nano, self._time_scale) for slos in self._variants]
        self._advance(item.at_unix_nano)
        self._heard = self._clock.now_unix_nano()
        for rehearsal in self._rehearsals:
            rehearsal.take(item, self._heard)

    def _advance(self, to: int) -> None:
        """Let the clock run to a moment, evaluating on the way."""
        quiet = max((one.quiet_ns for one in self._rehearsals), default=0) + 2 * self._tick_ns
        while (now := self._clock.now_unix_nano()) < to:
            next_tick = (now // self._tick_ns + 1) * self._tick_ns
            if next_tick > self._heard + quiet:  # all alerts are frozen but those to which silence is a signal
                next_tick = self._next_verdict(now, to)
            step = min([next_tick, to, *self._asked[:1]])
            self._clock.set(max(now, step))
            if step == next_tick or step in self._asked[:1]:
                self._look(step)

    def _next_verdict(self, now: int, to: int) -> int:
        found = (rehearsal.next_verdict(now) for rehearsal in self._rehearsals)
        return min([to, *(at for at in found if at is not None)])

    def _look(self, now: int) -> None:
        snapshots = tuple(rehearsal.tick(now) for rehearsal in self._rehearsals)
        while self._asked and self._asked[0] <= now:
            self._asked.pop(0)
            self._moments.append(snapshots)

    def _finish(self) -> None:
        if not self._rehearsals:
            return
        end = self._clock.now_unix_nano()
        self._look(end)
        self._outcome.end_unix_nano = end
        while self._asked:
            self._advance(self._asked[0])
        last = tuple(rehearsal.tick(self._clock.now_unix_nano()) for rehearsal in self._rehearsals)
        self._outcome.moments = tuple(self._moments) or (last,)
        self._outcome.changes = tuple(tuple(rehearsal.changes) for rehearsal in self._rehearsals)
