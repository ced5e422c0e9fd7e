"""Every configuration, checked by the program that reads it."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from collector.stack.build import binary, program_named
from collector.stack.lifecycle import Stack
from collector.stack.places import COLLECTOR, ROOT

BASE = ROOT / "otel-collector.yaml"
OPTIONS = COLLECTOR / "options"
ALERTMANAGER = COLLECTOR / "alertmanager" / "alertmanager.yaml"
# These name components that our distribution leaves out; tests/test_collector_config.py looks at them.
FOR_CONTRIB = {"agent.yaml", "kubernetes.yaml"}


def ask(name: str, *arguments: str, folder: Path = ROOT) -> str:
    """Run a program of the stack and return what it prints; fail with it when it fails."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith("OTEL_")}
    command = [str(binary(program_named(name))), *arguments]
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_collector_accepts_its_configuration(stack: Stack) -> None:
    """The one file is valid by itself."""
    ask("otelcol", "validate", f"--config={BASE}")


@pytest.mark.parametrize("name", sorted(file.name for file in OPTIONS.glob("*.yaml") if file.name not in FOR_CONTRIB))
def test_collector_accepts_every_option(
    stack: Stack, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each optional part is valid when it is merged into the one file; the token that one of them reads is there."""
    (tmp_path / "token").write_text("a token")
    monkeypatch.setenv("SLOBURN_TOKEN_FILE", str(tmp_path / "token"))
    ask("otelcol", "validate", f"--config={BASE}", f"--config={OPTIONS / name}")


def test_collector_refuses_a_mistake(stack: Stack, tmp_path: Path) -> None:
    """The validation bites: an unknown key is refused."""
    (tmp_path / "bad.yaml").write_text("exporters:\n  otlp_http/loki: {sending_queue: {sise: 1}}\n")
    with pytest.raises(AssertionError, match="sise"):
        ask("otelcol", "validate", f"--config={BASE}", f"--config={tmp_path / 'bad.yaml'}")


def test_prometheus_accepts_configuration_and_rules(stack: Stack) -> None:
    """promtool accepts what is committed, and what the running Prometheus was given, compiled rules included."""
    ask("promtool", "check", "config", str(COLLECTOR / "prometheus" / "prometheus.yaml"))
    found = ask("promtool", "check", "config", str(stack.data / "prometheus" / "prometheus.yaml"))

    assert "slos.yaml" in found


def test_alertmanager_accepts_its_configuration(stack: Stack) -> None:
    """amtool accepts configuration and templates."""
    ask("amtool", "check-config", str(ALERTMANAGER))


@pytest.mark.parametrize(
    ("labels", "receivers"),
    [
        (("severity=page", "slo=checkout"), "page,chat"),
        (("severity=ticket", "slo=checkout"), "ticket"),
        (("alertname=Other",), "chat"),
    ],
)
def test_alerts_are_routed_by_severity(stack: Stack, labels: tuple[str, ...], receivers: str) -> None:
    """A page wakes somebody and is told in the chat; a ticket goes by mail; the rest is for the chat."""
    found = ask("amtool", "config", "routes", "test", f"--config.file={ALERTMANAGER}", *labels)

    assert found.strip() == receivers


def test_loki_accepts_its_configuration(stack: Stack, tmp_path: Path) -> None:
    """Loki accepts its file with an empty environment."""
    ask("loki", f"-config.file={COLLECTOR / 'loki.yaml'}", "-config.expand-env=true", "-verify-config", folder=tmp_path)


def test_stack_alerts_fire_when_they_should(stack: Stack) -> None:
    """Each of the stack's own alerts fires on the history that it is for, and not before."""
    ask("promtool", "test", "rules", str(ROOT / "tests" / "stack" / "stack-rules.yaml"))
