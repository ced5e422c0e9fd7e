"""The Prometheus exposition, read back with the parsers of prometheus_client."""

from __future__ import annotations

import math
import subprocess
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from prometheus_client.metrics_core import Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_classic
from prometheus_client.samples import Sample

from sloburn.duration import HOUR, SECOND
from sloburn.outputs.exposition import TallyKind, TallySample, exemplar_of, render_metrics
from sloburn.sli.status import SloState, Snapshot
from sloburn.slo import naming
from sloburn.slo.budget import Count
from sloburn.slo.naming import group_label
from tests.debian import program
from tests.outputs import snapshots
from tests.outputs.serving import served
from tests.processor import READY_SECONDS, free_ports, get, wait_until

CLASSIC, OPENMETRICS = "", "application/openmetrics-text; version=1.0.0"
FORMATS = pytest.mark.parametrize("accept", [CLASSIC, OPENMETRICS], ids=["classic", "openmetrics"])
REQUESTS = TallySample(
    name=naming.REQUESTS_TOTAL, kind=TallyKind.COUNTER, help="Requests.", labels=(("signal", "traces"),), value=7
)
QUEUE = TallySample(name=naming.SEEN_BYTES, kind=TallyKind.GAUGE, help="Bytes waiting.", value=1.5)


def families_of(
    snapshot: Snapshot | None, accept: str = CLASSIC, tallies: tuple[TallySample, ...] = ()
) -> list[Metric]:
    """Write the exposition and read it back as a scraper would."""
    _, body = render_metrics(snapshot, tallies, accept=accept)
    parse = parse_openmetrics if accept else parse_classic
    return list(parse(body.decode()))


def samples_of(snapshot: Snapshot | None, accept: str = CLASSIC, tallies: tuple[TallySample, ...] = ()) -> list[Sample]:
    """Return every sample of the exposition."""
    return [sample for family in families_of(snapshot, accept, tallies) for sample in family.samples]


def named(samples: list[Sample], name: str) -> Iterator[Sample]:
    """Return the samples of one name."""
    return (sample for sample in samples if sample.name == name)


@FORMATS
def test_every_name_and_label_is_in_the_catalogue(accept: str) -> None:
    """What is exposed has the names and labels of slo/naming, and nothing of the catalogue's SLO part is missing."""
    samples = [s for s in samples_of(snapshots.all_kinds_snapshot(), accept) if s.name != "sloburn_build_info"]
    names = {value for key, value in vars(naming).items() if key.isupper() and not key.startswith("LABEL_")}
    labels = {value for key, value in vars(naming).items() if key.startswith("LABEL_")}
    assert {label for sample in samples for label in sample.labels} <= labels
    ours = {
        name
        for name in names
        if name.startswith(("sloburn_slo_", "sloburn_engine_", "sloburn_alert_", "sloburn_lost_"))
    }
    assert {sample.name for sample in samples} == ours


@FORMATS
@pytest.mark.parametrize(
    "snapshot",
    [snapshots.team_snapshot(), snapshots.hostile_snapshot(), snapshots.demo_snapshot(), snapshots.many_snapshot()],
    ids=["team", "hostile", "demo", "many"],
)
def test_no_series_is_nan_or_twice_there(accept: str, snapshot: Snapshot) -> None:
    """Whatever the snapshot, each series is there once and has a real number."""
    samples = samples_of(snapshot, accept)
    assert all(math.isfinite(sample.value) for sample in samples)
    series = [(sample.name, tuple(sorted(sample.labels.items()))) for sample in samples]
    assert len(series) == len(set(series))


@FORMATS
def test_counters_are_lifetime_counts(accept: str) -> None:
    """The events counter shows what was ever counted, not what the period still holds: it never goes down."""
    status = replace(snapshots.build_status(count=Count(90, 10)), lifetime=Count(9_007_199_254_740_991, 12))
    samples = samples_of(snapshots.snapshot_of(status), accept)
    events = {s.labels["outcome"]: s.value for s in named(samples, naming.EVENTS_TOTAL)}
    assert events == {"good": 9_007_199_254_740_991, "bad": 12}


@FORMATS
def test_counters_are_typed_as_counters(accept: str) -> None:
    """Events, items and counted tallies are counters; everything else of an SLO is a gauge."""
    families = families_of(snapshots.team_snapshot(), accept, (REQUESTS, QUEUE))
    counters = {family.name for family in families if family.type == "counter"}
    assert {
        name.removesuffix("_total") for name in (naming.EVENTS_TOTAL, naming.ITEMS_TOTAL, naming.REQUESTS_TOTAL)
    } == (counters)
    assert {family.type for family in families if family.name == naming.BURN_RATE} == {"gauge"}


def test_series_without_a_value_are_absent() -> None:
    """An SLO without events has an objective and counters, but neither SLI, budget nor burn."""
    status = snapshots.build_status(state=SloState.NO_TRAFFIC, count=Count())
    samples = samples_of(snapshots.snapshot_of(status))
    names = {sample.name for sample in samples}
    assert {naming.EVENTS_TOTAL, naming.OBJECTIVE_RATIO, naming.PERIOD_SECONDS, naming.SLO_STATE} <= names
    assert not {naming.SLI_RATIO, naming.BUDGET_REMAINING_RATIO, naming.BURN_RATE} & names


def test_an_overspent_budget_is_below_zero() -> None:
    """Spending three times the budget leaves minus two budgets."""
    status = snapshots.build_status(count=Count(9_970, 30))
    (left,) = named(samples_of(snapshots.snapshot_of(status)), naming.BUDGET_REMAINING_RATIO)
    assert left.value == pytest.approx(-2)


def test_burn_rates_are_named_by_window() -> None:
    """Each look-back has a series whose window reads like the document's."""
    (status,) = (snapshots.burning_status(),)
    burns = {s.labels["window"]: s.value for s in named(samples_of(snapshots.snapshot_of(status)), naming.BURN_RATE)}
    assert list(burns) == ["5m", "30m", "1h", "2h", "6h", "1d", "3d"]
    assert burns["1h"] == pytest.approx(214 / 12_004 * 1000)
    assert HOUR in {burn.length_ns for burn in status.burns}


def test_exactly_one_state_is_set() -> None:
    """Of the states of an SLO, and of each of its alerts, one is 1 and the others are 0."""
    samples = samples_of(snapshots.snapshot_of(snapshots.burning_status()))
    states = {s.labels["state"]: s.value for s in named(samples, naming.SLO_STATE)}
    assert states == {"ok": 0, "burning": 1, "exhausted": 0, "no traffic": 0, "no data": 0}
    alerts = {(s.labels["severity"], s.labels["state"]) for s in named(samples, naming.ALERT_STATE) if s.value}
    assert alerts == {("page", "firing"), ("ticket", "resolved")}


@FORMATS
def test_before_the_first_snapshot_only_build_and_tallies_are_there(accept: str) -> None:
    """A scrape during the start shows what the receiver counted and makes up no SLO."""
    samples = samples_of(None, accept, (REQUESTS, QUEUE))
    assert {s.name: s.value for s in samples if s.name != "sloburn_build_info"} == {
        naming.REQUESTS_TOTAL: 7,
        naming.SEEN_BYTES: 1.5,
    }


@FORMATS
def test_an_empty_snapshot_can_be_parsed(accept: str) -> None:
    """No SLO at all is a valid exposition."""
    assert samples_of(snapshots.snapshot_of(items={}), accept)[0].name == "sloburn_build_info"


@FORMATS
def test_hostile_labels_come_back_as_they_were(accept: str) -> None:
    """Quotes, line breaks, backslashes and control characters of a group survive the way to the scraper."""
    value = 'a"b\\c\nd\u202e{}=,\x00'
    status = snapshots.build_status(snapshots.build_slo(group_by=("tenant",)), group=(("tenant", value),))
    (sli,) = named(samples_of(snapshots.snapshot_of(status), accept), naming.SLI_RATIO)
    assert sli.labels["group"] == group_label(status.group) == 'tenant=a"b\\\\c\nd\u202e{}\\=\\,\x00'


def test_content_type_follows_the_scraper() -> None:
    """A scraper that names OpenMetrics gets it, with its end mark; everybody else gets the classic text format."""
    content_type, body = render_metrics(None, accept=OPENMETRICS)
    assert content_type.startswith("application/openmetrics-text")
    assert body.endswith(b"# EOF\n")
    content_type, body = render_metrics(None, accept="text/html")
    assert content_type.startswith("text/plain; version=0.0.4")
    assert b"# EOF" not in body


@pytest.mark.parametrize(
    ("group", "label"),
    [
        ((), ""),
        ((("route", "/pay"),), "route=/pay"),
        ((("route", "/pay"), ("region", "eu")), "route=/pay,region=eu"),
        ((("route", "a,b=c"),), "route=a\\,b\\=c"),
        ((("route", ""),), "route="),
        ((("route", "back\\slash"),), "route=back\\\\slash"),
        ((("route", snapshots.SURROGATE),), "route=half \\ud83d of a smile"),
    ],
)
def test_group_labels(group: tuple[tuple[str, str], ...], label: str) -> None:
    """A group is one label value, in the order of group_by, with its separators escaped."""
    assert group_label(group) == label


def test_no_two_groups_have_one_label() -> None:
    """Values that imitate separators, or spell out what UTF-8 cannot carry, stay apart from what they imitate."""
    groups = [
        (("a", "b,c=d"),),
        (("a", "b"), ("c", "d")),
        (("a", "b\\,c=d"),),
        (("a", "\ud83d"),),
        (("a", "\\ud83d"),),
        (("a", "\ud83e"),),
        (("a", "?"),),
    ]
    assert len({group_label(group) for group in groups}) == len(groups)


def test_bad_events_carry_the_newest_failing_trace() -> None:
    """In OpenMetrics the bad counter, and only that, has an exemplar: ids and time of the newest failing trace."""
    status = snapshots.burning_status()
    calm = snapshots.build_status(snapshots.build_slo("other"))
    samples = samples_of(snapshots.snapshot_of(status, calm), OPENMETRICS)
    (sample,) = [sample for sample in samples if sample.exemplar]
    assert (sample.name, sample.labels["outcome"], sample.labels["slo"]) == (
        naming.EVENTS_TOTAL,
        "bad",
        "checkout-availability",
    )
    exemplar = sample.exemplar
    assert exemplar is not None
    assert (exemplar.labels, exemplar.value) == ({"trace_id": snapshots.TRACE_ID, "span_id": snapshots.SPAN_ID}, 1)
    assert float(exemplar.timestamp or 0) == pytest.approx(snapshots.NOW / 1e9, abs=1e-6)
    assert sum(len(key) + len(value) for key, value in exemplar.labels.items()) <= 128
    assert not [sample for sample in samples_of(snapshots.snapshot_of(status)) if sample.exemplar]


def test_hostile_ids_are_no_exemplars() -> None:
    """What is no id of a trace is left out; the next one that is takes its place."""
    hostile = snapshots.failing_trace(trace_id=snapshots.HOSTILE)
    status = replace(snapshots.build_status(), failing=(hostile, snapshots.failing_trace(3)))
    exemplar = exemplar_of(status)
    assert exemplar is not None
    assert exemplar.labels["trace_id"] == snapshots.failing_trace(3).trace_id
    assert exemplar_of(replace(status, failing=(hostile,))) is None


@pytest.mark.parametrize("accept", [CLASSIC, OPENMETRICS])
def test_promtool_has_nothing_to_say(accept: str) -> None:
    """Prometheus' own linter reads the classic format without a complaint; OpenMetrics ends as it must."""
    content_type, body = render_metrics(snapshots.team_snapshot(), (REQUESTS, QUEUE), accept=accept)
    if accept:
        assert content_type.startswith("application/openmetrics-text")
        assert body.endswith(b"# EOF\n")
        return
    tool = program("promtool", "prometheus")
    run = subprocess.run([tool, "check", "metrics"], input=body, capture_output=True, check=False, timeout=60)
    assert (run.returncode, run.stdout + run.stderr) == (0, b"")


def test_a_real_prometheus_keeps_the_exemplars(tmp_path: Path) -> None:
    """Prometheus scrapes the page, asks for OpenMetrics by itself, and finds the failing trace of the bad events."""
    prometheus = program("prometheus", "prometheus")
    now = time.time_ns()
    status = replace(snapshots.burning_status(), failing=(snapshots.failing_trace(at_unix_nano=now - SECOND),))
    (port,) = free_ports(1)
    with served(snapshots.snapshot_of(status)) as page, (tmp_path / "log").open("w") as log:
        target = page.url.removeprefix("http://")
        (tmp_path / "prometheus.yml").write_text(
            "global: {scrape_interval: 1s}\nscrape_configs:\n"
            f"  - job_name: sloburn\n    static_configs: [{{targets: ['{target}']}}]\n"
        )
        flags = [f"--config.file={tmp_path}/prometheus.yml", f"--storage.tsdb.path={tmp_path}/data"]
        flags += [f"--web.listen-address=127.0.0.1:{port}", "--enable-feature=exemplar-storage"]
        process = subprocess.Popen([prometheus, *flags], stderr=log)
        try:
            found: list[dict[str, Any]] = []

            def is_there() -> bool:
                found[:] = _exemplars(port, now)
                return bool(found)

            wait_until(is_there, "Prometheus has an exemplar")
        finally:
            process.terminate()
            process.wait(timeout=READY_SECONDS)
    (one,) = found
    assert one["seriesLabels"]["outcome"] == "bad"
    assert one["exemplars"][0]["labels"]["trace_id"] == snapshots.TRACE_ID


def _exemplars(port: int, now: int) -> list[dict[str, Any]]:
    """Return what Prometheus answers to `/api/v1/query_exemplars`; nothing while it starts."""
    span: dict[str, str | float] = {
        "query": naming.EVENTS_TOTAL,
        "start": now / SECOND - 600,
        "end": now / SECOND + 600,
    }
    try:
        answer = get(f"http://127.0.0.1:{port}/api/v1/query_exemplars", params=span)
        found: list[dict[str, Any]] = answer.json()["data"] if answer.is_success else []
    except httpx.TransportError:
        return []
    return found
