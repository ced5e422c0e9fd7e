"""One history of events, told twice: to sloburn's engine, and to Prometheus as counters that are scraped."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction

from google.protobuf.message import Message

from sloburn.duration import SECOND, format_duration
from sloburn.sli.status import SloStatus
from sloburn.slo import naming
from sloburn.slo.alerting import AlertState
from sloburn.slo.conditions import Match, Op, Source
from sloburn.slo.model import Slo
from tests.promises import metric_slo
from tests.rules.promtool import Expected, Series
from tests.sli.harness import Bench
from tests.telemetry import DELTA, PointSpec, metric_request

ORIGIN = 1_759_968_000 * SECOND  # a midnight, so that slices and steps begin together
AFTER = 8  # seconds from a step's begin to its events: away from both ends

METRIC = "orders"
FAILED = Match(source=Source.ATTRIBUTE, key="outcome", op=Op.EQ, operands=("failed",))


def orders_slo(objective: str = "0.999") -> Slo:
    """Return an SLO on a counter of orders."""
    return metric_slo("orders", metric=METRIC, threshold=None, bad=FAILED, objective=objective)


@dataclass(frozen=True, kw_only=True)
class History:
    """Good and bad events of every step; None where the service is silent.

    Args:
        step: Seconds.
        steps: Good and bad events; those of number n come after n x step.
    """

    step: int
    steps: Sequence[tuple[int, int] | None]

    def series(self) -> list[Series]:
        """Return the counters, as scrapes at the end of each step find them."""
        return [self._series("ok", 0), self._series("failed", 1)]

    def _series(self, outcome: str, place: int) -> Series:
        value, values = 0, [0]
        scraped: list[int | None] = [*values]
        for step in self.steps:
            value += step[place] if step else 0
            scraped.append(value if step else None)
        return Series(name=f"{METRIC}_total", labels={"job": "shop", "outcome": outcome}, values=scraped)

    def told(self, slo: Slo) -> Iterator[tuple[int, SloStatus]]:
        """Tell it to the engine; yield what it knows at the end of each step, and seconds since the begin."""
        bench = Bench(slo)
        for number, step in enumerate(self.steps):
            bench.now = ORIGIN + (number * self.step + AFTER) * SECOND
            if step:
                bench.metrics(_request(bench.now, *step))
            bench.now = ORIGIN + (number + 1) * self.step * SECOND
            yield (number + 1) * self.step, bench.status()


def _request(at: int, good: int, bad: int) -> Message:
    counted = (("ok", good), ("failed", bad))
    points = [
        PointSpec(time=at, start=at - SECOND, value=value, values={"outcome": outcome}) for outcome, value in counted
    ]
    return metric_request(METRIC, points, temporality=DELTA, unit="1")


def windows_expected(at: int, status: SloStatus, lengths: Sequence[int]) -> Iterator[Expected]:
    """Yield for each look-back what its recordings must hold: the engine's whole numbers, and its burn."""
    labels = {"slo": status.slo.name, "service": status.slo.service}
    for burn in status.burns:
        if burn.length_ns not in lengths:
            continue
        length = format_duration(burn.length_ns)
        yield _recorded(at, f"{naming.RULE_EVENTS}:increase{length}", labels, burn.count.total)
        yield _recorded(at, f"{naming.RULE_BAD_EVENTS}:increase{length}", labels, burn.count.bad)
        if burn.burn is not None:
            windowed = {**labels, "window": length}
            query = f'{naming.RULE_BURN_RATE}{{window="{length}"}}'
            yield Expected(
                at=at, query=query, samples=[({"__name__": naming.RULE_BURN_RATE, **windowed}, float(burn.burn))]
            )


def budget_expected(at: int, status: SloStatus) -> Iterator[Expected]:
    """Yield what the recordings of the period must hold."""
    labels = {"slo": status.slo.name, "service": status.slo.service}
    yield _recorded(at, f"{naming.RULE_EVENTS}:period", labels, status.count.total)
    yield _recorded(at, f"{naming.RULE_BAD_EVENTS}:period", labels, status.count.bad)
    spent = float(Fraction(status.count.bad, status.count.total) / (1 - status.slo.objective))
    yield _recorded(at, naming.RULE_BUDGET_REMAINING, labels, 1 - spent)
    yield _recorded(at, naming.RULE_OBJECTIVE, labels, float(status.slo.objective))


def _recorded(at: int, name: str, labels: dict[str, str], value: float) -> Expected:
    return Expected(at=at, query=name, samples=[({"__name__": name, **labels}, value)])


def firing_expected(at: int, status: SloStatus, severities: Sequence[str]) -> Iterator[Expected]:
    """Yield which alerts must fire, and that no other does."""
    for alert in status.alerts:
        if alert.severity not in severities:
            continue
        name = naming.ALERT_BURN if alert.left is None else naming.ALERT_BUDGET
        kind = {} if alert.left is None else {"alert": alert.kind}
        labels = {"alertname": name, **kind, "severity": alert.severity.value}
        inside = ",".join(f'{label}="{value}"' for label, value in labels.items())
        fires = {"__name__": "ALERTS", "alertstate": "firing", "slo": status.slo.name, "service": status.slo.service}
        samples = [({**fires, **labels}, 1.0)] if alert.state is AlertState.FIRING else []
        yield Expected(at=at, query=f'ALERTS{{alertstate="firing",{inside}}}', samples=samples)
