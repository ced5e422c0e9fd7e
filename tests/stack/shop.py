"""The shop beside the stack: web service, worker and database, known by nothing but its HTTP interface."""

from __future__ import annotations

import secrets
import shutil
import sys
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import quote

import httpx
from collector.stack import state as states
from collector.stack.lifecycle import Stack
from collector.stack.processes import Identity, start, stop
from collector.stack.services import url

from tests.processor import free_ports
from tests.sdk.processes import environment
from tests.stack.backends import wait_for

_ENDING_SECONDS = 5.0  # nobody waits for the last words of an idle worker
CUSTOMERS_SPAN = "00f067aa0ba902b7"
AVAILABILITY = "checkout-availability"  # counts every request to /pay, however it ends
ROOT = Path(__file__).parents[2]
SLOS = ROOT / "examples" / "shop" / "slos.yaml"


class Shop:
    """Web service and worker, started and stopped.

    Args:
        stack: Gets their telemetry and holds their database.
        counted: How many requests sloburn has counted of a shop before.
    """

    def __init__(self, stack: Stack, counted: int) -> None:
        assert stack.state is not None
        self._ports = stack.state.ports
        self._folder = stack.data / "shop"
        self._folder.mkdir()
        (port,) = free_ports(1)
        self._port = port
        self.url = f"http://127.0.0.1:{port}"
        # No connection is kept: the shop closes idle ones, at times just as the next request leaves.
        limits = httpx.Limits(max_keepalive_connections=0)
        self._client = httpx.Client(base_url=self.url, timeout=60, trust_env=False, limits=limits)
        self.expected_events = counted
        self._data = stack.data
        self._environment = environment(self._settings(stack))
        self._running: list[Identity] = []

    def __enter__(self) -> Self:
        uvicorn = [sys.executable, "-m", "uvicorn", "examples.shop.app:app", "--port", str(self._port)]
        celery = [sys.executable, "-m", "celery", "-A", "examples.shop.tasks", "worker", "--concurrency", "1"]
        worker = [*celery, "--loglevel", "INFO"]
        try:
            self._start("shop", uvicorn)
            log = self._start("shop-worker", worker)
            wait_for(self._answers, "the shop answers")
            wait_for(lambda: self._all_live() and "ready." in log.read_text(errors="replace"), "the worker is ready")
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
        headers = {"traceparent": f"00-{trace_id}-{CUSTOMERS_SPAN}-01"} if trace_id else {}
        self.expected_events += 1
        return self._client.post("/pay", json={"cart_id": "stack"}, headers=headers).status_code

    def pay_slowly(self) -> str:
        """Pay in a time that is longer than promised, and return the trace: sampling keeps it."""
        trace_id = secrets.token_hex(16)
        self.break_payments("slow")
        assert self.pay(trace_id) == 200
        self.break_payments("off")
        return trace_id

    def break_payments(self, mode: str) -> None:
        """Turn the fault switch of /pay."""
        self._client.post("/chaos", json={"route": "/pay", "mode": mode}).raise_for_status()

    def _start(self, name: str, command: list[str]) -> Path:
        """Start a process and return its log, which a failed test shows as it shows those of the stack's servers."""
        log = self._data / "logs" / f"{name}.log"
        settings = {**self._environment, "OTEL_SERVICE_NAME": name}
        identity = start(command, log=log, folder=ROOT, environment=settings)
        self._running.append(identity)
        now = states.load(self._data)
        assert now is not None
        states.save(self._data, now.with_process(name, identity))  # so that the stack's guard knows of it
        return log

    def _all_live(self) -> bool:
        assert all(one.is_alive() for one in self._running), "a process of the shop ended by itself"
        return True

    def _answers(self) -> bool:
        assert self._all_live()
        try:
            return self._client.get("/health").is_success
        except httpx.TransportError:
            return False

    def _end(self) -> None:
        stop(self._running, _ENDING_SECONDS)
        self._client.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _settings(self, stack: Stack) -> dict[str, str]:
        password = (stack.data / "secrets" / "postgresql").read_text()
        address = f"127.0.0.1:{self._ports['postgresql']}"
        return {
            "OTEL_EXPORTER_OTLP_ENDPOINT": url(self._ports, "otlp_http"),
            # Longer than Prometheus waits between two scrapes: an exemplar is in one export only.
            "OTEL_METRIC_EXPORT_INTERVAL": "12000",
            "SHOP_BROKER_DIR": str(self._folder / "broker"),
            "SHOP_DATABASE_URL": f"postgresql://sloburn:{quote(password)}@{address}/postgres",
            "PYTHONPATH": str(ROOT),
        }
