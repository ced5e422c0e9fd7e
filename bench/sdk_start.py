"""What `init_telemetry()` adds to the start of a FastAPI service, beside upstream's set-up done by hand.

Every measurement is a fresh interpreter; the contenders take turns, so that a busy machine hits all of them. Prints
medians, what each adds to the bare service, and the ratio to upstream; asserts nothing.

Run: ``python bench/sdk_start.py [--rounds 15]``
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys

_BARE = """
import time
started = time.perf_counter()
from fastapi import FastAPI
app = FastAPI()

@app.get("/items/{item_id}")
def read(item_id: int) -> dict[str, int]:
    return {"item_id": item_id}
"""

_SLOBURN = """
import time
started = time.perf_counter()
from sloburn import init_telemetry
init_telemetry(service_name="bench")
""" + _BARE.split("started = time.perf_counter()\n")[1]

_UPSTREAM = (
    _BARE
    + """
from opentelemetry import _logs, metrics, trace
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
resource = Resource.create({"service.name": "bench"})
tracer_provider = TracerProvider(resource=resource)
tracer_provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
trace.set_tracer_provider(tracer_provider)
reader = PeriodicExportingMetricReader(OTLPMetricExporter())
metrics.set_meter_provider(MeterProvider(resource=resource, metric_readers=[reader]))
logger_provider = LoggerProvider(resource=resource)
logger_provider.add_log_record_processor(BatchLogRecordProcessor(OTLPLogExporter()))
_logs.set_logger_provider(logger_provider)
FastAPIInstrumentor.instrument_app(app)
"""
)

# Leaves without an exit handler: nothing listens, and upstream would wait for it.
_END = """
import os, resource as usage, threading
milliseconds = (time.perf_counter() - started) * 1e3
cpu = time.process_time() * 1e3
mebibytes = usage.getrusage(usage.RUSAGE_SELF).ru_maxrss / 1024
os.write(1, f"{milliseconds} {cpu} {mebibytes} {threading.active_count()}".encode())
os._exit(0)
"""

CONTENDERS = {"bare": _BARE + _END, "sloburn": _SLOBURN + _END, "upstream": _UPSTREAM + _END}


Sample = tuple[float, float, float, float]


def measure(code: str) -> Sample:
    """Run one start in a fresh interpreter: milliseconds on the clock, milliseconds of CPU, MiB, threads.

    With byte-code kept, as an installed package has it: to compile a module takes longer than to run it.
    """
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        check=True,
        text=True,
        env={name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"},
    )
    milliseconds, cpu, mebibytes, threads = map(float, done.stdout.splitlines()[-1].split())
    return milliseconds, cpu, mebibytes, threads


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15)
    rounds = parser.parse_args().rounds
    for code in CONTENDERS.values():
        measure(code)  # byte-code and page cache
    runs: dict[str, list[Sample]] = {name: [] for name in CONTENDERS}
    for _ in range(rounds):
        for name, code in CONTENDERS.items():
            runs[name].append(measure(code))
    report(runs)


def report(runs: dict[str, list[Sample]]) -> None:
    def median(name: str, index: int) -> float:
        return statistics.median(run[index] for run in runs[name])

    titles = f"{'ms':>6} {'spread':>10} {'+ ms':>6} {'/ upstream':>11} {'CPU ms':>7} {'+ CPU':>6} {'MiB':>5}"
    print(f"{'':10} {titles} {'threads':>8}")
    for name, samples in runs.items():
        times = sorted(run[0] for run in samples)
        added, added_cpu = (median(name, index) - median("bare", index) for index in (0, 1))
        ratio = f"{added / (median('upstream', 0) - median('bare', 0)):.2f}" if name != "bare" else ""
        print(
            f"{name:10} {median(name, 0):6.0f} {f'{times[0]:.0f}-{times[-1]:.0f}':>10} {added:6.0f} {ratio:>11} "
            f"{median(name, 1):7.0f} {added_cpu:6.0f} {median(name, 2):5.0f} {median(name, 3):8.0f}"
        )


if __name__ == "__main__":
    main()
