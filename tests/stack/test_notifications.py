"""Alertmanager with the configuration that containers give it: whom it reaches, and what silences what."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import httpx
import pytest
from collector.compose.receivers import main
from collector.stack.build import binary, program_named
from collector.stack.places import COLLECTOR
from collector.stack.ports import HOST, free_ports

from tests.stack.backends import wait_for
from tests.stack.test_configurations import ask

Json = dict[str, Any]


@pytest.fixture
def heard() -> Iterator[tuple[str, list[str]]]:
    """Give an address for a webhook, and what arrives there."""
    bodies: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            bodies.append(self.rfile.read(int(self.headers["content-length"])).decode())
            self.send_response(200)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *arguments: object) -> None:
            pass

    with ThreadingHTTPServer((HOST, 0), Handler) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield f"http://{HOST}:{server.server_port}/", bodies
        server.shutdown()
        thread.join()


def container(folder: Path, **secrets: str) -> Path:
    """Lay out what the container has: the one configuration and secrets in its working directory, what is written."""
    home = folder / "etc"
    (home / "secrets").mkdir(parents=True)
    for name, value in secrets.items():
        (home / "secrets" / name).write_text(value)
    source = COLLECTOR / "alertmanager"
    (home / "alertmanager.yaml").write_text((source / "alertmanager.yaml").read_text())
    (home / "templates").symlink_to(source / "templates")
    assert main(home / "alertmanager.yaml", folder / "settings.yaml", {}) is None
    return home


@pytest.fixture
def alertmanager(tmp_path: Path, heard: tuple[str, list[str]]) -> Iterator[httpx.Client]:
    """Run Alertmanager as compose.yaml does: in the folder that the secrets are in, with what was written for it."""
    home = container(tmp_path, webhook_url=heard[0])
    port = free_ports()["alertmanager"]
    command = [str(binary(program_named("alertmanager"))), f"--config.file={tmp_path / 'settings.yaml'}"]
    command += [f"--storage.path={tmp_path / 'data'}", f"--web.listen-address={HOST}:{port}"]
    with (
        (tmp_path / "log").open("w") as log,
        httpx.Client(base_url=f"http://{HOST}:{port}", trust_env=False, timeout=60) as client,
        subprocess.Popen([*command, "--cluster.listen-address="], cwd=home, stdout=log, stderr=log) as process,
    ):
        try:
            wait_for(lambda: process.poll() is not None or _is_ready(client), "Alertmanager")
            yield client
        finally:
            process.terminate()
            process.wait(60)


def _is_ready(client: httpx.Client) -> bool:
    try:
        return client.get("/-/ready").is_success
    except httpx.TransportError:
        return False


def fire(client: httpx.Client, *alerts: Json) -> None:
    """Tell Alertmanager of alerts."""
    client.post("/api/v2/alerts", json=[{"labels": labels} for labels in alerts]).raise_for_status()


def silenced(client: httpx.Client) -> dict[str, bool]:
    """Return of each alert that Alertmanager has whether another one silences it."""
    found = client.get("/api/v2/alerts").raise_for_status().json()
    return {it["labels"]["alertname"]: bool(it["status"]["inhibitedBy"]) for it in found}


def test_amtool_accepts_what_is_written(tmp_path: Path) -> None:
    """With no secret, and with all of them, what is written is a valid configuration."""
    container(tmp_path / "none")
    names = ("pagerduty_routing_key", "slack_webhook_url", "discord_webhook_url", "webhook_url")
    container(tmp_path / "all", **dict.fromkeys(names, "http://127.0.0.1/"))

    for folder in ("none", "all"):
        assert "3 receivers" in ask("amtool", "check-config", str(tmp_path / folder / "settings.yaml"))


def test_page_arrives(alertmanager: httpx.Client, heard: tuple[str, list[str]]) -> None:
    """A secret's relative path is found from the working directory: what burns is told where the secret says."""
    fire(alertmanager, {"alertname": "Burning", "severity": "page", "slo": "checkout", "service": "shop"})

    wait_for(lambda: heard[1], "the notification")

    assert '"slo":"checkout"' in heard[1][0]


def test_only_a_promise_silences_its_ticket(alertmanager: httpx.Client) -> None:
    """A page silences the ticket of its own SLO and group, and no ticket of the stack, which has no SLO."""
    promise = {"slo": "checkout", "service": "shop"}
    fire(
        alertmanager,
        {"alertname": "SliPathDown", "severity": "page", "service": "otelcol"},
        {"alertname": "TelemetryLost", "severity": "ticket", "service": "otelcol"},
        {"alertname": "OtherGroup", "severity": "ticket", "group": "/pay", **promise},
        {"alertname": "OtherSlo", "severity": "ticket", "slo": "search", "service": "shop"},
        {"alertname": "Ticket", "severity": "ticket", **promise},
        {"alertname": "Page", "severity": "page", **promise},
    )

    # Alerts become known one after the other: when the last page silences, so do those before it.
    wait_for(lambda: silenced(alertmanager).get("Ticket"), "the ticket is silenced")

    found = silenced(alertmanager)
    assert found == {
        "Page": False,
        "Ticket": True,
        "OtherGroup": False,
        "OtherSlo": False,
        "SliPathDown": False,
        "TelemetryLost": False,
    }
