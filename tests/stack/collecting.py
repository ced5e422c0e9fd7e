"""Our Collector alone: with our configuration and further parts, and with files behind its exits where a test asks."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from collector.stack.build import binary, program_named
from collector.stack.places import ROOT
from collector.stack.ports import free_ports
from google.protobuf.message import Message

BASE = ROOT / "otel-collector.yaml"
_READY_SECONDS = 180.0
_STOP_SECONDS = 180.0
_HEADERS = {"content-type": "application/x-protobuf"}

# Everything that goes out goes to a file of its own; traces are decided on soon.
TO_FILES: Mapping[str, Any] = {
    "processors": {"tail_sampling": {"decision_wait": "1s", "decision_wait_after_root_received": "1s"}},
    "exporters": {
        f"file/{name}": {"path": f"${{env:OUT}}/{name}.json"} for name in ("in", "jaeger", "loki", "metrics")
    },
    "service": {
        "pipelines": {
            "traces/in": {"exporters": ["file/in", "span_metrics", "forward/sample"]},
            "traces/sampled": {"exporters": ["file/jaeger"]},
            "metrics/in": {"exporters": ["file/in", "forward/prometheus"]},
            "metrics/prometheus": {"exporters": ["file/metrics", "prometheus"]},
            "logs/in": {"exporters": ["file/in", "forward/loki"]},
            "logs/loki": {"exporters": ["file/loki"]},
        },
        "telemetry": {"metrics": {"level": "none", "readers": []}},
    },
}


class Collecting:
    """A Collector that runs.

    Args:
        process: Its process.
        folder: Where it writes.
        ports: Where it listens, by variable.
    """

    def __init__(self, process: subprocess.Popen[bytes], folder: Path, ports: Mapping[str, str]) -> None:
        self.process, self.folder, self.ports = process, folder, ports

    @property
    def log(self) -> str:
        """What it has printed."""
        return (self.folder / "log").read_text(errors="replace")

    def send(self, signal: str, request: Message) -> None:
        """Send a request over OTLP/HTTP; it must be taken."""
        address = f"http://127.0.0.1:{self.ports['OTLP_HTTP_PORT']}/v1/{signal}"
        body = request.SerializeToString()
        httpx.post(address, content=body, headers=_HEADERS, timeout=60, trust_env=False).raise_for_status()

    def wait_for_log(self, text: str) -> None:
        """Wait until it has printed a text."""
        until = time.monotonic() + _READY_SECONDS
        while text not in self.log:
            assert time.monotonic() < until, f"no {text!r} within {_READY_SECONDS:.0f} s:\n{self.log[-4000:]}"
            time.sleep(0.05)

    def scraped(self) -> str:
        """Return what it shows Prometheus."""
        address = f"http://127.0.0.1:{self.ports['METRICS_PORT']}/metrics"
        return httpx.get(address, timeout=60, trust_env=False).raise_for_status().text

    def stop(self) -> None:
        """Let it decide on all that waits, deliver it, and end."""
        self.process.terminate()
        assert self.process.wait(_STOP_SECONDS) == 0, self.log[-4000:]

    def told(self, name: str) -> list[dict[str, Any]]:
        """Return the requests that a file exporter has written."""
        file = self.folder / f"{name}.json"
        return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


def program() -> Path:
    """Return our Collector; skip the test where nobody has built it."""
    found = binary(program_named("otelcol"))
    if not found.is_file():
        pytest.skip("our Collector is not built: make stack-build")
    return found


@contextmanager
def collecting(
    folder: Path, *parts: Path | Mapping[str, Any], environment: Mapping[str, str] | None = None
) -> Iterator[Collecting]:
    """Run our configuration with parts merged into it, in this order, on free ports.

    Args:
        folder: Where it writes; empty.
        parts: Files, or what would stand in them.
        environment: Variables beside its ports.
    """
    files = [BASE, *(_file(folder / f"part{number}.yaml", part) for number, part in enumerate(parts))]
    ports = _ports()
    inherited = {key: value for key, value in os.environ.items() if not key.startswith("OTEL_")}
    settings = {**inherited, **ports, "OUT": str(folder), "QUEUE_DIR": str(folder / "queue"), **(environment or {})}
    command = [str(program()), *(f"--config={file}" for file in files)]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, env=settings, cwd=folder, stdout=log, stderr=log)
    try:
        found = Collecting(process, folder, ports)
        _wait(found)
        yield found
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()


def _file(target: Path, part: Path | Mapping[str, Any]) -> Path:
    if isinstance(part, Path):
        return part
    target.write_text(yaml.safe_dump(part))
    return target


def _ports() -> dict[str, str]:
    ports = free_ports()
    names = {
        "OTLP_GRPC_PORT": "otlp_grpc",
        "OTLP_HTTP_PORT": "otlp_http",
        "METRICS_PORT": "telemetry",
        "SELF_METRICS_PORT": "otelcol",
        "HEALTH_PORT": "otelcol_health",
    }
    return {variable: str(ports[name]) for variable, name in names.items()}


def _wait(collector: Collecting) -> None:
    until = time.monotonic() + _READY_SECONDS
    address = f"http://127.0.0.1:{collector.ports['HEALTH_PORT']}/"
    while time.monotonic() < until:
        assert collector.process.poll() is None, collector.log[-4000:]
        try:
            if httpx.get(address, timeout=10, trust_env=False).status_code == httpx.codes.OK:
                return
        except httpx.TransportError:
            time.sleep(0.05)
    raise AssertionError(f"not ready within {_READY_SECONDS:.0f} s:\n{collector.log[-4000:]}")


def parts_of(documents: Sequence[dict[str, Any]], resources: str, scopes: str, items: str) -> list[dict[str, Any]]:
    """Return the items of requests: spans, log records or metrics."""
    return [
        item
        for document in documents
        for resource in document.get(resources, [])
        for scope in resource.get(scopes, [])
        for item in scope.get(items, [])
    ]
