"""Spans to good and bad events: each distinct combination of values is judged once.

For every service a plan names the attributes and durations that any of its SLOs looks at. What a span has there is a
small tuple of raw values; the verdict of all SLOs on such a tuple is remembered, so a thousand SLOs cost one look-up.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable

from sloburn.otlp.messages import ResourceSpans, Span
from sloburn.sli.autopsy import Trait
from sloburn.sli.commit import Commit
from sloburn.sli.dedupe import SeenKeys, span_key
from sloburn.sli.evidence import EXPLAINED, exception_of, failing_trace
from sloburn.sli.groups import Groups
from sloburn.sli.horizon import COUNTED, DUPLICATE, INVALID, UNMATCHED, Horizon
from sloburn.sli.select import Attribute, Facts, holds, leaves
from sloburn.sli.series import SeriesKey
from sloburn.slo.model import Slo, Source, SpanIndicator

ValueOf = Callable[[bytes], Attribute]
Raw = tuple[object, ...]

MAX_VERDICTS = 20_000

_TRACE_ID_BYTES = 16
_SPAN_ID_BYTES = 8

# opentelemetry-proto, trace.proto: Span.SpanKind and Status.StatusCode.
_KINDS = ("unspecified", "internal", "server", "client", "producer", "consumer")
_STATUSES = ("unset", "ok", "error")


class Verdict:
    """What all SLOs say of one combination of values: which series count it, and as what."""

    __slots__ = ("any_bad", "facts", "hits", "traits")

    def __init__(self, hits: tuple[tuple[SeriesKey, bool], ...], facts: Facts) -> None:
        self.hits = hits
        self.any_bad = any(bad for _, bad in hits)
        self.facts = facts
        self.traits = traits_of(facts) if hits else ()


def traits_of(facts: Facts) -> tuple[Trait, ...]:
    """Return what the autopsy compares: the explained attributes that are there, and the name."""
    named = [("name", facts.name)] if facts.name else []
    found = ((key, facts.attributes.get(key)) for key in EXPLAINED)
    return (*named, *((key, str(value)) for key, value in found if value is not None))


class SpanPlan:
    """How the spans of one service are judged.

    Args:
        slos: Every span SLO of the service, each with the generation of its series.
        groups: Where series keys come from; bounds the groups of an SLO.
        value_of: Reads an attribute's wire form.
    """

    def __init__(self, slos: Iterable[tuple[Slo, str]], groups: Groups, value_of: ValueOf) -> None:
        self._groups = groups
        self._value_of = value_of
        self._rules = [(slo, text, slo.indicator) for slo, text in slos if isinstance(slo.indicator, SpanIndicator)]
        matches = [
            match for _, _, rule in self._rules for part in (rule.where, rule.bad) for match in leaves(part)
        ]  # fmt: skip
        grouped = {key for slo, _, _ in self._rules for key in slo.group_by}
        self.keys = tuple(sorted({*EXPLAINED, *grouped, *(match.key for match in matches if match.key)}))
        self.limits = sorted({int(match.operands[0]) for match in matches if match.source is Source.DURATION})
        self._verdicts: dict[Raw, Verdict] = {}

    @property
    def judges(self) -> bool:
        """Tell whether any SLO of the service counts spans."""
        return bool(self._rules)

    def verdict(self, span: Span, of_resource: tuple[bytes | None, ...]) -> Verdict:
        """Return the verdict of every SLO on a span."""
        get = span.attributes.get
        rank = bisect_left(self.limits, span.end_time_unix_nano - span.start_time_unix_nano)
        raw = (of_resource, span.name, span.kind, span.status.code, rank, *[get(key) for key in self.keys])
        verdict = self._verdicts.get(raw)
        if verdict is None:
            verdict = self._judge(raw, rank)
            if len(self._verdicts) >= MAX_VERDICTS:
                self._verdicts.clear()
            self._verdicts[raw] = verdict
        return verdict

    def _judge(self, raw: Raw, rank: int) -> Verdict:
        facts = self._facts(raw, rank)
        hits = []
        for slo, generation, rule in self._rules:
            if holds(rule.where, facts):
                hits.append((self._groups.key(slo, generation, facts), holds(rule.bad, facts)))
        return Verdict(tuple(hits), facts)

    def _facts(self, raw: Raw, rank: int) -> Facts:
        of_resource, name, kind, status, _, *own = raw
        attributes: dict[str, Attribute] = {}
        for key, mine, theirs in zip(self.keys, own, of_resource, strict=True):  # type: ignore[call-overload]
            found = mine if mine is not None else theirs
            if found is not None:
                attributes[key] = self._value_of(found)
        return Facts(
            attributes=attributes,
            name=str(name),
            kind=_named(_KINDS, kind),
            status=_named(_STATUSES, status),
            within=lambda limit_ns: rank <= self.limits.index(limit_ns),
        )


def _named(names: tuple[str, ...], code: object) -> str:
    return names[code] if isinstance(code, int) and 0 <= code < len(names) else names[0]


class SpanCounter:
    """Counts the spans of one request into a commit.

    Args:
        plan: How the service's spans are judged.
        seen: Spans that were counted before.
        horizon: Which moments can be counted.
        value_of: Reads an attribute's wire form.
    """

    def __init__(self, plan: SpanPlan, seen: SeenKeys, horizon: Horizon, value_of: ValueOf) -> None:
        self._plan = plan
        self._seen = seen
        self._horizon = horizon
        self._value_of = value_of

    def count(self, resource_spans: ResourceSpans, commit: Commit) -> list[str]:
        """Count every span of a resource; return the fates of those that were refused."""
        get = resource_spans.resource.attributes.get
        of_resource = tuple([get(key) for key in self._plan.keys])
        tally: dict[tuple[Verdict, int], int] = {}
        refused: list[str] = []
        for scope_spans in resource_spans.scope_spans:
            for span in scope_spans.spans:
                fate = self._fate(span, commit)
                if not fate:
                    self._take(span, of_resource, tally, commit)
                    continue
                commit.items["traces", fate] += 1
                if fate != DUPLICATE:
                    refused.append(fate)
        self._book(tally, commit)
        return refused

    def _fate(self, span: Span, commit: Commit) -> str:
        end = span.end_time_unix_nano
        if len(span.span_id) != _SPAN_ID_BYTES or len(span.trace_id) != _TRACE_ID_BYTES:
            return INVALID
        if end < span.start_time_unix_nano:
            return INVALID
        key = span_key(span.trace_id, span.span_id)
        return self._horizon.refusal(end) or (DUPLICATE if key in commit.seen or key in self._seen else "")

    def _take(
        self, span: Span, of_resource: tuple[bytes | None, ...], tally: dict[tuple[Verdict, int], int], commit: Commit
    ) -> None:
        verdict = self._plan.verdict(span, of_resource)
        if not verdict.hits:
            commit.items["traces", UNMATCHED] += 1
            return
        commit.seen.add(span_key(span.trace_id, span.span_id))
        cell = (verdict, self._horizon.slice_of(span.end_time_unix_nano))
        tally[cell] = tally.get(cell, 0) + 1
        if verdict.any_bad:
            self._show(span, verdict, cell[1], commit)

    def _show(self, span: Span, verdict: Verdict, at: int, commit: Commit) -> None:
        exception, message = exception_of(span, self._value_of)
        failing = failing_trace(span, verdict.facts, exception, message)
        for key, bad in verdict.hits:
            if bad:
                commit.show(key, failing)
                if failing.exception:
                    commit.explain(key, at, (("exception", failing.exception),), 0, 1)

    def _book(self, tally: dict[tuple[Verdict, int], int], commit: Commit) -> None:
        for (verdict, at), count in tally.items():
            commit.items["traces", COUNTED] += count
            for key, bad in verdict.hits:
                good_count, bad_count = (0, count) if bad else (count, 0)
                commit.count(key, at, verdict.traits, good_count, bad_count)
