"""Every server of the stack, as data: how it is started, where it listens, when it is ready."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from collector.stack.build import binary, program_named
from collector.stack.database import shut_folder
from collector.stack.debian import find_named
from collector.stack.places import COLLECTOR, DATA_VARIABLE, ROOT
from collector.stack.ports import HOST, Ports

MEMORY_MIB = 1536  # of the Collector: no container bounds it here
PUSH = "otlp-push.yaml"  # with this part, services' metrics are sent to Prometheus and cannot be scraped


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """A server.

    Args:
        name: For people, and the folder of its data.
        command: Program and arguments; empty when the program is missing, or cannot run here.
        environment: Its settings, beside what everything inherits.
        ports: Names of those it listens on.
        ready: Address that answers 200 once it is ready; ``tcp://`` where a connection must do; empty where it must do
            that it runs.
        shown: What people open or send to, empty for what only others ask.
        database: Whether it refuses to run as root.
        asks: Its configurations that may name variables of the user's environment.
    """

    name: str
    command: Sequence[str]
    environment: Mapping[str, str] = field(default_factory=dict)
    ports: Sequence[str]
    ready: str
    shown: str = ""
    database: bool = False
    asks: Sequence[Path] = ()


def services(data: Path, ports: Ports, slos: Sequence[str], options: Sequence[str] = ()) -> tuple[Service, ...]:
    """Return every server, in the order of starting: what is written to comes before what writes.

    Args:
        data: Folder of all data; each server has its own in it.
        ports: Where they listen.
        slos: SLO documents for sloburn.
        options: Files that the Collector merges into its configuration.
    """
    return (
        *_databases(data, ports),
        _jaeger(data, ports),
        _loki(data, ports),
        _alertmanager(data, ports),
        _prometheus(data, ports),
        _sloburn(data, ports, slos),
        _otelcol(data, ports, options),
        *_exporters(data, ports),
        _follower(data),
    )


def url(ports: Ports, name: str, path: str = "") -> str:
    """Return the address of a listener."""
    return f"http://{HOST}:{ports[name]}{path}"


def _built(name: str) -> str:
    return str(binary(program_named(name)))


def sampling_file(data: Path) -> Path:
    """Return the part of the Collector's configuration that is made of the SLO documents."""
    return data / "sampling.yaml"  # not among the queues: a disk of their own may hide it


def _otelcol(data: Path, ports: Ports, options: Sequence[str]) -> Service:
    pushed = any(Path(file).name == PUSH for file in options)
    configurations = (ROOT / "otel-collector.yaml", sampling_file(data), *map(Path, options))
    return Service(
        name="otelcol",
        command=(_built("otelcol"), *(f"--config={file}" for file in configurations)),
        environment={
            "OTLP_GRPC_PORT": str(ports["otlp_grpc"]),
            "OTLP_HTTP_PORT": str(ports["otlp_http"]),
            "METRICS_PORT": str(ports["telemetry"]),
            "SELF_METRICS_PORT": str(ports["otelcol"]),
            "HEALTH_PORT": str(ports["otelcol_health"]),
            "SLOBURN_OTLP_ENDPOINT": url(ports, "sloburn_http"),
            "JAEGER_OTLP_ENDPOINT": f"{HOST}:{ports['jaeger_otlp']}",
            "LOKI_OTLP_ENDPOINT": url(ports, "loki", "/otlp"),
            "QUEUE_DIR": str(data / "otelcol"),
            "MEMORY_LIMIT_MIB": str(MEMORY_MIB),
            "GOMEMLIMIT": f"{MEMORY_MIB * 8 // 10}MiB",
            "PROMETHEUS_OTLP_ENDPOINT": url(ports, "prometheus", "/api/v1/otlp"),
        },
        ports=("otlp_grpc", "otlp_http", *(() if pushed else ("telemetry",)), "otelcol", "otelcol_health"),
        ready=url(ports, "otelcol_health", "/"),
        asks=configurations,
        shown=f"OTLP: {url(ports, 'otlp_http')} (HTTP), {HOST}:{ports['otlp_grpc']} (gRPC)",
    )


def _sloburn(data: Path, ports: Ports, slos: Sequence[str]) -> Service:
    listening = (
        *("--otlp-http", f"{HOST}:{ports['sloburn_http']}"),
        *("--otlp-grpc", f"{HOST}:{ports['sloburn_grpc']}"),
        *("--listen", f"{HOST}:{ports['sloburn']}"),
    )
    links = (
        *("--alertmanager", url(ports, "alertmanager")),
        *("--page-url", url(ports, "sloburn")),
        *("--trace-url", url(ports, "jaeger", "/trace/{trace_id}")),
    )
    return Service(
        name="sloburn",
        command=(
            *(sys.executable, "-m", "sloburn.cli", "serve", "--slos", *slos),
            *("--data", str(data / "sloburn"), *listening, *links),
        ),
        environment={"PYTHONUNBUFFERED": "1"},
        ports=("sloburn", "sloburn_http", "sloburn_grpc"),
        ready=url(ports, "sloburn", "/readyz"),
        shown=url(ports, "sloburn", "/"),
    )


def _follower(data: Path) -> Service:
    return Service(
        name="follower",
        command=(sys.executable, "-m", "collector.stack", "follow"),
        environment={"PYTHONUNBUFFERED": "1", DATA_VARIABLE: str(data)},
        ports=(),
        ready="",
        shown="gives Prometheus the rules of SLO documents that change",
    )


def _prometheus(data: Path, ports: Ports) -> Service:
    return Service(
        name="prometheus",
        command=(
            _built("prometheus"),
            f"--config.file={data / 'prometheus' / 'prometheus.yaml'}",
            f"--storage.tsdb.path={data / 'prometheus' / 'data'}",
            f"--web.listen-address={HOST}:{ports['prometheus']}",
            f"--web.external-url={url(ports, 'prometheus', '/')}",  # links in notifications lead to it
            "--web.enable-otlp-receiver",
            "--web.enable-lifecycle",  # rules are read anew without a restart
            "--enable-feature=exemplar-storage",
        ),
        ports=("prometheus",),
        ready=url(ports, "prometheus", "/-/ready"),
        shown=url(ports, "prometheus", "/"),
    )


def _alertmanager(data: Path, ports: Ports) -> Service:
    return Service(
        name="alertmanager",
        command=(
            _built("alertmanager"),
            f"--config.file={data / 'alertmanager' / 'alertmanager.yaml'}",
            f"--storage.path={data / 'alertmanager' / 'data'}",
            f"--web.listen-address={HOST}:{ports['alertmanager']}",
            f"--web.external-url={url(ports, 'alertmanager', '/')}",
            "--cluster.listen-address=",  # one of it: nobody to gossip with
        ),
        ports=("alertmanager",),
        ready=url(ports, "alertmanager", "/-/ready"),
        shown=url(ports, "alertmanager", "/"),
    )


def _jaeger(data: Path, ports: Ports) -> Service:
    return Service(
        name="jaeger",
        command=(_built("jaeger"), f"--config={COLLECTOR / 'jaeger.yaml'}"),
        environment={
            "JAEGER_OTLP_PORT": str(ports["jaeger_otlp"]),
            "JAEGER_UI_PORT": str(ports["jaeger"]),
            "JAEGER_GRPC_PORT": str(ports["jaeger_grpc"]),
            "JAEGER_SELF_PORT": str(ports["jaeger_self"]),
            "JAEGER_DATA": str(data / "jaeger"),
            "PROMETHEUS_URL": url(ports, "prometheus"),
            "OTEL_TRACES_SAMPLER": "always_off",  # or it sends traces of its own to whoever listens on port 4317
        },
        ports=("jaeger", "jaeger_grpc", "jaeger_otlp", "jaeger_self"),
        ready=url(ports, "jaeger", "/api/services"),
        shown=url(ports, "jaeger", "/"),
    )


def _loki(data: Path, ports: Ports) -> Service:
    return Service(
        name="loki",
        command=(_built("loki"), f"-config.file={COLLECTOR / 'loki.yaml'}", "-config.expand-env=true"),
        environment={
            "LOKI_PORT": str(ports["loki"]),
            "LOKI_GRPC_PORT": str(ports["loki_grpc"]),
            "LOKI_DATA": str(data / "loki"),
        },
        ports=("loki", "loki_grpc"),
        ready=url(ports, "loki", "/ready"),
        shown=url(ports, "loki"),
    )


def _databases(data: Path, ports: Ports) -> tuple[Service, ...]:
    postgres, redis = _postgres(data), find_named("redis-server")
    place = (*("-c", f"port={ports['postgresql']}"), *("-c", f"listen_addresses={HOST}"))
    place_of_redis = ("--bind", HOST, "--port", str(ports["redis"]), "--dir", str(data / "redis"))
    return (
        Service(
            name="postgresql",
            command=(str(postgres), "-D", str(data / "postgresql"), *place, "-c", "unix_socket_directories=")
            if postgres
            else (),
            ports=("postgresql",),
            ready=f"tcp://{HOST}:{ports['postgresql']}",
            shown=f"postgresql://sloburn@{HOST}:{ports['postgresql']}/postgres, password in {data / 'secrets'}",
            database=True,
        ),
        Service(
            name="redis",
            # A title would overwrite the environment, by which the server is found.
            command=(str(redis), *place_of_redis, *("--set-proc-title", "no")) if redis else (),
            ports=("redis",),
            ready=f"tcp://{HOST}:{ports['redis']}",
            shown=f"redis://{HOST}:{ports['redis']}/0",
        ),
    )


def _postgres(data: Path) -> Path | None:
    return None if shut_folder(data) else find_named("postgres")


def _exporters(data: Path, ports: Ports) -> tuple[Service, ...]:
    node = find_named("prometheus-node-exporter")
    postgresql = find_named("prometheus-postgres-exporter") if _postgres(data) else None
    redis = find_named("prometheus-redis-exporter") if find_named("redis-server") else None
    return (
        _exporter("node_exporter", "node", node, ports),
        _exporter(
            *("postgresql_exporter", "postgresql_exporter", postgresql, ports),
            DATA_SOURCE_URI=f"{HOST}:{ports['postgresql']}/postgres?sslmode=disable",
            DATA_SOURCE_USER="sloburn",
            DATA_SOURCE_PASS_FILE=str(data / "secrets" / "postgresql"),
        ),
        _exporter("redis_exporter", "redis_exporter", redis, ports, REDIS_ADDR=f"redis://{HOST}:{ports['redis']}"),
    )


def _exporter(name: str, port: str, program: Path | None, ports: Ports, **environment: str) -> Service:
    return Service(
        name=name,
        command=(str(program), f"--web.listen-address={HOST}:{ports[port]}") if program else (),
        environment=environment,
        ports=(port,),
        ready=url(ports, port, "/metrics"),
    )
