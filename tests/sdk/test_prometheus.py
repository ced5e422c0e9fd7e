"""`/metrics`: names, units, formats, negotiation, merging, bounds, and what happens when files cannot be had."""

from __future__ import annotations

import asyncio
import gzip
import os
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from opentelemetry import metrics
from opentelemetry.metrics import CallbackOptions, Observation
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from sloburn.errors import ConfigError
from sloburn.sdk.prometheus.archive import read_archive
from sloburn.sdk.prometheus.cells import Cells, CellsFull, CellsReader
from sloburn.sdk.prometheus.exposition import Style, expose
from sloburn.sdk.prometheus.folder import Folder, OwnFile
from sloburn.sdk.prometheus.merge import merge
from sloburn.sdk.prometheus.meters import MirroredMeterProvider
from sloburn.sdk.prometheus.mirror import Mirror
from sloburn.sdk.prometheus.naming import family_name, labels
from sloburn.sdk.prometheus.negotiation import pack, wants_openmetrics
from sloburn.sdk.prometheus.series import Exemplar, Instrument, Kind, Series
from sloburn.sdk.prometheus.store import MOST_SERIES, Store
from tests.sdk.metric_processes import COUNTER, GAUGE, Measured, by_name


@pytest.mark.parametrize(
    ("name", "unit", "kind", "expected"),
    [
        ("http.server.request.duration", "s", "histogram", "http_server_request_duration_seconds"),
        ("process.cpu.time", "s", "counter", "process_cpu_time_seconds"),
        ("process.memory.usage", "By", "updown", "process_memory_usage_bytes"),
        ("system.memory.utilization", "1", "gauge", "system_memory_utilization_ratio"),
        ("requests", "1", "counter", "requests"),
        ("jobs.total", "{job}", "counter", "jobs"),
        ("http.server.active_requests", "{request}", "updown", "http_server_active_requests"),
        ("speed", "km/h", "gauge", "speed_km_per_hour"),
        ("disk.io", "By/s", "gauge", "disk_io_bytes_per_second"),
        ("wait_seconds", "s", "gauge", "wait_seconds"),
        ("2fa..logins--failed", "", "counter", "_2fa_logins_failed"),
        ("rate", "{req}/s", "gauge", "rate_per_second"),
    ],
)
def test_names_follow_the_specification(name: str, unit: str, kind: Kind, expected: str) -> None:
    """Names and units become what Prometheus expects, with each unit once."""
    assert family_name(Instrument(name=name, unit=unit, kind=kind)) == expected


def test_labels() -> None:
    """Attribute names become label names; two that become the same keep both values; values keep their meaning."""
    pairs = labels([("http.route", "/a"), ("http_route", "/b"), ("ok", True), ("many", ["a", 1]), ("__name__", "x")])
    assert pairs == {"http_route": "/a;/b", "ok": "true", "many": '["a", 1]', "_name_": "x"}


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        ("", False),
        ("*/*", False),
        ("text/plain", False),
        ("application/openmetrics-text", True),
        ("application/openmetrics-text;version=1.0.0;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1", True),
        ("application/openmetrics-text;q=0.3,text/plain;q=0.5", False),
        ("application/openmetrics-text;version=2.0.0", False),
        ("application/openmetrics-text;q=nonsense", False),
    ],
)
def test_negotiation(accept: str, expected: bool) -> None:
    """OpenMetrics is sent to those who like it best; everybody else gets the format of old."""
    assert wants_openmetrics(accept) is expected


def test_compression() -> None:
    """A long body is packed for those who can unpack it."""
    body, encoding = pack(b"x" * 5000, "deflate, gzip;q=0.5")
    assert (gzip.decompress(body), encoding) == (b"x" * 5000, "gzip")
    assert pack(b"x" * 5000, "gzip;q=0") == (b"x" * 5000, "")


def _provider() -> tuple[MirroredMeterProvider, InMemoryMetricReader, Store]:
    reader = InMemoryMetricReader()
    mirror = Mirror()
    mirror.store = Store()
    return MirroredMeterProvider(MeterProvider(metric_readers=[reader]), mirror), reader, mirror.store


def _use_all(meter: metrics.Meter) -> None:
    meter.create_counter("c", "By").add(3, {"a": 'x\n"\\', "b": 1})
    meter.create_counter("c", "By").add(-1)
    meter.create_up_down_counter("u").add(-2)
    histogram = meter.create_histogram("h", "s", "How long.", explicit_bucket_boundaries_advisory=[0.1, 1])
    for value in (0.1, 0.5, 7, float("inf")):
        histogram.record(value)
    meter.create_gauge("g").set(4.5)
    meter.create_observable_gauge("og", [lambda _: [Observation(1, {"x": "y"})]])

    def steps() -> object:
        count = 0
        while True:
            count += 1
            yield [Observation(count)]

    meter.create_observable_counter("oc", [steps()])  # type: ignore[list-item]
    meter.create_observable_up_down_counter("ou", [lambda _: [Observation(9)]])


def test_both_ways_show_the_same() -> None:
    """What OTLP's reader sees and what Prometheus's own parsers read are the same numbers, in both formats."""
    provider, reader, store = _provider()
    _use_all(provider.get_meter("scope", "1.2"))
    data = reader.get_metrics_data()
    assert data is not None
    points: dict[str, Any] = {
        metric.name: metric.data.data_points[0]
        for part in data.resource_metrics
        for scope in part.scope_metrics
        for metric in scope.metrics
    }
    series, _ = store.collect()
    expected = {"c": 3, "u": -2, "g": 4.5, "og": 1, "oc": 1, "ou": 9}
    assert {name: points[name].value for name in expected} == expected
    assert {name: value for name, value in by_name(series).items() if name in expected} == expected
    (histogram,) = [part for part in series if part.instrument.name == "h"]
    assert (
        (histogram.counts, float(histogram.value)) == (points["h"].bucket_counts, points["h"].sum) == ((1, 1, 1), 7.6)
    )

    for is_openmetrics, parse in ((True, parse_openmetrics), (False, parse_text)):
        text = expose(series, {"service.name": "s"}, Style(is_openmetrics=is_openmetrics))
        samples = {sample.name: sample for family in parse(text) for sample in family.samples}
        assert samples["c_bytes_total"].labels == {
            "a": 'x\n"\\', "b": "1", "otel_scope_name": "scope", "otel_scope_version": "1.2"
        }  # fmt: skip
        assert (samples["h_seconds_count"].value, samples["h_seconds_sum"].value) == (3, 7.6)
        assert samples["target_info"].labels == {"service_name": "s"}


def test_scope_labels_can_be_left_out() -> None:
    """Without scope labels the same instrument of two scopes is one series with the sum of both."""
    provider, _, store = _provider()
    for scope in ("one", "two"):
        provider.get_meter(scope).create_counter("c").add(2)
    text = expose(store.collect()[0], {}, Style(has_scope=False))
    assert "c_total 4" in text.splitlines()


def test_callbacks_that_stop_to_report() -> None:
    """A gauge whose callback does not report it any more is not shown any more; a counter is."""
    provider, _, store = _provider()
    reported = [Observation(1, {"k": "a"}), Observation(2, {"k": "b"})]
    meter = provider.get_meter("m")

    def report(options: CallbackOptions) -> list[Observation]:
        return list(reported)

    meter.create_observable_gauge("gauge", [report])
    meter.create_observable_counter("counter", [report])
    provider.mirror.refresh()
    reported.pop()
    provider.mirror.refresh()
    assert by_name(store.collect()[0]) == {"gauge": 1, "counter": 3}


def test_callback_that_raises() -> None:
    """A callback that raises is counted and leaves the others alone."""
    provider, _, store = _provider()
    meter = provider.get_meter("m")
    meter.create_observable_gauge("broken", [lambda _: 1 / 0])  # type: ignore[return-value, list-item]
    meter.create_observable_gauge("fine", [lambda _: [Observation(1)]])
    provider.mirror.refresh()
    assert (by_name(store.collect()[0]), provider.mirror.failures) == ({"fine": 1}, 1)


def test_series_are_bounded() -> None:
    """An instrument with too many series counts the rest under the overflow attribute: no sum is lost."""
    store, measured = Store(), Measured(COUNTER)
    for number in range(3 * MOST_SERIES):
        store.add(measured, 1, {"user": number})
    series, lost = store.collect()
    assert (len(series), lost, by_name(series)) == (MOST_SERIES + 1, 0, {"work": 3 * MOST_SERIES})
    assert series[-1].attributes == (("otel.metric.overflow", True),)


def test_order_of_attributes_does_not_matter() -> None:
    """The same attributes in another order are the same series, and lists are attributes too."""
    store, measured = Store(), Measured(COUNTER)
    store.add(measured, 1, {"a": 1, "b": ["x"]})
    store.add(measured, 1, {"b": ["x"], "a": 1})
    assert [part.value for part in store.collect()[0]] == [2]


def test_memory_is_bounded() -> None:
    """A file never grows beyond its bound; it says so instead."""
    cells = Cells(largest_words=10_000)
    for _ in range(40):
        cells.append({"name": "n"}, 200)
    with pytest.raises(CellsFull):
        cells.append({"name": "n"}, 2000)


def test_full_disk_loses_updates_and_counts_them(tmp_path: Path) -> None:
    """Where there is no room every measurement is counted as lost, nothing is raised, and it is tried again later."""
    is_full, now = [True], [0]

    class SmallFolder(Folder):
        def open_own(self) -> OwnFile:
            if is_full[0]:
                raise OSError(28, "No space left on device")
            return super().open_own()

    store, measured = Store(SmallFolder(tmp_path), now=lambda: now[0]), Measured(COUNTER)
    assert [store.add(measured, 1, None) for _ in range(3)] == [0, 0, 0]
    is_full[0] = False
    store.add(measured, 1, None)
    assert store.collect() == ([], 4)
    now[0] = 11 * 10**9
    store.add(measured, 1, None)
    series, lost = store.collect()
    assert (by_name(series), lost) == ({"work": 1}, 4)


def test_damaged_files_are_left_out(tmp_path: Path) -> None:
    """Files that are not ours, or half of one, add nothing and break nothing."""
    store = Store(Folder(tmp_path))
    store.add(Measured(COUNTER), 5, None)
    (tmp_path / "1-aaaaaaaaaaaa.cells").write_bytes(os.urandom(1000))
    (tmp_path / "2-bbbbbbbbbbbb.cells").write_bytes(b"")
    whole = next(path for path in tmp_path.glob("*.cells") if path.stat().st_size > 1000).read_bytes()
    (tmp_path / "3-cccccccccccc.cells").write_bytes(whole[:60])
    (tmp_path / "archive.json").write_text("{nonsense")
    assert by_name(store.collect()[0]) == {"work": 5}


def test_file_that_was_removed_under_our_hands(tmp_path: Path) -> None:
    """A temporary folder that somebody cleans does not take this process's numbers along."""
    store = Store(Folder(tmp_path))
    store.add(Measured(COUNTER), 5, None)
    for path in tmp_path.glob("*.cells"):
        path.unlink()
    assert by_name(store.collect()[0]) == {"work": 5}


def test_interrupted_archiving_counts_once(tmp_path: Path) -> None:
    """An archive that was written before the files it contains could be removed does not count them twice."""
    store = Store(Folder(tmp_path))
    store.add(Measured(COUNTER), 5, None)
    (path,) = tmp_path.glob("*.cells")
    content = path.read_bytes()
    store.begin_anew()
    assert by_name(Store(Folder(tmp_path)).collect()[0]) == {"work": 5}
    assert read_archive(tmp_path / "archive.json").absorbed == {path.name}
    path.write_bytes(content)
    assert by_name(Store(Folder(tmp_path)).collect()[0]) == {"work": 5}
    Store(Folder(tmp_path)).collect()
    assert read_archive(tmp_path / "archive.json").absorbed == frozenset()


def test_folder_of_somebody_else(tmp_path: Path) -> None:
    """A file or a link in the folder's place is refused by name."""
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to(tmp_path)
    for name in ("file", "link"):
        with pytest.raises(ConfigError, match=f"metrics folder .*{name}"):
            Folder(tmp_path / name)


def test_newest_gauge_wins_and_the_machine_is_not_added_up() -> None:
    """Of a gauge the process that set it last is shown; what all processes see of one machine is shown once."""
    now = iter(range(1, 10))
    one, two = Store(now=lambda: next(now)), Store(now=lambda: next(now))
    host = Instrument(name="system.memory.usage", kind="updown")
    one.set(Measured(GAUGE), 1, None)
    two.set(Measured(GAUGE), 2, None)
    two.set(Measured(host), 100, None)
    one.set(Measured(host), 101, None)
    assert by_name(merge([*two.own_series(), *one.own_series()])) == {"depth": 2, "system.memory.usage": 101}


def test_histograms_with_other_buckets_are_left_out() -> None:
    """During a deployment that changes buckets, the first process's are shown instead of nonsense."""
    old, new = (Instrument(name="h", kind="histogram", boundaries=bounds) for bounds in ((1.0,), (2.0,)))
    parts = [
        Series(instrument=new, attributes=(), value=Fraction(1), counts=(1, 0)),
        Series(instrument=old, attributes=(), value=Fraction(5), counts=(5, 0)),
    ]
    assert [part.counts for part in merge(parts)] == [(1, 0)]


def test_exemplar_is_written_as_openmetrics_wants_it() -> None:
    """An exemplar stands behind its bucket, with trace id, span id, value and time."""
    exemplar = Exemplar(trace_id="a" * 32, span_id="b" * 16, value=0.5, unix_nano=1_700_000_000_123_000_000)
    instrument = Instrument(name="h", kind="histogram", boundaries=(1.0,))
    series = Series(instrument=instrument, attributes=(), value=Fraction(1, 2), counts=(1, 0), exemplars={0: exemplar})
    lines = expose([series], {}, Style(is_openmetrics=True)).splitlines()
    ids = f'trace_id="{"a" * 32}",span_id="{"b" * 16}"'
    assert f'h_bucket{{le="1.0"}} 1 # {{{ids}}} 0.5 1700000000.123' in lines
    assert not any("trace_id" in line for line in expose([series], {}, Style()).splitlines())


def test_reader_of_an_empty_file(tmp_path: Path) -> None:
    """A file that its process has not begun to write has no entries."""
    path = tmp_path / "empty"
    path.touch()
    with path.open("rb") as file:
        reader = CellsReader(file.fileno())
        assert (list(reader.entries()), reader.lost) == ([], 0)
        reader.close()


def test_page_answers_without_the_siblings_files(monkeypatch: pytest.MonkeyPatch) -> None:
    """When the files cannot be read the scrape fails as such: a wrong sum would look like a restart."""
    from sloburn.sdk.prometheus.endpoint import MetricsPage
    from sloburn.sdk.prometheus.process import SHOWN

    class BrokenStore(Store):
        def collect(self) -> tuple[list[Series], int]:
            raise OSError(5, "Input/output error")

    monkeypatch.setattr(SHOWN.mirror, "store", BrokenStore())
    answer = asyncio.run(MetricsPage(scope_labels=True)({}))
    assert (answer.status, b"Input/output error" in answer.body) == (503, True)
