"""Head sampling that says what a span stands for, and that keeps local traces that failed.

A sampled span carries its threshold in its trace state, ``ot=th:<hex>``: of 2**56 equally likely traces those below
the threshold were rejected, so it stands for 2**56 / (2**56 - threshold) spans. Who counts spans has to weigh them so.
https://opentelemetry.io/docs/specs/otel/trace/tracestate-probability-sampling/

A trace that was not sampled and whose local root failed, or took longer than an SLO allows, is sent all the same, to be
looked at. Its spans carry ``sloburn.sampling=kept``. They must not be counted: the sampled ones already stand for them.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence

from opentelemetry.context import Context
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.sampling import Decision, Sampler, SamplingResult
from opentelemetry.trace import Link, SpanContext, SpanKind, StatusCode, TraceFlags, TraceState, get_current_span
from opentelemetry.util.types import Attributes

from sloburn.sdk.config import Sampling

KEPT_ATTRIBUTE = "sloburn.sampling"
KEPT = "kept"

_RANDOM_BITS = 56
_TRACES: int = 2**_RANDOM_BITS
_MOST_TRACES = 512
_MOST_SPANS = 128


def threshold(ratio: float) -> int:
    """Return how many of 2**56 traces are rejected when this share is kept."""
    kept: int = round(ratio * _TRACES)
    return _TRACES - kept


def encode_threshold(rejected: int) -> str:
    """Write a threshold the way trace states do: 14 hexadecimal digits without the zeros at the end."""
    return f"{rejected:014x}".rstrip("0") or "0"


class WeighingSampler(Sampler):
    """Samples new traces by the randomness of their ids and follows the decision of parents.

    Args:
        sampling: Which share, and whether parents are followed.
    """

    def __init__(self, sampling: Sampling) -> None:
        self.sampling = sampling

    @property
    def sampling(self) -> Sampling:
        """What it samples by; may be replaced at any time."""
        return self._sampling

    @sampling.setter
    def sampling(self, sampling: Sampling) -> None:
        self._sampling = sampling
        self._rejected = threshold(sampling.ratio)
        self._encoded = encode_threshold(self._rejected)
        # Somebody who wants no traces wants no failed ones either.
        keeps = sampling.keep_failed and sampling.ratio > 0
        self._unsampled = Decision.RECORD_ONLY if keeps else Decision.DROP

    def should_sample(
        self,
        parent_context: Context | None,
        trace_id: int,
        name: str,  # noqa: ARG002 - upstream's signature
        kind: SpanKind | None = None,  # noqa: ARG002 - upstream's signature
        attributes: Attributes = None,
        links: Sequence[Link] | None = None,  # noqa: ARG002 - upstream's signature
        trace_state: TraceState | None = None,  # noqa: ARG002 - upstream's signature
    ) -> SamplingResult:
        """Decide about one span."""
        parent = get_current_span(parent_context).get_span_context()
        if parent.is_valid and self._sampling.parent_based:
            is_sampled, state = bool(parent.trace_flags & TraceFlags.SAMPLED), parent.trace_state
        else:
            is_sampled = trace_id % _TRACES >= self._rejected
            state = self._weighed(parent) if self._rejected else parent.trace_state
        if is_sampled:
            return SamplingResult(Decision.RECORD_AND_SAMPLE, attributes, state)
        is_recorded = self._unsampled is Decision.RECORD_ONLY
        return SamplingResult(self._unsampled, attributes if is_recorded else None, state)

    def get_description(self) -> str:
        """Describe the sampler."""
        return f"WeighingSampler{{{self._sampling.ratio}}}"

    def _weighed(self, parent: SpanContext) -> TraceState:
        state = parent.trace_state
        others = [part for part in (state.get("ot") or "").split(";") if part and not part.startswith("th:")]
        value = ";".join([f"th:{self._encoded}", *others])
        return state.update("ot", value) if "ot" in state else state.add("ot", value)


class AttributedSpan(ReadableSpan):
    """A copy of a span that has ended, with an attribute more, whatever its limits.

    Args:
        span: The span.
        name: The attribute's name.
        value: Its value.
    """

    def __init__(self, span: ReadableSpan, name: str, value: str | bool) -> None:
        super().__init__(
            name=span.name,
            context=span.get_span_context(),
            parent=span.parent,
            resource=span.resource,
            attributes={**(span.attributes or {}), name: value},
            events=span.events,
            links=span.links,
            kind=span.kind,
            status=span.status,
            start_time=span.start_time,
            end_time=span.end_time,
            instrumentation_scope=span.instrumentation_scope,
        )
        self._dropped = (span.dropped_attributes, span.dropped_events, span.dropped_links)

    @property
    def dropped_attributes(self) -> int:
        """How many attributes the span had no room for."""
        return self._dropped[0]

    @property
    def dropped_events(self) -> int:
        """How many events the span had no room for."""
        return self._dropped[1]

    @property
    def dropped_links(self) -> int:
        """How many links the span had no room for."""
        return self._dropped[2]


class FailedTraces:
    """Holds the spans of traces that were not sampled until their local root has ended, and sends those that failed.

    Bounded: of very many traces at once the oldest are forgotten, of a very long one the newest spans.

    Attributes:
        tightest_seconds: How long a trace may take without having failed an SLO; None for any time.

    Args:
        add: Takes the spans of a trace that failed.
    """

    def __init__(self, add: Callable[[ReadableSpan], None]) -> None:
        self._add = add
        self.tightest_seconds: float | None = None
        self._traces: OrderedDict[int, list[ReadableSpan]] = OrderedDict()

    def hold(self, span: ReadableSpan) -> None:
        """Take a span that has ended and was not sampled."""
        context = span.get_span_context()
        if context is None:
            return
        is_root = span.parent is None or span.parent.is_remote
        if not is_root:
            held = self._traces.setdefault(context.trace_id, [])
            if len(held) < _MOST_SPANS:
                held.append(span)
            if len(self._traces) > _MOST_TRACES:
                self._traces.popitem(last=False)
            return
        spans = [*self._traces.pop(context.trace_id, ()), span]
        if span.status.status_code is StatusCode.ERROR or self._is_slow(span):
            for kept in spans:
                self._add(AttributedSpan(kept, KEPT_ATTRIBUTE, KEPT))

    def _is_slow(self, span: ReadableSpan) -> bool:
        if self.tightest_seconds is None or span.start_time is None or span.end_time is None:
            return False
        return span.end_time - span.start_time > self.tightest_seconds * 1e9

    def clear(self) -> None:
        """Forget everything."""
        self._traces.clear()
