"""Lay out what servers read before they start: folders, targets for the ports in force, rules, a database."""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from collector.stack.debian import find_named
from collector.stack.places import COLLECTOR, ROOT, StackError
from collector.stack.ports import HOST, Ports
from collector.stack.services import Service
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
_RULES_SECONDS = 60


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
    write_targets(data, ports, names)
    if "postgresql" in names:
        _create_database(data)
    return compile_rules(data, slos)


def write_targets(data: Path, ports: Ports, names: set[str]) -> None:
    """Tell Prometheus where everything listens; what is not started is no target."""
    folder = data / "prometheus" / "targets"
    folder.mkdir(parents=True, exist_ok=True)
    for name, port in _TARGETS.items():
        is_there = _OPTIONAL.get(name, name) in names or name == "telemetry"
        text = f"- targets: [{HOST}:{ports[port]}]\n" if is_there else "[]\n"
        (folder / f"{name}.yaml").write_text(text)


def compile_rules(data: Path, slos: Sequence[str]) -> list[str]:
    """Write the rules of the SLO documents for Prometheus, where this sloburn can."""
    target = data / "prometheus" / "rules" / "slos.yaml"
    command = [sys.executable, "-m", "sloburn.cli", "rules", *slos, "-o", str(target)]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=_RULES_SECONDS, env=process_environment(), check=False
    )
    if done.returncode == 0:
        return []
    reason = done.stderr.strip().splitlines()[-1:] or [f"exit status {done.returncode}"]
    return [f"no rules were compiled for Prometheus: {reason[0]}"]


def _copy_configurations(data: Path) -> None:
    """Copy what finds its neighbours by relative paths: targets, rules, secrets."""
    for name in ("prometheus", "alertmanager"):
        (data / name).mkdir(parents=True, exist_ok=True)
        shutil.copy(COLLECTOR / name / f"{name}.yaml", data / name / f"{name}.yaml")
    shutil.copytree(COLLECTOR / "prometheus" / "rules", data / "prometheus" / "rules", dirs_exist_ok=True)
    shutil.copytree(COLLECTOR / "alertmanager" / "templates", data / "alertmanager" / "templates", dirs_exist_ok=True)
    (data / "alertmanager" / "secrets").mkdir(mode=0o700, exist_ok=True)


def database_user() -> str | None:
    """Return whom PostgreSQL runs as: it refuses root."""
    return "postgres" if os.geteuid() == 0 else None


def _create_database(data: Path) -> None:
    folder, server = data / "postgresql", find_named("postgres")
    if server is None or (folder / "PG_VERSION").exists():
        return
    user = database_user()
    hers = _password_file(data, user)
    if user:
        shutil.chown(folder, user, user)
        _make_enterable(data, folder, user)
    # Programs that belong to it stand beside the file itself, not beside a link to it.
    call = [str(server.resolve().with_name("initdb")), "-D", str(folder), "-U", "sloburn", "-A", "scram-sha-256"]
    call += ["-E", "UTF8", f"--pwfile={hers}", "--no-sync", "--no-instructions"]
    done = subprocess.run(call, cwd=folder, capture_output=True, text=True, user=user, group=user, check=False)
    hers.unlink()
    if done.returncode:
        raise StackError(f"the database cannot be created in {folder}: {done.stderr.strip()}")


def _make_enterable(data: Path, folder: Path, user: str) -> None:
    data.chmod(0o755)
    shut = next((place for place in folder.parents if not place.stat().st_mode & 0o001), None)
    if shut:
        raise StackError(
            f"PostgreSQL runs as {user}, who may not enter {shut}: set SLOBURN_STACK_DATA to another folder"
        )


def _password_file(data: Path, user: str | None) -> Path:
    """Return a copy of the password, made now if there is none, for whom the database runs as."""
    file = data / "secrets" / "postgresql"
    file.parent.mkdir(mode=0o700, exist_ok=True)
    if not file.exists():
        file.touch(mode=0o600)
        file.write_text(secrets.token_urlsafe(24))
    copy = data / "postgresql.password"
    copy.touch(mode=0o600)
    copy.write_text(file.read_text())
    if user:
        shutil.chown(copy, user, user)
    return copy


def working_folder(data: Path, service: Service) -> Path:
    """Return where a server runs: the repository for ours, its own data for others."""
    return ROOT if service.name == "sloburn" else data / service.name
