"""Run a service in a process of its own and wait for it by readiness."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import urlopen

from tests.processor import free_ports

SERVICES = Path(__file__).parent / "services"
PATIENCE_SECONDS = 60.0
# A process delivers its last words at its end however long this machine stands still in the midst of them; a test of
# the time that an end takes says its own.
_PATIENT = {"SLOBURN_SHUTDOWN_TIMEOUT": "30"}
# All gunicorns of a user have one place for their control socket, and remove each other's when they start at once.
GUNICORN = ("gunicorn", "--no-control-socket")
# uvicorn kills workers that are silent for five seconds, as they may be on a busy machine.
PATIENT_WORKERS = ("--timeout-worker-healthcheck", "60")


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """A process that has ended."""

    status: int
    stdout: str
    stderr: str
    seconds: float

    @property
    def output(self) -> str:
        """Everything that it printed."""
        return self.stdout + self.stderr


def environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return this process's environment without OpenTelemetry's variables, with the extra ones."""
    own = {key: value for key, value in os.environ.items() if not key.startswith(("OTEL_", "SLOBURN_"))}
    return {**own, "PYTHONPATH": str(SERVICES), "PYTHONUNBUFFERED": "1", **_PATIENT, **(extra or {})}


def run(code: str, *arguments: str, extra: Mapping[str, str] | None = None) -> Finished:
    """Run Python code in a fresh interpreter until it ends."""
    started = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        env=environment(extra),
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )
    seconds = time.monotonic() - started
    return Finished(status=done.returncode, stdout=done.stdout, stderr=done.stderr, seconds=seconds)


def succeed(code: str, *arguments: str, extra: Mapping[str, str] | None = None) -> Finished:
    """Run Python code in a fresh interpreter and fail with its output when it fails."""
    done = run(code, *arguments, extra=extra)
    assert done.status == 0, done.output
    return done


@contextmanager
def started(*command: str, extra: Mapping[str, str] | None = None) -> Iterator[subprocess.Popen[str]]:
    """Start a Python process and make sure that it is gone at the end."""
    with subprocess.Popen(
        [sys.executable, *command],
        env=environment(extra),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            yield process
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)


def stop(process: subprocess.Popen[str], number: int = signal.SIGTERM) -> Finished:
    """Send a signal to a process and wait for its end."""
    return _end(process, lambda: process.send_signal(number))


def interrupt(process: subprocess.Popen[str]) -> Finished:
    """Send one SIGINT to a process and all of its children, as a terminal does, and wait for its end."""
    return _end(process, lambda: os.killpg(process.pid, signal.SIGINT))


def _end(process: subprocess.Popen[str], act: Callable[[], None]) -> Finished:
    begun = time.monotonic()
    act()
    output, _ = process.communicate(timeout=PATIENCE_SECONDS)
    return Finished(status=process.returncode, stdout=output, stderr="", seconds=time.monotonic() - begun)


def free_port() -> int:
    """Return a loopback port that was free a moment ago."""
    return free_ports(1)[0]


def wait_until(holds: Callable[[], object], process: subprocess.Popen[str] | None = None) -> None:
    """Wait until a condition holds; fail at once when the process that should bring it about has died."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not holds():
        assert process is None or process.poll() is None, process.stdout.read() if process.stdout else ""
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.02)


def get(url: str) -> int:
    """Return the status of a GET; 0 when nobody listens, or when who did leaves without an answer."""
    try:
        with urlopen(url, timeout=PATIENCE_SECONDS) as answer:
            return int(answer.status)
    except HTTPError as error:
        error.close()
        return error.code
    except OSError:
        return 0


def catches(process: subprocess.Popen[str], number: int) -> bool:
    """Tell whether a process has a handler for a signal: one that comes before would just kill it."""
    status = Path(f"/proc/{process.pid}/status").read_text()
    (caught,) = [line.split()[1] for line in status.splitlines() if line.startswith("SigCgt:")]
    return bool(int(caught, 16) >> (number - 1) & 1)
