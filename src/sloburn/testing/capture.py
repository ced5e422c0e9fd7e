"""Capture what this process emits, instead of exporting it."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from opentelemetry.sdk._logs import ReadableLogRecord
from opentelemetry.sdk.trace import ReadableSpan

from sloburn.errors import ConfigError
from sloburn.sdk.config import Sampling
from sloburn.sdk.event_record import EventRecord
from sloburn.sdk.exemplars import MARKS
from sloburn.sdk.handle import Telemetry
from sloburn.sdk.ids import IDS
from sloburn.sdk.init import init_telemetry, running_telemetry
from sloburn.sdk.prometheus.process import SHOWN
from sloburn.sdk.prometheus.series import Series
from sloburn.sdk.prometheus.store import Store
from sloburn.sdk.providers import drop
from sloburn.testing.records import Attributes, CapturedLog, CapturedMetric, CapturedSpan, matches

Found = TypeVar("Found")
LogRecord = ReadableLogRecord | EventRecord

_LEVELS = {"WARN": "warning", "FATAL": "critical"}


class Capture:
    """Everything that was emitted since the test began.

    The lists are made anew each time; times are ticks, so that they are the same in every run.

    Args:
        store: Where measurements are kept.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._spans: list[ReadableSpan] = []
        self._logs: list[LogRecord] = []

    def take_span(self, span: ReadableSpan) -> None:
        """Keep a span that has ended."""
        self._spans.append(span)

    def take_log(self, record: LogRecord) -> None:
        """Keep a log record."""
        self._logs.append(record)

    @property
    def spans(self) -> list[CapturedSpan]:
        """All spans that have ended, in the order of their beginnings."""
        ticks = self._ticks()
        found = [_captured_span(span, ticks) for span in self._spans]
        return sorted(found, key=lambda span: (span.started, span.span_id))

    @property
    def logs(self) -> list[CapturedLog]:
        """All log records, in their order."""
        ticks = self._ticks()
        return [_captured_log(record, ticks) for record in self._logs]

    @property
    def metrics(self) -> list[CapturedMetric]:
        """All that was measured, in the order of names."""
        SHOWN.mirror.refresh()
        series, _ = self._store.collect()
        return sorted(map(_captured_metric, series), key=lambda metric: (metric.name, repr(metric.attributes)))

    def span(self, name: str, attributes: Attributes | None = None) -> CapturedSpan:
        """Return the one span of this name with these attributes.

        Raises:
            AssertionError: There is none, or there are several; the message lists what there is.
        """
        found = [span for span in self.spans if span.name == name and matches(span.attributes, attributes or {})]
        return _only(found, f"span {name!r}", attributes, (_shown_span(span) for span in self.spans))

    def log(self, event: str, fields: Attributes | None = None) -> CapturedLog:
        """Return the one log record of this event with these fields; ``level`` and ``logger`` are fields too.

        Raises:
            AssertionError: There is none, or there are several; the message lists what there is.
        """
        found = [log for log in self.logs if log.event == event and matches(_fields(log), fields or {})]
        return _only(found, f"log {event!r}", fields, (f"{log.event!r} {_fields(log)}" for log in self.logs))

    def value(self, name: str, attributes: Attributes | None = None) -> float:
        """Return the sum of a metric over all series with these attributes; of a histogram, how many values it has."""
        wanted = attributes or {}
        return sum(one.value for one in self.metrics if one.name == name and matches(one.attributes, wanted))

    def assert_span(
        self,
        name: str,
        attributes: Attributes | None = None,
        *,
        status: str | None = None,
        kind: str | None = None,
        parent: str | None = None,
    ) -> CapturedSpan:
        """Assert that there is exactly one such span.

        Args:
            name: Its name.
            attributes: What it has, among others.
            status: ``unset``, ``ok`` or ``error``.
            kind: ``internal``, ``server``, ``client``, ``producer`` or ``consumer``.
            parent: Its parent's name; empty for the first of a trace.

        Raises:
            AssertionError: There is not; the message says what there is.
        """
        span = self.span(name, attributes)
        parents = {one.span_id: one.name for one in self.spans}
        found = {"status": span.status, "kind": span.kind, "parent": parents.get(span.parent_id, "")}
        wanted = {"status": status, "kind": kind, "parent": parent}
        for what, value in wanted.items():
            assert value is None or found[what] == value, f"span {name!r}: {what} is {found[what]!r}, not {value!r}"  # noqa: S101
        return span

    def assert_log(self, event: str, fields: Attributes | None = None) -> CapturedLog:
        """Assert that there is exactly one such log record; ``level`` and ``logger`` are fields too.

        Raises:
            AssertionError: There is not; the message says what there is.
        """
        return self.log(event, fields)

    def assert_metric(self, name: str, value: float, attributes: Attributes | None = None) -> None:
        """Assert what a metric amounts to since the test began; of a histogram, how many values it has.

        Raises:
            AssertionError: It is something else; the message says what there is.
        """
        metrics = self.metrics
        wanted = attributes or {}
        found = [one.value for one in metrics if one.name == name and matches(one.attributes, wanted)]
        known = "".join(f"\n  {one.name} {dict(one.attributes)}: {one.value:g}" for one in metrics) or " nothing"
        message = (
            f"metric {name!r} {dict(wanted)} is {sum(found) if found else 'not there'}, not {value!r}; there is:{known}"
        )
        assert found, message  # noqa: S101
        assert sum(found) == value, message  # noqa: S101

    def tree(self) -> str:
        """Return all spans as lines, children under their parents: the same in every run, good for a snapshot."""
        spans = self.spans
        ids = {span.span_id for span in spans}
        roots = [span for span in spans if span.parent_id not in ids]
        return "".join(_lines(root, spans, 0) for root in roots)

    def clear(self) -> None:
        """Forget everything so far; ids go on."""
        self._spans.clear()
        self._logs.clear()
        self._store.begin_anew()

    def _ticks(self) -> dict[int, int]:
        """Number all times that occur, in their order."""
        times = {time for span in self._spans for time in (span.start_time, span.end_time) if time is not None}
        times |= {_time_of(record) for record in self._logs}
        return {time: tick for tick, time in enumerate(sorted(times), start=1)}


@contextmanager
def capture_telemetry() -> Iterator[Capture]:
    """Capture spans, metrics and logs; nothing is exported meanwhile, nor after it.

    Telemetry that the code under test has started is used as it is; otherwise it is started here, with its destination
    in memory. Every trace is sampled.

    Raises:
        ConfigError: Telemetry is switched off.
    """
    telemetry = running_telemetry() or init_telemetry(protocol="memory", log_level="DEBUG", handle_sigterm=False)
    if not telemetry.config.enabled:
        raise ConfigError("nothing can be captured: telemetry is switched off, perhaps by OTEL_SDK_DISABLED")
    store = Store()
    before = SHOWN.mirror.keep_in(store)
    capture = Capture(store)
    were_marks_on = MARKS.is_on
    _begin(telemetry, capture)
    try:
        yield capture
    finally:
        _end(telemetry)
        MARKS.is_on = were_marks_on
        SHOWN.mirror.keep_in(before)


def _begin(telemetry: Telemetry, capture: Capture) -> None:
    providers = telemetry.providers
    if providers.sampler is not None:
        providers.sampler.sampling = Sampling()
    IDS.use(itertools.count(1).__next__, itertools.count(1).__next__)
    # Which span is marked depends on the second.
    MARKS.forget()
    MARKS.is_on = False
    providers.spans.redirect(capture.take_span)
    providers.logs.redirect(capture.take_log)


def _end(telemetry: Telemetry) -> None:
    telemetry.providers.spans.redirect(drop)
    telemetry.providers.logs.redirect(drop)
    IDS.use_random()
    MARKS.forget()


def _captured_span(span: ReadableSpan, ticks: dict[int, int]) -> CapturedSpan:
    context = span.get_span_context()
    return CapturedSpan(
        name=span.name,
        kind=span.kind.name.lower(),
        trace_id=f"{context.trace_id if context else 0:032x}",
        span_id=f"{context.span_id if context else 0:016x}",
        parent_id=f"{span.parent.span_id:016x}" if span.parent else "",
        status=span.status.status_code.name.lower(),
        attributes=dict(span.attributes or {}),
        events=tuple((event.name, dict(event.attributes or {})) for event in span.events),
        started=ticks.get(span.start_time or 0, 0),
        ended=ticks.get(span.end_time or 0, 0),
    )


def _captured_log(record: LogRecord, ticks: dict[int, int]) -> CapturedLog:
    log, scope = record.log_record, record.instrumentation_scope
    level = log.severity_text or ""
    return CapturedLog(
        event=str(log.body),
        level=_LEVELS.get(level, level.lower()),
        logger=scope.name if scope else "",
        attributes=dict(log.attributes or {}),
        trace_id=f"{log.trace_id:032x}" if log.trace_id else "",
        span_id=f"{log.span_id:016x}" if log.span_id else "",
        at=ticks.get(_time_of(record), 0),
    )


def _time_of(record: LogRecord) -> int:
    return record.log_record.timestamp or record.log_record.observed_timestamp or 0


def _captured_metric(series: Series) -> CapturedMetric:
    total = float(series.value)
    return CapturedMetric(
        name=series.instrument.name,
        kind=series.instrument.kind,
        unit=series.instrument.unit,
        attributes=dict(series.attributes),
        value=sum(series.counts) if series.instrument.kind == "histogram" else total,
        total=total,
    )


def _fields(log: CapturedLog) -> dict[str, object]:
    return {**log.attributes, "level": log.level, "logger": log.logger}


def _only(found: list[Found], what: str, wanted: Attributes | None, known: Iterable[str]) -> Found:
    listed = "".join(f"\n  {one}" for one in known) or " nothing"
    with_what = f" with {dict(wanted)}" if wanted else ""
    assert len(found) == 1, f"{len(found)} times {what}{with_what}, not once; there is:{listed}"  # noqa: S101
    return found[0]


def _shown_span(span: CapturedSpan) -> str:
    return f"{span.name!r} {dict(span.attributes)}"


def _lines(span: CapturedSpan, spans: list[CapturedSpan], depth: int) -> str:
    status = " !" if span.status == "error" else ""
    children = [child for child in spans if child.parent_id == span.span_id]
    line = f"{'  ' * depth}{span.name} [{span.kind}]{status}\n"
    return line + "".join(_lines(child, spans, depth + 1) for child in children)
