"""What the stack consists of, as data: programs built from Go modules, and programs of Debian."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from collector.stack.places import MODULES


@dataclass(frozen=True, slots=True, kw_only=True)
class GoProgram:
    """A program that is built from a pinned module.

    Args:
        name: Of the file it becomes.
        module: Folder in `MODULES` that pins it.
        package: What to build; ``.`` for generated code.
        tags: Build tags.
        is_large: Whether its modules and packages alone take gigabytes.
    """

    name: str
    module: str
    package: str
    tags: str = ""
    is_large: bool = False

    @property
    def folder(self) -> Path:
        """Where go.mod and go.sum are."""
        return MODULES / self.module


@dataclass(frozen=True, slots=True, kw_only=True)
class DebianProgram:
    """A program of Debian.

    Args:
        name: Its file.
        package: Holds it.
        also: Other names or places under which it may be installed already; patterns of paths start with a slash.
        service: Whether it needs libraries and users of its own, so that only a real installation will do.
    """

    name: str
    package: str
    also: tuple[str, ...] = ()
    service: bool = False


BUILDER = GoProgram(name="builder", module="builder", package="go.opentelemetry.io/collector/cmd/builder")
_ALERTMANAGER = "github.com/prometheus/alertmanager/cmd"
_PROMETHEUS = "github.com/prometheus/prometheus/cmd"

# In the order in which they are built: what compiles quickly comes first, so that mistakes show early.
GO_PROGRAMS = (
    GoProgram(name="alertmanager", module="alertmanager", package=f"{_ALERTMANAGER}/alertmanager"),
    GoProgram(name="amtool", module="alertmanager", package=f"{_ALERTMANAGER}/amtool"),
    BUILDER,
    GoProgram(name="otelcol", module="otelcol", package="."),
    # Service discovery by clouds is most of Prometheus' code; files are what this stack uses.
    GoProgram(name="prometheus", module="prometheus", package=f"{_PROMETHEUS}/prometheus", tags="remove_all_sd"),
    GoProgram(name="promtool", module="prometheus", package=f"{_PROMETHEUS}/promtool", tags="remove_all_sd"),
    GoProgram(name="jaeger", module="jaeger", package="github.com/jaegertracing/jaeger/cmd/jaeger"),
    GoProgram(name="loki", module="loki", package="github.com/grafana/loki/v3/cmd/loki", is_large=True),
)

DEBIAN_PROGRAMS = (
    DebianProgram(name="prometheus-node-exporter", package="prometheus-node-exporter", also=("node_exporter",)),
    DebianProgram(
        name="prometheus-postgres-exporter", package="prometheus-postgres-exporter", also=("postgres_exporter",)
    ),
    DebianProgram(name="prometheus-redis-exporter", package="prometheus-redis-exporter", also=("redis_exporter",)),
    DebianProgram(name="postgres", package="postgresql", also=("/usr/lib/postgresql/*/bin/postgres",), service=True),
    DebianProgram(name="redis-server", package="redis-server", service=True),
)
