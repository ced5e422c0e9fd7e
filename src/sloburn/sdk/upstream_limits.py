"""Our limits as OpenTelemetry's: all of them named, because for what is left out the SDK asks the environment."""

from __future__ import annotations

from opentelemetry.sdk._logs import LogRecordLimits
from opentelemetry.sdk.metrics import (
    AlwaysOffExemplarFilter,
    AlwaysOnExemplarFilter,
    ExemplarFilter,
    TraceBasedExemplarFilter,
)
from opentelemetry.sdk.trace import SpanLimits

from sloburn.sdk import limits as ours


def make_exemplar_filter(name: ours.ExemplarFilter) -> ExemplarFilter:
    """Return the filter of this name."""
    if name == "trace_based":
        return TraceBasedExemplarFilter()
    return AlwaysOnExemplarFilter() if name == "always_on" else AlwaysOffExemplarFilter()


def make_span_limits(limits: ours.Limits) -> SpanLimits:
    """Return what spans, events and links may hold."""
    return SpanLimits(
        max_attributes=limits.span_attributes,
        max_events=limits.span_events,
        max_links=limits.span_links,
        max_span_attributes=limits.span_attributes,
        max_event_attributes=limits.event_attributes,
        max_link_attributes=limits.link_attributes,
        max_attribute_length=SpanLimits.UNSET if limits.event_length is None else limits.event_length,
        max_span_attribute_length=SpanLimits.UNSET if limits.span_length is None else limits.span_length,
    )


def make_log_limits(limits: ours.Limits) -> LogRecordLimits:
    """Return what log records may hold."""
    length = LogRecordLimits.UNSET if limits.log_length is None else limits.log_length
    return LogRecordLimits(
        max_attributes=limits.log_attributes,
        max_attribute_length=length,
        max_log_record_attributes=limits.log_attributes,
        max_log_record_attribute_length=length,
    )


def are_log_limits_usual(limits: ours.Limits) -> bool:
    """Tell whether log records are bounded as they are when nobody asks for anything."""
    usual = ours.Limits()
    return (limits.log_attributes, limits.log_length) == (usual.log_attributes, usual.log_length)
