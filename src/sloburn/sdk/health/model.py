"""What checks find out, and what they amount to together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Status = Literal["pass", "degraded", "fail"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckResult:
    """What one check found out.

    Args:
        is_passed: Whether all is well.
        detail: In words, without secrets.
        duration_seconds: How long it took.
        checked_seconds: When, on a clock that never goes back.
    """

    is_passed: bool
    detail: str = ""
    duration_seconds: float = 0.0
    checked_seconds: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckReport:
    """The result of one check as people see it.

    Args:
        result: What it found out.
        is_critical: Whether the process is of no use while it fails.
        age_seconds: How old the result is.
    """

    result: CheckResult
    is_critical: bool
    age_seconds: float

    @property
    def status(self) -> Status:
        """What it means for the whole."""
        if self.result.is_passed:
            return "pass"
        return "fail" if self.is_critical else "degraded"

    def document(self) -> dict[str, object]:
        """Return it for JSON."""
        found: dict[str, object] = {
            "status": "pass" if self.result.is_passed else "fail",
            "critical": self.is_critical,
            "duration_ms": round(self.result.duration_seconds * 1e3, 3),
            "age_seconds": round(self.age_seconds, 3),
        }
        return found | ({"detail": self.result.detail} if self.result.detail else {})


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthReport:
    """How a process is.

    Args:
        service: Its service's name.
        version: Its version.
        uptime_seconds: How long it has been running.
        reason: Why it fails whatever the checks say: it is starting or stopping.
        checks: By name.
    """

    service: str
    version: str
    uptime_seconds: float
    reason: str = ""
    checks: Mapping[str, CheckReport] = field(default_factory=dict)

    @property
    def status(self) -> Status:
        """The worst that there is."""
        found = {check.status for check in self.checks.values()}
        if self.reason or "fail" in found:
            return "fail"
        return "degraded" if "degraded" in found else "pass"

    @property
    def summary(self) -> str:
        """The whole in one sentence."""
        failing = [name for name, check in self.checks.items() if not check.result.is_passed]
        parts = [self.reason] if self.reason else []
        if failing:
            parts.append(f"{len(failing)} of {len(self.checks)} checks fail: {', '.join(failing)}")
        return "; ".join(parts) or (f"{len(self.checks)} checks pass" if self.checks else "no checks")

    def document(self) -> dict[str, object]:
        """Return it for JSON."""
        return {
            "status": self.status,
            "summary": self.summary,
            "service": self.service,
            "version": self.version,
            "uptime_seconds": round(self.uptime_seconds, 3),
            "checks": {name: check.document() for name, check in self.checks.items()},
        }
