"""Spans to good and bad events: each distinct combination of values is judged once.

For every service a plan names the attributes and durations that any of its SLOs looks at. What a span has there is a
small tuple of raw values; what it means to all SLOs is remembered, so a thousand SLOs cost one look-up.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter, deque
from collections.abc import Callable, Iterable

from sloburn.otlp.messages import Attributes, ResourceSpans, Span
from sloburn.sli.autopsy import EVERY, Traits
from sloburn.sli.commit import MAX_EVIDENCE_OF_ONE, Commit
from sloburn.sli.dedupe import SeenKeys
from sloburn.sli.evidence import EXPLAINED, exception_of, failing_trace
from sloburn.sli.groups import Groups
from sloburn.sli.horizon import COUNTED, DUPLICATE, INVALID, UNMATCHED, Horizon
from sloburn.sli.judge import Rules
from sloburn.sli.outcome import Outcome, Outcomes, Portrait, Portraits, Verdict
from sloburn.sli.select import Attribute, Facts, leaves
from sloburn.slo.model import Slo, Source, SpanIndicator

ValueOf = Callable[[bytes], Attribute]
Raw = tuple[str | None, int, int, int, *tuple[bytes | None, ...]]
"""Name, kind, status code, rank of the duration among the limits, and the attributes as they came."""

MAX_VERDICTS = 20_000

_ROUTE = "http.route"
_TRACE_ID_BYTES = 16
_SPAN_ID_BYTES = 8
_NO_TRACE, _NO_SPAN = bytes(_TRACE_ID_BYTES), bytes(_SPAN_ID_BYTES)  # W3C Trace Context: an id of zeros is none

# opentelemetry-proto, trace.proto: Span.SpanKind and Status.StatusCode.
_KINDS = ("unspecified", "internal", "server", "client", "producer", "consumer")
_STATUSES = ("unset", "ok", "error")


def traits_of(facts: Facts) -> Traits:
    """Return what the autopsy compares: the explained attributes that are there, and the name."""
    named = [("name", facts.name)] if facts.name else []
    found = ((key, facts.attributes.get(key)) for key in EXPLAINED)
    return (EVERY, *named, *((key, str(value)) for key, value in found if value is not None))


class SpanPlan:
    """How the spans of one service are judged.

    Args:
        service: Its name.
        slos: Every span SLO of the service, each with the generation of its series.
        groups: Where series come from; bounds the groups of an SLO.
        outcomes: Where outcomes come from.
        value_of: Reads an attribute's wire form.
    """

    def __init__(
        self,
        service: str,
        slos: Iterable[tuple[Slo, str]],
        groups: Groups,
        outcomes: Outcomes,
        value_of: ValueOf,
    ) -> None:
        self.portraits = Portraits(service)
        self.value_of = value_of
        read = [(slo, text, slo.indicator) for slo, text in slos if isinstance(slo.indicator, SpanIndicator)]
        self._rules = Rules(((slo, text, rule.where, rule.bad) for slo, text, rule in read), groups, outcomes)
        matches = [match for _, _, rule in read for part in (rule.where, rule.bad) for match in leaves(part)]
        self.judges = bool(read)
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
        of_resource = {key: value for key in sorted({*EXPLAINED, *self.asked}) if (value := get(key)) is not None}
        key = tuple(of_resource.items())
        found = self._views.get(key)
        if found is None:
            self.note_verdict()
            found = self._views[key] = ResourceView(self, of_resource)
        return found

    def judge(self, facts: Facts, rank: int) -> Outcome:
        """Return what facts mean; asked once for each combination of what the SLOs look at."""
        asked = (*(facts.attributes.get(key) for key in self.asked), facts.kind, facts.status, rank)
        key = (*asked, *map(type, asked), facts.name if self.reads_name else "")
        if key not in self._outcomes:
            if len(self._outcomes) >= MAX_VERDICTS:
                self._outcomes.clear()
            self._outcomes[key] = self._rules.outcome(facts)
        return self._outcomes[key]

    def note_verdict(self) -> None:
        """Count one more verdict; when there are too many, all are forgotten and made anew."""
        self._count += 1
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
        explained = (key for key in EXPLAINED if key not in of_resource and key not in plan.asked and key != _ROUTE)
        self.keys = (_ROUTE, *explained, *(key for key in sorted(plan.asked) if key != _ROUTE))
        self.reads_name = plan.reads_name
        self.verdicts: dict[Raw, Verdict] = {}

    def judge(self, raw: Raw) -> Verdict:
        """Return the verdict on a combination of values that was not seen yet."""
        facts, rank = self._facts(raw)
        portrait = self._plan.portraits.of(self._plan.judge(facts, rank), traits_of(facts))
        verdict = Verdict(portrait, facts)
        self._plan.note_verdict()
        self.verdicts[raw] = verdict
        return verdict

    def _facts(self, raw: Raw) -> tuple[Facts, int]:
        name, kind, status, rank, *own = raw
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


class _Pile:
    """The spans of one resource that ended in one slice."""

    __slots__ = ("bad", "keys", "portraits")

    def __init__(self) -> None:
        self.portraits: list[Portrait] = []
        self.keys: list[bytes] = []
        self.bad: list[tuple[int, Span, Verdict]] = []


class SpanCounter:
    """Counts the spans of one request into a commit.

    Args:
        plan: How they are judged.
        seen: Spans that were counted before.
        horizon: Which moments can be counted.
    """

    def __init__(self, plan: SpanPlan, seen: SeenKeys, horizon: Horizon) -> None:
        self._plan = plan
        self._seen = seen
        self._horizon = horizon

    def count(self, resource_spans: ResourceSpans, commit: Commit) -> list[str]:
        """Count every span of a resource; return the fates of those that were refused."""
        view = self._plan.view(resource_spans.resource.attributes)
        refused: list[str] = []
        piles: dict[int, _Pile] = {}
        unmatched = 0
        for scope_spans in resource_spans.scope_spans:
            unmatched += self._sort(scope_spans.spans, view, piles, refused)
        items = commit.items
        if unmatched:
            items["traces", UNMATCHED] += unmatched
        for fate in refused:
            items["traces", fate] += 1
        for at, pile in piles.items():
            self._book(at, pile, commit)
        return refused

    def _sort(self, spans: Iterable[Span], view: ResourceView, piles: dict[int, _Pile], refused: list[str]) -> int:
        """Judge spans and pile them up by slice; return how many no SLO reads. The hot loop: each line is measured."""
        verdicts, limits, keys, by_name = view.verdicts, view.limits, view.keys, view.reads_name
        low = high = unmatched = 0
        pile = _Pile()
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
                pile = piles.setdefault(at, _Pile())
            values = (*map(span.attributes.get, keys),)
            raw: Raw = (
                span.name
                if by_name or values[0] is None
                else None,  # a route says what the name says, with fewer values
                span.kind,
                span.status.code,
                bisect_left(limits, end - start) if limits else 0,
                *values,
            )
            verdict = verdicts.get(raw) or view.judge(raw)
            portrait = verdict.portrait
            if not portrait.is_read:
                unmatched += 1
                continue
            if portrait.is_bad:
                pile.bad.append((len(pile.keys), span, verdict))
            pile.portraits.append(portrait)
            pile.keys.append(trace_id[-8:] + span_id)
        return unmatched

    def _book(self, at: int, pile: _Pile, commit: Commit) -> None:
        """Count what is new of a pile."""
        keys = set(pile.keys)
        if not keys:
            return
        held = self._horizon.hold_of(at)
        taken = commit.seen.setdefault(held, set())
        known = self._seen.find(held, keys)
        if known or len(keys) < len(pile.keys) or not keys.isdisjoint(taken):
            came = len(pile.keys)
            pile = _fresh(pile, known | taken)
            keys = set(pile.keys)
            commit.items["traces", DUPLICATE] += came - len(keys)
        if keys:
            taken |= keys
            commit.items["traces", COUNTED] += len(keys)
        for portrait, events in Counter(pile.portraits).items():
            commit.count(portrait.outcome, at, events)
            commit.explain(portrait, at, events)
        self._show(at, pile, commit)

    def _show(self, at: int, pile: _Pile, commit: Commit) -> None:
        """Explain every bad span, and keep the newest of each outcome as evidence."""
        newest: dict[Outcome, deque[tuple[Span, Verdict, str, str]]] = {}
        for _, span, verdict in pile.bad:
            outcome = verdict.portrait.outcome
            exception, message = exception_of(span, self._plan.value_of) if span.events else ("", "")
            exception = exception or str(verdict.facts.attributes.get("error.type") or "")
            if exception:
                commit.explain(self._plan.portraits.of(outcome, (("exception", exception),)), at, 1)
            newest.setdefault(outcome, deque(maxlen=MAX_EVIDENCE_OF_ONE)).append((span, verdict, exception, message))
        for outcome, found in newest.items():
            if commit.wants(outcome):
                for span, verdict, exception, message in found:
                    commit.show(outcome, failing_trace(span, verdict.facts, exception, message))


def _fresh(pile: _Pile, known: set[bytes]) -> _Pile:
    """Return what of a pile is neither known nor there twice."""
    fresh, bad = _Pile(), {index: (span, verdict) for index, span, verdict in pile.bad}
    met = set(known)
    for index, (key, portrait) in enumerate(zip(pile.keys, pile.portraits, strict=True)):
        if key in met:
            continue
        met.add(key)
        if index in bad:
            fresh.bad.append((len(fresh.keys), *bad[index]))
        fresh.keys.append(key)
        fresh.portraits.append(portrait)
    return fresh
