"""From SLOs to groups of rules, and to words on what has no counterpart."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from sloburn.duration import MINUTE, SECOND, format_duration
from sloburn.errors import ConfigError
from sloburn.rules.alerting import budget_alerts, burn_alerts
from sloburn.rules.recordings import COARSE_NS, QUICK_NS, Recorder, steps_of
from sloburn.rules.refusals import CannotCompile
from sloburn.rules.rule import RuleGroup
from sloburn.rules.sources import CollectorSource, SloburnSource
from sloburn.rules.steps import Pace
from sloburn.slo.exclusions import Interval, OneOff
from sloburn.slo.model import Slo

DEFAULT_PACE = Pace(step_ns=30 * SECOND, settle_ns=10 * SECOND)  # Prometheus' scrape_timeout is 10 s by default
LONGEST_SETTLE_NS = 5 * MINUTE


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How rules are written.

    Args:
        source: Where events are.
        pace: How steps are taken; their length divides two minutes.
        prefix: Begins the name of every group.
    """

    source: CollectorSource | SloburnSource = field(default_factory=CollectorSource)
    pace: Pace = DEFAULT_PACE
    prefix: str = "sloburn"

    def __post_init__(self) -> None:
        step_ns, settle_ns = self.pace.step_ns, self.pace.settle_ns
        if step_ns < SECOND or COARSE_NS % step_ns:
            found, most = format_duration(step_ns), format_duration(COARSE_NS)
            raise ConfigError(f"--interval: found {found}; expected a whole part of {most}, such as 30s")
        if settle_ns > LONGEST_SETTLE_NS:
            found, most = format_duration(settle_ns), format_duration(LONGEST_SETTLE_NS)
            raise ConfigError(f"--settle: found {found}; expected at most {most}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Compiled:
    """What became of SLOs.

    Args:
        groups: Two for each SLO: a quick one and a slow one.
        refused: Name of each SLO that has no counterpart, and why.
        notes: Name of an SLO, and what its rules do not do.
    """

    groups: tuple[RuleGroup, ...]
    refused: tuple[tuple[str, str], ...] = ()
    notes: tuple[tuple[str, str], ...] = ()


def compile_slos(slos: Iterable[Slo], settings: Settings | None = None) -> Compiled:
    """Compile SLOs in the order of their names.

    Args:
        slos: The promises; names are unique.
        settings: How; None for the defaults.
    """
    settings = settings or Settings()
    groups: list[RuleGroup] = []
    refused: list[tuple[str, str]] = []
    notes: list[tuple[str, str]] = []
    for slo in sorted(slos, key=lambda slo: slo.name):
        try:
            groups += _groups(slo, settings)
        except CannotCompile as reason:
            refused.append((slo.name, str(reason)))
        else:
            notes += ((slo.name, note) for note in _notes(slo, settings.pace.step_ns))
    return Compiled(groups=tuple(groups), refused=tuple(refused), notes=tuple(notes))


def _groups(slo: Slo, settings: Settings) -> tuple[RuleGroup, ...]:
    recorder = Recorder(slo=slo, events=settings.source.events(slo), pace=settings.pace, hidden=tuple(_hidden(slo)))
    name = f"{settings.prefix}-{slo.name}"
    quick = (*recorder.quick(), *burn_alerts(recorder, slow=False))
    of_budget = budget_alerts(recorder) if recorder.has_period else ()
    slow = (*recorder.slow(), *burn_alerts(recorder, slow=True), *of_budget)
    return (
        RuleGroup(name=name, interval_ns=settings.pace.step_ns, rules=quick),
        RuleGroup(name=f"{name}-slow", interval_ns=COARSE_NS, rules=slow),
    )


def _hidden(slo: Slo) -> Iterator[Interval]:
    for exclusion in slo.exclusions:
        if not isinstance(exclusion, OneOff):
            raise CannotCompile(
                f"the exclusion {exclusion.name} recurs by a calendar that PromQL has no functions for; "
                "remove it, or write its next occurrences one by one"
            )
        yield exclusion.interval


def _notes(slo: Slo, step_ns: int) -> Iterator[str]:
    if slo.alerting.early_page:
        yield "early_page is left to the processor: it looks at single seconds, which nothing scrapes"
    if slo.alerting.for_ns and slo.alerting.min_bad_events:
        yield "`for` begins once min_bad_events have come; the processor begins it when the windows are over"
    if slo.exclusions:
        yield "exclusions hold from the moment that Prometheus runs these rules: what was summed before stays"
    if slo.period.unit and slo.period.timezone not in ("UTC", "Etc/UTC"):
        yield (
            f"the budget of the {slo.period.unit} is left to the processor: Prometheus' calendar is UTC, not "
            f"{slo.period.timezone}; burn alerts are complete"
        )
    for length in sorted({length for window in slo.alerting.windows for length in (window.long_ns, window.short_ns)}):
        step = step_ns if length <= QUICK_NS else COARSE_NS
        if length % step:
            rounded = format_duration(steps_of(length, step) * step)
            yield f"the window {format_duration(length)} is no whole number of steps: {rounded} is summed"
