"""The example shop: its README's commands by hand, its broker, its customers, and the oracle that judges the demo."""

from __future__ import annotations

import gzip
import os
import re
import shlex
import threading
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from fractions import Fraction
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import islice
from pathlib import Path
from typing import ClassVar, TypeVar

import pytest
from examples.shop.broker import settings
from examples.shop.demo.oracle import Rule, earliest_calm, earliest_fire, page_rule, textbook
from examples.shop.demo.ports import HOST, Ports
from examples.shop.demo.processes import Crew
from examples.shop.demo.processor import Processor, SloView, get
from examples.shop.demo.stage import ROOT, SLOS, inherited
from examples.shop.load import MIX, calls
from examples.shop.requests_log import NO_ANSWER, Request, read_log
from kombu.connection import Connection
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from sloburn.duration import MILLISECOND, MINUTE, SECOND
from sloburn.slo.model import Severity, Window
from sloburn.spec.files import load_slos
from tests.ports import free_ports

README = ROOT / "examples" / "shop" / "README.md"
READY_SECONDS = 120.0
LAST_ANSWERS_SECONDS = 30.0
LATENCY_NS = 300 * MILLISECOND  # the document's ``le``

Found = TypeVar("Found")


def wait_for(look: Callable[[], Found | None], what: str, seconds: float = READY_SECONDS) -> Found:
    """Return what there is to see as soon as there is something."""
    until = time.monotonic() + seconds
    while (found := look()) is None:
        assert time.monotonic() < until, f"not within {seconds:g} s: {what}"
        time.sleep(0.05)
    return found


# --- the oracle ---------------------------------------------------------------------------------------------------


def window(long_seconds: int, short_seconds: int, factor: Fraction | int) -> Window:
    """Return a pair of page windows."""
    return Window(
        severity=Severity.PAGE, long_ns=long_seconds * SECOND, short_ns=short_seconds * SECOND, factor=Fraction(factor)
    )


def rule(*windows: Window, objective: str = "0.99", min_bad_events: int = 1) -> Rule:
    """Return a rule of these pairs."""
    return Rule(objective=Fraction(objective), windows=windows, min_bad_events=min_bad_events)


def history(pattern: str) -> list[Request]:
    """One request a second, the first at second 1: ``.`` is good and ``x`` bad."""
    statuses = {".": 200, "x": 500}
    return [
        Request(end_unix_nano=second * SECOND, route="/pay", status=statuses[mark], taken_ns=MILLISECOND)
        for second, mark in enumerate(pattern, start=1)
    ]


FAST = window(60, 5, Fraction("14.4"))


def test_fires_at_the_request_that_lifts_the_long_window_above_the_factor() -> None:
    """Of 60 requests 8.64 may be bad at 14.4 x 1 %: the ninth failure is the first above."""
    found = earliest_fire(history("." * 60 + "x" * 60), rule(FAST))

    assert found is not None
    assert (found.at_unix_nano, found.window) == (69 * SECOND, FAST)


def test_exactly_at_the_factor_is_not_over() -> None:
    """A burn rate equal to the factor does not fire: half of ten requests at 5 x 10 %."""
    half = rule(window(10, 10, 5), objective="0.9")

    assert earliest_fire(history("....." + "xxxxx"), half) is None
    assert earliest_fire(history("....." + "xxxxxx"), half) is not None


def test_short_window_must_be_over_too() -> None:
    """A failure that is over does not fire, however much of the long window it fills."""
    assert earliest_fire(history("." * 51 + "x" * 8 + "." * 30), rule(FAST)) is None


def test_waits_for_enough_bad_events() -> None:
    """The long window must hold the minimum number of bad events."""
    found = earliest_fire(history("." * 60 + "x" * 60), rule(FAST, min_bad_events=12))

    assert found is not None
    assert found.at_unix_nano == 72 * SECOND


def test_any_pair_may_fire_first() -> None:
    """With a short history the slow pair, which needs less, is over before the fast one."""
    slow = window(360, 30, 6)

    found = earliest_fire(history("." * 15 + "x" * 20), rule(FAST, slow))

    assert found is not None
    assert (16 * SECOND, slow) == (found.at_unix_nano, found.window)


def test_never_fires_on_health() -> None:
    """Requests that are all good, or none at all, never page."""
    assert earliest_fire(history("." * 100), rule(FAST)) is None
    assert earliest_fire([], rule(FAST)) is None


def test_calm_returns_when_the_short_window_has_forgotten() -> None:
    """Nine failures out of 60, then silence: the short window of 5 s is clean again after five good requests."""
    requests = history("." * 60 + "x" * 9 + "." * 20)

    found = earliest_calm(requests, rule(FAST), after_unix_nano=69 * SECOND)

    assert found is not None
    assert (found.at_unix_nano, found.window) == (74 * SECOND, FAST)


def test_textbook_figure_is_the_workbooks() -> None:
    """At 99.9 % a total outage is detected by the 1 h window after 51.84 s."""
    workbook = rule(window(3600, 300, Fraction("14.4")), window(21600, 1800, 6), objective="0.999")

    found = textbook(workbook, Fraction(1))

    assert found is not None
    assert (51_840_000_000, workbook.windows[0]) == (found.at_unix_nano, found.window)


def test_textbook_figure_can_be_never() -> None:
    """An outage smaller than every threshold never pages."""
    assert textbook(rule(FAST), Fraction(1, 100)) is None


def test_page_rule_leaves_tickets_out() -> None:
    """Only the two page pairs of the document decide whether it pages."""
    promise = load_slos([SLOS])[0].scaled(60)

    found = page_rule(promise)

    assert [(w.long_ns, w.short_ns) for w in found.windows] == [(MINUTE, 5 * SECOND), (6 * MINUTE, 30 * SECOND)]
    assert (Fraction(99, 100), 5) == (found.objective, found.min_bad_events)


# --- the customers ------------------------------------------------------------------------------------------------


def test_every_hundred_calls_have_the_exact_mix() -> None:
    """The share of each kind of call is exact in each hundred, so runs can be compared."""
    stream = calls()

    for _ in range(3):
        hundred = list(islice(stream, 100))
        assert [share for _, share in MIX] == [hundred.count(call) for call, _ in MIX]


def test_record_survives_a_line_that_is_still_written(tmp_path: Path) -> None:
    """A reader who comes too early sees only complete lines, in the order of their ends."""
    late, early = history("x.")[1], history("x.")[0]
    log = tmp_path / "requests.jsonl"
    log.write_text(late.to_line() + early.to_line() + early.to_line()[:20])

    assert [early, late] == read_log(log)
    assert read_log(tmp_path / "missing.jsonl") == []


@pytest.mark.parametrize(("status", "failed"), [(200, False), (404, False), (500, True), (NO_ANSWER, True)])
def test_what_counts_as_failed(status: int, failed: bool) -> None:
    """The service's own errors and silence are failures; a customer's mistake is none."""
    assert failed == Request(end_unix_nano=1, route="/pay", status=status, taken_ns=1).failed


# --- the broker ---------------------------------------------------------------------------------------------------


def test_broker_delivers_in_order_and_shows_only_complete_messages(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is put into the folder comes out in order, and a half-written message is not looked at."""
    monkeypatch.setenv("SHOP_BROKER_DIR", str(tmp_path / "broker"))
    found = settings()
    (tmp_path / "broker" / "messages" / "1_x.part").write_text("")

    transport, options = found["broker_transport"], found["broker_transport_options"]
    with Connection(transport=transport, transport_options=options) as connection:  # type: ignore[no-untyped-call]
        queue = connection.SimpleQueue("receipts")
        for number in range(3):
            queue.put({"number": number})
        messages = [queue.get(timeout=READY_SECONDS) for _ in range(3)]
        for message in messages:
            message.ack()
        queue.close()

    assert [message.payload["number"] for message in messages] == [0, 1, 2]


# --- the README, piece by piece -----------------------------------------------------------------------------------


class Relay(ThreadingHTTPServer):
    """Hands OTLP requests on to a processor and keeps the spans.

    Args:
        target: Address of the processor's OTLP/HTTP.
    """

    daemon_threads = True

    def __init__(self, target: str) -> None:
        super().__init__((HOST, 0), _RelayHandler)
        self.target = target
        self.spans: dict[bytes, tuple[str, str, str]] = {}  # by id: what was not answered in time comes again

    def keep(self, body: bytes) -> None:
        """Keep trace id, service and name of each span."""
        for part in ExportTraceServiceRequest.FromString(body).resource_spans:
            attributes = {pair.key: pair.value.string_value for pair in part.resource.attributes}
            for scope in part.scope_spans:
                for span in scope.spans:
                    self.spans[span.span_id] = (span.trace_id.hex(), attributes["service.name"], span.name)

    def trace_with(self, services: Mapping[str, int]) -> list[tuple[str, str]] | None:
        """Return service and name of each span of a trace that has so many spans of each service."""
        traces: dict[str, list[tuple[str, str]]] = {}
        for trace_id, service, name in list(self.spans.values()):
            traces.setdefault(trace_id, []).append((service, name))
        return next((spans for spans in traces.values() if Counter(service for service, _ in spans) == services), None)


class _RelayHandler(BaseHTTPRequestHandler):
    server: Relay
    kept: ClassVar[tuple[str, ...]] = ("content-type", "content-encoding")

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        if self.path == "/v1/traces":
            self.server.keep(gzip.decompress(body) if self.headers["content-encoding"] == "gzip" else body)
        headers = {name: self.headers[name] for name in self.kept if self.headers[name]}
        request = urllib.request.Request(self.server.target + self.path, data=body, headers=headers)
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=10) as response:
            answer = response.read()
            self.send_response(response.status)
            self.send_header("content-type", response.headers["content-type"])
            self.send_header("content-length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def readme_commands() -> dict[str, str]:
    """Return the README's commands, each under its telling word."""
    blocks = re.findall(r"^```console\n(.*?)^```", README.read_text(), re.MULTILINE | re.DOTALL)
    commands = [line.removeprefix("$ ") for block in blocks for line in block.splitlines()]
    words = ("activate", "sloburn serve", "uvicorn", "celery", "shop.load", '"exception"', '"off"')
    found = {word: [command for command in commands if word in command] for word in words}
    assert len(commands) == len(words), f"a command has no test: {commands}"
    return {word: command for word, (command,) in found.items()}


def name_of(word: str) -> str:
    """Return a name for a command that can be the name of a file."""
    return re.sub(r"\W+", "-", word).strip("-")


class Pieces:
    """The README's commands, at ports that are free and in folders of the test.

    Args:
        folder: Of the test.
    """

    def __init__(self, folder: Path) -> None:
        grpc, http, page, shop = free_ports(4)
        self.ports = Ports(otlp_grpc=grpc, otlp_http=http, page=page, shop=shop)
        self.relay = Relay(f"http://{HOST}:{self.ports.otlp_http}")
        self.commands = readme_commands()
        self.record = folder / "requests.jsonl"
        self._folder = folder
        environment = {
            "SLOBURN_OTLP_HTTP": f"{HOST}:{self.ports.otlp_http}",
            "SLOBURN_OTLP_GRPC": f"{HOST}:{self.ports.otlp_grpc}",
            "SLOBURN_LISTEN": f"{HOST}:{self.ports.page}",
            "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://{HOST}:{self.relay.server_port}",
            "SLOBURN_EXPORT_INTERVAL": "0.5",
            "SHOP_BROKER_DIR": str(folder / "broker"),
            "SHOP_URL": f"http://{HOST}:{self.ports.shop}",
        }
        self.crew = Crew(folder, inherited(os.environ) | environment)

    def run(self, word: str) -> None:
        """Start the command with that word in it, as a person would in a new terminal."""
        command = self.commands[word].replace("8000", str(self.ports.shop))
        command = command.replace("sloburn-data", shlex.quote(str(self._folder / "data")))
        command += f" --log {shlex.quote(str(self.record))}" if word == "shop.load" else ""
        script = f"cd {shlex.quote(str(ROOT))} && {self.commands['activate']} && exec env {command}"
        self.crew.start(name_of(word), ["bash", "-c", script])

    def finish(self, word: str) -> int:
        """Run the command with that word in it to its end and return its exit status."""
        self.run(word)
        child = self.crew.children[-1]
        status = child.process.wait(READY_SECONDS)
        self.crew.stop(child.name)
        return status

    def view(self, name: str) -> SloView | None:
        """Return what the processor knows of an SLO."""
        self.crew.check()
        return Processor(f"http://{HOST}:{self.ports.page}").slos().get(name)

    def log_of(self, word: str) -> str:
        """Return what a command has printed."""
        return (self._folder / f"{name_of(word)}.log").read_text()


@pytest.fixture
def pieces(tmp_path: Path) -> Iterator[Pieces]:
    """Provide the README's commands, none of which outlives the test."""
    found = Pieces(tmp_path)
    thread = threading.Thread(target=found.relay.serve_forever, daemon=True)
    thread.start()
    try:
        yield found
    finally:
        found.crew.stop("shop-load", "uvicorn", "celery")
        found.crew.stop()
        found.relay.shutdown()
        found.relay.server_close()
        thread.join()


@pytest.mark.timeout(600)
def test_readme_by_hand(pieces: Pieces) -> None:
    """Each command works as written: the pieces start, promises are counted, one trace joins them, the switch works."""
    pieces.run("sloburn serve")
    wait_for(lambda: get(f"http://{HOST}:{pieces.ports.page}/readyz"), "the processor is ready")
    pieces.run("uvicorn")
    pieces.run("celery")
    wait_for(lambda: get(f"http://{HOST}:{pieces.ports.shop}/health"), "the shop answers")
    wait_for(lambda: "ready." in pieces.log_of("celery") or None, "the worker is ready")
    pieces.run("shop.load")

    for name in ("checkout-availability", "checkout-latency", "receipts"):
        view = wait_for(lambda name=name: counted(pieces.view(name)), f"{name} is counted")  # type: ignore[misc]
        assert view.bad == 0 or name == "checkout-latency"  # which is judged by the customers' record, at the end
    joined = {"shop": 2, "shop-worker": 1}
    spans = wait_for(lambda: pieces.relay.trace_with(joined), "one trace joins shop and worker")
    assert ("shop", "POST /pay") in spans

    assert pieces.finish('"exception"') == 0
    view = wait_for(lambda: failing(pieces.view("checkout-availability")), "failures are counted")
    assert view.failing[0].exception.endswith("PaymentGatewayTimeout")
    assert '{"/pay":"exception"}' in pieces.log_of('"exception"')
    assert pieces.finish('"off"') == 0
    assert '{"/pay":"off"}' in pieces.log_of('"off"')

    pieces.crew.stop("shop-load", patience_seconds=LAST_ANSWERS_SECONDS)
    requests = read_log(pieces.record)
    failed = sum(request.failed for request in requests)
    assert pieces.log_of("shop.load").splitlines()[-1] == f"{len(requests)} requests, {failed} failed"
    answered = sum(request.status != NO_ANSWER for request in requests)
    latency = wait_for(lambda: counted(pieces.view("checkout-latency"), answered), "every duration is counted")
    assert latency.total <= len(requests)
    # A customer waits longer than the service works, on a busy machine for both.
    assert latency.bad <= sum(request.taken_ns > LATENCY_NS for request in requests)


def counted(view: SloView | None, least: int = 20) -> SloView | None:
    """Return what is known once there is enough of it."""
    return view if view is not None and view.total >= least else None


def failing(view: SloView | None) -> SloView | None:
    """Return what is known once a failure is."""
    return view if view is not None and view.failing else None
