"""Ask what stands behind the Collector whether the canary has come through: Prometheus, Jaeger, Loki, the processor."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from urllib.parse import urlencode, urlsplit
from urllib.request import Request, urlopen

from sloburn.clock import monotonic
from sloburn.errors import ConfigError
from sloburn.sdk.doctor.finding import Finding, ok, problem
from sloburn.sdk.doctor.queues import waiting
from sloburn.sdk.doctor.round_trip import SERVICE, Canary, still_waiting

_ABOUT = "hops"
_ANSWER_SECONDS = 5.0
_LONGEST_ANSWER_BYTES = 4 * 1024 * 1024
_REQUESTS = "sloburn_receiver_requests_total"
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
        collector: The Collector's own metrics; asked only about what does not come through.
    """

    prometheus: str = ""
    jaeger: str = ""
    loki: str = ""
    processor: str = ""
    collector: str = ""

    def __post_init__(self) -> None:
        for name in self.__slots__:
            address = getattr(self, name)
            if address and urlsplit(address).scheme not in ("http", "https"):
                raise ConfigError(f"--{name} {address}: is not an address such as http://localhost:9090")


# Where everything is when `make stack-up`, or the compose file, has started it.
STACK = Hops(
    prometheus="http://127.0.0.1:9090",
    jaeger="http://127.0.0.1:16686",
    loki="http://127.0.0.1:3100",
    processor="http://127.0.0.1:4321",
    collector="http://127.0.0.1:8888",
)


def requests_taken(address: str) -> float | None:
    """Return how many requests a processor has taken; None when it cannot be asked."""
    try:
        text = _get(f"{address.rstrip('/')}/metrics").decode()
    except (OSError, ValueError):
        return None
    values = (line.rpartition(" ")[2] for line in text.splitlines() if line.startswith(_REQUESTS))
    return sum(map(float, values))


def look_at_hops(hops: Hops, canary: Canary, taken_before: float | None, wait_seconds: float) -> Iterator[Finding]:
    """Yield for every hop whether the canary has come there, and after how long.

    Args:
        hops: Whom to ask.
        canary: What to look for.
        taken_before: What `requests_taken` said before the canary was sent.
        wait_seconds: How long to wait for each.
    """
    look: dict[str, tuple[str, Callable[[], bool]]] = {
        "Jaeger": (hops.jaeger, lambda: _is_in_jaeger(hops.jaeger, canary)),
        "Prometheus": (hops.prometheus, lambda: _is_in_prometheus(hops.prometheus, canary)),
        "Loki": (hops.loki, lambda: _is_in_loki(hops.loki, canary)),
        "the processor": (hops.processor, lambda: (requests_taken(hops.processor) or 0) > (taken_before or 0)),
    }
    for name, (address, is_there) in look.items():
        if address:
            yield _wait_for(name, address, is_there, wait_seconds, hops.collector)


def _wait_for(name: str, address: str, is_there: Callable[[], bool], wait_seconds: float, collector: str) -> Finding:
    began, errors = monotonic(), list[str]()

    def look() -> bool:
        try:
            return is_there()
        except (OSError, ValueError, KeyError, TypeError) as error:
            errors.append(str(error) or type(error).__name__)
            return False

    if still_waiting(look, threading.Event().wait, wait_seconds):
        why = f": {errors[-1]}" if errors else ""
        text = f"{name} ({address}) does not have it after {wait_seconds:g} s{why}"
        return problem(_ABOUT, text, _advice(name, collector))
    return ok(_ABOUT, f"{name} has it, {monotonic() - began:.1f} s after it was asked")


def _advice(name: str, collector: str) -> str:
    before = f"what comes before {name} loses it: look at the Collector's log and its pipelines"
    if not collector:
        return before
    try:
        held = list(waiting(_get(f"{collector.rstrip('/')}/metrics").decode(), _EXPORTERS[name]))
    except (OSError, ValueError) as error:
        return f"the Collector itself ({collector}) does not answer: {error}"
    if held:
        exporter, count = held[0]
        return f"the Collector holds {count} bytes for {exporter} and cannot deliver: is {name} where it sends to?"
    return f"{before}; nothing waits there for {name}"


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
