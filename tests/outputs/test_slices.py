"""SLOs over slices of time and other SLOs in the words of page, API and metrics."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import pytest

from sloburn.duration import HOUR, MINUTE, SECOND
from sloburn.outputs.api import head_document
from sloburn.outputs.detail import detail_of
from sloburn.outputs.exposition import render_metrics
from sloburn.outputs.rows import row_of
from sloburn.sli.status import Snapshot
from sloburn.slo.model import FreshnessIndicator, Indicator, JourneyIndicator, SlicedIndicator, WeightedIndicator
from sloburn.slo.timed import promise_text
from tests.outputs.snapshots import NOW, build_slo, build_status, sliced_status

SOURCE = build_slo().indicator


def test_slices_are_named_everywhere() -> None:
    """Who counts minutes reads of minutes: in the row, on the page, and how many of them may still be bad."""
    status = sliced_status()
    row, detail = row_of(status), detail_of(Snapshot(at_unix_nano=NOW, statuses=(status,)), status)
    assert row.sli.title == "99.97 %: 9,997 good of 10,000 slices of 1 min, 3 bad"
    assert (
        row.budget.figure.title == "70 % left: 3 bad slices of 1 min of 10.0 that 10,000 slices of 1 min allow; "
        "7 min of bad time left"
    )
    assert detail.nouns == ("slice of 1 min", "slices of 1 min")
    assert detail.budget_time == "7 min of bad time left"


def test_the_api_tells_slices_and_members() -> None:
    """The API says of what a share is promised, how long slices are, and which SLOs are read."""
    document = head_document(sliced_status(), 1)
    assert document["slice_seconds"] == 60.0
    assert document["budget_remaining_seconds"] == 420.0
    assert document["members"] == []
    journey = build_slo(indicator=JourneyIndicator(members=("cart", "pay"), slice_ns=MINUTE))
    assert head_document(build_status(journey), 1)["members"] == ["cart", "pay"]


def test_metrics_have_the_length_of_slices() -> None:
    """The length of slices is exposed for SLOs that have some, and for no others."""
    _, body = render_metrics(Snapshot(at_unix_nano=NOW, statuses=(sliced_status(), build_status())))
    lines = [line for line in body.decode().splitlines() if line.startswith("sloburn_slo_slice_seconds{")]
    assert lines == ['sloburn_slo_slice_seconds{group="",service="checkout",slo="checkout-minutes"} 60.0']


@pytest.mark.parametrize(
    ("indicator", "words"),
    [
        (SOURCE, "events good"),
        (
            SlicedIndicator(source=SOURCE, slice_ns=5 * MINUTE, target=Fraction(95, 100)),  # type: ignore[arg-type]
            "slices of 5 min good: those in which at least 95 % of events are good",
        ),
        (
            FreshnessIndicator(source=SOURCE, slice_ns=MINUTE, within_ns=900 * SECOND),  # type: ignore[arg-type]
            "slices of 1 min good: those at whose end the last good event is at most 15 min old",
        ),
        (
            FreshnessIndicator(source=SOURCE, slice_ns=MINUTE, within_ns=HOUR + 5 * MINUTE, every_ns=HOUR),  # type: ignore[arg-type]
            "slices of 1 min good: those at whose end no event is overdue (expected every 1 h, with 5 min of grace)",
        ),
        (
            JourneyIndicator(members=("cart", "pay"), slice_ns=MINUTE),
            "slices of 1 min good: those in which each of cart, pay keeps its own objective",
        ),
        (
            WeightedIndicator(members=(("cart", Fraction(1)), ("pay", Fraction(5, 2)))),
            "the weighted mean of cart (1), pay (2.5) good",
        ),
    ],
)
def test_promises_in_words(indicator: Indicator, words: str) -> None:
    """Each kind of indicator says in one sentence of what a share is promised."""
    assert promise_text(replace(build_slo(), indicator=indicator).indicator) == words
