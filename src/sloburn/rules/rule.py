"""A rule and a group of rules, before they become text."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """A recording or an alert.

    Args:
        record: What it records; empty for an alert.
        alert: Name of the alert; empty for a recording.
        expr: The expression.
        for_ns: How long an alert waits before it fires, nanoseconds.
        labels: Added to the result.
        annotations: Texts of an alert.
    """

    record: str = ""
    alert: str = ""
    expr: str
    for_ns: int = 0
    labels: dict[str, str] = field(default_factory=dict)
    annotations: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleGroup:
    """Rules that are evaluated one after the other, at one moment; rulers share out whole groups.

    Args:
        name: Unique in the file.
        interval_ns: How often, nanoseconds.
        rules: In the order of their evaluation.
    """

    name: str
    interval_ns: int
    rules: tuple[Rule, ...]
