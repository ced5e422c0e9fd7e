"""From a request of the shop to every place where somebody looks for it."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
import pytest
from collector.stack.lifecycle import Stack
from collector.stack.services import url

from tests.stack.backends import Backends, Pause, wait_for
from tests.stack.optional import require
from tests.stack.shop import AVAILABILITY, CUSTOMERS_SPAN, Shop
from tests.telemetry import LogSpec, log_request

JOBS = {"otelcol", "sloburn", "prometheus", "alertmanager", "jaeger", "loki"}
# By the job of what may be left out: its server, and a metric that is positive once its exporter reaches it.
OPTIONAL = {
    "node": ("node_exporter", "node_memory_MemTotal_bytes"),
    "postgresql": ("postgresql_exporter", "pg_up"),
    "redis": ("redis_exporter", "redis_up"),
}
SPAN_SECONDS = "traces_span_metrics_duration_seconds_bucket"


def test_everything_is_scraped(backends: Backends) -> None:
    """Prometheus reaches every server."""
    wait_for(lambda: {labels["job"] for labels, up in backends.samples("up") if up} >= JOBS, "all targets are up")


@pytest.mark.parametrize("job", OPTIONAL)
def test_exporters_are_scraped(stack: Stack, backends: Backends, complaints: list[str], job: str) -> None:
    """Prometheus has what each exporter says of its server, which may take a scrape more than the exporter itself."""
    name, metric = OPTIONAL[job]
    require(stack, name, complaints)

    wait_for(lambda: backends.number(metric) and backends.number(f'up{{job="{job}"}}'), f"{metric} is positive")


def test_trace_joins_web_worker_and_database(slow_payment: str, backends: Backends) -> None:
    """One request is one trace in Jaeger, from the web service through Celery to the database, without a gap."""
    spans = wait_for(lambda: _whole(backends.trace(slow_payment)), "the whole trace is in Jaeger")

    assert {span["service"] for span in spans} == {"shop", "shop-worker"}


def _whole(spans: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return spans once none is on its way: of all parents only the customer's, which he keeps for himself, is missing.

    A parent ends after its children, so that it may leave its process, and pass the sampler, a while after them.
    """
    names = " ".join(span["operationName"] for span in spans)
    ids = {span["spanID"] for span in spans}
    missing = {span["references"][0]["spanID"] for span in spans if span["references"]} - ids
    is_whole = "INSERT" in names and "/pay" in names and missing == {CUSTOMERS_SPAN}
    return spans if is_whole else []


@pytest.mark.parametrize(("service", "text"), [("shop", "paid"), ("shop-worker", "receipt sent")])
def test_log_line_is_found_by_trace(slow_payment: str, backends: Backends, service: str, text: str) -> None:
    """Loki has the lines of the request, web service's and worker's, under its trace id."""
    query = f'{{service_name="{service}"}} | trace_id="{slow_payment}"'

    assert any(text in line for line in wait_for(lambda: backends.lines(query), f"the line of {service} is in Loki"))


def test_index_labels_are_few(slow_payment: str, backends: Backends) -> None:
    """What makes streams in Loki is bounded; a trace id is none of it."""
    wait_for(lambda: backends.lines('{service_name="shop"}'), "a line is in Loki")
    labels = wait_for(lambda: backends.get("loki", "/loki/api/v1/labels", since="1h").get("data"), "labels")

    assert set(labels) <= {
        "service_name",
        "service_namespace",
        "deployment_environment_name",
        "severity_text",
        "__stream_shard__",
    }


def test_secret_is_masked_before_it_is_kept(backends: Backends) -> None:
    """Neither a token in a line nor a password beside it reaches Loki."""
    record = LogSpec(time=time.time_ns(), body="login: Bearer c2VjcmV0c2VjcmV0", values={"db.password": "hunter2"})
    body = log_request([record], "secretive").SerializeToString()
    headers = {"content-type": "application/x-protobuf"}
    address = url(backends.ports, "otlp_http", "/v1/logs")
    httpx.post(address, content=body, headers=headers, timeout=60, trust_env=False).raise_for_status()
    query = {"query": '{service_name="secretive"}', "since": "1h"}

    found = wait_for(
        lambda: str(backends.get("loki", "/loki/api/v1/query_range", **query).get("data", {}).get("result") or ""),
        "the line is in Loki",
    )
    assert "login: " in found
    assert "****" in found
    assert "c2VjcmV0c2VjcmV0" not in found
    assert "hunter2" not in found


def test_long_line_is_cut_and_kept(backends: Backends) -> None:
    """Of a line that is longer than Loki takes, the begin is there."""
    body = log_request([LogSpec(time=time.time_ns(), body=f"begin {'x' * 300_000}")], "talkative").SerializeToString()
    headers = {"content-type": "application/x-protobuf"}
    address = url(backends.ports, "otlp_http", "/v1/logs")
    httpx.post(address, content=body, headers=headers, timeout=60, trust_env=False).raise_for_status()

    (line,) = wait_for(lambda: backends.lines('{service_name="talkative"}'), "the line is in Loki")
    assert line.startswith("begin xxx")
    assert len(line) == 256 * 2**10


def test_levels_are_kept_for_different_times(backends: Backends) -> None:
    """INFO stays 30 days and ERROR 90: each level is a stream of its own, and the rule names its label."""
    limits = backends.text("loki", "/config")

    assert "retention_period: 4w2d" in limits or "retention_period: 30d" in limits or "retention_period: 720h" in limits
    assert "severity_text=~" in limits


@pytest.mark.parametrize("metric", [SPAN_SECONDS, "http_server_request_duration_seconds_bucket"])
def test_exemplar_leads_to_the_trace(slow_payment: str, shop: Shop, backends: Backends, metric: str) -> None:
    """The histogram of span_metrics carries the request's trace id, and so does the service's own."""
    query, sent, pause = f'{metric}{{http_route="/pay"}}', {slow_payment}, Pause(30)

    def is_there() -> bool:
        if pause.is_over():  # a late scrape misses an export, and an exemplar is in one export only
            sent.add(shop.pay_slowly())
        return bool(sent & backends.exemplars(query))

    wait_for(is_there, f"{metric} has the exemplar")


def test_event_is_in_the_ledger(shop: Shop, backends: Backends) -> None:
    """Each request to the shop, those of other tests too, is one event in sloburn, and no second one."""
    assert shop.pay() == 200

    wait_for(lambda: backends.events(AVAILABILITY) >= shop.expected_events, "the event is counted")
    assert backends.settled_events(AVAILABILITY) == shop.expected_events


@pytest.mark.parametrize(
    ("path", "quantile"), [("/api/metrics/calls", {}), ("/api/metrics/latencies", {"quantile": "0.95"})]
)
def test_monitor_view_answers(shop: Shop, backends: Backends, path: str, quantile: dict[str, str]) -> None:
    """Jaeger's Monitor view reads rates and latencies from Prometheus: names, unit and namespace agree."""
    asked = {"service": "shop", "lookback": "3600000", "step": "15000", "ratePer": "600000", "spanKind": "server"}

    pause = Pause(15)

    def points() -> list[Any]:
        if pause.is_over():  # a rate is that of a counter that grows between two scrapes
            shop.pay()
        found = backends.get("jaeger", path, endTs=str(int(time.time() * 1000)), **asked, **quantile)
        return [point for series in found.get("metrics", ()) for point in series["metricPoints"]]

    wait_for(points, f"{path} has points")


class Hook:
    """A webhook that keeps what it is sent."""

    def __init__(self) -> None:
        told: list[dict[str, Any]] = []

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                told.append(json.loads(self.rfile.read(int(self.headers["content-length"]))))
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_arguments: object) -> None:
                return

        self.told = told
        # A sender may open a connection and never use it: one that is waited for must not hold up the others.
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever)

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.server.server_port}/"


@pytest.fixture
def hook(stack: Stack) -> Iterator[Hook]:
    """A webhook that Alertmanager notifies."""
    found = Hook()
    found.thread.start()
    (stack.data / "alertmanager" / "secrets" / "webhook_url").write_text(found.url)
    yield found
    found.server.shutdown()
    found.thread.join()
    found.server.server_close()


def test_fault_reaches_whoever_is_on_call(shop: Shop, backends: Backends, hook: Hook) -> None:
    """A burning promise fires in sloburn, in Prometheus' compiled rules, and Alertmanager pages once for both."""
    shop.break_payments("exception")
    try:
        until = wait_for(lambda: [shop.pay() for _ in range(10)] and _fires(backends), "sloburn fires")
        wait_for(lambda: [shop.pay() for _ in range(2)] and _prometheus_fires(backends), "Prometheus' rules fire")
    finally:
        shop.break_payments("off")

    assert until
    pages = {"slo": "checkout-availability", "severity": "page"}
    assert len(wait_for(lambda: backends.alerts(**pages), "the page is in Alertmanager")) == 1
    wait_for(lambda: [it for it in hook.told if pages.items() <= it["commonLabels"].items()], "the webhook is told")
    wait_for(lambda: backends.number("sum(prometheus_notifications_sent_total)"), "Prometheus tells Alertmanager")


def _fires(backends: Backends) -> bool:
    alerts = backends.slo("checkout-availability").get("alerts", ())
    return any(alert["severity"] == "page" and alert["state"] == "firing" for alert in alerts)


def _prometheus_fires(backends: Backends) -> bool:
    query = 'ALERTS{alertstate="firing", slo="checkout-availability", severity="page"}'
    return bool(backends.samples(query))
