"""What containers and Kubernetes put together for a Collector, as the built one reads it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from bench.collector_tiers import merged, with_stand_ins
from collector.stack.places import ROOT

from tests.stack.test_configurations import ask
from tests.test_kubernetes import COLLECTORS, configuration

SLOS = ROOT / "examples" / "shop" / "slos.yaml"


def sampled(folder: Path) -> Path:
    """Write the policies for the shop's promises, as a sampler's pod and compose.yaml do."""
    target = folder / "sampling.yaml"
    call = [sys.executable, "-m", "sloburn.cli", "sampling", "--partial", f"--output={target}", str(SLOS)]
    call.append(f"--collector={ROOT / 'otel-collector.yaml'}")
    subprocess.run(call, check=True, timeout=120, capture_output=True, cwd=ROOT)
    return target


@pytest.mark.parametrize("name", COLLECTORS)
def test_collector_accepts_what_a_pod_merges(name: str, tmp_path: Path) -> None:
    """Every tier's files, merged, are valid for the built Collector, but for what only the official one has."""
    document, _ = configuration(name)
    if name.startswith("sampler"):
        document = merged(document, yaml.safe_load(sampled(tmp_path).read_text()))
    (tmp_path / "merged.yaml").write_text(yaml.safe_dump(with_stand_ins(document)))

    ask("otelcol", "validate", f"--config={tmp_path / 'merged.yaml'}", folder=tmp_path)


def test_validation_bites(tmp_path: Path) -> None:
    """A tier whose pipeline names what is not there is refused."""
    document, _ = configuration("front/otelcol")
    del document["extensions"]["file_storage/sloburn"]
    (tmp_path / "merged.yaml").write_text(yaml.safe_dump(with_stand_ins(document)))

    with pytest.raises(AssertionError, match="file_storage/sloburn"):
        ask("otelcol", "validate", f"--config={tmp_path / 'merged.yaml'}", folder=tmp_path)


def test_collector_accepts_what_compose_gives_it(tmp_path: Path) -> None:
    """The one file and the policies of the promises are valid together."""
    ask("otelcol", "validate", f"--config={ROOT / 'otel-collector.yaml'}", f"--config={sampled(tmp_path)}")


def test_collector_accepts_the_secure_part(tmp_path: Path) -> None:
    """With TLS and a token for the way in, what compose/secure.yaml puts together is valid, the inline part too."""
    part = yaml.safe_load((ROOT / "collector" / "compose" / "secure.yaml").read_text())["services"]["otelcol"]
    places = {
        "/etc/otelcol/otel-collector.yaml": ROOT / "otel-collector.yaml",
        "/etc/otelcol/secure.yaml": ROOT / "collector" / "options" / "secure.yaml",
        "/settings/sampling.yaml": sampled(tmp_path),
    }
    files = [it.removeprefix("--config=") for it in part["command"]]

    ask("otelcol", "validate", *(f"--config={places.get(file, file)}" for file in files))
