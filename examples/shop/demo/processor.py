"""What the demo asks the processor: its public JSON, nothing else."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from sloburn.duration import SECOND

TIMEOUT_SECONDS = 2.0

Json = dict[str, Any]

# Without the environment's proxies: everything is on this machine.
_opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def get(url: str) -> bytes | None:
    """Return what is at the address; None while nobody answers, or not with success."""
    try:
        with _opener.open(url, timeout=TIMEOUT_SECONDS) as response:
            return bytes(response.read())
    except (OSError, urllib.error.URLError):
        return None


def post(url: str, body: Json) -> bool:
    """Send JSON and tell whether it was taken."""
    request = urllib.request.Request(
        url, data=json.dumps(body).encode(), headers={"content-type": "application/json"}, method="POST"
    )
    try:
        with _opener.open(request, timeout=TIMEOUT_SECONDS):
            return True
    except (OSError, urllib.error.URLError):
        return False


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertView:
    """An alert as the API shows it."""

    severity: str
    state: str
    fired_unix_nano: int
    resolved_unix_nano: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FailureView:
    """A bad event as the API shows it."""

    trace_id: str
    name: str
    exception: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SuspectView:
    """What stands out among bad events, as the API shows it."""

    key: str
    value: str
    bad: int
    bad_share: float
    good_share: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SloView:
    """One SLO as the API shows it."""

    name: str
    state: str
    objective: Fraction
    good: int
    bad: int
    budget_remaining: float | None
    burns: tuple[tuple[int, float | None], ...]
    min_bad_events: int
    alerts: tuple[AlertView, ...]
    failing: tuple[FailureView, ...]
    suspects: tuple[SuspectView, ...]

    @property
    def total(self) -> int:
        """Good and bad events."""
        return self.good + self.bad

    def alert(self, severity: str) -> AlertView:
        """Return the alert of that severity."""
        return next(alert for alert in self.alerts if alert.severity == severity)


class Processor:
    """The processor's API.

    Args:
        url: Where it listens.
    """

    def __init__(self, url: str) -> None:
        self.url = url

    def is_ready(self) -> bool:
        """Tell whether it takes telemetry."""
        return get(f"{self.url}/readyz") is not None

    def slos(self) -> dict[str, SloView]:
        """Return every SLO by name; none if there was no answer."""
        body = get(f"{self.url}/api/v1/status")
        return {entry["name"]: _slo(entry) for entry in json.loads(body)["slos"]} if body else {}


def _slo(entry: Json) -> SloView:
    return SloView(
        name=entry["name"],
        state=entry["state"],
        objective=Fraction(entry["objective"]),
        good=entry["good"],
        bad=entry["bad"],
        budget_remaining=_number(entry["budget_remaining"]),
        burns=tuple((int(burn["window_seconds"] * SECOND), _number(burn["burn"])) for burn in entry["burns"]),
        min_bad_events=max(pair["min_bad_events"] for pair in entry["pairs"]),
        alerts=tuple(_alert(alert) for alert in entry["alerts"]),
        failing=tuple(_failure(failure) for failure in entry["failing"]),
        suspects=tuple(_suspect(suspect) for suspect in entry["suspects"]),
    )


def _alert(entry: Json) -> AlertView:
    return AlertView(
        severity=entry["severity"],
        state=entry["state"],
        fired_unix_nano=int(entry["fired_at_unix_nano"] or 0),
        resolved_unix_nano=int(entry["resolved_at_unix_nano"] or 0),
    )


def _failure(entry: Json) -> FailureView:
    names = ("trace_id", "name", "exception", "message")
    return FailureView(**{name: str(entry[name]) for name in names})


def _suspect(entry: Json) -> SuspectView:
    return SuspectView(
        key=entry["key"],
        value=entry["value"],
        bad=entry["bad"],
        bad_share=float(entry["bad_share"]),
        good_share=_number(entry["good_share"]),
    )


def _number(value: object) -> float | None:
    return None if value is None else float(str(value))
