"""What `/metrics` shows beside the SLOs: the processor's own counters."""

from __future__ import annotations

from sloburn.alerts.sender import AlertmanagerSender
from sloburn.duration import SECOND
from sloburn.outputs.board import Board
from sloburn.outputs.exposition import TallyKind, TallySample
from sloburn.receiver.tally import Tally
from sloburn.server.keeper import Keeper
from sloburn.server.pipeline import Pipeline
from sloburn.sli.dedupe import SeenKeys
from sloburn.sli.timeline import DROP_REASONS, Timeline
from sloburn.slo import naming


def request_samples(tally: Tally) -> list[TallySample]:
    """Return what the receivers answered."""
    return [
        TallySample(
            name=naming.REQUESTS_TOTAL,
            kind=TallyKind.COUNTER,
            help="OTLP requests answered, by signal, protocol and answer.",
            labels=((naming.LABEL_SIGNAL, key.signal or ""), ("protocol", key.wire), ("code", key.code)),
            value=count,
        )
        for key, count in sorted(tally.requests().items(), key=lambda item: tuple(map(str, item[0])))
    ]


def alert_samples(sender: AlertmanagerSender) -> list[TallySample]:
    """Return what Alertmanagers were told."""
    return [
        TallySample(
            name=naming.ALERTMANAGER_ALERTS_TOTAL,
            kind=TallyKind.COUNTER,
            help="Alerts posted to Alertmanagers, repetitions included, by address and outcome.",
            labels=(("url", url), (naming.LABEL_OUTCOME, outcome)),
            value=count,
        )
        for (url, outcome), count in sorted(sender.sent.items())
    ]


def store_samples(pipeline: Pipeline, keeper: Keeper) -> list[TallySample]:
    """Return how the store is."""
    figures = (
        (naming.STORE_OK, "1 while commits can be stored, 0 while senders are told to retry.", not pipeline.trouble),
        (
            naming.STORE_DAMAGES,
            "How often the store was found damaged.",
            len(keeper.notices),
        ),
        (naming.HISTORY_BEGIN_TIMESTAMP_SECONDS, "When the history begins.", keeper.epoch / SECOND),
        (naming.REMOVED_SLOS, "SLOs that no document names any more and whose history is kept.", len(keeper.removed)),
    )
    gauges = [TallySample(name=name, kind=TallyKind.GAUGE, help=text, value=value) for name, text, value in figures]
    forgotten = TallySample(
        name=naming.REMOVED_SLOS_FORGOTTEN_TOTAL,
        kind=TallyKind.COUNTER,
        help="SLOs that were removed long ago and whose history was deleted.",
        value=keeper.removed.forgotten,
    )
    return [*gauges, forgotten]


def seen_samples(seen: SeenKeys, now: int) -> list[TallySample]:
    """Return what is remembered so that a span that is sent again counts once.

    Args:
        seen: The keys of counted spans.
        now: Nanoseconds since the epoch.
    """
    figures = (
        (naming.SEEN_SPANS, "Counted spans that are remembered.", len(seen)),
        (naming.SEEN_CAPACITY_SPANS, "How many of them are remembered at the most.", seen.capacity),
        (naming.SEEN_BYTES, "About how much memory that takes.", seen.size_bytes),
        (
            naming.SEEN_HORIZON_SECONDS,
            "For how long at the least a span that is sent again is recognised.",
            seen.horizon_ns(now) / SECOND,
        ),
    )
    return [TallySample(name=name, kind=TallyKind.GAUGE, help=text, value=value) for name, text, value in figures]


def dropped_samples(timeline: Timeline) -> list[TallySample]:
    """Return which annotations were not kept, for want of room or because a version changed too often."""
    return [
        TallySample(
            name=naming.ANNOTATIONS_DROPPED_TOTAL,
            kind=TallyKind.COUNTER,
            help="Annotations that were not kept, by reason.",
            labels=((naming.LABEL_REASON, reason),),
            value=timeline.dropped[reason],
        )
        for reason in DROP_REASONS
    ]


def stream_samples(board: Board) -> list[TallySample]:
    """Return who follows the snapshots, and what readers missed who are too slow or too many."""
    kind = TallyKind.COUNTER
    skipped = "Snapshots that a reader was too slow to see: it gets the newest one instead."
    return [
        TallySample(name=naming.STREAMS, kind=TallyKind.GAUGE, help="Readers of snapshots.", value=board.readers),
        TallySample(
            name=naming.STREAMS_REFUSED_TOTAL, kind=kind, help="Streams that were one too many.", value=board.refused
        ),
        TallySample(name=naming.STREAM_SNAPSHOTS_SKIPPED_TOTAL, kind=kind, help=skipped, value=board.skipped),
    ]
