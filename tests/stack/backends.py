"""What tests ask the servers of the stack: their public APIs, nothing else."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, TypeVar

import httpx
from collector.stack.ports import Ports
from collector.stack.services import url

PATIENCE_SECONDS = 300.0
_ANSWER_SECONDS = 120.0
_STILL_SECONDS = 8.0
_MOST_TRACES = 20_000

Json = dict[str, Any]
T = TypeVar("T")


def wait_for(look: Callable[[], T], what: str, seconds: float = PATIENCE_SECONDS) -> T:
    """Look again and again until there is something; fail with its name if there is nothing in time."""
    deadline = time.monotonic() + seconds
    while not (found := look()):
        assert time.monotonic() < deadline, f"{what}: not within {seconds:g} s; the last look gave {found!r}"
        time.sleep(0.25)
    return found


class Pause:
    """Time between two attempts at something that is looked for more often.

    Args:
        seconds: How much.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._until = time.monotonic() + seconds

    def is_over(self) -> bool:
        """Tell whether it is time for another attempt, and begin the next pause if so."""
        if time.monotonic() < self._until:
            return False
        self._until = time.monotonic() + self._seconds
        return True


class Backends:
    """The stack as its users ask it.

    Args:
        ports: Where its servers listen.
    """

    def __init__(self, ports: Ports) -> None:
        self.ports = ports
        # Without the environment's proxies: everything is on this machine. No connection is kept: the server at its
        # other end may be gone, or just closing it, by the time of the next question.
        limits = httpx.Limits(max_keepalive_connections=0)
        self._client = httpx.Client(timeout=_ANSWER_SECONDS, trust_env=False, limits=limits)

    def close(self) -> None:
        """Close its connections."""
        self._client.close()

    def text(self, server: str, path: str) -> str:
        """Return what a server answers."""
        return self._client.get(url(self.ports, server, path)).text

    def get(self, server: str, path: str, **query: str | int | float) -> Any:
        """Return the JSON that a server answers; nothing while it does not answer."""
        try:
            answer = self._client.get(url(self.ports, server, path), params=query)
        except httpx.TransportError:
            return {}
        return answer.json() if answer.is_success else {}

    def answer(self, server: str, path: str, **query: str | int | float) -> Any:
        """Return the JSON that a server answers, None while it cannot; fail with what it says where it refuses."""
        answer = self._client.get(url(self.ports, server, path), params=query)
        if answer.is_server_error:  # "too busy", "not ready yet": no judgement on the question
            return None
        assert answer.is_success, f"{server} {path} {query}: {answer.status_code} {answer.text[:500]}"
        return answer.json()

    def trace(self, trace_id: str) -> list[Json]:
        """Return the spans of a trace in Jaeger, each with the name of its service."""
        spans = []
        for trace in self.get("jaeger", f"/api/traces/{trace_id}").get("data") or ():
            names = {key: process["serviceName"] for key, process in trace["processes"].items()}
            spans += [{**span, "service": names[span["processID"]]} for span in trace["spans"]]
        return spans

    def trace_ids(self, service: str, begin_ns: int, end_ns: int) -> set[int]:
        """Return the traces of a service in Jaeger, as numbers: it writes them without leading zeros.

        Args:
            service: Its name.
            begin_ns: The earliest begin of a trace, in nanoseconds since the epoch.
            end_ns: The latest.
        """
        span = {"start": begin_ns // 1000, "end": end_ns // 1000}
        found = self.get("jaeger", "/api/traces", service=service, limit=_MOST_TRACES, **span)
        return {int(trace["traceID"], 16) for trace in found.get("data") or ()}

    def lines(self, query: str, **span: int) -> list[str]:
        """Return the log lines that Loki finds, of the last hour or of the span from start to end, Unix nanoseconds."""
        when: dict[str, Any] = span or {"since": "1h"}
        found = self.get("loki", "/loki/api/v1/query_range", query=query, limit=1000, **when)
        return [line for stream in found.get("data", {}).get("result", ()) for _, line in stream["values"]]

    def count_lines(self, selector: str) -> int:
        """Return how many log lines Loki has: of half a day, so that no line grows too old for it between two looks."""
        query = f"sum(count_over_time({selector}[12h]))"
        found = self.get("loki", "/loki/api/v1/query", query=query).get("data", {}).get("result", ())
        return int(found[0]["value"][1]) if found else 0

    def samples(self, query: str) -> list[tuple[Json, float]]:
        """Return what Prometheus answers: labels and value of each series."""
        found = self.get("prometheus", "/api/v1/query", query=query).get("data", {}).get("result", ())
        return [(series["metric"], float(series["value"][1])) for series in found]

    def number(self, query: str) -> float | None:
        """Return the one value that Prometheus answers."""
        found = self.samples(query)
        return found[0][1] if found else None

    def exemplars(self, query: str) -> set[str]:
        """Return the traces that the exemplars of a query's series lead to."""
        now = time.time()
        found = self.get("prometheus", "/api/v1/query_exemplars", query=query, start=now - 3600, end=now + 60)
        return {one["labels"].get("trace_id", "") for series in found.get("data", ()) for one in series["exemplars"]}

    def alerts(self, **labels: str) -> list[Json]:
        """Return the alerts in Alertmanager that have these labels."""
        found = self.get("alertmanager", "/api/v2/alerts") or []
        return [alert for alert in found if labels.items() <= alert["labels"].items()]

    def slo(self, name: str) -> Json:
        """Return an SLO as sloburn's API shows it; nothing while it does not answer."""
        slos = self.get("sloburn", "/api/v1/status").get("slos", ())
        return next((slo for slo in slos if slo["name"] == name), {})

    def events(self, name: str) -> int:
        """Return how many events an SLO has in sloburn's ledger; -1 while it does not answer."""
        slo = self.slo(name)
        return slo["good"] + slo["bad"] if slo else -1

    def settled_events(self, name: str) -> int:
        """Return how many events an SLO has once their number stands still: nothing of it is on its way any more."""
        seen: list[tuple[float, int]] = []

        def stands_still() -> bool:
            now, count = time.monotonic(), self.events(name)
            if not seen or seen[-1][1] != count:
                seen.append((now, count))
            return count >= 0 and now - seen[-1][0] > _STILL_SECONDS

        wait_for(stands_still, f"the count of {name} stands still")
        return seen[-1][1]
