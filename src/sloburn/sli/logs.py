"""Log records to good and bad events: each distinct combination of values is judged once.

A record has no id, so what is counted already is known by content: a digest of everything in it, with the number of its
equals that stand before it in the same request. A request that is sent again changes nothing, and two equal lines in
one request are two events. Two equal records in different requests, with the same nanosecond in them, cannot be told
from one that was sent twice and count once.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence

from sloburn.otlp.messages import Attributes, LogRecord, ResourceLogs
from sloburn.sli.commit import Commit
from sloburn.sli.dedupe import SPAN_KEY_BYTES, SeenKeys
from sloburn.sli.digest import digest_of
from sloburn.sli.docket import MAX_VERDICTS, Docket, traits_of
from sloburn.sli.evidence import failing_record
from sloburn.sli.horizon import INVALID, UNMATCHED, Horizon
from sloburn.sli.judge import Rules
from sloburn.sli.outcome import Outcome, Portraits, Verdict
from sloburn.sli.piles import Bad, Booker, Pile
from sloburn.sli.select import Facts, holds, leaves
from sloburn.sli.spelling import load_of, spelled
from sloburn.sli.status import FailingTrace
from sloburn.slo.conditions import Source
from sloburn.slo.model import LogIndicator

Raw = tuple[object, ...]
"""Severity, event name, which conditions on the body hold, and the attributes as they came."""

_EVENT_NAME = "event.name"  # where senders before OTLP 1.5 put it
_EXCEPTION = "exception.type"
_HIGHEST = 24

# Severities of records that have a text and no number (OpenTelemetry logs data model, appendix B).
_NUMBERS = {
    **{"trace": 1, "debug": 5, "info": 9, "information": 9, "informational": 9, "notice": 10, "warn": 13},
    **{"warning": 13, "error": 17, "err": 17, "critical": 18, "alert": 19, "fatal": 21, "emergency": 21},
}


def severity_of(record: LogRecord) -> int | None:
    """Return the severity's number, from its text where there is no number; None if neither says anything."""
    number = record.severity_number
    if 1 <= number <= _HIGHEST:
        return number
    return _NUMBERS.get(record.severity_text.lower()) if record.severity_text else None


class LogPlan:
    """How the log records of one service are judged.

    Args:
        docket: The service's SLOs; those on logs are taken.
    """

    def __init__(self, docket: Docket) -> None:
        self.service = docket.service
        self.portraits = Portraits(docket.service)
        self.value_of = docket.value_of
        read = [(slo, text, slo.indicator) for slo, text in docket.slos if isinstance(slo.indicator, LogIndicator)]
        rules = ((slo, text, rule.where, rule.bad) for slo, text, rule in read)
        self._rules = Rules(rules, docket.groups, docket.outcomes)
        matches = [match for _, _, rule in read for part in (rule.where, rule.bad) for match in leaves(part)]
        self.judges = bool(read)
        # Bodies are all different, so not they are remembered but what is asked of them.
        self._bodies = tuple(dict.fromkeys(match for match in matches if match.source is Source.BODY))
        asked = {*(key for slo, _, _ in read for key in slo.group_by), *(match.key for match in matches if match.key)}
        self.explained = docket.explained
        self.keys = tuple(sorted({*asked, *self.explained, _EVENT_NAME, _EXCEPTION}))
        self._views: dict[Raw, dict[Raw, Verdict]] = {}
        self._count = 0

    def view(self, attributes: Attributes) -> LogView:
        """Return how the records of a resource are read."""
        of_resource: Raw = (*map(attributes.get, self.keys),)
        return LogView(self, of_resource, self._views.setdefault(of_resource, {}))

    def answers(self, record: LogRecord) -> tuple[bool, ...]:
        """Return which conditions on the body hold."""
        if not self._bodies:
            return ()
        facts = Facts(body=self._body(record))
        return tuple([holds(match, facts) for match in self._bodies])

    def judge(self, record: LogRecord, own: Raw, of_resource: Raw) -> Verdict:
        """Return the verdict on a combination of values that was not seen yet; too many are forgotten and made anew."""
        self._count += load_of((record.severity_text, record.event_name, *own, *of_resource))
        if self._count > MAX_VERDICTS:
            for verdicts in self._views.values():
                verdicts.clear()
            self._views.clear()
            self._count = 0
        return self._judge(record, own, of_resource, self._body(record) if self._bodies else "")

    def _body(self, record: LogRecord) -> str:
        value = self.value_of(record.body)
        return "" if value is None else str(value)

    def _judge(self, record: LogRecord, own: Raw, of_resource: Raw, body: str) -> Verdict:
        value_of = self.value_of
        found = ((key, value or rest) for key, value, rest in zip(self.keys, own, of_resource, strict=True))
        attributes = {key: value_of(value) for key, value in found if isinstance(value, bytes)}
        facts = Facts(
            attributes=attributes,
            severity=severity_of(record),
            body=body,
            event=record.event_name or str(attributes.get(_EVENT_NAME) or ""),
        )
        outcome = self._rules.outcome(facts)
        traits = (*traits_of(facts, self.explained), *((("event", spelled(facts.event)),) if facts.event else ()))
        exception = spelled(attributes.get(_EXCEPTION) or attributes.get("error.type") or "")
        return Verdict(self.portraits.of(outcome, traits), facts, exception)


class LogView:
    """How the records of one resource are read.

    Args:
        plan: Of the service.
        of_resource: What the resource says itself, as far as anybody asks.
        verdicts: What is known.
    """

    def __init__(self, plan: LogPlan, of_resource: Raw, verdicts: dict[Raw, Verdict]) -> None:
        self._plan = plan
        self._of_resource = of_resource
        self._verdicts = verdicts

    def verdict(self, record: LogRecord) -> Verdict:
        """Return what a record means."""
        plan = self._plan
        own = (*map(record.attributes.get, plan.keys),)
        raw: Raw = (record.severity_number, record.severity_text, record.event_name, plan.answers(record), own)
        found = self._verdicts.get(raw)
        if found is None:
            found = self._verdicts[raw] = plan.judge(record, own, self._of_resource)
        return found


class _LogWitness:
    def __init__(self, plan: LogPlan) -> None:
        self._value_of = plan.value_of
        self._explained = plan.explained

    def exceptions(self, bad: Iterable[Bad[LogRecord]]) -> Iterator[tuple[int, Outcome, str]]:
        return ((place, one.portrait.outcome, one.exception) for place, _, one in bad if one.exception)

    def describe(self, item: LogRecord, verdict: Verdict) -> FailingTrace:
        found = item.attributes.get("exception.message")
        message, body = str(self._value_of(found)) if found else "", self._value_of(item.body)
        return failing_record(item, verdict.facts, verdict.exception, message, body, self._explained)


class LogCounter:
    """Counts the log records of one request into a commit.

    Args:
        seen: Items that were counted before.
        horizon: Which moments can be counted.
    """

    def __init__(self, seen: SeenKeys, horizon: Horizon) -> None:
        self._seen = seen
        self._horizon = horizon
        self._equals: dict[bytes, int] = {}

    def count(self, plan: LogPlan, resource_logs: ResourceLogs, commit: Commit) -> list[str]:
        """Count every record of a resource; return the fates of those that were refused."""
        attributes = resource_logs.resource.attributes
        origin = digest_of(attributes)
        view = plan.view(attributes)
        refused: list[str] = []
        piles: dict[int, Pile[LogRecord]] = {}
        for scope_logs in resource_logs.scope_logs:
            prefix = origin + scope_logs.scope.name.encode()
            unmatched = self._sort(view, scope_logs.log_records, prefix, piles, refused)
            if unmatched:
                commit.items["logs", UNMATCHED] += unmatched
        for fate in refused:
            commit.items["logs", fate] += 1
        booker: Booker[LogRecord] = Booker("logs", plan.portraits, self._seen, self._horizon, _LogWitness(plan))
        for at, pile in piles.items():
            booker.book(at, pile, commit)
        if self._horizon.may_lead(piles):
            records = (record for scope_logs in resource_logs.scope_logs for record in scope_logs.log_records)
            times = (record.time_unix_nano or record.observed_time_unix_nano for record in records)
            commit.lead(plan.service, self._horizon.lead_of(times))
        return refused

    def _sort(
        self,
        view: LogView,
        records: Sequence[LogRecord],
        prefix: bytes,
        piles: dict[int, Pile[LogRecord]],
        refused: list[str],
    ) -> int:
        """Judge records and pile them up by slice; return how many no SLO reads."""
        low = high = unmatched = 0
        pile: Pile[LogRecord] = Pile()
        for record in records:
            time = record.time_unix_nano or record.observed_time_unix_nano
            if not low <= time < high:
                refusal = self._horizon.refusal(time) if time else INVALID
                if refusal:
                    refused.append(refusal)
                    continue
                at, low, high = self._horizon.slice_around(time)
                pile = piles.setdefault(at, Pile())
            verdict = view.verdict(record)
            portrait = verdict.portrait
            if not portrait.is_read:
                unmatched += 1
                continue
            if portrait.is_bad:
                pile.bad.append((len(pile.keys), record, verdict))
            pile.portraits.append(portrait)
            pile.keys.append(self._key(prefix, record))
        return unmatched

    def _key(self, prefix: bytes, record: LogRecord) -> bytes:
        """Return 16 bytes that identify a record: its content, and how many equals came before it in the request."""
        digest = hashlib.blake2b(prefix, digest_size=SPAN_KEY_BYTES)
        digest.update(record.SerializeToString(deterministic=True))
        content = digest.digest()
        equals = self._equals.get(content, 0)
        self._equals[content] = equals + 1
        if not equals:
            return content
        return hashlib.blake2b(content + equals.to_bytes(8, "big"), digest_size=SPAN_KEY_BYTES).digest()
