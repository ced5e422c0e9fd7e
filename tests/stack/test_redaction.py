"""Redaction by the real Collector: secrets are planted everywhere, and what leaves is held against what is promised."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from tests.sli.harness import NOW
from tests.stack.collecting import TO_FILES, collecting, parts_of, program

# What is masked in any text. {} is the mark; whoever sees it has seen the secret.
FORMS = (
    *("Bearer {}abcdef", "bearer {}abcdef", "BEARER {}ABCDEF", "Authorization: Basic dXNlcj{}1==", "basic dXNlcj{}1=="),
    *("eyJhbGci{}.eyJzdWIi{}.c2ln{}", "Authorization: Digest {}", "Cookie: a=1; b={}", "{{'cookie': 'a={}'}}"),
    *("password={}", "password: {}", "PASSWORD={}", "db_passwd={}", "pwd={};", '{{"password": "two words {}"}}'),
    *("api_key={}", '{{"apiKey":"{}"}}', "API_KEY={}", "client_secret={}", "access_token={}", "accessKey: '{}'"),
    *(r"{{\"token\":\"{}\"}}", "passphrase={}", "--token={}", "TOKEN={}", "credentials={}"),
    *("https://u:{}@h/p", "postgresql://u:p@{}@h/p", "https://h/p?code={}&x=1", "GET /p?a=1&{}=2", "/p?q[]={}"),
    *("-----BEGIN RSA PRIVATE KEY-----\n{}\n-----END RSA PRIVATE KEY-----", "-----BEGIN PRIVATE KEY-----\n{}"),
    *("AKIA{}ABCDEFGHIJ", "ASIA{}ABCDEFGHIJ", "ghp_{}abcdefghijklmnopqrst", "glpat-{}abcdefghijkl", "xoxb-{}abcdef"),
)
# Attributes that are masked by their names, whatever is in them.
KEYS = (
    *(
        "password",
        "db.password",
        "DB_PASSWORD",
        "userPassword",
        "passwd",
        "passphrase",
        "pwd",
        "secret",
        "clientSecret",
    ),
    *("api_key", "apiKey", "X-Api-Key", "API_KEY", "private.key", "accessKey", "token", "session_token", "accessToken"),
    *("x-amz-security-token", "x-auth-token", "credentials", "http.request.header.authorization", "Authorization"),
    *("http.response.header.set-cookie", "Cookie", "url.query"),
)
CARDS = (
    *("4111111111111111", "pay 4111 1111 1111 1112 now", "card=5500-0000-0000-0004", '{"card":"378282246310005"}'),
    *("(2221000000000009)", "cards: 4111111111111114,4111111111111115", "'4111111111111116'", 4111111111111117),
)
# What no pattern may touch.
PLAIN: Mapping[str, str | int] = {
    "route": "/cart/{item_id}",
    "id": "4bf92f3577b34da6a3ce929d0e0e4736",
    "time": "1763733600000000000",
    "as_number": 1764000000000000000,
    "gen_ai.usage.input_tokens": 4096,
    "gen_ai.token.type": "input",
    "sentence": "the bearer of this is a basic thing? yes, with a token of thanks",
    "statement": "SELECT a FROM b WHERE c = ? AND d = $1",
    "address": "https://h/p/42#top",
}


class Marks:
    """Makes secrets, each with a mark of its own, and knows where each was planted."""

    def __init__(self) -> None:
        self.places: dict[str, str] = {}

    def new(self, place: str, form: str = "Bearer {}abcdef") -> str:
        """Return a secret for a place."""
        mark = f"ZQ{len(self.places):03d}Z"
        self.places[mark] = f"{place}: {form}"
        return form.replace("{}", mark).replace("{{", "{").replace("}}", "}")

    def seen_in(self, text: str) -> set[str]:
        """Return the places whose secrets can be read."""
        return {place for mark, place in self.places.items() if mark in text}


@pytest.fixture(scope="module", autouse=True)
def _built() -> None:
    program()


def value(content: Any) -> AnyValue:
    """Return a value in its wire form: texts, numbers, lists and maps."""
    if isinstance(content, dict):
        found = AnyValue()
        found.kvlist_value.values.extend(pairs(content))
        return found
    if isinstance(content, list):
        found = AnyValue()
        found.array_value.values.extend(map(value, content))
        return found
    return AnyValue(int_value=content) if isinstance(content, int) else AnyValue(string_value=content)


def pairs(content: Mapping[str, Any]) -> list[KeyValue]:
    """Return attributes in their wire form."""
    return [KeyValue(key=key, value=value(it)) for key, it in content.items()]


def surroundings(part: Any, of_scope: Any, new: Callable[[str], str], signal: str) -> None:
    """Plant secrets in the resource and the scope of a signal."""
    part.resource.attributes.extend(pairs({"note": new(f"resource of {signal}")}))
    of_scope.scope.attributes.extend(pairs({"note": new(f"scope of {signal}")}))


def spans(new: Callable[..., str]) -> ExportTraceServiceRequest:
    """Return spans with secrets in every place that is promised."""
    request = ExportTraceServiceRequest()
    part = request.resource_spans.add()
    scope = part.scope_spans.add()
    surroundings(part, scope, new, "spans")
    for number, form in enumerate(FORMS):
        scope.spans.append(span(2 * number, note=new("span attribute", form)))
        scope.spans.append(span(2 * number + 1, name=f"GET {new('span name', form)}"))
    one = span(1_000, **{key: new(f"span attribute {key}", "{}") for key in KEYS})
    one.attributes.extend(pairs({"list": ["x", new("list")], "map": {"deep": {"note": new("map")}}}))
    one.attributes.extend(pairs({"keys": {"password": new("map by key", "{}"), "apiKey": [new("map by key", "{}")]}}))
    one.status.code, one.status.message = one.status.STATUS_CODE_ERROR, f"denied: {new('status message')}"
    one.events.add(name=new("event name"), attributes=pairs({"note": new("event"), "token": new("event", "{}")}))
    one.events.add(name="exception", attributes=pairs({"exception.message": new("exception", "password={}")}))
    scope.spans.append(one)
    return request


def span(number: int, name: str = "GET /", **content: Any) -> Span:
    """Return a failed span, so that sampling keeps it."""
    found = Span(trace_id=(number + 1).to_bytes(16, "big"), span_id=(number + 1).to_bytes(8, "big"), name=name)
    found.start_time_unix_nano, found.end_time_unix_nano = NOW - 1, NOW
    found.status.code = found.status.STATUS_CODE_ERROR
    found.attributes.extend(pairs(content))
    return found


def records(new: Callable[..., str]) -> ExportLogsServiceRequest:
    """Return log records with secrets in every place that is promised."""
    request = ExportLogsServiceRequest()
    part = request.resource_logs.add()
    scope = part.scope_logs.add()
    surroundings(part, scope, new, "logs")
    deep = {"note": new("body: map"), "n": {"secret": new("body: map by key", "{}"), "l": [new("body: list in map")]}}
    bodies = [
        *(new("body", form) for form in FORMS),
        deep,
        [new("body: list"), {"token": new("body: map in list", "{}")}],
    ]
    scope.log_records.extend(LogRecord(time_unix_nano=NOW, body=value(body)) for body in bodies)
    content = {
        "note": new("log attribute"),
        "token": new("log attribute", "{}"),
        "map": {"password": new("log map", "{}")},
    }
    event = LogRecord(time_unix_nano=NOW, event_name=new("log event name"), attributes=pairs(content))
    event.attributes.extend(pairs({"exception.stacktrace": f"Traceback\n{new('stack trace')}"}))
    scope.log_records.append(event)
    return request


def points(new: Callable[..., str]) -> ExportMetricsServiceRequest:
    """Return data points of every kind with secrets in their attributes."""
    request = ExportMetricsServiceRequest()
    part = request.resource_metrics.add()
    scope = part.scope_metrics.add()
    surroundings(part, scope, new, "metrics")
    for kind in ("gauge", "sum", "histogram", "exponential_histogram", "summary"):
        data = getattr(scope.metrics.add(name=f"a.{kind}"), kind)
        data.data_points.add(time_unix_nano=NOW, attributes=pairs({"note": new(kind), "password": new(kind, "{}")}))
    return request


def unpromised(new: Callable[..., str]) -> Iterator[tuple[str, Any]]:
    """Yield requests with secrets where redaction does not look: collector/README.md says so."""
    traces = ExportTraceServiceRequest()
    scope = traces.resource_spans.add().scope_spans.add()
    scope.scope.name = new("scope name")
    one = span(
        5_000, **{"server.address": new("a key that is passed over"), "note": new("spelling", "bEaReR {}abcdef")}
    )
    one.trace_state = new("trace state", "v={}")
    one.links.add(trace_id=bytes(range(16)), span_id=bytes(range(8)), attributes=pairs({"note": new("link")}))
    one.attributes.extend(pairs({new("the key of an attribute"): "x", "words": new("words", "my password is {}")}))
    scope.spans.append(one)
    yield "traces", traces
    metrics = ExportMetricsServiceRequest()
    metric = metrics.resource_metrics.add().scope_metrics.add().metrics.add(name=new("metric name", "a.{}"))
    metric.description, metric.unit = new("description"), new("unit", "{}")
    point = metric.gauge.data_points.add(time_unix_nano=NOW)
    point.exemplars.add(time_unix_nano=NOW, as_int=1, filtered_attributes=pairs({"note": new("exemplar")}))
    yield "metrics", metrics


def everything(folder: Path) -> str:
    """Return all that a Collector has written, but for its own log."""
    return "".join(file.read_text() for file in sorted(folder.glob("*.json")))


def test_what_is_promised_is_masked(tmp_path: Path) -> None:
    """No exit, and no queue before it, shows a secret from a promised place."""
    promised = Marks()
    with collecting(tmp_path, TO_FILES) as collector:
        for signal, request in (
            ("traces", spans(promised.new)),
            ("logs", records(promised.new)),
            ("metrics", points(promised.new)),
        ):
            collector.send(signal, request)
        scraped = collector.scraped()
        collector.stop()
        told = {name: collector.told(name) for name in ("in", "jaeger", "loki", "metrics")}

    assert all(told.values()), "an exit was not looked at"
    assert promised.seen_in(everything(tmp_path) + scraped) == set()
    assert len(parts_of(told["jaeger"], "resourceSpans", "scopeSpans", "spans")) == 2 * len(FORMS) + 1


def test_what_is_not_promised_comes_through(tmp_path: Path) -> None:
    """The list of what redaction passes over is right: who relies on it knows what it does not do."""
    marks = Marks()
    with collecting(tmp_path, TO_FILES) as collector:
        for signal, request in unpromised(marks.new):
            collector.send(signal, request)
        collector.stop()

    assert set(marks.places.values()) - marks.seen_in(everything(tmp_path)) == set()


def test_cards_are_masked_and_plain_texts_are_not(tmp_path: Path) -> None:
    """Card numbers go as text, in groups and as numbers; ids, times, counts and sentences stay as they were."""
    request = ExportTraceServiceRequest()
    scope = request.resource_spans.add().scope_spans.add()
    numbers: dict[str, Any] = {f"card{number}": card for number, card in enumerate(CARDS)}
    scope.spans.append(span(1, **numbers, cards=[4111111111111118]))
    plain_ones: dict[str, Any] = {**PLAIN}
    scope.spans.append(span(2, name="GET /cart/{item_id}", **plain_ones))
    with collecting(tmp_path, TO_FILES) as collector:
        collector.send("traces", request)
        collector.stop()
        told = collector.told("in")

    cards, plain = (attributes_of(it) for it in parts_of(told, "resourceSpans", "scopeSpans", "spans"))
    assert [text for text in cards.values() if has_long_number(text)] == []
    assert plain == {
        key: {"stringValue": it} if isinstance(it, str) else {"intValue": str(it)} for key, it in PLAIN.items()
    }


def attributes_of(item: Mapping[str, Any]) -> dict[str, Any]:
    """Return the attributes of a span."""
    return {entry["key"]: entry["value"] for entry in item["attributes"]}


def has_long_number(content: Any) -> bool:
    """Tell whether more than ten digits are in a value."""
    return sum(letter.isdigit() for letter in json.dumps(content)) > 10
