"""The schedule: which entry was published, which runs were missed, what is overdue right now.

Every run carries its entry's name in the message, so that the worker can report how it ended
(``celery.beat.check_ins``, ``celery.beat.last_success``): a run that was published and never taken is seen there.
"""

from __future__ import annotations

import functools
import logging
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from opentelemetry import context
from opentelemetry.metrics import CallbackOptions, Meter, Observation

from sloburn.sdk.integrations.celery_messages import BEAT_ENTRY_KEY

logger = logging.getLogger("sloburn")

_MOST_MISSED = 1000
_REFRESH_SECONDS = 30.0
# A pass of the scheduler that takes longer than its longest pause and this hangs.
_SILENCE_SECONDS = 30.0

# Celery is not typed: schedules, entries and schedulers are of any type.
Schedule = Any
Entry = Any
Scheduler = Any


@dataclass(slots=True, kw_only=True)
class _Known:
    """An entry as it was seen last.

    Args:
        schedule: When it is due.
        due: When it is due next; None when its schedule does not say.
    """

    schedule: Schedule
    due: datetime | None


class BeatWatch:
    """Watches the scheduler from within its process.

    Args:
        meter: Where the instruments are created.
        now: What time it is.
    """

    _entries: dict[str, _Known]
    _turned: float | None

    def __init__(
        self, meter: Meter, now: Callable[[], datetime] = lambda: datetime.fromtimestamp(time.time(), UTC)
    ) -> None:
        self._now = now
        self._forget()
        self._runs = meter.create_counter(
            "celery.beat.runs", unit="{run}", description="Runs of scheduled tasks that were published, or not."
        )
        self._missed = meter.create_counter(
            "celery.beat.missed", unit="{run}", description="Runs that were due and never published."
        )
        meter.create_observable_gauge(
            "celery.beat.overdue", [self._observe_overdue], unit="s", description="How long each entry has been due."
        )
        meter.create_observable_gauge(
            "celery.beat.up", [self._observe_up], unit="1", description="1 while the scheduler passes its schedule."
        )

    def begin(self, sender: Any = None, **_: object) -> None:  # noqa: ANN401 - Celery is not typed
        """Watch a scheduler that starts."""
        self._longest_pause = float(sender.scheduler.max_interval or 0)
        self._turned = time.monotonic()
        self._refresh(sender.scheduler)
        _wrap_scheduler(self)

    def turn(self, scheduler: Scheduler) -> None:
        """Note that the scheduler has passed its schedule."""
        self._turned = time.monotonic()
        if self._turned - self._refreshed > _REFRESH_SECONDS:
            self._refresh(scheduler)

    def publish(self, send: Callable[[], object], entry: Entry) -> object:
        """Publish an entry's run under its name, and count the runs that were missed before it."""
        name, now = str(entry.name), self._now()
        self._count_missed(name, entry, now)
        token = context.attach(context.set_value(BEAT_ENTRY_KEY, name))
        outcome = "failed"
        try:
            result = send()
            outcome = "published"
            return result
        finally:
            context.detach(token)
            self._runs.add(1, {"celery.beat.entry": name, "celery.task.name": str(entry.task), "outcome": outcome})
            self._entries[name] = _Known(schedule=entry.schedule, due=due_after(entry.schedule, now))

    def after_fork(self) -> None:
        """Forget the schedule in a forked child."""
        self._forget()

    def _forget(self) -> None:
        self._entries = {}
        self._turned = None
        self._refreshed = 0.0
        self._longest_pause = 0.0

    def _refresh(self, scheduler: Scheduler) -> None:
        """Learn the entries, on the scheduler's own thread: with some schedulers this asks a database."""
        self._refreshed = time.monotonic()
        fresh = {}
        for name, entry in dict(scheduler.schedule).items():
            known = self._entries.get(name)
            is_same = known is not None and known.schedule == entry.schedule
            due = known.due if known is not None and is_same else due_after(entry.schedule, entry.last_run_at)
            fresh[str(name)] = _Known(schedule=entry.schedule, due=due)
        self._entries = fresh

    def _count_missed(self, name: str, entry: Entry, now: datetime) -> None:
        missed = missed_runs(entry.schedule, entry.last_run_at, now)
        if missed:
            self._missed.add(missed, {"celery.beat.entry": name})
            logger.warning("scheduled task %s: %d runs were missed before this one", name, missed)

    def _observe_overdue(self, _: CallbackOptions) -> Iterable[Observation]:
        now = self._now()
        for name, known in list(self._entries.items()):
            if known.due is not None:
                late = max(0.0, (now - known.due).total_seconds())
                yield Observation(late, {"celery.beat.entry": name})

    def _observe_up(self, _: CallbackOptions) -> Iterable[Observation]:
        if self._turned is not None:
            silence = time.monotonic() - self._turned
            yield Observation(int(silence < self._longest_pause + _SILENCE_SECONDS))


def missed_runs(schedule: Schedule, last_run: datetime | None, now: datetime) -> int:
    """Return how many runs were due after the last one, without the one that runs now; at most 1000."""
    due = due_after(schedule, last_run)
    if due is None:
        return 0
    every = getattr(schedule, "run_every", None)
    if isinstance(every, timedelta) and every:
        return min(_MOST_MISSED, max(0, (now - due) // every))
    count = 0
    while due is not None and due <= now and count <= _MOST_MISSED:
        count += 1
        due = due_after(schedule, due)
    return max(0, count - 1)


def due_after(schedule: Schedule, moment: datetime | None) -> datetime | None:
    """Return when a schedule is due after a moment; None when it does not say, as for the sun's."""
    if moment is None:
        return None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    try:
        if hasattr(schedule, "remaining_delta"):
            start, delta, _ = schedule.remaining_delta(moment)
            due = start + delta
        else:
            due = moment + schedule.run_every
        return due.astimezone(UTC) if isinstance(due, datetime) else None
    except Exception:
        return None


def _wrap_scheduler(watch: BeatWatch) -> None:
    """Follow every publication and every pass of the scheduler; Celery sends no signals for them."""
    from celery.beat import Scheduler as Base

    if hasattr(Base.apply_async, "__wrapped__"):
        return
    publish, tick = Base.apply_async, Base.tick

    @functools.wraps(publish)
    def apply_async(self: Scheduler, entry: Entry, *arguments: Any, **options: Any) -> object:  # noqa: ANN401 - see above
        return watch.publish(functools.partial(publish, self, entry, *arguments, **options), entry)

    @functools.wraps(tick)
    def watched_tick(self: Scheduler, *arguments: Any, **options: Any) -> object:  # noqa: ANN401 - see above
        watch.turn(self)
        return tick(self, *arguments, **options)

    Base.apply_async, Base.tick = apply_async, watched_tick
