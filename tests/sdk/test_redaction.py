"""Secrets do not leave, everything else does, and looking for them is cheap."""

from __future__ import annotations

import json
import math
import time
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sloburn.sdk.redaction import RedactionMatch, Redactor, redact_attributes
from sloburn.sdk.redaction_rules import is_card
from tests.sdk.collector import Collector
from tests.sdk.processes import succeed

_JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U"
_AWS = "AKIA" + "IOSFODNN7EXAMPLE"
_KEY = "-----BEGIN RSA PRIVATE KEY-----\nMIIEow==\n-----END RSA PRIVATE KEY-----"


def _kind(value: object) -> str:
    """Return the name of a parameter that cannot be printed."""
    return type(value).__name__


@pytest.mark.parametrize("value", [math.nan, -math.inf, 2**70, -(2**64), 10**5000], ids=_kind)
def test_counts_can_be_carried(value: float) -> None:
    """A number under a name such as tokens becomes text where JSON and OTLP have no number for it, however deep."""
    event: dict[str, object] = {"token": value, "nested": {"tokens": value, "n": value}}
    Redactor().clean(event)
    assert json.loads(json.dumps(event, allow_nan=False)) == event
    assert isinstance(event["token"], str)
    assert event["nested"] == {"tokens": event["token"], "n": event["token"]}


def _repeated(text: str) -> str:
    return text.replace("{}", "[redacted]")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("login with password=hunter2 failed", "login with password=[redacted] failed"),
        ("{'password': 'hunter2', 'a': 1}", "{'password': '[redacted]', 'a': 1}"),
        ('{"api_key": "a b", "n": 1}', '{"api_key": "[redacted]", "n": 1}'),
        ('{\\"token\\": \\"abc\\"}', '{\\"token\\": \\"[redacted]\\"}'),
        ("GET /cb?code=1&access_token=abc&x=2", "GET /cb?code=1&access_token=[redacted]&x=2"),
        ("url=https://h/?token=x&y=2", "url=https://h/?token=[redacted]&y=2"),
        ("postgres://user:p@ss@db:5432/shop", "postgres://[redacted]@db:5432/shop"),
        ("https://token@github.com/x.git", "https://[redacted]@github.com/x.git"),
        ("Authorization: Basic dXNlcjpwYXNz", "Authorization: [redacted]"),
        ("Cookie: a=b; c=d\r\nHost: x", "Cookie: [redacted]\r\nHost: x"),
        ("sent Bearer abcdef123456", "sent Bearer [redacted]"),
        (f"got {_JWT}!", "got [redacted]!"),
        (f"key {_AWS}", "key [redacted]"),
        (f"pem {_KEY} end", "pem [redacted] end"),
        ("card 4111 1111 1111 1111 ok", "card [redacted] ok"),
        ("card 378282246310005", "card [redacted]"),
        ("ghp_" + "a1" * 18, "[redacted]"),
        ("sk-proj-" + "a1" * 18, "[redacted]"),
        ("github_pat_" + "11AAbb" * 6, "[redacted]"),
        ("mail key SG." + "a1" * 11 + "." + "b2" * 22, "mail key [redacted]"),
        (
            "run --password=x1 --db-password=x2 -Dpassword=x3",
            _repeated("run --password={} --db-password={} -Dpassword={}"),
        ),
        ("set .password=x1", "set .password=[redacted]"),
        ("DB_PASS=hunter2 smtp_pass=hunter2", _repeated("DB_PASS={} smtp_pass={}")),
        ("user[password]=x1&password[]=x2&a[b]=c", _repeated("user[password]={}&password[]={}&a[b]=c")),
        ("user%5Bpassword%5D=x1&user%5Bname%5D=eve", "user%5Bpassword%5D=[redacted]&user%5Bname%5D=eve"),
        ("password%5B%5D=x1", "password%5B%5D=[redacted]"),
        ("d['password'] = 'hunter2'", "d['password'] = '[redacted]'"),
        ("https://b/x?X-Amz-Signature=" + "0f" * 32 + "&z=1", "https://b/x?X-Amz-Signature=[redacted]&z=1"),
        ("https://b/x?sv=1&sig=" + "aB3%2B" * 8 + "&z=1", "https://b/x?sv=1&sig=[redacted]&z=1"),
        (
            "https://hooks.slack.com/services/T0AAAAAA/B0AAAAAA/" + "x1" * 12,
            "https://hooks.slack.com/services/T0AAAAAA/[redacted]",
        ),
        ("[(b'host', b'h'), (b'x-api-key', b'abc')]", "[(b'host', b'h'), (b'x-api-key', b'[redacted]')]"),
    ],
)
def test_secrets_in_text(text: str, expected: str) -> None:
    """A secret within a text is replaced, and nothing around it."""
    assert Redactor().text(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "3f2b9c1e-7a44-4b1e-9a3e-aa11bb22cc33",
        "1700000000000000000",
        "4111111111111112",
        "at 12:30:11 GET http://host:8080/items/7?page=2",
        "basic authentication failed",
        "mail to user@example.com",
        "Task add[8c1e3f2b-7a44-4b1e-9a3e-aa11bb22cc33] succeeded in 0.01s: 3",
        "tokens=512 token_count: 3",
        "the skeleton key-value store",
        "sig=SIGTERM signature: work(item)",
        "passed: 3 bypass=1 pass_rate=0.5 passes: some",
        "fields ('password', 'email') are missing",
        "--a-b --c=1 x-y=2 items[name]=3",
        "POST /services/TEAM/billing",
        "page=1&X-Amz-Signature=REDACTED",
    ],
)
def test_text_without_secret_is_the_very_same(text: str) -> None:
    """What holds no secret is handed back untouched, not copied."""
    attributes = {"message": text}
    assert redact_attributes(attributes) is attributes


@settings(deadline=None)
@given(st.text(alphabet=st.characters(codec="utf-8", exclude_characters=" '\"&;,(){}[]<>\\\r\n\t"), min_size=1))
def test_no_password_survives(secret: str) -> None:
    """Whatever the password is, it is gone: as a field, in a URL's user, in a query, in JSON within text."""
    redactor = Redactor()
    marked = f"S3CR{secret.replace('@', '').replace('/', '').replace('?', '').replace('#', '').replace(':', '')}T"
    event: dict[str, Any] = {
        "password": marked,
        "nested": {"list": [{"api_key": marked}]},
        "event": f"password={marked}",
        "url": f"amqp://u:{marked}@host/v?token={marked}",
        "body": json.dumps({"secret": marked}, ensure_ascii=False),
    }
    redactor.clean(event)
    assert "S3CR" not in json.dumps(event)


@settings(deadline=None)
@given(st.integers(min_value=0, max_value=10**14 - 1), st.sampled_from(["", " ", "-"]))
def test_every_visa_is_found(number: int, separator: str) -> None:
    """Sixteen digits from 4 on that pass Luhn's check are a card, with any separator; with one digit off none."""
    body = f"4{number:014d}"
    check = next(digit for digit in "0123456789" if is_card(body + digit))
    card = body + check
    parts = separator.join(card[place : place + 4] for place in range(0, 16, 4))
    assert Redactor().text(f"pay {parts}.") == "pay [redacted]."
    assert Redactor().attributes({"n": int(card)}) == {"n": "[redacted]"}
    wrong = body + str((int(check) + 1) % 10)
    assert Redactor().text(wrong) == wrong


_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=30) | st.binary(max_size=9) | st.dates(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9) | st.integers(), inner, max_size=3),
    max_leaves=6,
)


@settings(deadline=None)
@given(st.dictionaries(st.text(max_size=20), _VALUES, max_size=5))
def test_what_is_cleaned_is_strict_json(event: dict[str, Any]) -> None:
    """After cleaning, every event is JSON without NaN, with 64-bit numbers, and cleaning it again changes nothing."""
    Redactor().clean(event)
    encoded = json.dumps(event, allow_nan=False)
    assert json.loads(encoded) == event
    again = dict(event)
    Redactor().clean(again)
    assert again == event


@settings(deadline=None)
@given(st.dictionaries(st.text(max_size=20), _VALUES, max_size=5))
def test_switched_off_redactor_changes_no_text(event: dict[str, Any]) -> None:
    """With redaction off, text stays what it is."""
    texts = {key: value for key, value in event.items() if isinstance(value, str)}
    cleaned: dict[str, object] = dict(texts)
    Redactor(is_enabled=False).clean(cleaned)
    assert cleaned == texts


def test_values_that_cannot_be_carried_become_text() -> None:
    """Objects are shown by their text, and that is searched too; one that cannot be shown costs only itself."""

    class Settings:
        def __repr__(self) -> str:
            return "Settings(password='hunter2')"

    class Hostile:
        def __str__(self) -> str:
            raise RuntimeError

    event: dict[str, object] = {
        "settings": Settings(), "hostile": Hostile(), "when": datetime(2026, 1, 1, tzinfo=UTC), "big": 2**70,
    }  # fmt: skip
    Redactor().clean(event)
    assert event == {
        "settings": "Settings(password='[redacted]')",
        "hostile": "<Hostile that cannot be shown>",
        "when": "2026-01-01 00:00:00+00:00",
        "big": str(2**70),
    }


def test_attributes_keep_their_types() -> None:
    """Attributes are not converted: only what holds a secret changes."""
    attributes = {"n": 2**70, "items": ("a", "b"), "headers": ["Bearer abcdef123456"], "raw": b"x"}
    assert redact_attributes(attributes) == {**attributes, "headers": ["Bearer [redacted]"]}


@pytest.mark.parametrize(
    "headers",
    [
        [(b"host", b"h"), (b"x-api-key", b"abc")],
        [("host", "h"), ("cookie", "abc")],
        ([["host", "h"], ["Authorization", "abc"]]),
        ((("host", "h"), ("token", ["abc"])),),
    ],
)
def test_pairs_are_named_by_their_first_item(headers: object) -> None:
    """A list of headers, of bytes or of text, hides what a mapping of them would hide; two names alone stay."""
    event: dict[str, object] = {"headers": headers, "fields": ("password", "email"), "points": [(1, 2), ("a", 1)]}
    assert "abc" not in str(redact_attributes(event))
    Redactor().clean(event)
    assert "abc" not in str(event)
    assert "host" in str(event)
    assert (event["fields"], event["points"]) == (["password", "email"], [[1, 2], ["a", 1]])


def test_custom_keys_and_patterns() -> None:
    """A team's own names and patterns are redacted like the built-in ones, in fields and in text."""
    redactor = Redactor(keys=["iban", "Tax-Number"], patterns=[r"CUST-\d+"])
    event: dict[str, object] = {"customerIban": "DE1", "taxNumber": 7, "event": "CUST-123 iban=DE1"}
    redactor.clean(event)
    assert event == {"customerIban": "[redacted]", "taxNumber": "[redacted]", "event": "[redacted] iban=[redacted]"}


def test_callback_has_the_last_word() -> None:
    """The callback sees where, what and why, may keep or replace it, and redacts when it fails."""
    seen: list[RedactionMatch] = []

    def decide(match: RedactionMatch) -> object | None:
        seen.append(match)
        if match.path == ("session_id",):
            return match.value
        return f"***{str(match.value)[-4:]}" if match.rule == "card" else 1 / 0

    event: dict[str, object] = {"session_id": "s-1", "note": "4111111111111111", "user": {"password": "x"}}
    Redactor(callback=decide).clean(event)
    assert event == {"session_id": "s-1", "note": "***1111", "user": {"password": "[redacted]"}}
    assert [(match.path, match.rule) for match in seen] == [
        (("session_id",), "key"), (("note",), "card"), (("user", "password"), "key"),
    ]  # fmt: skip


class _Hostile:
    """An object that cannot be shown."""

    def __str__(self) -> str:
        raise RuntimeError


_CIRCLE: dict[str, object] = {}
_CIRCLE["again"] = _CIRCLE


@pytest.mark.parametrize(
    ("answer", "written"),
    [
        ("***", "***"),
        (7, 7),
        (1.5, 1.5),
        (False, False),
        ({"kept": ["token=abc"]}, {"kept": ["token=abc"]}),
        (b"x", "x"),
        ({1}, [1]),
        (math.nan, "nan"),
        (2**70, str(2**70)),
        (10**5000, "<int that cannot be shown>"),
        (_Hostile(), "<_Hostile that cannot be shown>"),
    ],
    ids=_kind,
)
def test_answers_of_the_callback_can_be_carried(answer: object, written: object) -> None:
    """What a callback answers is written as it is, or as text where JSON and OTLP cannot carry it."""
    event: dict[str, object] = {"password": "x", "card": 4111111111111111, "nested": [{"password": "x"}]}
    Redactor(callback=lambda _match: answer).clean(event)
    assert event == {"password": written, "card": written, "nested": [{"password": written}]}
    assert json.loads(json.dumps(event, allow_nan=False)) == event


def test_circle_of_the_callback_ends() -> None:
    """An answer that holds itself ends as a text, like any value that is too deep."""
    event: dict[str, object] = {"password": "x", "nested": {"deep": {"password": "x"}}}
    Redactor(callback=lambda _match: _CIRCLE).clean(event)
    assert json.loads(json.dumps(event)) == event


def test_answer_that_fails_within_a_text() -> None:
    """Within a text, an answer that cannot be shown leaves its mark and the secret goes."""
    redactor = Redactor(callback=lambda _match: _Hostile())
    assert redactor.text("password=abc n=1") == "password=<_Hostile that cannot be shown> n=1"


def test_cost_is_bounded() -> None:
    """Long, deep, wide and malicious values cost milliseconds: what is not searched does not leave."""
    deep: dict[str, object] = {}
    level = deep
    for _ in range(500):
        level["next"] = inner = {"password": "hunter2"}
        level = inner  # type: ignore[assignment]
    evil = [
        "a" * 10**6,
        "://a@" * 10**5,
        "a='" * 10**5,
        "1-" * 10**5,
        "password=" * 10**5,
        "a.-" * 10**5,
        "a-" * 10**5,
        "%5Ba" * 10**5,
        "[('a', " * 10**5,
        "sig=a" * 10**5,
        "SG.a" * 10**5,
        "Basic " + "a" * 10**6,
    ]
    event: dict[str, object] = {"deep": deep, "wide": [{"password": "hunter2"}] * 10**5, "evil": evil}
    began = time.process_time()
    Redactor().clean(event)
    assert time.process_time() - began < 5
    text = json.dumps(event)
    assert "hunter2" not in text
    assert len(text) < 10**6


def test_nothing_leaves_with_a_secret() -> None:
    """Span attributes, events, statuses, outgoing baggage, log lines and log records are all redacted by default."""
    with Collector() as collector:
        done = succeed(
            """
import logging
from opentelemetry import baggage, context, propagate
from sloburn import get_logger, init_telemetry
telemetry = init_telemetry()
context.attach(baggage.set_baggage("api_key", "S3CRET"))
carrier = {}
propagate.inject(carrier)
assert carrier == {"baggage": "api_key=%5Bredacted%5D"}, carrier
try:
    attributes = {"db.password": "S3CRET", "url.full": "http://u:S3CRET@h"}
    with telemetry.tracer.start_as_current_span("work", attributes=attributes):
        get_logger().info("paid", authorization="S3CRET", url="https://h/?token=S3CRET")
        logging.getLogger("a").warning("password=%s", "S3CRET", extra={"cookie": "S3CRET"})
        try:
            raise ValueError("password=S3CRET")
        except ValueError:
            get_logger().exception("failed")
            raise
except ValueError:
    pass
with telemetry.tracer.start_as_current_span("GET https://h/?token=S3CRET") as span:
    span.add_event("retried with password=S3CRET")
""",
            extra={"OTEL_EXPORTER_OTLP_ENDPOINT": collector.endpoint},
        )
    assert "S3CRET" not in done.output
    assert "S3CRET" not in str(collector.arrivals)
    assert collector.span("work").attributes == {"db.password": "[redacted]", "url.full": "http://[redacted]@h"}
    assert collector.span("GET https://h/?token=[redacted]").events == [("retried with password=[redacted]", {})]
    assert {"paid", "failed"} < {record.body for record in collector.arrivals.logs}


def test_redaction_can_be_switched_off() -> None:
    """``redact=False`` lets everything through."""
    done = succeed(
        """
from sloburn import get_logger, init_telemetry
init_telemetry(redact=False, logs=False, traces=False, metrics=False)
get_logger().info("paid", token="abc")
"""
    )
    assert json.loads(done.stdout.splitlines()[-1])["token"] == "abc"
