"""Where the servers that `make stack-up`, or the compose file, has started are."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from sloburn.errors import ConfigError
from sloburn.sdk.doctor.hops import Hops

_DATA = "SLOBURN_STACK_DATA"
_PORT = "SLOBURN_STACK_PORT_"
_RECORD = "state.json"
USUAL: Mapping[str, int] = {
    "otlp_http": 4318,
    "otlp_grpc": 4317,
    "otelcol": 8888,
    "prometheus": 9090,
    "alertmanager": 9093,
    "jaeger": 16686,
    "loki": 3100,
    "sloburn": 4321,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class StackPlaces:
    """Addresses of a stack.

    Args:
        hops: Of all servers behind its Collector.
        endpoints: Of its Collector, by protocol.
    """

    hops: Hops
    endpoints: Mapping[str, str]


def find_stack(folder: str, working: Path, environ: Mapping[str, str]) -> StackPlaces:
    """Return where a stack is: by its record, by the variables that chose its ports, or where it usually is.

    Args:
        folder: Its data folder; empty for ``$SLOBURN_STACK_DATA``, or ``.cache/stack`` in the working directory or
            above it.
        working: The working directory.
        environ: May have ``SLOBURN_STACK_DATA`` and ``SLOBURN_STACK_PORT_<NAME>``.

    Raises:
        ConfigError: The folder that is given has no record, a record cannot be read, or a port is none.
    """
    ports = {**USUAL, **_chosen(environ), **_recorded(folder, working, environ)}
    at = {name: f"http://127.0.0.1:{ports[name]}" for name in USUAL}
    hops = Hops(
        prometheus=at["prometheus"],
        alertmanager=at["alertmanager"],
        jaeger=at["jaeger"],
        loki=at["loki"],
        processor=at["sloburn"],
        collector=at["otelcol"],
    )
    return StackPlaces(hops=hops, endpoints={"http/protobuf": at["otlp_http"], "grpc": at["otlp_grpc"]})


def _chosen(environ: Mapping[str, str]) -> dict[str, int]:
    chosen = {}
    for name in USUAL:
        key = f"{_PORT}{name.upper()}"
        if text := environ.get(key):
            if not text.isdecimal():
                raise ConfigError(f"{key}={text}: expected a port")
            chosen[name] = int(text)
    return chosen


def _recorded(folder: str, working: Path, environ: Mapping[str, str]) -> dict[str, int]:
    given = folder or environ.get(_DATA, "")
    places = [Path(given)] if given else [place / ".cache" / "stack" for place in (working, *working.parents)]
    record = next((place / _RECORD for place in places if (place / _RECORD).is_file()), None)
    if record is None:
        if folder:
            raise ConfigError(
                f"--stack {folder}: has no {_RECORD}: expected the data folder of a stack that was started"
            )
        return {}
    try:
        ports = json.loads(record.read_text())["ports"]
        return {name: int(ports[name]) for name in USUAL}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigError(f"{record}: is no record of a stack: {type(error).__name__}: {error}") from error
