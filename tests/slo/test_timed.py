"""What SLOs over slices of time are made of."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

from sloburn.duration import HOUR, MINUTE, SECOND
from sloburn.slo.model import EventIndicator, FreshnessIndicator, JourneyIndicator, SlicedIndicator
from sloburn.slo.timed import SLICES_NS, fit_windows, hears_silence, slice_ns_of, source_of
from tests.promises import span_slo

SOURCE: EventIndicator = span_slo().indicator  # type: ignore[assignment]
SLICED = SlicedIndicator(source=SOURCE, slice_ns=5 * MINUTE, target=Fraction(1, 2))


def test_short_windows_hold_two_slices() -> None:
    """Windows that hold fewer are lengthened, and a note says which; the others stay as they are."""
    alerting = fit_windows(span_slo().alerting, 5 * MINUTE)
    assert [window.short_ns for window in alerting.windows] == [10 * MINUTE, 30 * MINUTE, 2 * HOUR, 6 * HOUR]
    assert alerting.notes == ("page 1h + 5m: the short window holds fewer than 2 slices of 5m; lengthened to 10m",)


def test_slices_fit_the_ledger() -> None:
    """Every length that a slice may have divides an hour and is divided by the ledger's slices."""
    assert all(HOUR % length == 0 for length in SLICES_NS)
    for length in SLICES_NS:
        assert length % (5 * SECOND if length < MINUTE else MINUTE) == 0


def test_slices_are_scaled_with_the_ledger() -> None:
    """On a fast clock a slice stays a whole number of the ledger's slices, rounded as they are."""
    slo = replace(span_slo(), indicator=SLICED).scaled(7)
    assert slice_ns_of(slo.indicator) == 60 * (5 * SECOND // 7)
    fresh = FreshnessIndicator(source=SOURCE, within_ns=HOUR, slice_ns=MINUTE, every_ns=HOUR)
    found = replace(span_slo(), indicator=fresh).scaled(60).indicator
    assert isinstance(found, FreshnessIndicator)
    assert (found.within_ns, found.slice_ns) == (MINUTE, 12 * (5 * SECOND // 60))
    journey = JourneyIndicator(members=("a", "b"), slice_ns=MINUTE)
    assert slice_ns_of(replace(span_slo(), indicator=journey).scaled(60).indicator) == 12 * (5 * SECOND // 60)


def test_the_source_counts_and_never_alerts() -> None:
    """Behind slices stands an SLO that counts the events, under a name that no document can give."""
    source = source_of(replace(span_slo("minutes"), indicator=SLICED))
    assert source is not None
    assert (source.name, source.indicator, source.alerting.early_page) == ("minutes/events", SOURCE, False)
    assert source_of(span_slo()) is None


def test_to_whom_silence_is_a_signal() -> None:
    """Freshness hears silence; slices do only where empty ones are bad."""
    assert hears_silence(FreshnessIndicator(source=SOURCE, within_ns=HOUR, slice_ns=MINUTE))
    assert not hears_silence(SLICED)
    assert not hears_silence(SOURCE)
