"""`collector/compose.yaml`: a valid file with nothing left open, over the very configuration that runs natively."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from collector.stack.places import MODULES
from collector.stack.ports import USUAL
from collector.stack.services import services

from sloburn.server.config import load_config

ROOT = Path(__file__).parent.parent
FOLDER = ROOT / "collector"
FILE = FOLDER / "compose.yaml"
COMPOSE: dict[str, Any] = yaml.safe_load(FILE.read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]

SECURE = FOLDER / "compose" / "secure.yaml"
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
    """The files are what the Compose specification's schema allows."""
    pytest.importorskip("check_jsonschema", reason="needs check-jsonschema")
    schema = ["--builtin-schema", "vendor.compose-spec"]
    call = [sys.executable, "-m", "check_jsonschema", *schema, str(FILE), str(SECURE)]

    run = subprocess.run(call, capture_output=True, text=True, timeout=60, cwd=tmp_path, check=False)

    assert run.returncode == 0, run.stdout + run.stderr


def native_files() -> set[Path]:
    """Return every configuration file of the repository that the native run gives to a server."""
    data = Path("/data")
    found: set[Path] = set()
    for service in services(data, USUAL, [str(ROOT / "examples/shop/slos.yaml")]):
        for argument in service.command:
            path = Path(argument.rpartition("=")[2])
            if path.suffix == ".yaml" and path.name != "sampling.yaml":  # that one is written, here as there
                # Some are copied beside the data first: prepare.py.
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
    """Every variable that a server is given is one that its file asks for, Go's, or silences its own traces."""
    text = CONFIGURED[service].read_text()
    known = set(re.findall(r"\$\{(?:env:)?(\w+):-", text))
    others = {"jaeger": {"GOMEMLIMIT", "OTEL_TRACES_SAMPLER"}}.get(service, {"GOMEMLIMIT"})

    assert set(SERVICES[service]["environment"]) - known == others
    assert SERVICES["jaeger"]["environment"]["OTEL_TRACES_SAMPLER"] == "always_off"


def test_images_are_pinned() -> None:
    """Every image has an exact version, and ours is the package's."""
    images = {service["image"] for service in SERVICES.values()}

    assert all(re.search(r":v?\d+\.\d+(\.\d+)?(-\w+)?$", image) for image in images), images
    assert f"sloburn:{_version()}" in images


def test_images_are_what_runs_natively() -> None:
    """The images of what is also built here have the built versions: those are the ones that are tested."""
    required = {name: (MODULES / name / "go.mod").read_text() for name in ("prometheus", "alertmanager", "loki")}
    library, alertmanager, loki = (
        re.search(rf"^require \S+/{name} v(\S+)$", required[module], re.M)[1]  # type: ignore[index]
        for module, name in (("prometheus", "prometheus"), ("alertmanager", "alertmanager"), ("loki", "loki/v3"))
    )
    _, minor, patch = library.split(".")  # v0.315.0 is the library of 3.15.0
    otelcol = yaml.safe_load((MODULES / "otelcol" / "manifest.yaml").read_text())["dist"]["version"]

    assert SERVICES["prometheus"]["image"] == f"prom/prometheus:v{minor[0]}.{int(minor[1:])}.{patch}"
    assert SERVICES["alertmanager"]["image"] == f"prom/alertmanager:v{alertmanager}"
    assert SERVICES["loki"]["image"] == f"grafana/loki:{loki}"
    assert SERVICES["otelcol"]["image"] == f"otel/opentelemetry-collector-contrib:{otelcol}"


def _version() -> str:
    return str(tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"])


@pytest.mark.parametrize("service", LASTING)
def test_services_are_watched_and_bounded(service: str) -> None:
    """Each service has a health check, its own or a neighbour's, limits, and no more rights than it needs."""
    it = SERVICES[service]

    assert "healthcheck" in it or service in _watched()
    assert set(it["deploy"]["resources"]["limits"]) == {"cpus", "memory"}
    assert it["cap_drop"] == ["ALL"]
    assert it["security_opt"] == ["no-new-privileges:true"]
    assert it["restart"] == "unless-stopped"
    assert "privileged" not in it


def not_startable(compose: dict[str, Any]) -> set[str]:
    """Return the services that Compose refuses to make: read-only ones with a secret or config that is no file.

    It writes such content into the container, which the engine lets nobody do (docker/compose#12531).
    """
    kinds = ("secrets", "configs")
    written = {(kind, name) for kind in kinds for name, it in compose.get(kind, {}).items() if "file" not in it}
    return {
        name
        for name, it in compose["services"].items()
        if it.get("read_only") and {(kind, _source(use)) for kind in kinds for use in it.get(kind, [])} & written
    }


def _source(use: str | dict[str, str]) -> str:
    return use if isinstance(use, str) else use["source"]


def test_everything_is_read_only_that_can_be() -> None:
    """A service is read-only unless a secret must be written into it."""
    keepers = {name for name, it in SERVICES.items() if "secrets" in it}

    assert not_startable(COMPOSE) == set()
    assert {name for name, it in SERVICES.items() if not it["read_only"]} == keepers


def test_read_only_rule_bites() -> None:
    """A read-only service with a secret from the environment is found, one with a file is not."""
    planted: dict[str, Any] = {
        "secrets": {"a": {"environment": "A"}, "b": {"file": "./b"}},
        "configs": {"c": {"content": "x"}},
        "services": {
            "short": {"read_only": True, "secrets": ["a"]},
            "long": {"read_only": True, "secrets": [{"source": "a", "target": "/a"}]},
            "inline": {"read_only": True, "configs": ["c"]},
            "file": {"read_only": True, "secrets": ["b"]},
            "open": {"secrets": ["a"]},
        },
    }

    assert not_startable(planted) == {"short", "long", "inline"}


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
    """Secrets come from the environment as files, those that are needed are asked for, and none has a value here."""
    text = FILE.read_text()
    given = [(key, value) for it in SERVICES.values() for key, value in it.get("environment", {}).items()]
    values = [pair for pair in given if SECRET.search(pair[0]) and not pair[1].startswith("/run/secrets/")]
    names = {secret["environment"] for secret in COMPOSE["secrets"].values()}

    assert values == []
    assert re.findall(r"\$\{\w*(?:PASSWORD|SECRET|KEY|TOKEN|WEBHOOK)\w*:-", text) == []
    assert {f"${{{name}:?set it in collector/.env}}" for name in NEEDED} == set(COMPOSE["x-required"].values())
    assert all(set(secret) == {"environment"} for secret in COMPOSE["secrets"].values())
    assert [key for key in names - set(NEEDED) if f"${{{key}" in text] == []
    assert ".env" in (ROOT / ".gitignore").read_text().splitlines()


def test_example_names_every_variable() -> None:
    """env.example has each variable that the file reads: compose refuses to start when that of a secret is not set."""
    text = FILE.read_text() + SECURE.read_text()
    example = (FOLDER / "env.example").read_text()
    secrets = {secret["environment"] for secret in COMPOSE["secrets"].values()}
    asked = set(re.findall(r"(?<!\$)\$\{(\w+)", text))

    assert set(re.findall(r"^#?([A-Z_]+)=", example, re.M)) == asked | secrets
    assert secrets <= set(re.findall(r"^(\w+)=$", example, re.M))


def test_secrets_are_read_where_they_are() -> None:
    """A file in /run/secrets that a service names is one of its secrets, and every secret of a service is named."""
    for name, it in SERVICES.items():
        named = set(re.findall(r"/run/secrets/(\w+)", yaml.safe_dump(it)))
        assert named == {use for use in it.get("secrets", []) if isinstance(use, str)}, name


NEEDED = ("GRAFANA_ADMIN_PASSWORD", "POSTGRES_PASSWORD", "REDIS_PASSWORD")


def test_alertmanager_finds_its_secrets() -> None:
    """Each file that its configuration names is a secret, mounted where its working directory puts it."""
    text = (FOLDER / "alertmanager" / "alertmanager.yaml").read_text()
    wanted = {f"{SERVICES['alertmanager']['working_dir']}/{path}" for path in re.findall(r"_file: (secrets/\w+)", text)}

    assert wanted == {secret["target"] for secret in SERVICES["alertmanager"]["secrets"]}
    assert SERVICES["receivers"]["secrets"] == SERVICES["alertmanager"]["secrets"]


def test_alertmanager_reads_what_is_written_for_it() -> None:
    """Whom it can reach is written, from the one configuration, before Alertmanager starts with that."""
    _, source, target = SERVICES["receivers"]["command"]
    place = mounts("alertmanager")

    assert mounts("receivers")[source] == "./alertmanager/alertmanager.yaml"
    assert f"--config.file={target}" in SERVICES["alertmanager"]["command"]
    assert mounts("receivers")[str(Path(target).parent)] == place[str(Path(target).parent)] == "receivers"
    assert place[f"{Path(source).parent}/templates"] == "./alertmanager/templates"
    assert SERVICES["alertmanager"]["depends_on"] == {"receivers": {"condition": "service_completed_successfully"}}


def test_collector_samples_by_the_promises() -> None:
    """Policies are written from the SLO documents that sloburn counts, into the volume that the Collector reads."""
    collector, target, slos = SERVICES["sampling"]["command"]
    written = target.removeprefix("--output=")
    base = collector.removeprefix("--collector=")

    assert SERVICES["otelcol"]["command"] == [f"--config={base}", f"--config={written}"]
    assert mounts("otelcol")[str(Path(written).parent)] == mounts("sampling")[str(Path(written).parent)] == "sampling"
    assert mounts("sampling")[base] == mounts("otelcol")[base]
    assert mounts("sampling")[slos] == mounts("sloburn")[slos]
    assert SERVICES["otelcol"]["depends_on"]["sampling"] == {"condition": "service_completed_successfully"}


def test_secure_part_secures_the_way_in() -> None:
    """The optional part gives the Collector what secure.yaml names, over the configuration that it has anyway."""
    part = yaml.safe_load(SECURE.read_text())
    (it,) = part["services"].values()
    places = {text.rsplit(":", 2)[1]: text.rsplit(":", 2)[0] for text in it["volumes"]}
    asked = set(re.findall(r"\$\{env:(\w+)", (FOLDER / "options" / "secure.yaml").read_text()))

    assert set(part["services"]) == {"otelcol"}
    assert it["command"][:2] == SERVICES["otelcol"]["command"]
    assert it["command"][2] == "--config=/etc/otelcol/secure.yaml"
    assert places["/etc/otelcol/secure.yaml"] == "./options/secure.yaml"
    assert it["environment"]["TLS_DIR"] in places
    assert set(it["environment"]) <= asked
    assert it["environment"]["OTLP_TOKEN_FILE"] == f"/run/secrets/{it['secrets'][0]}"
    assert not_startable({**part, "services": {"otelcol": {**SERVICES["otelcol"], **it}}}) == set()
    assert part["secrets"] == {"otlp_token": {"environment": "OTLP_TOKEN"}}


def test_image_holds_what_services_call() -> None:
    """Each file that is started by its place in our image is copied there, and the build sees it."""
    copied = dict(re.findall(r"^COPY --chmod=755 (\S+) (/\w+)$", (FOLDER / "Dockerfile").read_text(), re.M))
    seen = (FOLDER / "Dockerfile.dockerignore").read_text().splitlines()
    checks = [it["healthcheck"]["test"][1] for it in SERVICES.values() if "healthcheck" in it]
    called = {place for place in [*checks, SERVICES["receivers"]["command"][0]] if place.startswith("/")}

    assert called == set(copied.values())
    assert all(f"!{source}" in seen and (ROOT / source).is_file() for source in copied)


@pytest.mark.parametrize("password", ["plain", 'with "quotes" and \\back\\slashes', "#hash /slash/ & $dollar {}"])
def test_passwords_survive_their_shells(password: str, tmp_path: Path) -> None:
    """Whatever the password is, Redis and its exporter are told that one."""
    (tmp_path / "redis_password").write_text(password)

    (line,) = told("redis", tmp_path, "redis.conf").splitlines()
    found = json.loads(told("redis-exporter", tmp_path, "passwords.json"))

    assert found == {"redis://redis:6379": password}
    assert line == f"requirepass {json.dumps(password)}"


def told(service: str, folder: Path, file: str) -> str:
    """Run a service's script but for its server, in a folder of ours, and return what it wrote."""
    script = SERVICES[service]["command"][-1].replace("$$", "$")
    script = re.sub("/run/secrets/|/tmp/", f"{folder}/", script)
    subprocess.run(["sh", "-euc", script.replace("exec ", "exit 0; exec ")], check=True, timeout=60)
    assert (folder / file).stat().st_mode & 0o077 == 0
    return (folder / file).read_text()


def test_links_lead_back() -> None:
    """What writes links knows the address under which people reach it."""
    for name, port in (("prometheus", 9090), ("alertmanager", 9093)):
        assert f"--web.external-url=http://${{REACHED_AT:-localhost}}:{port}" in SERVICES[name]["command"]
        assert f"${{PUBLISH_ON:-127.0.0.1}}:{port}:{port}" in SERVICES[name]["ports"]


def test_every_volume_is_used() -> None:
    """Data is in named volumes, each of which is mounted."""
    named = {source for name in SERVICES for source in mounts(name).values() if source[0] not in "./"}

    assert named == set(COMPOSE["volumes"])
