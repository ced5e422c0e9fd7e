"""Spans to good and bad events: each distinct combination of values is judged once.

For every service a plan names the attributes and durations that any of its SLOs looks at. What a span has there is a
small tuple of raw values; what it means to all SLOs is remembered, so a thousand SLOs cost one look-up.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable

from sloburn.otlp.messages import Attributes, ResourceSpans, Span
from sloburn.otlp.span_status import read_status
from sloburn.sli.commit import Commit
from sloburn.sli.dedupe import SeenKeys
from sloburn.sli.docket import MAX_VERDICTS, Docket, traits_of
from sloburn.sli.evidence import exception_of, failing_trace
from sloburn.sli.horizon import INVALID, UNMATCHED, Horizon
from sloburn.sli.judge import Rules
from sloburn.sli.outcome import Outcome, Portraits, Verdict
from sloburn.sli.piles import Booker, Pile
from sloburn.sli.select import Facts, leaves
from sloburn.sli.spelling import load_of
from sloburn.sli.status import FailingTrace
from sloburn.sli.weights import KEPT_KEY, KEPT_VALUE, MAX_WEIGHT, weight_of
from sloburn.slo.model import Source, SpanIndicator

Raw = tuple[str | None, int, int, int, tuple[bytes | None, ...]]
"""Name, kind, status code, rank of the duration among the limits, and the attributes as they came."""

_ROUTE = "http.route"
_TRACE_ID_BYTES = 16
_SPAN_ID_BYTES = 8
_NO_TRACE, _NO_SPAN = bytes(_TRACE_ID_BYTES), bytes(_SPAN_ID_BYTES)  # W3C Trace Context: an id of zeros is none

# opentelemetry-proto, trace.proto: Span.SpanKind and Status.StatusCode.
_KINDS = ("unspecified", "internal", "server", "client", "producer", "consumer")
_STATUSES = ("unset", "ok", "error")
_CODES = {b"\x18\x01": 1, b"\x18\x02": 2}  # the usual statuses, serialized


class SpanPlan:
    """How the spans of one service are judged.

    Args:
        docket: The service's SLOs; those on spans are taken.
    """

    def __init__(self, docket: Docket) -> None:
        self.service = docket.service
        self.portraits = Portraits(docket.service)
        self.value_of = docket.value_of
        read = [(slo, text, slo.indicator) for slo, text in docket.slos if isinstance(slo.indicator, SpanIndicator)]
        rules = ((slo, text, rule.where, rule.bad) for slo, text, rule in read)
        self._rules = Rules(rules, docket.groups, docket.outcomes)
        matches = [match for _, _, rule in read for part in (rule.where, rule.bad) for match in leaves(part)]
        self.judges = bool(read)
        self.explained = docket.explained
        self.asked = frozenset(
            {*(key for slo, _, _ in read for key in slo.group_by), *(match.key for match in matches if match.key)}
        )
        self.reads_name = any(match.source is Source.NAME for match in matches)
        self.limits = sorted({int(match.operands[0]) for match in matches if match.source is Source.DURATION})
        self._outcomes: dict[tuple[object, ...], Outcome] = {}
        self._views: dict[tuple[tuple[str, bytes], ...], ResourceView] = {}
        self._count = 0

    def view(self, attributes: Attributes) -> ResourceView:
        """Return how the spans of a resource are read."""
        get = attributes.get
        of_resource = {key: value for key in sorted({*self.explained, *self.asked}) if (value := get(key)) is not None}
        key = tuple(of_resource.items())
        found = self._views.get(key)
        if found is None:
            self.note_verdict(load_of(of_resource.values()))
            found = self._views[key] = ResourceView(self, of_resource)
        return found

    def judge(self, facts: Facts, rank: int) -> Outcome:
        """Return what facts mean; asked once for each combination of what the SLOs look at."""
        asked = (*(facts.attributes.get(key) for key in self.asked), facts.kind, facts.status, rank)
        key = (*asked, *map(type, asked), facts.name if self.reads_name else "")
        found = self._outcomes.get(key)
        if found is None:
            found = self._rules.outcome(facts)
            if len(self._outcomes) >= MAX_VERDICTS:
                self._outcomes.clear()
            if load_of(key) == 1:
                self._outcomes[key] = found
        return found

    def note_verdict(self, load: int) -> None:
        """Count one more verdict by its load; when there are too many, all are forgotten and made anew."""
        self._count += load
        if self._count > MAX_VERDICTS:
            for view in self._views.values():
                view.verdicts.clear()
            self._views.clear()
            self._count = 0


class ResourceView:
    """How the spans of one resource are read: what it says itself need not be looked up in each of them.

    Args:
        plan: Of the service.
        of_resource: The resource's own values, raw, as far as anybody asks.
    """

    def __init__(self, plan: SpanPlan, of_resource: dict[str, bytes]) -> None:
        self._plan = plan
        self._of_resource = of_resource
        self.limits = plan.limits
        own = (key for key in plan.explained if key not in of_resource and key not in plan.asked and key != _ROUTE)
        asked = (key for key in sorted(plan.asked) if key not in (_ROUTE, KEPT_KEY))
        self.keys = (_ROUTE, *own, *asked, KEPT_KEY)
        self.reads_name = plan.reads_name
        self.verdicts: dict[Raw, Verdict] = {}

    def judge(self, raw: Raw) -> Verdict:
        """Return the verdict on a combination of values that was not seen yet."""
        facts, rank = self._facts(raw)
        portrait = self._plan.portraits.of(self._plan.judge(facts, rank), traits_of(facts, self._plan.explained))
        verdict = Verdict(portrait, facts)
        self._plan.note_verdict(load_of((raw[0], *raw[-1], *self._of_resource.values())))
        self.verdicts[raw] = verdict
        return verdict

    def _facts(self, raw: Raw) -> tuple[Facts, int]:
        name, kind, status, rank, own = raw
        value_of, limits = self._plan.value_of, self.limits
        mine = {key: value for key, value in zip(self.keys, own, strict=True) if value is not None}
        attributes = {key: value_of(value) for key, value in {**self._of_resource, **mine}.items()}
        facts = Facts(
            attributes=attributes,
            name=name or "",
            kind=_named(_KINDS, kind),
            status=_named(_STATUSES, status),
            within=lambda limit_ns: rank <= limits.index(limit_ns),
        )
        return facts, rank


def _named(names: tuple[str, ...], code: int) -> str:
    return names[code] if 0 <= code < len(names) else names[0]


class _SpanWitness:
    def __init__(self, plan: SpanPlan) -> None:
        self._value_of = plan.value_of
        self._explained = plan.explained

    def exception(self, item: Span, facts: Facts) -> tuple[str, str]:
        found, message = exception_of(item, self._value_of) if item.events else ("", "")
        return found or str(facts.attributes.get("error.type") or ""), message

    def describe(self, item: Span, facts: Facts, exception: str, message: str) -> FailingTrace:
        return failing_trace(item, facts, exception, message, self._explained)


class SpanCounter:
    """Counts the spans of one request into a commit.

    Args:
        plan: How they are judged.
        seen: Spans that were counted before.
        horizon: Which moments can be counted.
    """

    def __init__(self, plan: SpanPlan, seen: SeenKeys, horizon: Horizon) -> None:
        self._plan = plan
        self._horizon = horizon
        self._booker: Booker[Span] = Booker("traces", plan.portraits, seen, horizon, _SpanWitness(plan))

    def count(self, resource_spans: ResourceSpans, commit: Commit) -> list[str]:
        """Count every span of a resource; return the fates of those that were refused."""
        view = self._plan.view(resource_spans.resource.attributes)
        refused: list[str] = []
        piles: dict[int, Pile[Span]] = {}
        unmatched = 0
        for scope_spans in resource_spans.scope_spans:
            unmatched += self._sort(scope_spans.spans, view, piles, refused)
        items = commit.items
        if unmatched:
            items["traces", UNMATCHED] += unmatched
        for fate in refused:
            items["traces", fate] += 1
        for at, pile in piles.items():
            self._booker.book(at, pile, commit)
        if self._horizon.may_lead(piles):
            spans = (span for scope_spans in resource_spans.scope_spans for span in scope_spans.spans)
            times = (span.end_time_unix_nano for span in spans)
            commit.lead(self._plan.service, self._horizon.lead_of(times))
        return refused

    def _sort(self, spans: Iterable[Span], view: ResourceView, piles: dict[int, Pile[Span]], refused: list[str]) -> int:
        """Judge spans and pile them up by slice; return how many no SLO reads. The hot loop: each line is measured."""
        verdicts, limits, keys, by_name = view.verdicts, view.limits, view.keys, view.reads_name
        low = high = unmatched = 0
        pile: Pile[Span] = Pile()
        for span in spans:
            start, end = span.start_time_unix_nano, span.end_time_unix_nano
            trace_id, span_id = span.trace_id, span.span_id
            if len(span_id) != _SPAN_ID_BYTES or len(trace_id) != _TRACE_ID_BYTES or end < start:
                refused.append(INVALID)
                continue
            if span_id == _NO_SPAN or trace_id == _NO_TRACE:
                refused.append(INVALID)
                continue
            if not low <= end < high:
                refusal = self._horizon.refusal(end)
                if refusal:
                    refused.append(refusal)
                    continue
                at, low, high = self._horizon.slice_around(end)
                pile = piles.setdefault(at, Pile())
            values = (*map(span.attributes.get, keys),)
            status = span.status
            raw: Raw = (
                span.name
                if by_name or values[0] is None
                else None,  # a route says what the name says, with fewer values
                span.kind,
                (_CODES.get(status) or read_status(status)[0]) if status else 0,
                bisect_left(limits, end - start) if limits else 0,
                values,
            )
            verdict = verdicts.get(raw) or view.judge(raw)
            portrait = verdict.portrait
            if not portrait.is_read:
                unmatched += 1
                continue
            state, kept = span.trace_state, values[-1]
            if (state or kept) and not _weigh(pile, state, kept, span_id):
                refused.append(INVALID)
                continue
            if portrait.is_bad:
                pile.bad.append((len(pile.keys), span, verdict))
            pile.portraits.append(portrait)
            pile.keys.append(trace_id[-8:] + span_id)
        return unmatched


def _weigh(pile: Pile[Span], trace_state: bytes, kept: bytes | None, span_id: bytes) -> bool:
    """Note for how many events the next span of a pile stands; false if it claims to stand for too many."""
    weight = 0 if kept == KEPT_VALUE else weight_of(trace_state, span_id)
    if weight > MAX_WEIGHT:
        return False
    if weight != 1:
        pile.weights[len(pile.keys)] = weight
    return True
