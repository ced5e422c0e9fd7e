"""Low traffic: when one failure alone would be over a threshold, and what guards against that, in words.

A window that holds fewer than ``1 / (factor x (1 - objective))`` events is over with a single failure among them: 69.4
events an hour at 14.4 and 99.9 %. The minimum of bad events keeps such a failure from paging; where even that many
events do not come, only more events help: groups that alert together, a longer period, synthetic traffic. Source: The
Site Reliability Workbook, chapter 5, "Low-Traffic Services and Error Budget Alerting".
"""

from __future__ import annotations

from collections.abc import Iterable
from math import ceil

from sloburn.duration import humanize_duration
from sloburn.slo.alerting import PairReading
from sloburn.slo.budget import error_budget
from sloburn.slo.model import Slo, Window
from sloburn.slo.timed import nouns_of


def lone_failure_events(window: Window, slo: Slo) -> int:
    """Return the smallest number of events in the long window among which one failure alone is not over the factor."""
    return ceil(1 / (window.factor * error_budget(slo.objective)))


def low_traffic_rule(slo: Slo) -> str:
    """Say below which traffic one failure would be over, for people who write the document; empty without windows."""
    windows = slo.alerting.windows
    if not windows:
        return ""
    many = nouns_of(slo.indicator)[1]
    floors = ", ".join(
        f"{lone_failure_events(window, slo):,} {many} in {humanize_duration(window.long_ns)}" for window in windows
    )
    return f"low traffic: below {floors} one failure alone would be over; {_guard(slo)}"


def low_traffic_now(slo: Slo, pairs: Iterable[PairReading]) -> str:
    """Say that one failure would be over now, and what follows from it; empty while there is traffic enough.

    Args:
        slo: Whose.
        pairs: What its windows hold.
    """
    held = list(pairs)
    thin = [pair for pair in held if 0 < pair.long.total < lone_failure_events(pair.window, slo)]
    if not thin:
        return ""
    first, least = thin[0], slo.alerting.min_bad_events
    length = humanize_duration(first.window.long_ns)
    one, many = nouns_of(slo.indicator)
    few = f"only {first.long.total:,} {one if first.long.total == 1 else many} in the last {length}"
    needed = lone_failure_events(first.window, slo)
    parts = [f"{few}, where one failure alone is over below {needed:,}; {_guard(slo)}"]
    if all(pair.long.total < least for pair in held):
        parts.append(f"no window holds {least}, so no burn alert can fire, whatever fails: {_remedy(slo)}")
    return "; ".join(parts)


def _guard(slo: Slo) -> str:
    least, many = slo.alerting.min_bad_events, nouns_of(slo.indicator)[1]
    return f"at least {least} bad {many} are needed" if least > 1 else "min_bad_events lets it fire all the same"


def _remedy(slo: Slo) -> str:
    together = "let the groups alert together (alerting.groups), " if slo.group_by and not slo.alerting.together else ""
    return f"{together}add a budget alert over the whole period (alerting.budget), or send synthetic traffic"
