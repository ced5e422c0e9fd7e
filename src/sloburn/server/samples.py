"""What `/metrics` shows beside the SLOs: the processor's own counters."""

from __future__ import annotations

from sloburn.alerts.sender import AlertmanagerSender
from sloburn.duration import SECOND
from sloburn.outputs.exposition import TallyKind, TallySample
from sloburn.receiver.tally import Tally
from sloburn.sli.dedupe import SeenKeys
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


def seen_samples(seen: SeenKeys, now: int) -> list[TallySample]:
    """Return what is remembered so that a span that is sent again counts once.

    Args:
        seen: The keys of counted spans.
        now: Nanoseconds since the epoch.
    """
    figures = (
        (naming.SEEN_SPANS, "Counted spans that are remembered.", len(seen)),
        (naming.SEEN_BYTES, "About how much memory that takes.", seen.size_bytes),
        (
            naming.SEEN_HORIZON_SECONDS,
            "For how long at the least a span that is sent again is recognised.",
            seen.horizon_ns(now) / SECOND,
        ),
    )
    return [TallySample(name=name, kind=TallyKind.GAUGE, help=text, value=value) for name, text, value in figures]
