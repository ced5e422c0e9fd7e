"""`collector/kubernetes`: manifests that fit together, over the configuration that runs everywhere else."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parent.parent
FOLDER = ROOT / "collector" / "kubernetes"
KUSTOMIZATION: dict[str, Any] = yaml.safe_load((FOLDER / "kustomization.yaml").read_text())

Json = dict[str, Any]


def manifests() -> Iterator[Json]:
    """Yield every manifest that the kustomization names."""
    for name in KUSTOMIZATION["resources"]:
        yield from yaml.safe_load_all((FOLDER / name).read_text())


def of_kind(kind: str) -> dict[str, Json]:
    """Return the manifests of a kind by name."""
    return {it["metadata"]["name"]: it for it in manifests() if it["kind"] == kind}


SETS = of_kind("StatefulSet")
CONTAINERS = {
    f"{name}/{container['name']}": (it["spec"], container)
    for name, it in SETS.items()
    for container in it["spec"]["template"]["spec"]["containers"]
}
COLLECTORS = [name for name in CONTAINERS if name.endswith("/otelcol")]


WRITTEN = Path("/settings/sampling.yaml")  # by the pod itself, from the SLO documents


def config_maps() -> dict[str, dict[str, Path]]:
    """Return the files of each generated ConfigMap, by their name in it."""
    generators = KUSTOMIZATION["configMapGenerator"]
    return {it["name"]: {Path(file).name: (FOLDER / file).resolve() for file in it["files"]} for it in generators}


def merged(base: Any, more: Any) -> Any:
    """Merge configurations as the Collector does: mappings go into each other, everything else is replaced."""
    if not (isinstance(base, dict) and isinstance(more, dict)):
        return more
    return {**base, **{key: merged(base[key], value) if key in base else value for key, value in more.items()}}


def configuration(name: str) -> tuple[Json, str]:
    """Return what a Collector's pod is configured with, merged, and the text of its files."""
    spec, container = CONTAINERS[name]
    volumes = {volume["name"]: volume for volume in spec["template"]["spec"]["volumes"]}
    files = config_maps()[volumes["config"]["configMap"]["name"]]
    named = [Path(argument.partition("=")[2]) for argument in container["args"]]
    texts = [files[path.name].read_text() for path in named if path != WRITTEN]
    document: Json = {}
    for text in texts:
        document = merged(document, yaml.safe_load(text))
    return document, "\n".join(texts)


def test_files_are_those_of_everywhere() -> None:
    """The kustomization reads the Collector's configuration, its options and the SLO documents where they are."""
    files = {path for found in config_maps().values() for path in found.values()}

    assert all(path.is_file() for path in files)
    assert {ROOT / "otel-collector.yaml", ROOT / "examples/shop/slos.yaml"} <= files
    assert {path.name for path in files if path.parent.name == "options"} == {
        "kubernetes.yaml",
        "agent.yaml",
        "gateway.yaml",
    }


@pytest.mark.parametrize("name", COLLECTORS)
def test_merged_configurations_are_whole(name: str) -> None:
    """What a pod's pipelines name is defined; memory is limited first; each pod listens only where it is told to."""
    document, text = configuration(name)
    for line, pipeline in document["service"]["pipelines"].items():
        for part in ("receivers", "processors", "exporters"):
            known = {*document[part], *(document.get("connectors", {}) if part != "processors" else ())}
            assert set(pipeline[part]) <= known, line
        assert pipeline["processors"][0] == "memory_limiter"
    assert set(document["service"]["extensions"]) <= set(document["extensions"])
    queues = [document["exporters"][name]["sending_queue"]["storage"] for name in _last(document) & _queued(document)]
    assert set(queues) <= set(document["service"]["extensions"])
    assert "0.0.0.0" not in text


@pytest.mark.parametrize("name", COLLECTORS)
def test_connectors_have_two_ends(name: str) -> None:
    """A connector that a pod's pipelines read from is written to, and the other way round."""
    document, _ = configuration(name)
    lines = document["service"]["pipelines"].values()
    for connector in document.get("connectors", {}):
        read = any(connector in line["receivers"] for line in lines)
        assert read is any(connector in line["exporters"] for line in lines), connector


@pytest.mark.parametrize("name", COLLECTORS)
def test_settings_are_read(name: str) -> None:
    """Every variable of a Collector's container is one that its configuration asks for, or Go's."""
    _, text = configuration(name)
    given = {it["name"] for it in CONTAINERS[name][1]["env"]}

    assert given - set(re.findall(r"\$\{env:(\w+)", text)) == {"POD_IP", "GOMEMLIMIT"}


WAYS_IN = ("traces/in", "metrics/in", "logs/in")


@pytest.mark.parametrize("name", COLLECTORS)
def test_every_way_in_redacts_as_everywhere(name: str) -> None:
    """No way in is laxer than otel-collector.yaml's: the same processors in the same order, with the same settings."""
    base = yaml.safe_load((ROOT / "otel-collector.yaml").read_text())
    document, _ = configuration(name)
    for line in WAYS_IN:
        wanted = base["service"]["pipelines"][line]["processors"]
        found = document["service"]["pipelines"][line]["processors"]
        assert found == wanted, line
        assert [document["processors"][it] for it in found] == [base["processors"][it] for it in wanted]


@pytest.mark.parametrize("name", COLLECTORS)
def test_logs_are_fit_for_loki(name: str) -> None:
    """Whatever sends logs to Loki makes them fit first: it refuses some of them for good otherwise."""
    document, _ = configuration(name)
    lines = document["service"]["pipelines"].values()

    assert all("transform/loki" in line["processors"] for line in lines if "otlp_http/loki" in line["exporters"])


@pytest.mark.parametrize("name", COLLECTORS)
def test_who_has_no_processor_tells_none(name: str) -> None:
    """Only where sloburn is beside it does a Collector push to it, telemetry and what it loses itself alike."""
    document, _ = configuration(name)
    used = {exporter for line in document["service"]["pipelines"].values() for exporter in line["exporters"]}
    pushes = [reader for reader in document["service"]["telemetry"]["metrics"]["readers"] if "periodic" in reader]
    beside = f"{name.partition('/')[0]}/sloburn" in CONTAINERS

    assert ("otlp_http/sloburn" in used) is bool(pushes) is beside


@pytest.mark.parametrize("name", COLLECTORS)
def test_addresses_are_given(name: str) -> None:
    """What a pod sends to has an address of the cluster: loopback is where only a shard's sloburn is."""
    document, _ = configuration(name)
    given = {it["name"] for it in CONTAINERS[name][1]["env"]}
    lines = document["service"]["pipelines"].items()
    busy = {
        exporter
        for line, it in lines
        if not line.startswith("logs") or name != "sampler/otelcol"
        for exporter in it["exporters"]
    }
    wanted = {
        "otlp_grpc/jaeger": "JAEGER_OTLP_ENDPOINT",
        "otlp_http/loki": "LOKI_OTLP_ENDPOINT",
        "load_balancing/gateways": "GATEWAYS",
        "load_balancing/shards": "SHARDS",
    }

    assert {wanted[exporter] for exporter in busy & set(wanted)} <= given


@pytest.mark.parametrize("name", COLLECTORS)
def test_queues_have_room(name: str) -> None:
    """A volume holds all queues of its pod twice: compaction writes the file anew beside the old one."""
    document, _ = configuration(name)
    signals = {"traces", "metrics", "logs"}
    total = 0
    for exporter, it in document["exporters"].items():
        lines = document["service"]["pipelines"].items()
        used = {line.partition("/")[0] for line, pipeline in lines if exporter in pipeline["exporters"]} & signals
        total += len(used) * it.get("sending_queue", {}).get("queue_size", 0)
    (claim,) = [it for it in CONTAINERS[name][0]["volumeClaimTemplates"] if it["metadata"]["name"] == "queue"]
    room = int(claim["spec"]["resources"]["requests"]["storage"].removesuffix("Gi")) * 2**30

    assert 2 * total <= room
    stores = {key: it for key, it in document["extensions"].items() if key.startswith("file_storage")}
    assert all("compaction" in stores[key] for key in stores if key in document["service"]["extensions"])


def test_each_hop_keeps_its_promise() -> None:
    """Services go to a shard as a whole, traces to a sampler as a whole, and only shards count."""
    front, shard, sampler = (configuration(f"{name}/otelcol")[0] for name in ("front", "shard", "sampler"))

    assert shard["exporters"]["load_balancing/gateways"]["routing_key"] == "traceID"
    assert {front["exporters"][it]["routing_key"] for it in _last(front)} == {"service"}
    told = [name for name, it in (("front", front), ("shard", shard), ("sampler", sampler)) if _tells_sloburn(it)]
    assert told == ["shard"]
    assert "otlp_http/sloburn" in shard["service"]["pipelines"]["logs/in"]["exporters"]
    assert sampler["service"]["pipelines"]["traces/sampled"]["exporters"] == ["otlp_grpc/jaeger"]


def _queued(document: Json) -> set[str]:
    return {name for name, it in document["exporters"].items() if "sending_queue" in it}


def _last(document: Json) -> set[str]:
    """Return what telemetry leaves by: everything else hands it to another pipeline."""
    exits = {it for line in document["service"]["pipelines"].values() for it in line["exporters"]}
    return exits - set(document["connectors"])


def _tells_sloburn(document: Json) -> bool:
    lines = document["service"]["pipelines"]
    return any("otlp_http/sloburn" in line["exporters"] for name, line in lines.items() if name.startswith("traces"))


@pytest.mark.parametrize("name", CONTAINERS)
def test_containers_are_bounded(name: str) -> None:
    """Each container has probes at ports that it has, requests, a memory limit, and no rights."""
    spec, container = CONTAINERS[name]
    pod, ports = spec["template"]["spec"], {port["name"] for port in container["ports"]}

    assert container["readinessProbe"]["httpGet"]["port"] in ports
    assert container["livenessProbe"]["httpGet"]["port"] in ports
    assert set(container["resources"]["requests"]) == {"cpu", "memory"}
    assert container["resources"]["limits"]["memory"] == container["resources"]["requests"]["memory"]
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert container["image"] in {image["name"] for image in KUSTOMIZATION["images"]}
    assert all(re.fullmatch(r"\d+\.\d+\.\d+", str(image["newTag"])) for image in KUSTOMIZATION["images"])


@pytest.mark.parametrize("name", SETS)
def test_sets_fit_together(name: str) -> None:
    """A set's labels are what its service, budget and network policy select; mounts are volumes that are there."""
    spec = SETS[name]["spec"]
    labels = spec["template"]["metadata"]["labels"]
    pod = spec["template"]["spec"]
    volumes = {volume["name"] for volume in pod["volumes"]}
    claims = {claim["metadata"]["name"] for claim in spec["volumeClaimTemplates"]}
    everything = [*pod["containers"], *pod.get("initContainers", [])]
    mounted = {mount["name"] for container in everything for mount in container["volumeMounts"]}
    ports = {port["name"] for container in pod["containers"] for port in container["ports"]}
    services = [it for it in of_kind("Service").values() if it["spec"]["selector"] == labels]

    assert spec["selector"]["matchLabels"] == labels
    assert of_kind("PodDisruptionBudget")[name]["spec"]["selector"]["matchLabels"] == labels
    policy = of_kind("NetworkPolicy")[name]["spec"]
    assert policy["podSelector"]["matchLabels"] == labels
    assert {port["port"] for rule in policy["ingress"] for port in rule["ports"]} <= ports
    assert mounted == volumes | claims
    assert spec["serviceName"] in {it["metadata"]["name"] for it in services}
    assert {port["targetPort"] for it in services for port in it["spec"]["ports"]} <= ports


def test_samplers_know_the_promises() -> None:
    """Before a sampler starts, policies are written from the SLO documents of the shards to where it reads them."""
    pod = SETS["sampler"]["spec"]["template"]["spec"]
    (writer,), (reader,) = pod["initContainers"], pod["containers"]
    collector, target, slos = (argument.rpartition("=")[2] for argument in writer["args"])
    places = {mount["name"]: mount["mountPath"] for mount in writer["volumeMounts"]}
    volumes = {volume["name"]: volume for volume in pod["volumes"]}

    assert Path(target) == WRITTEN
    assert [f"--config={it}" for it in (collector, target)] == reader["args"][:2]
    assert {"name": "settings", "mountPath": str(WRITTEN.parent), "readOnly": True} in reader["volumeMounts"]
    assert volumes["slos"]["configMap"] == {"name": "slos"}
    assert Path(slos).parent == Path(places["slos"])
    assert Path(slos).name in config_maps()["slos"]
    assert writer["securityContext"] == reader["securityContext"]


def test_addresses_are_services() -> None:
    """Every name in the cluster that a tier sends to, other than the backends, is a service of these manifests."""
    text = "\n".join(path.read_text() for path in FOLDER.glob("*.yaml"))
    names = set(re.findall(r"([a-z]+)\.sloburn\.svc\.cluster\.local", text))

    assert names - {"jaeger", "loki", "alertmanager"} == {"shards", "samplers"}
    assert {"shards", "samplers"} <= set(of_kind("Service"))


def test_accounts_may_look_and_no_more() -> None:
    """Only fronts have an account, which may read what k8s_attributes asks for."""
    (role,) = of_kind("ClusterRole").values()

    assert {verb for rule in role["rules"] for verb in rule["verbs"]} == {"get", "watch", "list"}
    assert {name for name, it in SETS.items() if "serviceAccountName" in it["spec"]["template"]["spec"]} == {"front"}
    assert of_kind("Secret") == {}


def test_monitors_scrape_what_is_there() -> None:
    """The operator's monitors select a service of each tier and ports that it has; counters keep their labels."""
    monitors = {it["metadata"]["name"]: it["spec"] for it in yaml.safe_load_all((FOLDER / "monitors.yaml").read_text())}
    for monitor in monitors.values():
        wanted = monitor["selector"]["matchLabels"]
        (service,) = [it for it in of_kind("Service").values() if it["metadata"].get("labels") == wanted]
        assert {it["port"] for it in monitor["endpoints"]} <= {port["name"] for port in service["spec"]["ports"]}
    endpoints = {it["port"]: it for it in monitors["shards"]["endpoints"]}

    assert {it["selector"]["matchLabels"]["app.kubernetes.io/name"] for it in monitors.values()} == set(SETS)
    assert all("self-metrics" in {it["port"] for it in monitor["endpoints"]} for monitor in monitors.values())
    assert endpoints["sloburn"]["honorLabels"] is endpoints["telemetry"]["honorLabels"] is True
