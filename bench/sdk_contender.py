"""One contender of `sdk_cost.py`, run by the interpreter of its own environment: the service, and the loop around it.

It needs nothing but what its contender needs. ``python sdk_contender.py NAME MODE [COUNT]`` prints one line of JSON.
Under uvicorn the name is taken from ``SDK_CONTENDER`` and the application is ``sdk_contender:app``.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import sys
import time
from collections.abc import Callable
from importlib import import_module
from typing import Any

Flush = Callable[[], object]
Setup = Callable[[Any], Flush]

_ROUTES_BEFORE = int(os.environ.get("SDK_ROUTES", "0"))
_CHUNK = 200


def bare(_: Any) -> Flush:
    return lambda: None


def _providers(service: str) -> Flush:
    """Upstream's documented set-up by hand: OTLP over HTTP, batching, every default."""
    from opentelemetry import _logs, metrics, trace
    from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
    from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk._logs import LoggerProvider
    from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    resource = Resource.create({"service.name": service})
    tracer = TracerProvider(resource=resource)
    tracer.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    trace.set_tracer_provider(tracer)
    meter = MeterProvider(resource=resource, metric_readers=[PeriodicExportingMetricReader(OTLPMetricExporter())])
    metrics.set_meter_provider(meter)
    logger = LoggerProvider(resource=resource)
    logger.add_log_record_processor(BatchLogRecordProcessor(OTLPLogExporter()))
    _logs.set_logger_provider(logger)

    def flush() -> None:
        tracer.force_flush()
        logger.force_flush()

    return flush


def contrib(app: Any) -> Flush:
    from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor

    flush = _providers("bench")
    FastAPIInstrumentor.instrument_app(app)
    return flush


def native(_: Any) -> Flush:
    # FastAPI's own telemetry acts as soon as global providers exist.
    return _providers("bench")


def logfire(app: Any) -> Flush:
    sdk: Any = import_module("logfire")

    sdk.configure(send_to_logfire=False, service_name="bench", console=False)
    sdk.instrument_fastapi(app)
    return lambda: sdk.force_flush()


def sloburn(_: Any) -> Flush:
    from sloburn import init_telemetry

    return init_telemetry(service_name="bench", freeze_gc=os.environ.get("SDK_FREEZE") == "1").flush


SETUPS: dict[str, Setup] = {"bare": bare, "contrib": contrib, "native": native, "logfire": logfire, "sloburn": sloburn}


def build(name: str) -> tuple[Any, Flush]:
    from fastapi import FastAPI

    app = FastAPI()
    for number in range(_ROUTES_BEFORE):
        app.add_api_route(f"/route{number}/{{x}}/y", _other)
    app.add_api_route("/items/{item_id}", _read)
    return app, SETUPS[name](app)


async def _other(x: int) -> int:
    return x


async def _read(item_id: int) -> dict[str, int]:
    return {"item_id": item_id}


def _scope(number: int) -> dict[str, Any]:
    path = f"/items/{number}"
    headers = [(b"host", b"127.0.0.1:8000"), (b"user-agent", b"bench/1"), (b"accept", b"*/*")]
    return {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": headers,
        "client": ("127.0.0.1", 40000),
        "server": ("127.0.0.1", 8000),
    }


async def _receive() -> dict[str, Any]:
    return {"type": "http.request", "body": b"", "more_body": False}


async def _send(message: Any) -> None:
    pass


async def _serve(app: Any, count: int, flush: Flush) -> tuple[float, float]:
    """Serve so many requests in chunks; return the microseconds of CPU per request, inline and total.

    After each chunk everything is flushed, so that no contender saves work by dropping spans.
    """
    inline = 0.0
    total_began = time.process_time()
    for first in range(0, count, _CHUNK):
        began = time.thread_time()
        for number in range(first, first + _CHUNK):
            await app(_scope(number), _receive, _send)
        inline += time.thread_time() - began
        flush()
    return inline / count * 1e6, (time.process_time() - total_began) / count * 1e6


def requests(name: str, count: int) -> dict[str, float]:
    app, flush = build(name)

    async def run() -> tuple[float, float]:
        await _serve(app, 1000, flush)
        return await _serve(app, count, flush)

    inline, total = asyncio.run(run())
    return {"inline": inline, "total": total}


def log_lines(name: str, count: int) -> dict[str, float]:
    """Return the microseconds of CPU of one log line, inline and with its export."""
    write, flush = _log_setup(name)
    for _ in range(1000):
        write("warm", 0)
    flush()
    inline = 0.0
    began_total = time.process_time()
    for first in range(0, count, _CHUNK):
        began = time.thread_time()
        for number in range(first, first + _CHUNK):
            write("order paid", number)
        inline += time.thread_time() - began
        flush()
    total = time.process_time() - began_total
    return {"inline": inline / count * 1e6, "total": total / count * 1e6}


def _log_setup(name: str) -> tuple[Callable[[str, int], object], Flush]:
    import structlog

    sys.stdout = open(os.devnull, "w")  # noqa: PTH123, SIM115 - the terminal is not what is measured
    if name == "sloburn":
        from sloburn import get_logger, init_telemetry

        flush: Flush = init_telemetry(service_name="bench").flush
        log = get_logger("bench")
        return lambda event, number: log.info(event, order_id=number, user="u1"), flush
    if name == "logfire":
        sdk: Any = import_module("logfire")

        sdk.configure(send_to_logfire=False, service_name="bench", console=False)
        return lambda event, number: sdk.info(event, order_id=number, user="u1"), lambda: sdk.force_flush()
    return _log_by_hand(name, structlog)


def _log_by_hand(name: str, structlog: Any) -> tuple[Callable[[str, int], object], Flush]:
    import logging

    handlers: list[logging.Handler] = [logging.StreamHandler(sys.stdout)]
    flush: Flush = lambda: None  # noqa: E731
    if name != "bare":
        handler: Any = import_module("opentelemetry.instrumentation.logging.handler")
        flush = _providers("bench")
        handlers.append(handler.LoggingHandler())
    logging.basicConfig(level=logging.INFO, handlers=handlers, format="%(message)s")
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso"),
            structlog.processors.JSONRenderer(),
        ],
        logger_factory=structlog.stdlib.LoggerFactory() if name != "bare" else structlog.PrintLoggerFactory(sys.stdout),
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        cache_logger_on_first_use=True,
    )
    log = structlog.get_logger("bench")
    return lambda event, number: log.info(event, order_id=number, user="u1"), flush


def start(name: str, _: int) -> dict[str, float]:
    """Return what the start costs: milliseconds on the clock and MiB."""
    import resource

    began = time.perf_counter()
    build(name)
    milliseconds = (time.perf_counter() - began) * 1e3
    return {"ms": milliseconds, "MiB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}


def main() -> None:
    name, mode, count = sys.argv[1], sys.argv[2], int((sys.argv[3:] or ["0"])[0])
    gc.collect()
    out = sys.stdout
    result = {"requests": requests, "logs": log_lines, "start": start}[mode](name, count)
    out.write(json.dumps(result) + "\n")
    out.flush()
    os._exit(0)


if __name__ == "__main__":
    main()
else:
    app, _flush = build(os.environ["SDK_CONTENDER"])
