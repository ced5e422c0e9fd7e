"""Lay out what servers read before they start: folders, targets for the ports in force, rules, a database."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Collection, Sequence
from pathlib import Path

from collector.stack.database import create_database, shut_folder
from collector.stack.places import COLLECTOR, DATA_VARIABLE, ROOT, StackError
from collector.stack.ports import HOST, Ports
from collector.stack.services import Service, sampling_file
from collector.stack.state import process_environment

# What Prometheus scrapes, by file in targets/: the port it is on. Exporters name the job after what they export.
_TARGETS = {
    "telemetry": "telemetry",
    "otelcol": "otelcol",
    "sloburn": "sloburn",
    "prometheus": "prometheus",
    "alertmanager": "alertmanager",
    "jaeger": "jaeger_self",
    "loki": "loki",
    "node": "node",
    "postgresql": "postgresql_exporter",
    "redis": "redis_exporter",
}
_OPTIONAL = {"node": "node_exporter", "postgresql": "postgresql_exporter", "redis": "redis_exporter"}
_RULES_SECONDS = 120
_PARTIAL = ("--partial", "--collector", str(ROOT / "otel-collector.yaml"))


class PromiseError(StackError):
    """An SLO document is wrong."""


def prepare(data: Path, ports: Ports, planned: Sequence[Service], slos: Sequence[str]) -> list[str]:
    """Write everything; what holds data already is left as it is.

    Args:
        data: Folder of all data.
        ports: Where servers listen.
        planned: The servers that will be started.
        slos: SLO documents, for the rules.

    Returns:
        What a person should know.
    """
    for service in planned:
        (data / service.name).mkdir(parents=True, exist_ok=True)
    names = {service.name for service in planned}
    _copy_configurations(data)
    write_targets(data, ports, names, scraped={port for service in planned for port in service.ports})
    if "postgresql" in names:
        create_database(data)
    return [*compile_rules(data, slos), *compile_sampling(data, slos), *_left_out(data)]


def check_promises(slos: Sequence[str]) -> None:
    """Refuse SLO documents that are wrong before anything is started or changed for them.

    Raises:
        PromiseError: One is wrong; the message is that of ``sloburn validate``.
        StackError: It was ended by a signal before it could tell, as where there is no memory.
    """
    done = _sloburn("validate", *slos)
    if done.returncode:
        kind = StackError if done.returncode < 0 else PromiseError
        raise kind(f"nothing was started or changed: {done.stderr.strip() or f'exit status {done.returncode}'}")


def write_targets(data: Path, ports: Ports, names: set[str], scraped: Collection[str] = ("telemetry",)) -> None:
    """Tell Prometheus where everything listens; what is not started is no target, nor are metrics that are pushed."""
    folder = data / "prometheus" / "targets"
    folder.mkdir(parents=True, exist_ok=True)
    for name, port in _TARGETS.items():
        is_there = _OPTIONAL.get(name, name) in names or (name == "telemetry" and name in scraped)
        text = f"- targets: [{HOST}:{ports[port]}]\n" if is_there else "[]\n"
        (folder / f"{name}.yaml").write_text(text)


def rules_file(data: Path) -> Path:
    """Return the rules that Prometheus gets of the SLO documents."""
    return data / "prometheus" / "rules" / "slos.yaml"


def compile_rules(data: Path, slos: Sequence[str]) -> list[str]:
    """Write the rules of the SLO documents for Prometheus; none where they cannot be compiled.

    Returns:
        Why SLOs have none; sloburn itself watches every one.
    """
    try:
        return replace_rules(data, slos)
    except StackError as error:
        rules_file(data).write_text("groups: []\n")  # rather none than those of other promises
        return str(error).splitlines()


def replace_rules(data: Path, slos: Sequence[str]) -> list[str]:
    """Write the rules of the SLO documents for Prometheus: of each SLO whose events the Collector's metrics count.

    Returns:
        Why others have none.

    Raises:
        StackError: They cannot be compiled, and are left as they were.
    """
    target = rules_file(data)
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f"{target.name}.part")  # which Prometheus does not read
    done = _sloburn("rules", *slos, "-o", str(part), *_PARTIAL)
    said = done.stderr.strip().splitlines()
    if done.returncode:
        reasons = said or [f"exit status {done.returncode}"]
        raise StackError("\n".join(f"no rules were compiled for Prometheus: {line}" for line in reasons))
    part.replace(target)
    return [f"rules for Prometheus: {line}" for line in said]


def compile_sampling(data: Path, slos: Sequence[str]) -> list[str]:
    """Write the part of the Collector's configuration that keeps each trace with a span that an SLO counts as bad.

    Returns:
        Which SLOs have no such traces, and why.
    """
    target = sampling_file(data)
    target.parent.mkdir(parents=True, exist_ok=True)
    done = _sloburn("sampling", *slos, "-o", str(target), *_PARTIAL)
    if done.returncode:
        target.write_text("{}\n")  # the Collector samples as its own configuration says
    return [f"traces that are kept: {line}" for line in done.stderr.strip().splitlines()]


def _sloburn(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "sloburn.cli", *arguments]
    return subprocess.run(
        command, capture_output=True, text=True, timeout=_RULES_SECONDS, env=process_environment(), check=False
    )


def _copy_configurations(data: Path) -> None:
    """Copy what finds its neighbours by relative paths: targets, rules, secrets."""
    for name in ("prometheus", "alertmanager"):
        (data / name).mkdir(parents=True, exist_ok=True)
        shutil.copy(COLLECTOR / name / f"{name}.yaml", data / name / f"{name}.yaml")
    shutil.copytree(COLLECTOR / "prometheus" / "rules", data / "prometheus" / "rules", dirs_exist_ok=True)
    shutil.copytree(COLLECTOR / "alertmanager" / "templates", data / "alertmanager" / "templates", dirs_exist_ok=True)
    (data / "alertmanager" / "secrets").mkdir(mode=0o700, exist_ok=True)


def _left_out(data: Path) -> list[str]:
    shut = shut_folder(data)
    reason = f"its user may not enter {shut}: set {DATA_VARIABLE} to a folder elsewhere"
    return [f"PostgreSQL is left out: {reason}"] if shut else []


def working_folder(data: Path, service: Service) -> Path:
    """Return where a server runs: the repository for ours, its own data for others."""
    return ROOT if service.name in ("sloburn", "follower") else data / service.name
