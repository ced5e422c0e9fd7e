"""Health endpoints stay out of telemetry: of ours, of mounted applications, of contrib."""

from __future__ import annotations

from tests.sdk.collector import Collector
from tests.sdk.processes import succeed


def test_endpoints_are_excluded_from_telemetry() -> None:
    """Health and metrics endpoints make no spans and no metrics, wherever they are mounted, and report as metrics."""
    with Collector() as collector:
        succeed(
            """
import sys
from sloburn import health, init_telemetry, mount_metrics
telemetry = init_telemetry(service_name="shop", service_version="3.1", endpoint=sys.argv[1])
from fastapi import FastAPI
import warnings
warnings.simplefilter("ignore")
from fastapi.testclient import TestClient
app = FastAPI()
app.get("/work")(lambda: "done")
health.memory(max_used_ratio=1.0, timeout=60)
health.mount(app, "/internal")
mount_metrics(app, "/internal/metrics")
with TestClient(app) as client:
    document = client.get("/internal/health").json()
    assert (document["service"], document["version"]) == ("shop", "3.1"), document
    assert "memory" in document["checks"]
    text = client.get("/internal/metrics").text
    assert client.get("/work").status_code == 200
    assert 'check="memory"' in client.get("/internal/metrics").text
telemetry.shutdown()
""",
            collector.endpoint,
        )
        assert collector.span("GET /work").name == "GET /work"
        assert [span.name for span in collector.arrivals.spans] == ["GET /work"]
        assert collector.total("http.server.request.duration") == 1
        assert collector.total("sloburn.health.check.status") == 1


def test_endpoints_of_mounted_applications_are_excluded_too() -> None:
    """A page of ours, and what redirects to it, is unseen behind any mount and prefix; one of the host's is not."""
    with Collector() as collector:
        succeed(
            """
import sys, warnings
warnings.simplefilter("ignore")
from sloburn import health, init_telemetry, mount_metrics
telemetry = init_telemetry(service_name="shop", endpoint=sys.argv[1])
from fastapi import FastAPI
from fastapi.testclient import TestClient
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route
def probe():
    with telemetry.tracer.start_as_current_span("probe"):
        return True
async def prices(request): return PlainTextResponse("of insurances")
sub, other = FastAPI(), FastAPI()
sub.get("/work")(lambda: "done")
other.get("/health")(lambda: "of patients")
health.add("probed", probe, ttl=0)
health.mount(sub)
mount_metrics(sub, "/numbers")
app = Starlette(routes=[
    Mount("/sub", sub), Mount("/deep", routes=[Mount("/er", sub)]), Mount("/other", other), Route("/health", prices),
])
def paths(client, *paths):
    for path in paths:
        assert client.get(path).status_code == 200, path
paths(TestClient(app), "/sub/health", "/deep/er/readyz", "/sub/numbers", "/health", "/sub/work", "/other/health")
paths(TestClient(app), "/sub/health/", "/deep/er/readyz/", "/other/health/")
paths(TestClient(app, root_path="/api"), "/api/sub/livez", "/api/health")
assert "http_server_active_requests" in (text := TestClient(app).get("/sub/numbers").text)
assert not any(float(line.split()[-1]) for line in text.splitlines() if line.startswith("http_server_active_requests{"))
telemetry.shutdown()
""",
            collector.endpoint,
        )
        spans = {(span.name, span.parent_id) for span in collector.arrivals.spans}
        redirected = ("GET /other/{path}", "")
        assert spans == {("GET /sub/work", ""), ("GET /other/health", ""), redirected, ("probe", "")}
        assert collector.total("http.server.request.duration") == 4


def test_endpoints_are_excluded_from_contrib_too() -> None:
    """Endpoints under paths of the host's choice make no spans when contrib instruments."""
    with Collector() as collector:
        succeed(
            """
import sys, warnings
warnings.simplefilter("ignore")
from sloburn import health, init_telemetry
telemetry = init_telemetry(service_name="shop", endpoint=sys.argv[1], fastapi="contrib")
from fastapi import FastAPI
from fastapi.testclient import TestClient
app = FastAPI()
app.get("/work")(lambda: "done")
health.mount(app, "/internal")
with TestClient(app) as client:
    assert client.get("/internal/readyz").status_code == 200
    assert client.get("/work").status_code == 200
telemetry.shutdown()
""",
            collector.endpoint,
            extra={"OTEL_SEMCONV_STABILITY_OPT_IN": "http"},
        )
        assert [span.name for span in collector.arrivals.spans] == ["GET /work"]
