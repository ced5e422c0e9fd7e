"""Ask what stands behind the Collector whether the canary has come through: Prometheus, Jaeger, Loki, the processor."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from urllib.error import HTTPError, URLError
from urllib.parse import urlencode, urlsplit
from urllib.request import Request, urlopen

from sloburn.clock import monotonic
from sloburn.errors import ConfigError
from sloburn.sdk.doctor.finding import Finding, ok, problem
from sloburn.sdk.doctor.queues import waiting
from sloburn.sdk.doctor.round_trip import SERVICE, Canary, still_waiting
from sloburn.sdk.doctor.side_by_side import side_by_side

_ABOUT = "hops"
_ANSWER_SECONDS = 3.0
_LONGEST_ANSWER_BYTES = 4 * 1024 * 1024
_REQUESTS = "sloburn_receiver_requests_total"
# The processor keeps counts, and no single span: that its requests become more is all that it can tell.
_COUNTED = "the processor"
_ALERTS = "Alertmanager"
_GOOD = {_COUNTED: "took requests since (counts compared: it keeps no single span)", _ALERTS: "is ready"}
# Part of the names of the Collector's exporters, as in otel-collector.yaml.
_EXPORTERS = {"Jaeger": "jaeger", "Loki": "loki", "the processor": "sloburn", "Prometheus": "prometheus"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Hops:
    """Base addresses of what is to be asked; empty for what is not.

    Args:
        prometheus: Has the metric.
        jaeger: Has the span.
        loki: Has the log line.
        processor: Page and API of `sloburn serve`.
        alertmanager: Has nothing of the canary; whether it is ready is asked.
        collector: The Collector's own metrics; asked only about what does not come through.
    """

    prometheus: str = ""
    jaeger: str = ""
    loki: str = ""
    processor: str = ""
    alertmanager: str = ""
    collector: str = ""

    def __post_init__(self) -> None:
        for name in self.__slots__:
            address = getattr(self, name)
            if address and urlsplit(address).scheme not in ("http", "https"):
                raise ConfigError(f"--{name} {address}: is not an address such as http://localhost:9090")


def requests_taken(address: str) -> float | None:
    """Return how many requests a processor has taken; None when it cannot be asked."""
    try:
        return _requests_of(address)
    except (OSError, ValueError):
        return None


def _requests_of(address: str) -> float:
    text = _get(f"{address.rstrip('/')}/metrics").decode()
    values = (line.rpartition(" ")[2] for line in text.splitlines() if line.startswith(_REQUESTS))
    return sum(map(float, values))


def look_at_hops(hops: Hops, canary: Canary, taken_before: float | None, wait_seconds: float) -> Iterator[Finding]:
    """Yield for every hop whether the canary has come there, and after how long; all are asked at the same time.

    Args:
        hops: Whom to ask.
        canary: What to look for.
        taken_before: What `requests_taken` said before the canary was sent.
        wait_seconds: How long to wait for all of them; 0 looks once.
    """
    look: dict[str, tuple[str, Callable[[], bool]]] = {
        "Jaeger": (hops.jaeger, lambda: _is_in_jaeger(hops.jaeger, canary)),
        "Prometheus": (hops.prometheus, lambda: _is_in_prometheus(hops.prometheus, canary)),
        "Loki": (hops.loki, lambda: _is_in_loki(hops.loki, canary)),
        "the processor": (hops.processor, lambda: _requests_of(hops.processor) > (taken_before or 0)),
        _ALERTS: (hops.alertmanager, lambda: bool(_get(f"{hops.alertmanager.rstrip('/')}/-/ready"))),
    }
    asked = [
        partial(_wait_for, name, address, is_there, wait_seconds, hops.collector)
        for name, (address, is_there) in look.items()
        if address
    ]
    yield from filter(None, side_by_side(asked))


def _wait_for(name: str, address: str, is_there: Callable[[], bool], wait_seconds: float, collector: str) -> Finding:
    began, last = monotonic(), _Last()

    def look() -> bool:
        try:
            found, last.error = is_there(), None
        except (OSError, ValueError, KeyError, TypeError) as error:
            last.error = error
            return _is_down(error)
        return found

    is_missing = still_waiting(look, threading.Event().wait, wait_seconds)
    why = f": {_reason(last.error)}" if last.error is not None else ""
    if last.error is not None and (name == _ALERTS or not _is_answer(last.error)):
        return problem(_ABOUT, f"{name} ({address}) does not answer{why}", f"start it{_until_then(name, collector)}")
    if is_missing:
        missing = "took no request" if name == _COUNTED else "does not have it"
        return problem(_ABOUT, f"{name} ({address}) {missing} after {wait_seconds:g} s{why}", _advice(name, collector))
    return ok(_ABOUT, f"{name} {_GOOD.get(name, 'has it')}, {monotonic() - began:.1f} s after it was asked")


@dataclass(slots=True)
class _Last:
    """What was in the way when a server was asked last."""

    error: Exception | None = None


def _reason(error: Exception) -> str:
    reason = error.reason if isinstance(error, URLError) and not isinstance(error, HTTPError) else error
    return getattr(reason, "strerror", None) or str(reason) or type(reason).__name__


def _is_down(error: Exception) -> bool:
    """Tell whether nobody listens: a server that is slow, or answers with an error, may do better soon."""
    return isinstance(error, URLError) and isinstance(error.reason, ConnectionRefusedError)


def _is_answer(error: Exception) -> bool:
    """Tell whether a server has answered: Jaeger has 404 for a trace that it does not have."""
    if isinstance(error, HTTPError):
        return error.code < HTTPStatus.INTERNAL_SERVER_ERROR
    return not isinstance(error, OSError)


def _advice(name: str, collector: str) -> str:
    before = f"what comes before {name} loses it: look at the Collector's log and its pipelines"
    if not collector:
        return before
    try:
        held = _held(name, collector)
    except (OSError, ValueError) as error:
        return f"the Collector itself ({collector}) does not answer: {error}"
    if held:
        return f"{held} and cannot deliver: is {name} where it sends to?"
    return f"{before}; nothing waits there for {name}"


def _until_then(name: str, collector: str) -> str:
    """Say what the Collector holds back for a server that is down; nothing if it holds nothing or cannot be asked."""
    try:
        held = _held(name, collector) if collector and name in _EXPORTERS else ""
    except (OSError, ValueError):
        held = ""
    return f"; {held} until then" if held else ", or look at its log"


def _held(name: str, collector: str) -> str:
    metrics = _get(f"{collector.rstrip('/')}/metrics").decode()
    held = waiting(metrics, _EXPORTERS[name])
    return next((f"the Collector holds {count} bytes for {exporter}" for exporter, count in held), "")


def _is_in_jaeger(address: str, canary: Canary) -> bool:
    return bool(_get_json(f"{address.rstrip('/')}/api/traces/{canary.trace_id}").get("data"))


def _is_in_prometheus(address: str, canary: Canary) -> bool:
    query = urlencode({"query": f'{{__name__=~"sloburn_doctor_canary.*", mark="{canary.mark}"}}'})
    answer = _get_json(f"{address.rstrip('/')}/api/v1/query?{query}")
    data = answer["data"]
    return isinstance(data, dict) and bool(data["result"])


def _is_in_loki(address: str, canary: Canary) -> bool:
    query = urlencode({"query": f'{{service_name="{SERVICE}"}} |= "{canary.mark}"', "since": "15m"})
    data = _get_json(f"{address.rstrip('/')}/loki/api/v1/query_range?{query}")["data"]
    return isinstance(data, dict) and bool(data["result"])


def _get_json(address: str) -> dict[str, object]:
    document = json.loads(_get(address))
    if not isinstance(document, dict):
        raise ValueError("the answer is not what was expected")
    return document


def _get(address: str) -> bytes:
    request = Request(address, headers={"user-agent": SERVICE})  # noqa: S310 - `Hops` looked at the scheme
    with urlopen(request, timeout=_ANSWER_SECONDS) as answer:  # noqa: S310
        return bytes(answer.read(_LONGEST_ANSWER_BYTES))
