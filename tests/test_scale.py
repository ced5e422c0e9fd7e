"""`collector/SCALE.md`: its arithmetic is right, and what it says of rules and files is so."""

from __future__ import annotations

import gzip
import re
import time
from math import ceil
from pathlib import Path

import yaml
from bench.payloads import SpanBody

from sloburn.duration import DAY, SECOND
from sloburn.rules import Settings, compile_slos
from sloburn.rules.recordings import COARSE_NS, QUICK_NS
from tests.promises import span_slo

FOLDER = Path(__file__).parent.parent / "collector"
TEXT = (FOLDER / "SCALE.md").read_text()

SPANS_PER_SECOND = 10_000_000
BUSY = 0.6
ROW = re.compile(r"^\| ([a-zA-Z: ]+) \| (\d\.\d\d) \| (\d+\.\d) \| (\d+) \| (\d+)[^|]*\|$", re.MULTILINE)


def rounded(number: float) -> str:
    """Write a number as the page does."""
    return f"{round(number):,}"


def test_cores_follow_from_the_figures() -> None:
    """Busy and planned cores of every tier are the measured time of a span times the load."""
    rows = ROW.findall(TEXT)

    assert [tier for tier, *_ in rows] == ["front", "shard: Collector", "shard: sloburn", "sampler"]
    for _, micros, busy, planned, _ in rows:
        assert float(busy) == round(float(micros) * SPANS_PER_SECOND / 1e6, 1)
        assert int(planned) == ceil(float(micros) * SPANS_PER_SECOND / 1e6 / BUSY - 1e-9)


def test_shards_follow_from_the_cores() -> None:
    """What one shard takes is the load over the shards, and below what its one core can read."""
    micros, shards = next((float(m), int(pods)) for tier, m, _, _, pods in ROW.findall(TEXT) if "sloburn" in tier)

    assert f"takes {rounded(SPANS_PER_SECOND / shards)} spans/s" in TEXT
    assert f"and {rounded(1e6 / micros)} before it falls behind" in TEXT
    assert f"that reaches back {rounded(8_000_000 / (SPANS_PER_SECOND / shards))} s" in TEXT


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
    shard = 418 * SPANS_PER_SECOND / 68 / 1e6

    assert (round(plain), abs(packed - 67) < 3) == (418, True)
    assert (
        f"{418 * SPANS_PER_SECOND / 1e9:.1f} GB/s inflated, {67 * SPANS_PER_SECOND / 1e9:.1f} GB/s on the wire" in TEXT
    )
    assert f"{67 * SPANS_PER_SECOND / 68 / 1e6:.1f} MB/s for each shard" in " ".join(TEXT.split())
    assert f"{shard:.0f} MB/s for each shard, {shard * 600 / 1000:.0f} GB for ten minutes" in " ".join(TEXT.split())
    for share, a_second, a_day in ((0.05, "209 MB/s", "18 TB"), (0.001, "4.2 MB/s", "361 GB")):
        kept = share * 418 * SPANS_PER_SECOND
        assert f"{kept / 1e6:.{0 if share > 0.01 else 1}f} MB/s" == a_second
        assert f"{kept * 86_400 / 1e9:.0f} GB" == a_day or f"{kept * 86_400 / 1e12:.0f} TB" == a_day
        assert f"{a_second} and {a_day} a day" in " ".join(TEXT.split())


def test_files_are_there() -> None:
    """Every file that the page names is there."""
    named = set(re.findall(r"`((?:kubernetes|options|tests|bench)/[\w./-]*|[\w-]+\.yaml)`", TEXT))

    assert named
    for name in named:
        assert (FOLDER / name).exists() or (FOLDER.parent / name).exists(), name
    assert yaml.safe_load((FOLDER / "kubernetes" / "front.yaml").read_text())["exporters"]
