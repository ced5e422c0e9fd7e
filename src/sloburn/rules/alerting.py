"""Alerts of one SLO: what `sloburn.slo.alerting` and `slo.budget_alerts` say, in PromQL, under the same labels.

Burn is compared without a division, as the engine does it: burn = bad / total / budget is above a factor exactly while
bad x D > total x N, with N / D = factor x budget; whole numbers on both sides, so nothing is rounded before the
comparison.

``ALERTS`` is what Prometheus decided one evaluation ago. With it an alert that fires stays while the long window is
over and the short one is empty, and for as long as there is no data at all: silence is no recovery.
"""

from __future__ import annotations

from fractions import Fraction

from sloburn.duration import format_duration, humanize_duration
from sloburn.rules.promql import quote
from sloburn.rules.recordings import PERIOD, QUICK_NS, STEP, Recorder, times, window_name
from sloburn.rules.rule import Rule
from sloburn.slo import naming
from sloburn.slo.alerting import Alert
from sloburn.slo.budget import error_budget
from sloburn.slo.model import BudgetLevel, Severity, Window
from sloburn.slo.timed import members_of

_SERIES = f"on ({naming.LABEL_SLO}, {naming.LABEL_SERVICE}, {naming.LABEL_GROUP})"


def burn_alerts(recorder: Recorder, *, slow: bool) -> tuple[Rule, ...]:
    """Return the alerts of severities whose windows are all long, or of those with a short one; page first."""
    found = ((severity, _windows(recorder, severity)) for severity in Severity)
    return tuple(
        _burn_alert(recorder, severity, windows)
        for severity, windows in found
        if windows and slow is all(window.long_ns > QUICK_NS for window in windows)
    )


def _windows(recorder: Recorder, severity: Severity) -> list[Window]:
    return [window for window in recorder.slo.alerting.windows if window.severity is severity]


def budget_alerts(recorder: Recorder) -> tuple[Rule, ...]:
    """Return one alert for each share of the budget that the SLO watches."""
    return tuple(_budget_alert(recorder, level) for level in recorder.slo.alerting.budget)


def _burn_alert(recorder: Recorder, severity: Severity, windows: list[Window]) -> Rule:
    firing = _firing(recorder, naming.ALERT_BURN, {naming.LABEL_SEVERITY: severity.value})
    begin = "\n  or ".join(_over(recorder, window, guarded=True) for window in windows)
    stay = "\n  or ".join(f"{_over(recorder, window)}\n  or {_undecided(recorder, window)}" for window in windows)
    data = recorder.total(STEP)
    expr = (
        f"(\n  {begin}\n) and {data}\nor ({firing} and {_SERIES} (\n  {stay}\n))\nor ({firing} unless {_SERIES} {data})"
    )
    return Rule(
        alert=naming.ALERT_BURN,
        expr=expr,
        for_ns=recorder.slo.alerting.for_ns,
        labels=_labels(recorder, {naming.LABEL_SEVERITY: severity.value}),
        annotations=_annotations(
            recorder, f"{_whose(recorder)} burns its error budget", _burn_text(recorder, windows[0])
        ),
    )


def _firing(recorder: Recorder, name: str, labels: dict[str, str]) -> str:
    """Select the alert itself, where it fired one evaluation ago."""
    series = recorder.select("ALERTS", {"alertname": name, "alertstate": "firing", **labels})
    return f"max by ({naming.LABEL_SLO}, {naming.LABEL_SERVICE}, {naming.LABEL_GROUP}) ({series})"


def _over(recorder: Recorder, window: Window, *, guarded: bool = False) -> str:
    """Return where a pair is over; guarded: and its long window holds enough bad events."""
    parts = [_above(recorder, window, window.long_ns), _above(recorder, window, window.short_ns)]
    least = recorder.slo.alerting.min_bad_events
    if guarded and least:
        parts.append(f"{recorder.bad(window_name(window.long_ns))} >= {least}")
    return f"({' and '.join(parts)})"


def _undecided(recorder: Recorder, window: Window) -> str:
    """Return where the long window is over and the short one is empty: nothing says that the trouble ended."""
    empty = f"{recorder.total(window_name(window.short_ns))} == 0"
    return f"({_above(recorder, window, window.long_ns)} and {empty})"


def _above(recorder: Recorder, window: Window, length_ns: int) -> str:
    level = window.factor * error_budget(recorder.slo.objective)
    name = window_name(length_ns)
    return f"{times(level.denominator, recorder.bad(name))} > {times(level.numerator, recorder.total(name))}"


def _budget_alert(recorder: Recorder, level: BudgetLevel) -> Rule:
    kind = Alert(severity=level.severity, left=level.left).kind
    labels = {naming.LABEL_ALERT: kind, naming.LABEL_SEVERITY: level.severity.value}
    least = recorder.slo.alerting.min_bad_events
    enough = f" and {recorder.bad(PERIOD)} >= {least}" if least else ""
    begin = f"({_spent(recorder, level.left, '>=')}{enough}) and {recorder.total(STEP)}"
    firing = _firing(recorder, naming.ALERT_BUDGET, labels)
    clear = f"({_spent(recorder, level.clear, '<')}{_anew(recorder)})"
    left = f"{float(level.left * 100):.10g} %"
    said = "has spent its error budget" if not level.left else f"has at most {left} of its error budget left"
    return Rule(
        alert=naming.ALERT_BUDGET,
        expr=f"{begin}\nor ({firing} unless {_SERIES} {clear})",
        labels=_labels(recorder, labels),
        annotations=_annotations(recorder, f"{_whose(recorder)} {said}", _budget_text(recorder)),
    )


def _spent(recorder: Recorder, left: Fraction, how: str) -> str:
    """Compare what is spent of the budget with all but a share of it."""
    level = (1 - left) * error_budget(recorder.slo.objective)
    bad, total = recorder.bad(PERIOD), recorder.total(PERIOD)
    return f"{level.denominator} * {bad} {how} {level.numerator} * ({total} > 0)"


def _anew(recorder: Recorder) -> str:
    """Return where nothing happened in a period that began anew, a calendar one, or to a group, which is gone then."""
    slo = recorder.slo
    has_groups = bool(slo.group_by) and not slo.alerting.together  # groups that alert as one are a whole
    return f" or {recorder.total(PERIOD)} == 0" if slo.period.unit or has_groups else ""


def _labels(recorder: Recorder, more: dict[str, str]) -> dict[str, str]:
    return {name: _verbatim(text) for name, text in {**recorder.labels, **more}.items()}


def _verbatim(text: str) -> str:
    """Write text so that Prometheus, for which every text of an alert is a template, leaves it as it is."""
    return text.replace("{{", '{{ "{{" }}')


def _annotations(recorder: Recorder, summary: str, description: str) -> dict[str, str]:
    found = {
        "summary": _verbatim(summary),
        "description": description,
        "runbook_url": _verbatim(recorder.slo.runbook),
    }
    return {name: text for name, text in found.items() if text}


def _whose(recorder: Recorder) -> str:
    return f"{recorder.slo.name} of {recorder.slo.service or ', '.join(members_of(recorder.slo.indicator))}"


def _burn_text(recorder: Recorder, window: Window) -> str:
    burn = {naming.LABEL_WINDOW: format_duration(window.long_ns)}
    length = humanize_duration(window.long_ns)
    value = _value(recorder, naming.RULE_BURN_RATE, burn, '{{ printf "%.3g" . }}')
    return (
        f"burn rate {value} over {length}, above {float(window.factor):.4g} while it alerts; {_budget_text(recorder)}"
    )


def _budget_text(recorder: Recorder) -> str:
    left = _value(recorder, naming.RULE_BUDGET_REMAINING, {}, "{{ . | humanizePercentage }}")
    return f"{left} of the budget is left"


def _value(recorder: Recorder, name: str, labels: dict[str, str], shown: str) -> str:
    """Return a template that shows a recording of the alert's own group."""
    selector = recorder.select(name, labels)[:-1]
    query = f"printf {quote(selector + ',' + naming.LABEL_GROUP + '=%q}')} $labels.{naming.LABEL_GROUP} | query"
    return f"{{{{ range {query} }}}}{{{{ with .Value }}}}{shown}{{{{ end }}}}{{{{ else }}}}?{{{{ end }}}}"
