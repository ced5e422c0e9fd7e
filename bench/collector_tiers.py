"""What a span costs in each tier of a scaled-out stack (`collector/SCALE.md`): front, shard's Collector, sampler.

    python -m bench.collector_tiers [--requests 200] [--spans 512]

The tiers' own files, merged as their pods merge them, in our distribution. It has no `load_balancing`: an ordinary OTLP
exporter with the same queue is in its place, so what choosing an address costs is not in the figure. Spans and sink are
those of `bench.collector_overhead`.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml
from bench.collector_overhead import bare, environment, microseconds_per_span, ours
from bench.ingest_servers import Server
from collector.stack.build import binary, program_named
from collector.stack.places import COLLECTOR, ROOT

TIERS = {
    "front": COLLECTOR / "kubernetes" / "front.yaml",
    "shard": COLLECTOR / "options" / "agent.yaml",
    "sampler": COLLECTOR / "options" / "gateway.yaml",
}
# Of the official distribution: ours has what is nearest to them in its place.
_STAND_INS = {"load_balancing": "otlp_grpc"}
_LEFT_OUT = "k8s_attributes"

Json = dict[str, Any]


def merged(base: Any, more: Any) -> Any:
    """Merge configurations as the Collector does: mappings go into each other, everything else is replaced."""
    if not (isinstance(base, dict) and isinstance(more, dict)):
        return more
    return {**base, **{key: merged(base[key], value) if key in base else value for key, value in more.items()}}


def with_stand_ins(document: Json, endpoint: str = "127.0.0.1:4317") -> Json:
    """Return a configuration that our distribution can read.

    Args:
        document: One for the official distribution.
        endpoint: Where telemetry goes that would be shared out between addresses.
    """
    exporters = {_standing_in(name): _exporter(it, endpoint) for name, it in document["exporters"].items()}
    processors = {name: it for name, it in document["processors"].items() if name != _LEFT_OUT}
    lines = {
        line: {
            "receivers": it["receivers"],
            "processors": [name for name in it["processors"] if name != _LEFT_OUT],
            "exporters": [_standing_in(name) for name in it["exporters"]],
        }
        for line, it in document["service"]["pipelines"].items()
    }
    service = {**document["service"], "pipelines": lines}
    return {**document, "exporters": exporters, "processors": processors, "service": service}


def _standing_in(name: str) -> str:
    kind, _, rest = name.partition("/")
    return f"{_STAND_INS[kind]}/{rest}" if kind in _STAND_INS else name


def _exporter(settings: Json, endpoint: str) -> Json:
    """Return an exporter's settings; one that shares out becomes one with a single address."""
    if "protocol" not in settings:
        return settings
    shared = {key: value for key, value in settings.items() if key not in ("routing_key", "protocol", "resolver")}
    return {**shared, "endpoint": endpoint, **settings["protocol"]["otlp"], "tls": {"insecure": True}}


def tier(files: Sequence[Path], endpoint: str) -> str:
    """Return the text of a tier's merged configuration."""
    document: Json = {}
    for file in files:
        document = merged(document, yaml.safe_load(file.read_text()))
    return yaml.safe_dump(with_stand_ins(document, endpoint))


def measure(name: str, requests: int, spans: int) -> float:
    """Run one tier before a sink and return the CPU that a span took, in microseconds."""
    sink, grpc = bare("nop")
    alone, settings = ours(sink.port, grpc)
    server = Server([str(binary(program_named("otelcol"))), "--config={folder}/tier.yaml"], alone.port)
    text = tier((ROOT / "otel-collector.yaml", TIERS[name]), f"127.0.0.1:{grpc}")
    (server.folder / "tier.yaml").write_text(text)
    with sink, environment(settings), server:
        return microseconds_per_span(server, requests, spans)


def main() -> None:
    """Measure every tier and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=200)
    parser.add_argument("--spans", type=int, default=512, help="of each request")
    given = parser.parse_args()
    for name in TIERS:
        print(f"{name:8} {measure(name, given.requests, given.spans):6.1f} µs of CPU per span", flush=True)


if __name__ == "__main__":
    main()
