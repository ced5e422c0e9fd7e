"""The deploy gate: what a processor or a Prometheus says of every SLO, against terms."""

from __future__ import annotations

import json
import math
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from sloburn.duration import format_duration, parse_duration
from sloburn.errors import SloburnError
from sloburn.sli.status import SloState
from sloburn.slo import naming
from sloburn.slo.naming import group_label

MAX_ANSWER_BYTES = 64 * 1024 * 1024

_SILENT = frozenset({SloState.NO_DATA.value})


class CannotTell(SloburnError):
    """Nobody answered, or the answer does not hold what the terms ask for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """One SLO or group.

    Args:
        slo: Its name.
        group: Its group as one label; empty without groups.
        state: One of the words of `SloState`.
        budget: Share of the error budget that is left; None without events.
        burns: Burn rates by window, nanoseconds; windows without events are not there.
        windows: Every window that is kept.
    """

    slo: str
    group: str
    state: str
    budget: Fraction | None
    burns: Mapping[int, Fraction] = field(default_factory=dict)
    windows: frozenset[int] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """The highest burn rate over a window, nanoseconds."""

    burn: Fraction
    window_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What must hold.

    Args:
        slos: Names; none for all.
        min_budget: Least share of the budget that must be left; more than nothing must be if it is 0.
        max_burn: Highest burn rates.
        no_data_fails: An SLO without data closes the gate.
    """

    slos: tuple[str, ...] = ()
    min_budget: Fraction | None = None
    max_burn: tuple[Limit, ...] = ()
    no_data_fails: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """One SLO or group, and why it closes the gate; no reasons: it does not."""

    standing: Standing
    reasons: tuple[str, ...]


def judge(found: Iterable[Standing], terms: Terms) -> tuple[Verdict, ...]:
    """Return a verdict on every SLO and group that the terms name.

    Raises:
        CannotTell: An SLO that they name is not there, or one has no such window; or there is no SLO at all.
    """
    standings = [standing for standing in found if not terms.slos or standing.slo in terms.slos]
    missing = sorted({*terms.slos} - {standing.slo for standing in standings})
    if missing:
        raise CannotTell(f"there is no SLO {', '.join(missing)}")
    if not standings:
        raise CannotTell("there is no SLO")
    return tuple(Verdict(standing=standing, reasons=tuple(_reasons(standing, terms))) for standing in standings)


def _reasons(standing: Standing, terms: Terms) -> Iterable[str]:
    if standing.state in _SILENT or standing.budget is None:
        if terms.no_data_fails:
            yield "no data" if standing.state in _SILENT else "no events in the period"
        return
    least, left = terms.min_budget, standing.budget
    if least is not None and (left < least or left <= 0):
        yield f"budget left {float(left * 100):.4g} %, needed {float(least * 100):.4g} %" if least else "no budget left"
    for limit in terms.max_burn:
        if standing.windows is not None and limit.window_ns not in standing.windows:
            known = ", ".join(format_duration(window) for window in sorted(standing.windows))
            raise CannotTell(f"{standing.slo} has no window {format_duration(limit.window_ns)}; it has {known}")
        burn = standing.burns.get(limit.window_ns)
        if burn is not None and burn > limit.burn:
            yield f"burn {float(burn):.4g} over {format_duration(limit.window_ns)}, at most {float(limit.burn):.4g}"


def ask_processor(address: str, timeout: float) -> tuple[Standing, ...]:
    """Return what a processor says.

    Args:
        address: Of its page.
        timeout: Longest wait, seconds.

    Raises:
        CannotTell: It does not answer, or has not evaluated anything yet.
    """
    document = get_json(f"{address.rstrip('/')}/api/v1/slos", timeout)
    try:
        return tuple(_of_processor(slo) for slo in document["slos"])
    except (KeyError, TypeError, ValueError) as error:
        raise CannotTell(f"{address} answers something else than a processor: {error!r}") from None


def _of_processor(slo: Mapping[str, Any]) -> Standing:
    windows = {parse_duration(burn.get("stands_for") or burn["window"]): burn["burn"] for burn in slo["burns"]}
    return Standing(
        slo=slo["name"],
        group=group_label(slo["group"].items()),
        state=slo["state"],
        budget=_ratio(slo["budget_remaining"]),
        burns={window: Fraction(str(burn)) for window, burn in windows.items() if burn is not None},
        windows=frozenset(windows),
    )


def ask_prometheus(address: str, timeout: float) -> tuple[Standing, ...]:
    """Return what a Prometheus says that scrapes processors.

    Args:
        address: Of the Prometheus.
        timeout: Longest wait, seconds.

    Raises:
        CannotTell: It does not answer, or knows no SLO.
    """
    states = {
        _key(labels): labels[naming.LABEL_STATE]
        for labels, value in _query(address, naming.SLO_STATE, timeout)
        if value
    }
    budgets = {_key(labels): value for labels, value in _query(address, naming.BUDGET_REMAINING_RATIO, timeout)}
    burns: dict[tuple[str, str], dict[int, Fraction]] = {}
    for labels, value in _query(address, naming.BURN_RATE, timeout):
        burns.setdefault(_key(labels), {})[parse_duration(labels[naming.LABEL_WINDOW])] = value
    if not states:
        raise CannotTell(f"{address} has no {naming.SLO_STATE}: does it scrape a processor?")
    known = frozenset(window for found in burns.values() for window in found)
    return tuple(
        Standing(
            slo=key[0],
            group=key[1],
            state=state,
            budget=budgets.get(key),
            burns=burns.get(key, {}),
            windows=known or None,
        )
        for key, state in sorted(states.items())
    )


def _key(labels: Mapping[str, str]) -> tuple[str, str]:
    return labels[naming.LABEL_SLO], labels.get(naming.LABEL_GROUP, "")


def _query(address: str, name: str, timeout: float) -> list[tuple[Mapping[str, str], Fraction]]:
    """Return the series of a metric by Prometheus' HTTP API, "Instant queries"."""
    query = urllib.parse.urlencode({"query": name})
    document = get_json(f"{address.rstrip('/')}/api/v1/query?{query}", timeout)
    try:
        series = [(one["metric"], one["value"][1]) for one in document["data"]["result"]]
        return [(labels, Fraction(value)) for labels, value in series if math.isfinite(float(value))]
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise CannotTell(f"{address} answers something else than a Prometheus: {error!r}") from None


def _ratio(value: float | None) -> Fraction | None:
    return None if value is None else Fraction(str(value))  # the decimal that was written, not the float nearest to it


def get_json(url: str, timeout: float) -> Any:  # noqa: ANN401  what JSON is
    """Return what an address answers, as JSON.

    Args:
        url: The address.
        timeout: Longest wait, seconds.

    Raises:
        CannotTell: It does not answer, or with an error.
    """
    if not url.startswith(("http://", "https://")):
        raise CannotTell(f"{url} is no address; expected one like http://127.0.0.1:4321")
    try:
        with urllib.request.urlopen(url, timeout=timeout) as answer:  # noqa: S310  the scheme was looked at
            return json.loads(answer.read(MAX_ANSWER_BYTES))
    except urllib.error.HTTPError as error:
        raise CannotTell(f"{url} answers {error.code} {error.reason}") from None
    except (OSError, ValueError) as error:
        raise CannotTell(f"{url} does not answer: {getattr(error, 'reason', error)}") from None
