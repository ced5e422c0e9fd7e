"""Spans to good and bad events: each distinct combination of values is judged once.

For every service a plan names the attributes and durations that any of its SLOs looks at. What a span has there is a
small tuple of raw values; what it means to all SLOs is remembered, so a thousand SLOs cost one look-up.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator
from operator import itemgetter

from sloburn.otlp.messages import Attributes, ResourceSpans, Span
from sloburn.otlp.span_status import read_status
from sloburn.sli.commit import Commit
from sloburn.sli.dedupe import SeenKeys
from sloburn.sli.docket import MAX_VERDICTS, Docket, traits_of
from sloburn.sli.evidence import exception_of, failing_trace
from sloburn.sli.horizon import INVALID, UNMATCHED, Horizon
from sloburn.sli.judge import Rules
from sloburn.sli.outcome import Outcome, Portraits, Verdict
from sloburn.sli.piles import Bad, Booker, Pile
from sloburn.sli.select import Facts, leaves
from sloburn.sli.spelling import load_of, spelled
from sloburn.sli.status import FailingTrace
from sloburn.sli.weights import KEPT_KEY, KEPT_VALUE, MAX_WEIGHT, weight_of
from sloburn.slo.conditions import Source
from sloburn.slo.model import SpanIndicator

Values = tuple[bytes, ...]

Raw = tuple[str | None, int, int, int, Values]
"""Name, kind, status code, rank of the duration among the limits, and the attributes as they came."""

_ROUTE = "http.route"
_TRACE_ID_BYTES = 16
_SPAN_ID_BYTES = 8
_RANDOM = slice(8, 16)  # of a trace id: see span_key
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
        self._read = sorted({*self.explained, *self.asked})
        self._count = 0

    def view(self, attributes: Attributes) -> ResourceView:
        """Return how the spans of a resource are read."""
        get = attributes.get
        of_resource = {key: value for key in self._read if (value := get(key))}
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
        self._keys = (_ROUTE, *own, *asked, KEPT_KEY)
        self.read: Callable[[Attributes], Values] = itemgetter(*self._keys)
        """Returns the values of a span, the route first, what is kept of it last; empty where it says nothing."""
        self.reads_name = plan.reads_name
        self.verdicts: dict[Raw, Verdict] = {}

    def judge(self, raw: Raw) -> Verdict:
        """Return the verdict on a combination of values that was not seen yet."""
        facts, rank = self._facts(raw)
        portrait = self._plan.portraits.of(self._plan.judge(facts, rank), traits_of(facts, self._plan.explained))
        verdict = Verdict(portrait, facts, spelled(facts.attributes.get("error.type") or ""))
        self._plan.note_verdict(load_of((raw[0], *raw[-1], *self._of_resource.values())))
        self.verdicts[raw] = verdict
        return verdict

    def _facts(self, raw: Raw) -> tuple[Facts, int]:
        name, kind, status, rank, own = raw
        value_of, limits = self._plan.value_of, self.limits
        mine = {key: value for key, value in zip(self._keys, own, strict=True) if value}
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

    def exceptions(self, bad: Iterable[Bad[Span]]) -> Iterator[tuple[int, Outcome, str]]:
        for place, span, verdict in bad:
            exception = verdict.exception
            if span.events:
                exception = exception_of(span, self._value_of)[0] or exception
            if exception:
                yield place, verdict.portrait.outcome, exception

    def describe(self, item: Span, verdict: Verdict) -> FailingTrace:
        exception, message = exception_of(item, self._value_of)
        return failing_trace(item, verdict.facts, exception or verdict.exception, message, self._explained)


class SpanCounter:
    """Counts the spans of one service and request into a commit: `take` every resource, then `book` them together.

    Args:
        plan: How they are judged.
        seen: Spans that were counted before.
        horizon: Which moments can be counted.
    """

    def __init__(self, plan: SpanPlan, seen: SeenKeys, horizon: Horizon) -> None:
        self._plan = plan
        self._horizon = horizon
        self._booker: Booker[Span] = Booker("traces", plan.portraits, seen, horizon, _SpanWitness(plan))
        self._piles: dict[int, Pile[Span]] = {}
        self._last: tuple[int, int, Pile[Span]] = (0, 0, Pile())  # where the pile of the last span begins and ends

    def take(self, resource_spans: ResourceSpans, commit: Commit) -> list[str]:
        """Judge every span of a resource; return the fates of those that were refused."""
        view = self._plan.view(resource_spans.resource.attributes)
        refused: list[str] = []
        unmatched = 0
        for scope_spans in resource_spans.scope_spans:
            unmatched += self._sort(scope_spans.spans, view, refused)
        items = commit.items
        if unmatched:
            items["traces", UNMATCHED] += unmatched
        for fate in refused:
            items["traces", fate] += 1
        if self._horizon.may_lead(self._piles):
            spans = (span for scope_spans in resource_spans.scope_spans for span in scope_spans.spans)
            times = (span.end_time_unix_nano for span in spans)
            commit.lead(self._plan.service, self._horizon.lead_of(times))
        return refused

    def book(self, commit: Commit) -> None:
        """Count everything that was taken, as far as it is new."""
        for at, pile in self._piles.items():
            self._booker.book(at, pile, commit)

    def _sort(self, spans: Iterable[Span], view: ResourceView, refused: list[str]) -> int:
        """Judge spans and pile them up by slice; return how many no SLO reads. The hot loop: each line is measured."""
        verdicts, limits, read, by_name = view.verdicts, view.limits, view.read, view.reads_name
        low, high, pile = self._last
        unmatched = 0
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
                pile = self._piles.setdefault(at, Pile())
            values = read(span.attributes)
            status = span.status
            raw: Raw = (
                None if values[0] and not by_name else span.name,  # a route says as much as the name, with fewer values
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
            pile.keys.append(trace_id[_RANDOM] + span_id)
        self._last = low, high, pile
        return unmatched


def _weigh(pile: Pile[Span], trace_state: bytes, kept: bytes, span_id: bytes) -> bool:
    """Note for how many events the next span of a pile stands; false if it claims to stand for too many."""
    weight = 0 if kept == KEPT_VALUE else weight_of(trace_state, span_id)
    if weight > MAX_WEIGHT:
        return False
    if weight != 1:
        pile.weights[len(pile.keys)] = weight
    return True
