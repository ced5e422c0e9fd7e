"""What our Collector configuration costs per span, all exits on, beside a pipeline that does nothing.

    python -m bench.collector_overhead [--requests 400] [--spans 512]

Both run in our distribution (`make stack-build`), one after the other, and get the same requests: server spans with ten
attributes, one in a hundred failed. Ours limits, redacts, feeds span_metrics, samples by tail, and queues on disk for
three exits; a second Collector that takes everything and keeps nothing stands behind them. CPU of the first only, until
its queues are empty. Figures of one machine mean little: the ratio is what matters.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
from bench.ingest_servers import Server, free_port
from bench.payloads import SpanBody
from collector.stack.build import binary, program_named
from collector.stack.places import ROOT

_HEADERS = {"content-type": "application/x-protobuf"}
_SETTLE_SECONDS = 20.0  # tail sampling decides after 10 s, span_metrics leaves every 15 s

_BARE = """\
receivers: {{otlp: {{protocols: {{http: {{endpoint: "127.0.0.1:{http}"}}, grpc: {{endpoint: "127.0.0.1:{grpc}"}}}}}}}}
exporters: {{{exporter}: {{}}}}
service:
  telemetry: {{metrics: {{level: none}}, logs: {{level: error}}}}
  pipelines:
    traces: {{receivers: [otlp], exporters: [{exporter}]}}
    metrics: {{receivers: [otlp], exporters: [{exporter}]}}
    logs: {{receivers: [otlp], exporters: [{exporter}]}}
"""


def bare(exporter: str) -> tuple[Server, int]:
    """Return a Collector from OTLP to one exporter, and its gRPC port."""
    http, grpc = free_port(), free_port()
    server = Server([_program(), "--config={folder}/config.yaml"], http)
    (server.folder / "config.yaml").write_text(_BARE.format(http=http, grpc=grpc, exporter=exporter))
    return server, grpc


@contextmanager
def environment(values: dict[str, str]) -> Iterator[None]:
    """Set variables for who is started in the block."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name, None) if value is None else os.environ.update({name: value})


def ours(sink: int, sink_grpc: int) -> tuple[Server, dict[str, str]]:
    """Return a Collector with our configuration whose exits end in one sink, and its environment."""
    port = free_port()
    server = Server([_program(), f"--config={ROOT / 'otel-collector.yaml'}"], port)
    names = ("OTLP_GRPC_PORT", "METRICS_PORT", "SELF_METRICS_PORT", "HEALTH_PORT")
    return server, {
        **{name: str(free_port()) for name in names},
        "OTLP_HTTP_PORT": str(port),
        "SLOBURN_OTLP_ENDPOINT": f"http://127.0.0.1:{sink}",
        "LOKI_OTLP_ENDPOINT": f"http://127.0.0.1:{sink}",
        "JAEGER_OTLP_ENDPOINT": f"127.0.0.1:{sink_grpc}",
        "QUEUE_DIR": str(server.folder / "queue"),
    }


def microseconds_per_span(server: Server, requests: int, spans: int) -> float:
    """Send requests, wait until all is delivered, and return the CPU that a span took."""
    body, began = SpanBody(spans), server.cpu_seconds
    with httpx.Client(timeout=60, trust_env=False) as client:
        for _ in range(requests):
            content = body.fresh(time.time_ns())
            address = f"http://127.0.0.1:{server.port}/v1/traces"
            client.post(address, content=content, headers=_HEADERS).raise_for_status()
    time.sleep(_SETTLE_SECONDS)
    return (server.cpu_seconds - began) / (requests * spans) * 1e6


def _program() -> str:
    found = binary(program_named("otelcol"))
    if not Path(found).is_file():
        raise SystemExit("our Collector is not built: make stack-build")
    return str(found)


def main() -> None:
    """Measure both and print them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=400)
    parser.add_argument("--spans", type=int, default=512, help="of each request")
    given = parser.parse_args()
    contender, _ = bare("debug")
    with contender:
        nothing = microseconds_per_span(contender, given.requests, given.spans)
    sink, grpc = bare("nop")
    full, settings = ours(sink.port, grpc)
    with sink, environment(settings), full:
        everything = microseconds_per_span(full, given.requests, given.spans)
        memory = full.rss_mib
    print(f"bare otlp -> debug    {nothing:6.2f} µs of CPU per span")
    print(f"otel-collector.yaml   {everything:6.2f} µs of CPU per span, {memory:.0f} MiB at the end")
    print(f"ratio                 {everything / nothing:6.1f}")


if __name__ == "__main__":
    main()
