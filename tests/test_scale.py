"""`collector/SCALE.md`: its arithmetic is right, and what it says of rules and files is so."""

from __future__ import annotations

import gzip
import re
import time
from math import ceil
from pathlib import Path

import yaml
from bench.collector_tiers import TIERS
from bench.payloads import SpanBody

from sloburn.duration import DAY, SECOND
from sloburn.rules import Settings, compile_slos
from sloburn.rules.recordings import COARSE_NS, QUICK_NS
from tests.promises import span_slo

FOLDER = Path(__file__).parent.parent / "collector"
TEXT = (FOLDER / "SCALE.md").read_text()

SPANS_PER_SECOND = 10_000_000
BUSY = 0.6
QUEUE_BYTES = 2**30
SPAN_BYTES = 418
ROW = re.compile(r"^\| ([a-zA-Z: ]+) \| ([\d.]+) \| ([\d,]+) \| ([\d,]+) \| (\d+)([^|]*)\|$", re.MULTILINE)
FLAT = " ".join(TEXT.split())


def rounded(number: float) -> str:
    """Write a number as the page does."""
    return f"{round(number):,}"


def planned(micros: str) -> int:
    """Return the cores that a tier needs which takes so long for a span."""
    return ceil(float(micros) * SPANS_PER_SECOND / 1e6 / BUSY - 1e-9)


MICROS = {tier: micros for tier, micros, *_ in ROW.findall(TEXT)}
CORES = {tier: planned(micros) for tier, micros in MICROS.items()}
SHARDS = CORES["shard: sloburn"]


def test_cores_follow_from_the_figures() -> None:
    """Busy and planned cores and pods of every tier are the measured time of a span times the load."""
    rows = ROW.findall(TEXT)

    assert [tier for tier, *_ in rows] == ["front", "shard: Collector", "shard: sloburn", "sampler"]
    for tier, micros, busy, cores, pods, rest in rows:
        assert busy == rounded(float(micros) * SPANS_PER_SECOND / 1e6)
        assert cores == f"{CORES[tier]:,}"
        assert int(pods) == (SHARDS if tier.startswith("shard") else ceil(CORES[tier] / 4))
        if tier == "shard: Collector":
            assert rest.strip() == f", {CORES[tier] / SHARDS:.1f} cores each"


def test_sums_follow_from_the_tiers() -> None:
    """The whole, sloburn's part of it, and what promises alone need are sums of the table."""
    whole = sum(CORES.values())

    assert f"So {whole:,} cores, and {100 * SHARDS / whole:.1f} % of them are sloburn's" in FLAT
    assert f"fronts and processors, {CORES['front'] + SHARDS:,} cores" in FLAT


def test_figures_are_those_that_are_said_to_be_measured() -> None:
    """The table's times are the ones that the text says where they come from, by benchmarks that are there."""
    found = re.search(r"([\d.]+) µs in a front, ([\d.]+) µs in a shard, ([\d.]+) µs in a sampler", FLAT)

    assert found is not None
    assert found.groups() == (MICROS["front"], MICROS["shard: Collector"], MICROS["sampler"])
    assert f"evaluate): {MICROS['shard: sloburn']} µs" in FLAT


def test_benchmark_is_of_these_tiers() -> None:
    """The benchmark of the tiers runs the files that the page's table names."""
    for tier, file in TIERS.items():
        (row,) = [line for line in TEXT.splitlines() if line.startswith(f"| {tier} | `otel-collector.yaml`")]
        assert f"`{file.relative_to(FOLDER)}`" in row


def test_shards_follow_from_the_cores() -> None:
    """What one shard takes is the load over the shards, and below what its one core can read."""
    micros = float(MICROS["shard: sloburn"])

    assert f"takes {rounded(SPANS_PER_SECOND / SHARDS)} spans/s" in TEXT
    assert f"and {rounded(1e6 / micros)} before it falls behind" in FLAT
    assert f"that reaches back {rounded(8_000_000 / (SPANS_PER_SECOND / SHARDS))} s" in TEXT


def test_queues_last_as_long_as_is_said() -> None:
    """How long the manifests' queues last is their size over what arrives."""
    queues = {name: _queue_bytes(name) for name in ("front", "sampler", "sloburn")}
    front = SPAN_BYTES * SPANS_PER_SECOND / ceil(CORES["front"] / 4)
    shard = SPAN_BYTES * SPANS_PER_SECOND / SHARDS

    assert f"a front's queue lasts {queues['front'] / front:.0f} s" in FLAT
    assert f"a shard's to sloburn {queues['sloburn'] / shard:.0f} s" in FLAT
    assert f"and to the samplers {queues['sampler'] / shard:.0f} s" in FLAT
    assert f"ten minutes are {rounded(QUEUE_BYTES / 600 / SPAN_BYTES)} spans/s a shard" in FLAT


def _queue_bytes(towards: str) -> int:
    file, exporter = {
        "front": (FOLDER / "kubernetes" / "front.yaml", "load_balancing/shards"),
        "sampler": (FOLDER / "options" / "agent.yaml", "load_balancing/gateways"),
        "sloburn": (FOLDER.parent / "otel-collector.yaml", "otlp_http/sloburn"),
    }[towards]
    return int(yaml.safe_load(file.read_text())["exporters"][exporter]["sending_queue"]["queue_size"])


def test_rules_follow_from_the_compiler() -> None:
    """Rules and samples of an SLO are what the compiler writes and what its windows read."""
    (slo,) = slos = [span_slo()]
    quick, slow = compile_slos(slos, Settings()).groups
    lengths = {length for window in slo.alerting.windows for length in (window.long_ns, window.short_ns)} | {COARSE_NS}
    reads_quick = 2 * sum(length // quick.interval_ns for length in lengths if length <= QUICK_NS)
    reads_slow = 2 * sum(length // slow.interval_ns for length in (*lengths, 30 * DAY) if length > QUICK_NS)
    a_second = sum(len(group.rules) / (group.interval_ns / SECOND) for group in (quick, slow))
    read = reads_quick / (quick.interval_ns / SECOND) + reads_slow / (slow.interval_ns / SECOND)

    assert f"makes {len(quick.rules) + len(slow.rules)} rules in two groups" in TEXT
    assert f"{len(quick.rules)} every 30 s and {len(slow.rules)} every 2 min" in TEXT
    assert f"{rounded(10_000 * a_second)} samples/s" in TEXT
    assert f"{reads_quick:,} samples of recordings" in TEXT
    assert f"some {round(reads_slow, -3):,}" in TEXT
    assert f"read {read * 10_000 / 1e6:.1f}\nmillion samples/s" in TEXT


def test_bytes_follow_from_a_span() -> None:
    """Network and disks are the size of a span, as the benchmark makes it, times the load."""
    inflated = SpanBody().fresh(time.time_ns())
    plain, packed = len(inflated) / 512, len(gzip.compress(inflated)) / 512
    shard = SPAN_BYTES * SPANS_PER_SECOND / SHARDS / 1e6

    assert (round(plain), abs(packed - 67) < 7) == (418, True)  # another zlib packs a little better or worse
    assert (
        f"{418 * SPANS_PER_SECOND / 1e9:.1f} GB/s inflated, {67 * SPANS_PER_SECOND / 1e9:.1f} GB/s on the wire" in TEXT
    )
    assert f"{67 * SPANS_PER_SECOND / SHARDS / 1e6:.1f} MB/s for each shard" in FLAT
    assert f"{shard:.0f} MB/s for each shard, {shard * 600 / 1000:.0f} GB for ten minutes" in FLAT
    for share, a_second, a_day in ((0.05, "209 MB/s", "18 TB"), (0.001, "4.2 MB/s", "361 GB")):
        kept = share * 418 * SPANS_PER_SECOND
        assert f"{kept / 1e6:.{0 if share > 0.01 else 1}f} MB/s" == a_second
        assert f"{kept * 86_400 / 1e9:.0f} GB" == a_day or f"{kept * 86_400 / 1e12:.0f} TB" == a_day
        assert f"{a_second} and {a_day} a day" in FLAT


def test_files_are_there() -> None:
    """Every file that the page names is there."""
    named = set(re.findall(r"`((?:kubernetes|options|tests|bench)/[\w./-]*|[\w-]+\.yaml)`", TEXT))

    assert named
    for name in named:
        assert (FOLDER / name).exists() or (FOLDER.parent / name).exists(), name
    assert yaml.safe_load((FOLDER / "kubernetes" / "front.yaml").read_text())["exporters"]
