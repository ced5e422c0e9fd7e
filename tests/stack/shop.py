"""The shop beside the stack: web service, worker and database, known by nothing but its HTTP interface."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import quote

import httpx
from collector.stack.lifecycle import Stack
from collector.stack.services import url
from examples.shop.demo.processes import Crew

from tests.processor import free_ports
from tests.sdk.processes import environment
from tests.stack.backends import wait_for

ROOT = Path(__file__).parents[2]
SLOS = ROOT / "examples" / "shop" / "slos.yaml"


class Shop:
    """Web service and worker, started and stopped.

    Args:
        stack: Gets their telemetry and holds their database.
    """

    def __init__(self, stack: Stack) -> None:
        assert stack.state is not None
        self._ports = stack.state.ports
        self._folder = tempfile.TemporaryDirectory(prefix="sloburn-shop-")
        (port,) = free_ports(1)
        self._port = port
        self.url = f"http://127.0.0.1:{port}"
        # No connection is kept: the shop closes idle ones, at times just as the next request leaves.
        limits = httpx.Limits(max_keepalive_connections=0)
        self._client = httpx.Client(base_url=self.url, timeout=30, trust_env=False, limits=limits)
        self._crew = Crew(Path(self._folder.name), environment(self._settings(stack)))

    def __enter__(self) -> Self:
        uvicorn = [sys.executable, "-m", "uvicorn", "examples.shop.app:app", "--port", str(self._port)]
        celery = [sys.executable, "-m", "celery", "-A", "examples.shop.tasks", "worker", "--concurrency", "1"]
        try:
            self._crew.start("shop", uvicorn, {"OTEL_SERVICE_NAME": "shop"})
            worker = self._crew.start("worker", [*celery, "--loglevel", "INFO"], {"OTEL_SERVICE_NAME": "shop-worker"})
            wait_for(self._answers, "the shop answers")
            wait_for(lambda: "ready." in worker.log.read_text(), "the worker is ready")
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()

    def pay(self, trace_id: str = "") -> int:
        """Pay for a cart, as part of a trace if it has an id, and return the status of the answer."""
        # The customer's own span ends the id: its trace goes on in the shop. https://www.w3.org/TR/trace-context/
        headers = {"traceparent": f"00-{trace_id}-00f067aa0ba902b7-01"} if trace_id else {}
        return self._client.post("/pay", json={"cart_id": "stack"}, headers=headers).status_code

    def break_payments(self, mode: str) -> None:
        """Turn the fault switch of /pay."""
        self._client.post("/chaos", json={"route": "/pay", "mode": mode}).raise_for_status()

    def _answers(self) -> bool:
        self._crew.check()
        try:
            return self._client.get("/health").is_success
        except httpx.TransportError:
            return False

    def _end(self) -> None:
        self._crew.stop()
        self._client.close()
        self._folder.cleanup()

    def _settings(self, stack: Stack) -> dict[str, str]:
        password = (stack.data / "secrets" / "postgresql").read_text()
        address = f"127.0.0.1:{self._ports['postgresql']}"
        return {
            "OTEL_EXPORTER_OTLP_ENDPOINT": url(self._ports, "otlp_http"),
            # Longer than Prometheus waits between two scrapes: an exemplar is in one export only.
            "OTEL_METRIC_EXPORT_INTERVAL": "12000",
            "SHOP_BROKER_DIR": str(Path(self._folder.name) / "broker"),
            "SHOP_DATABASE_URL": f"postgresql://sloburn:{quote(password)}@{address}/postgres",
            "PYTHONPATH": str(ROOT),
        }
