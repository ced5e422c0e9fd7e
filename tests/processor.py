"""A real processor in a process of its own: started, waited for, killed, started again on the same ports."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx

from tests.ports import free_ports as free_ports

READY_SECONDS = 60.0

# As patient as everything here, and past the environment's proxies; there is no certificate to read for it.
get = partial(httpx.get, timeout=READY_SECONDS, trust_env=False, verify=False)
post = partial(httpx.post, timeout=READY_SECONDS, trust_env=False, verify=False)


def wait_until(condition: Callable[[], bool], what: str, seconds: float = READY_SECONDS) -> None:
    """Ask again and again until something holds; fail with its name if it does not in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"{what}: not within {seconds:g} s"
        time.sleep(0.02)


class Processor:
    """``sloburn serve`` on free ports.

    Args:
        slos: SLO document.
        folder: Where data and log go.
        flags: Further flags.
    """

    def __init__(self, slos: Path, folder: Path, *flags: str) -> None:
        self.http, self.grpc, self.page = (f"127.0.0.1:{port}" for port in free_ports(3))
        self.log = folder / "processor.log"
        addresses = ("--otlp-http", self.http, "--otlp-grpc", self.grpc, "--listen", self.page)
        call = (sys.executable, "-W", "error", "-m", "sloburn.cli", "serve", "--slos", str(slos))
        self._call = (*call, "--data", str(folder / "data"), *addresses, *flags)
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()

    def start(self) -> None:
        """Start and wait until it is ready."""
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(self._call, stdout=log, stderr=log, env=_environment())
        wait_until(self._is_ready, "the processor is ready")

    def _is_ready(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, f"the processor ended:\n{self.log.read_text()[-3000:]}"
        try:
            return get(f"http://{self.page}/readyz").status_code == httpx.codes.OK
        except httpx.TransportError:
            return False

    def kill(self) -> None:
        """Kill it with SIGKILL, if it runs."""
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
        if self._process is not None:
            self._process.wait()

    def stop(self) -> int:
        """Stop it with SIGTERM and return its exit status."""
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)
        return self._process.wait(timeout=READY_SECONDS)

    @property
    def pid(self) -> int:
        """Its process id."""
        assert self._process is not None
        return self._process.pid

    def hang_up(self) -> None:
        """Send SIGHUP: the SLO documents are read again."""
        assert self._process is not None
        self._process.send_signal(signal.SIGHUP)

    def status(self, name: str) -> dict[str, Any]:
        """Return the API's document of an SLO."""
        document: dict[str, Any] = get(f"http://{self.page}/api/v1/status").json()
        return next(slo for slo in document["slos"] if slo["name"] == name)

    def counts(self, name: str) -> tuple[int, int]:
        """Return good and bad events of an SLO."""
        found = self.status(name)
        return found["good"], found["bad"]


def _environment() -> dict[str, str]:
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("OTEL_", "SLOBURN_"))}
    return {**kept, "PYTHONUNBUFFERED": "1"}
