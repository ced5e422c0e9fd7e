"""What an SDK costs its host, side by side: bare, contrib, FastAPI's own telemetry, logfire, sloburn.

Each contender runs in an environment of its own, made on first use below ``~/.cache/sloburn-bench``. All take turns, so
that a busy machine hits all of them. Measured is what each adds to the bare service, as a ratio to contrib (untuned):

* requests: CPU of the caller's thread (inline) and of the process with encoding and sending (total), per request;
* routes: the same behind 100 earlier routes;
* logs: one structured log line with export, inline and total;
* start: milliseconds and MiB that the set-up adds;
* throughput: uvicorn under wrk, requests per second as a share of bare, CPU of the server per request, and p99.

Prints medians with their spread; asserts nothing. Needs wrk for throughput.

Run: ``python bench/sdk_cost.py [--rounds 5] [--count 4000] [requests routes logs start throughput]``
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import time
import venv
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

_HERE = Path(__file__).parent
_CACHE = Path.home() / ".cache" / "sloburn-bench"
_COMMON = ("fastapi", "uvicorn[standard]", "structlog")
_UPSTREAM = ("opentelemetry-sdk", "opentelemetry-exporter-otlp-proto-http", "opentelemetry-instrumentation-logging")
PACKAGES: Mapping[str, tuple[str, ...]] = {
    "bare": _COMMON,
    "contrib": (*_COMMON, *_UPSTREAM, "opentelemetry-instrumentation-fastapi"),
    "native": (*_COMMON, *_UPSTREAM),
    "logfire": (*_COMMON, "logfire[fastapi]"),
    "sloburn": (*_COMMON, "-e", str(_HERE.parent)),
}

Sample = dict[str, float]
Samples = dict[str, list[Sample]]


def python_of(name: str) -> Path:
    """Return a contender's interpreter, after making its environment if there is none."""
    folder = _CACHE / name
    python = folder / "bin" / "python"
    if not python.exists():
        venv.create(folder, with_pip=True)
        subprocess.run([python, "-m", "pip", "install", "-q", *PACKAGES[name]], check=True)
    return python


@contextmanager
def sink() -> Iterator[Mapping[str, str]]:
    """Run a Collector that takes everything; yield the environment that leads there."""
    port = _free_port()
    with subprocess.Popen([sys.executable, _HERE / "sdk_sink.py", str(port)]) as process:
        _wait_for(port)
        try:
            yield {**os.environ, "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{port}"}
        finally:
            process.terminate()


def measure(name: str, mode: str, count: int, environment: Mapping[str, str]) -> Sample:
    """Run one contender once."""
    done = subprocess.run(
        [python_of(name), _HERE / "sdk_contender.py", name, mode, str(count)],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    sample: Sample = json.loads(done.stdout.splitlines()[-1])
    return sample


def throughput(name: str, environment: Mapping[str, str]) -> Sample:
    """Serve under uvicorn, load it by wrk, and return requests per second, server CPU and p99."""
    port = _free_port()
    address = f"http://127.0.0.1:{port}/items/1"
    command = [str(python_of(name)), "-m", "uvicorn", "sdk_contender:app", "--port", str(port), "--no-access-log"]
    variables = {**environment, "SDK_CONTENDER": name}
    with subprocess.Popen(
        [*command, "--log-level", "error"],
        env=variables,
        cwd=_HERE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as server:
        _wait_for(port)
        _wrk(address, 1)
        before = _cpu_seconds(server.pid)
        seen = _wrk(address, 4)
        cpu = _cpu_seconds(server.pid) - before
        server.send_signal(signal.SIGINT)
    total = int(_find(r"(\d+) requests in", seen))
    p99 = re.search(r"99%\s+([\d.]+)(us|ms|s)", seen)
    scale = {"us": 1e-3, "ms": 1.0, "s": 1e3}
    return {
        "per second": float(_find(r"Requests/sec:\s+([\d.]+)", seen)),
        "CPU": cpu / total * 1e6,
        "p99 ms": float(p99[1]) * scale[p99[2]] if p99 else float("nan"),
    }


def _wrk(address: str, seconds: int) -> str:
    command = ["wrk", "-t1", "-c16", f"-d{seconds}", "--latency", address]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def _find(pattern: str, text: str) -> str:
    found = re.search(pattern, text)
    assert found is not None, text
    return found[1]


def _cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_for(port: int) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise TimeoutError(f"nobody listens on port {port}")


def collect(part: str, rounds: int, count: int) -> Samples:
    """Let all contenders take turns."""
    samples: Samples = {name: [] for name in PACKAGES}
    for name in PACKAGES:
        python_of(name)
    for _ in range(rounds):
        for name in PACKAGES:
            # A sink of its own for each: what one still sends must not cost the next.
            with sink() as environment:
                samples[name].append(_sample(name, part, count, environment))
    return samples


def _sample(name: str, part: str, count: int, environment: Mapping[str, str]) -> Sample:
    if part == "throughput":
        return throughput(name, environment)
    if part == "routes":
        return measure(name, "requests", count, {**environment, "SDK_ROUTES": "100"})
    return measure(name, part, count, environment)


def report(part: str, samples: Samples) -> None:
    """Print one table: what each adds to bare, its spread, and the ratio to contrib."""
    print(f"\n{part}")
    for key in samples["bare"][0]:
        middle = {name: statistics.median(sample[key] for sample in runs) for name, runs in samples.items()}
        for name, runs in samples.items():
            values = sorted(sample[key] for sample in runs)
            spread = f"{values[0]:.1f}-{values[-1]:.1f}"
            print(f"  {key:10} {name:8} {middle[name]:9.1f}  ({spread:>15}){_compared(key, name, middle)}")


def _compared(key: str, name: str, middle: Mapping[str, float]) -> str:
    if name == "bare":
        return ""
    if key == "per second":
        return f"  {middle[name] / middle['bare']:.2f} of bare"
    added, theirs = middle[name] - middle["bare"], middle["contrib"] - middle["bare"]
    return f"  +{added:.1f}, {added / theirs:.2f} of contrib"


def main() -> None:
    parts = ["requests", "routes", "logs", "start", "throughput"]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", default=parts, choices=[*parts, []])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--count", type=int, default=4000)
    options = parser.parse_args()
    print(
        f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} at the start, {options.rounds} rounds, medians (range)"
    )
    for part in options.parts:
        if part == "throughput" and shutil.which("wrk") is None:
            print("\nthroughput: wrk is not installed")
            continue
        report(part, collect(part, options.rounds, options.count))


if __name__ == "__main__":
    main()
