"""That events are missing is said wherever numbers are: metrics, API, page and alert text."""

from __future__ import annotations

from fractions import Fraction

from sloburn.alerts.alertmanager import postable_alerts
from sloburn.duration import HOUR
from sloburn.outputs.api import slo_document, status_document
from sloburn.outputs.detail import detail_of
from sloburn.outputs.exposition import render_metrics
from sloburn.outputs.rows import row_of
from tests.outputs import snapshots

TEXT = "incomplete: up to 1,000 of "


def lines(name: str) -> list[str]:
    """Return the samples of a metric, as a scraper reads them."""
    _, body = render_metrics(snapshots.gappy_snapshot())
    return [line for line in body.decode().splitlines() if line.startswith(name)]


def test_metrics_hold_both_ends() -> None:
    """Missing events and both ends of the burn rate are exposed by window, and losses by who lost them."""
    status = snapshots.gappy_status()
    assert status.incomplete is not None
    hour = next(one for one in status.incomplete.burns if one.length_ns == HOUR)
    for name, value in (
        ("sloburn_slo_missing_events", 1000.0),
        ("sloburn_slo_burn_rate_low", float(hour.burn.low)),
        ("sloburn_slo_burn_rate_high", float(hour.burn.high)),
    ):
        (found,) = (line for line in lines(name) if 'window="1h"' in line)
        assert found.endswith(f" {value}")
    assert lines("sloburn_lost_events_total") == [
        'sloburn_lost_events_total{service="",signal="traces",source="not sent by a Collector"} 1000.0'
    ]


def test_nothing_missing_is_absent() -> None:
    """Without a loss there are no such metrics, and the API says null."""
    _, body = render_metrics(snapshots.team_snapshot())
    assert not any(word in body.decode() for word in ("missing_events", "burn_rate_low", "lost_events"))
    documents = status_document(snapshots.team_snapshot())["slos"]
    assert {document["incomplete"] for document in documents} == {None}


def test_the_api_holds_the_intervals() -> None:
    """The JSON API names what is missing, who lost it, and both ends of every number."""
    status = snapshots.gappy_status()
    whole = slo_document(snapshots.gappy_snapshot(), status)
    document = whole["incomplete"]
    total = status.count.total + 1_000
    assert document["text"].startswith(TEXT)
    assert (document["missing"], document["of"]) == (1_000, total)
    assert document["sources"] == {"not sent by a Collector": 1_000}
    assert document["sli"] == {
        "low": float(Fraction(status.count.good, total)),
        "high": float(Fraction(status.count.good + 1_000, total)),
    }
    assert {"window", "missing", "burn"} <= document["burns"][0].keys()
    assert whole["notes"][-1].startswith(TEXT)


def test_people_are_told() -> None:
    """The list marks the SLO, its page explains in a sentence, and the alert says it too."""
    status, snapshot = snapshots.gappy_status(), snapshots.gappy_snapshot()
    assert row_of(status).remark.endswith("up to 1,000 missing")
    assert detail_of(snapshot, status).notes[-1].startswith(TEXT)
    texts = [str(alert["annotations"]) for alert in postable_alerts(snapshot)]
    assert any(TEXT in text for text in texts)
