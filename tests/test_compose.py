"""`collector/compose.yaml`: a valid file with nothing left open, over the very configuration that runs natively."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from collector.stack.ports import USUAL
from collector.stack.services import services

from sloburn.server.config import load_config

ROOT = Path(__file__).parent.parent
FOLDER = ROOT / "collector"
FILE = FOLDER / "compose.yaml"
COMPOSE: dict[str, Any] = yaml.safe_load(FILE.read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]

LASTING = {name: it for name, it in SERVICES.items() if it["restart"] != "no"}
SECRET = re.compile(r"(?i)(password|secret|token|routing_key|webhook_url)")


def mounts(service: str) -> dict[str, str]:
    """Return what a service sees of the repository or a volume, by place in the container."""
    parts = (text.split(":") for text in SERVICES[service].get("volumes", []))
    return {place: source for source, place, *_ in parts}


def bound_files() -> set[Path]:
    """Return every file and folder of the repository that a container reads."""
    sources = (source for name in SERVICES for source in mounts(name).values())
    return {(FOLDER / source).resolve() for source in sources if source.startswith(".")}


def test_schema(tmp_path: Path) -> None:
    """The file is what the Compose specification's schema allows."""
    pytest.importorskip("check_jsonschema", reason="needs check-jsonschema")
    call = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", str(FILE)]

    run = subprocess.run(call, capture_output=True, text=True, timeout=60, cwd=tmp_path, check=False)

    assert run.returncode == 0, run.stdout + run.stderr


def native_files() -> set[Path]:
    """Return every configuration file of the repository that the native run gives to a server."""
    data = Path("/data")
    found: set[Path] = set()
    for service in services(data, USUAL, [str(ROOT / "examples/shop/slos.yaml")]):
        for argument in service.command:
            path = Path(argument.rpartition("=")[2])
            if path.suffix == ".yaml":  # some are copied beside the data first: prepare.py
                found.add(FOLDER / path.relative_to(data) if path.is_relative_to(data) else path)
    return found


def test_both_ways_use_the_same_files() -> None:
    """Each file that a native server is started with is mounted, and the rest of what is mounted belongs to them."""
    folders = {FOLDER / name for name in ("prometheus/rules", "alertmanager/templates")}  # of prepare.py
    only_here = {
        FOLDER / name for name in ("sloburn.yaml", "compose/targets", "grafana/provisioning", "grafana/dashboards")
    }

    assert native_files() | folders | only_here == bound_files()
    assert all(path.exists() for path in bound_files())


def test_prometheus_finds_everything() -> None:
    """There is a target for each job of the one configuration, at a service and port of this file."""
    config = yaml.safe_load((FOLDER / "prometheus" / "prometheus.yaml").read_text())
    wanted = {name for job in config["scrape_configs"] for sd in job["file_sd_configs"] for name in sd["files"]}
    files = {f"targets/{file.name}": file for file in (FOLDER / "compose" / "targets").iterdir()}

    assert set(files) == wanted
    for name, file in files.items():
        ((address,),) = [group["targets"] for group in yaml.safe_load(file.read_text())]
        native = yaml.safe_load((FOLDER / "prometheus" / name).read_text())
        host, port = address.split(":")
        assert host in SERVICES
        assert port == native[0]["targets"][0].split(":")[1]


def test_sloburn_reads_its_file(tmp_path: Path) -> None:
    """sloburn takes the flags of this file over those of the mounted one, and finds the SLO documents from there."""
    flags = dict(flag.removeprefix("--").split("=", 1) for flag in SERVICES["sloburn"]["command"][1:])
    seen = mounts("sloburn")
    config = load_config(
        file=FOLDER / "sloburn.yaml",
        environ={},
        flags={key.replace("-", "_"): value for key, value in flags.items() if key not in ("config", "alertmanager")},
    )

    assert flags["config"] in seen
    assert (config.otlp_http.host, config.otlp_http.port) == ("0.0.0.0", 4328)
    assert {path.resolve() for path in config.slos} <= bound_files()
    relative = Path(flags["config"]).parent / ".." / "examples" / "shop" / "slos.yaml"
    assert str(relative.resolve()) in seen


CONFIGURED = {
    "otelcol": ROOT / "otel-collector.yaml",
    "jaeger": FOLDER / "jaeger.yaml",
    "loki": FOLDER / "loki.yaml",
}


@pytest.mark.parametrize("service", CONFIGURED)
def test_settings_are_read(service: str) -> None:
    """Every variable that a server is given is one that its file asks for, or Go's."""
    text = CONFIGURED[service].read_text()
    known = set(re.findall(r"\$\{(?:env:)?(\w+):-", text))

    assert set(SERVICES[service]["environment"]) - known == {"GOMEMLIMIT"}


def test_images_are_pinned() -> None:
    """Every image has an exact version, and ours is the package's."""
    images = {service["image"] for service in SERVICES.values()}

    assert all(re.search(r":v?\d+\.\d+(\.\d+)?(-\w+)?$", image) for image in images), images
    assert f"sloburn:{_version()}" in images


def _version() -> str:
    return str(tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"])


@pytest.mark.parametrize("service", LASTING)
def test_services_are_watched_and_bounded(service: str) -> None:
    """Each service has a health check, its own or a neighbour's, limits, and no more rights than it needs."""
    it = SERVICES[service]

    assert "healthcheck" in it or service in _watched()
    assert set(it["deploy"]["resources"]["limits"]) == {"cpus", "memory"}
    assert it["cap_drop"] == ["ALL"]
    assert it["read_only"] is True
    assert it["security_opt"] == ["no-new-privileges:true"]
    assert it["restart"] == "unless-stopped"
    assert "privileged" not in it


def _watched() -> set[str]:
    watchers = {name: it for name, it in SERVICES.items() if name.endswith("-health")}
    hosts = {re.sub(r"^http://([\w-]+):.*", r"\1", it["healthcheck"]["test"][-1]) for it in watchers.values()}
    return hosts & {name.removesuffix("-health") for name in watchers}


def test_go_servers_know_their_limit() -> None:
    """A Go server is told 80 % of its memory limit, so that it collects before it is killed."""
    for it in SERVICES.values():
        if "GOMEMLIMIT" in it.get("environment", {}):
            limit = int(it["deploy"]["resources"]["limits"]["memory"].removesuffix("m"))
            assert int(it["environment"]["GOMEMLIMIT"].removesuffix("MiB")) == limit * 8 // 10


def test_ports_are_published_on_loopback() -> None:
    """Nothing is published beyond this machine unless somebody says so."""
    ports = [port for it in SERVICES.values() for port in it.get("ports", [])]

    assert ports
    assert all(port.startswith("${PUBLISH_ON:-127.0.0.1}:") for port in ports)


def test_no_secret_has_a_default() -> None:
    """Secrets come from the environment, those that are needed are asked for, and none has a value here."""
    text = FILE.read_text()
    given = [(key, value) for it in SERVICES.values() for key, value in it.get("environment", {}).items()]
    values = [pair for pair in given if SECRET.search(pair[0]) and not pair[1].startswith(("${", "/run/secrets/"))]
    example = (FOLDER / "env.example").read_text()

    assert values == []
    assert re.findall(r"\$\{\w*(?:PASSWORD|SECRET|KEY|TOKEN)\w*:-", text) == []
    assert all(set(secret) == {"environment"} for secret in COMPOSE["secrets"].values())
    assert {f"${{{name}:?set it in collector/.env}}" for name in NEEDED} == set(COMPOSE["x-required"].values())
    assert {secret["environment"] for secret in COMPOSE["secrets"].values()} == set(
        re.findall(r"^(\w+)=$", example, re.M)
    )
    assert ".env" in (ROOT / ".gitignore").read_text().splitlines()


NEEDED = ("GRAFANA_ADMIN_PASSWORD", "POSTGRES_PASSWORD", "REDIS_PASSWORD")


def test_alertmanager_finds_its_secrets() -> None:
    """Each file that Alertmanager's configuration names is a secret that is mounted there."""
    text = (FOLDER / "alertmanager" / "alertmanager.yaml").read_text()
    wanted = {f"/etc/alertmanager/{path}" for path in re.findall(r"_file: (secrets/\w+)", text)}

    assert wanted == {secret["target"] for secret in SERVICES["alertmanager"]["secrets"]}


def test_every_volume_is_used() -> None:
    """Data is in named volumes, each of which is mounted."""
    named = {source for name in SERVICES for source in mounts(name).values() if source[0] not in "./"}

    assert named == set(COMPOSE["volumes"])
