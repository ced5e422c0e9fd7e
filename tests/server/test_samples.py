"""The processor's own gauges."""

from __future__ import annotations

from sloburn.duration import HOUR, SECOND
from sloburn.outputs.board import Board
from sloburn.server.samples import dropped_samples, seen_samples, stream_samples
from sloburn.sli.dedupe import HOLD_NS, SeenKeys, span_key
from sloburn.sli.status import Snapshot
from sloburn.sli.timeline import MAX_ANNOTATIONS, Timeline
from sloburn.slo import naming
from sloburn.slo.annotation import Annotation, Kind
from tests.sli.harness import NOW


def test_what_is_remembered_shows() -> None:
    """How many spans are remembered, in how many bytes, and for how long a repeat is recognised."""
    seen = SeenKeys()
    seen.add({0: {span_key(bytes(16), bytes(8))}}, NOW)
    found = {sample.name: sample.value for sample in seen_samples(seen, NOW)}
    assert found == {
        naming.SEEN_SPANS: 1,
        naming.SEEN_CAPACITY_SPANS: 8_000_000,
        naming.SEEN_BYTES: 112,
        naming.SEEN_HORIZON_SECONDS: HOLD_NS / SECOND,
    }


def test_annotations_without_room_are_counted() -> None:
    """Every annotation beyond the newest ones is counted, and so is a version that is none; both counters are there."""
    timeline = Timeline()
    values = {sample.labels[0][1]: sample.value for sample in dropped_samples(timeline)}
    assert values == {"oldest": 0, "too many versions": 0}
    for number in range(MAX_ANNOTATIONS + 3):
        at = NOW + number * SECOND
        timeline.add(Annotation(at_unix_nano=at, kind=Kind.NOTE, text=str(number), service="shop"))
    for number in range(20):
        timeline.see("bank", str(number), NOW + HOUR)
    values = {sample.labels[0][1]: sample.value for sample in dropped_samples(timeline)}
    assert values["oldest"] >= 3
    assert values["too many versions"] > 0


def test_readers_of_the_stream_are_counted() -> None:
    """Who reads, who was sent away and what slow readers did not see: each has its figure."""
    board = Board()
    with board.subscribe(), board.subscribe():
        for at in range(3):
            board.publish(Snapshot(at_unix_nano=at))
        board.refused += 1
        found = {sample.name: sample.value for sample in stream_samples(board)}
    assert found == {
        naming.STREAMS: 2,
        naming.STREAMS_REFUSED_TOTAL: 1,
        naming.STREAM_SNAPSHOTS_SKIPPED_TOTAL: 4,
    }
