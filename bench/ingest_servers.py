"""The contenders of the ingest benchmark: real processes, and what they use of the machine."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.ports import free_ports

COLLECTOR = Path(os.environ.get("SLOBURN_BENCH_CACHE", "~/.cache/sloburn-bench")).expanduser() / "collector"

_COLLECTOR_CONFIG = """\
receivers: {{otlp: {{protocols: {{http: {{endpoint: "127.0.0.1:{port}"}}}}}}}}
connectors:
  span_metrics:
    dimensions: [{{name: http.route}}, {{name: http.request.method}}, {{name: http.response.status_code}}]
    metrics_flush_interval: 15s
exporters: {{nop: {{}}}}
service:
  telemetry: {{metrics: {{level: none}}, logs: {{level: error}}}}
  pipelines:
    traces: {{receivers: [otlp], exporters: [span_metrics]}}
    metrics: {{receivers: [span_metrics], exporters: [nop]}}
"""


def free_port() -> int:
    """Return a port that nobody listens on now, and that no sender is given while its server is started again."""
    return free_ports(1)[0]


class Server:
    """A process that takes OTLP over HTTP, in a temporary folder of its own.

    Args:
        call: Program and arguments; ``{folder}`` stands for the folder.
        port: Where it takes OTLP.
        page: Where sloburn shows its page; 0 for others.
    """

    def __init__(self, call: list[str], port: int, page: int = 0) -> None:
        self.port, self.page = port, page
        self.folder = Path(tempfile.mkdtemp(prefix="sloburn-bench-"))
        self._call = call
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> float:
        """Start it and return after how many seconds it took connections."""
        began = time.monotonic()
        call = [part.replace("{folder}", str(self.folder)) for part in self._call]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(call, stdout=log, stderr=log)
        while not self._is_up():
            if self._process.poll() is not None or time.monotonic() - began > 120:
                raise RuntimeError((self.folder / "log").read_text()[-2000:])
            time.sleep(0.01)
        return time.monotonic() - began

    def _is_up(self) -> bool:
        if self.page:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{self.page}/readyz", timeout=5) as answer:
                    return bool(answer.status == 200)
            except (OSError, urllib.error.URLError):
                return False
        with socket.socket() as sock:
            return sock.connect_ex(("127.0.0.1", self.port)) == 0

    @property
    def cpu_seconds(self) -> float:
        """Processor time used up to now, user and system, all threads."""
        assert self._process is not None
        fields = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    @property
    def rss_mib(self) -> float:
        """Resident memory now."""
        assert self._process is not None
        return int(Path(f"/proc/{self._process.pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20

    def kill(self) -> None:
        """Kill it without a word."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)


def sloburn(slos: str, *flags: str) -> Server:
    """Return a processor for an SLO document."""
    ports = [free_port() for _ in range(3)]
    http, grpc, page = (f"127.0.0.1:{port}" for port in ports)
    call = [sys.executable, "-m", "sloburn.cli", "serve", "--slos", "{folder}/slos.yaml", "--data", "{folder}/data"]
    server = Server(
        [*call, "--otlp-http", http, "--otlp-grpc", grpc, "--listen", page, *flags], port=ports[0], page=ports[2]
    )
    (server.folder / "slos.yaml").write_text(slos)
    return server


def collector() -> Server | None:
    """Return the Collector with its span_metrics connector; None if it is not built in `COLLECTOR`."""
    program = COLLECTOR / "otelcol-bench"
    if not program.exists():
        return None
    port = free_port()
    server = Server([str(program), "--config", "file:{folder}/config.yaml"], port)
    (server.folder / "config.yaml").write_text(_COLLECTOR_CONFIG.format(port=port))
    return server


def slo_document(services: int = 1, each: int = 1) -> str:
    """Return an SLO document: so many services with so many SLOs each, by route, code and duration."""
    lines = ["version: sloburn/v1", "slos:"]
    for service in range(services):
        for number in range(each):
            lines += _slo(service_name(service), number)
    return "\n".join(lines) + "\n"


def service_name(number: int) -> str:
    """Return the name of a service."""
    return "shop" if number == 0 else f"shop-{number}"


def _slo(service: str, number: int) -> list[str]:
    head = [
        f"  - name: {service}-{number}",
        f"    service: {service}",
        "    objective: 99.9",
        "    period: 30d",
        "    indicator:",
    ]
    if number == 0:
        return [*head, "      spans: {kind: server}", "      bad: {http.response.status_code: {gte: 500}}"]
    if number % 2:
        where = f"{{kind: server, where: {{http.route: {{not: /health{number}}}}}}}"
        return [*head, f"      spans: {where}", "      bad: {http.response.status_code: {gte: 500}}"]
    return [*head, "      spans: {kind: server}", f"      good: {{duration: {{le: {100 + number % 10 * 25}ms}}}}"]
