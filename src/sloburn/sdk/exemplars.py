"""The traces that exemplars lead to, and the mark by which a sampler keeps them.

A Collector that samples whole traces drops most of the ordinary ones, and an exemplar that points to one of those leads
nowhere. A span with ``sloburn.exemplar`` says that some graph links to its trace; the policy ``exemplars`` of
otel-collector.yaml keeps that. So that marks do not undo the sampling there are few: in a process at most one trace in
each second, and for a bucket of a histogram, or a series of a counter, at most one in half a minute, by OTLP and at
/metrics each.

A mark is remembered here and written on the copy of the span that is exported. Neither the span itself nor what other
exporters of the host make of it has it; nor has a span of a tracer provider that is not the global one.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Any, cast

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk.metrics import Counter, Exemplar, ExemplarReservoir
from opentelemetry.sdk.metrics.view import View
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import Span, SpanContext
from opentelemetry.util.types import Attributes

MARK_ATTRIBUTE = "sloburn.exemplar"
# A marked trace stays the exemplar that long: one that is shown at the next scrape would replace it for nothing.
FRESH_NANOSECONDS = 30_000_000_000
# Longer than anybody waits between two scrapes; series that rest are not sent with old exemplars for ever.
SHOWN_NANOSECONDS = 300_000_000_000
_SECOND_NANOSECONDS = 1_000_000_000
_REMEMBERED_SECONDS = 60
# As long as exemplars of a span that lasts are worth their mark, several times.
_MOST_SPANS = 1024

# What was measured, when, in which span, and whether its trace is marked.
Kept = tuple[float, int, SpanContext, bool]


class Marks:
    """The traces that this process has marked lately.

    Takes no lock, neither its own nor a span's: a signal handler, a fork or what the host does while it is asked for an
    attribute's text might find it taken.

    Attributes:
        is_on: Whether any is marked; pointless while exemplars go nowhere.
    """

    def __init__(self) -> None:
        self.is_on = True
        self._begun = 0
        self.forget()

    def forget(self) -> None:
        """Begin anew."""
        self._traces: dict[int, int] = {}
        self._seconds: dict[int, int] = {}
        self._spans: dict[int, int] = {}

    def after_fork(self) -> None:
        """Begin anew in a forked child: spans that the parent has begun are the parent's to mark."""
        self.forget()
        self._begun = time.time_ns()

    def mark(self, span: Span, trace_id: int, now: int) -> bool:
        """Mark the trace of a span that is recorded still, unless another had this second.

        Args:
            span: A span of the trace.
            trace_id: The trace.
            now: Nanoseconds since the epoch.

        Returns:
            Whether the trace is marked, by this call or by one before.
        """
        if trace_id in self._traces:
            return True
        second = now // _SECOND_NANOSECONDS
        # Asked first, because nearly always it has been taken.
        if second in self._seconds or not self.is_on or not self._can_be_marked(span):
            return False
        if self._seconds.setdefault(second, trace_id) != trace_id:
            return False
        self._spans[span.get_span_context().span_id] = trace_id
        self._traces[trace_id] = second
        bounds = ((self._traces, _REMEMBERED_SECONDS), (self._seconds, _REMEMBERED_SECONDS), (self._spans, _MOST_SPANS))
        for known, most in bounds:
            for key in list(known)[:-most]:
                known.pop(key, None)
        return True

    def take(self, of: SpanContext) -> bool:
        """Tell whether a span that has ended is to be exported with the mark, and forget it."""
        return self._spans.pop(of.span_id, None) == of.trace_id

    def _can_be_marked(self, span: Span) -> bool:
        is_exported = span.is_recording() and isinstance(span, ReadableSpan)
        return is_exported and (span.start_time or 0) >= self._begun  # type: ignore[attr-defined]


MARKS = Marks()


def renew(kept: Kept | None, amount: float, now: int, context: Context | None, *, is_any: bool = False) -> Kept | None:
    """Return what is kept after one more measurement.

    The newest one, but a trace that is marked is not given up for one that is not: that one may be dropped.

    Args:
        kept: What has been kept.
        amount: What was measured.
        now: When, in nanoseconds since the epoch.
        context: In which context; the current one when absent.
        is_any: Whether a measurement outside of all sampled spans may be kept.
    """
    is_marked = kept is not None and kept[3]
    if kept is not None and is_marked and 0 <= now - kept[1] < FRESH_NANOSECONDS:
        return kept
    span = trace.get_current_span(context)
    of = span.get_span_context()
    # Where flags come from elsewhere they may be a plain number.
    is_sampled = bool(of.trace_flags & trace.TraceFlags.SAMPLED)
    if is_sampled and MARKS.mark(span, of.trace_id, now):
        return amount, now, of, True
    if not (is_sampled or is_any) or (kept is not None and is_marked and 0 <= now - kept[1] < SHOWN_NANOSECONDS):
        return kept
    return amount, now, of, False


def shown(kept: Kept, now: int) -> list[Exemplar]:
    """Return what is kept as an exemplar, nothing when it is old.

    Args:
        kept: What has been kept.
        now: Nanoseconds since the epoch.
    """
    amount, at, of, _ = kept
    if now - at >= SHOWN_NANOSECONDS:
        return []
    span_id, trace_id = (of.span_id, of.trace_id) if of.is_valid else (None, None)
    return [Exemplar({}, amount, at, span_id, trace_id)]


class LastingReservoir(ExemplarReservoir):
    """Keeps one exemplar of a series as long as our histograms do; the SDK's own forgets it with each export.

    Args:
        options: What the SDK passes to every kind.
    """

    def __init__(self, **options: Any) -> None:  # noqa: ANN401 - the SDK's signature
        super().__init__(**options)
        self._kept: Kept | None = None

    def offer(self, value: float, time_unix_nano: int, attributes: Attributes, context: Context) -> None:  # noqa: ARG002 - the SDK's signature
        """Take a measurement that the exemplar filter lets through."""
        self._kept = renew(self._kept, value, time_unix_nano, context, is_any=True)

    def collect(self, point_attributes: Attributes) -> list[Exemplar]:  # noqa: ARG002 - the SDK's signature
        """Return what is kept, and keep it."""
        kept = self._kept
        return shown(kept, time.time_ns()) if kept is not None else []


def _is_no_conflict(record: logging.LogRecord) -> bool:
    return "conflicting metrics identities" not in str(record.msg)


def view_of_counters() -> View:
    """Return what makes the SDK's counters keep their exemplars."""
    # Of two counters of one name, of different libraries, the SDK complains when a view applies to them; with its lock
    # held, so that a log handler that measures would wait for ever, or change what is being walked through.
    logging.getLogger("opentelemetry.sdk.metrics._internal.metric_reader_storage").addFilter(_is_no_conflict)
    # The SDK hands its options over by their names, whatever it says about the type.
    make = cast("Callable[[dict[str, Any]], ExemplarReservoir]", LastingReservoir)
    return View(instrument_type=Counter, exemplar_reservoir_factory=lambda _: make)
