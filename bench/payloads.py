"""OTLP bodies for the benchmarks: built once with the official classes, then stamped with fresh ids and times.

Ids and times are fixed-width on the wire, so a new request is the old bytes with other bytes in known places: sending
costs little next to what is measured.
"""

from __future__ import annotations

import os
import random
import struct
from collections.abc import Mapping

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.logs.v1.logs_pb2 import SeverityNumber

ROUTES = 20
BAD_SHARE = 0.01
BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.3, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0)

_MARK = 0x1122_3344_0000_0000


def attributes(values: Mapping[str, str | int]) -> list[KeyValue]:
    """Return attributes in their wire form."""
    return [
        KeyValue(key=key, value=AnyValue(int_value=v) if isinstance(v, int) else AnyValue(string_value=v))
        for key, v in values.items()
    ]


def resource(service: str, pod: int = 1) -> list[KeyValue]:
    """Return the resource of a service as an SDK would describe it."""
    pod_id = f"pod-{pod}"
    return attributes(
        {"service.name": service, "service.version": "1.2.3", "service.instance.id": pod_id, "host.name": "node-7"}
    )


def request_attributes(rnd: random.Random, route: int, code: int) -> dict[str, str | int]:
    """Return the ten attributes of a server span by the HTTP conventions."""
    return {
        "http.request.method": "GET",
        "http.route": f"/api/v1/route{route}",
        "http.response.status_code": code,
        "url.path": f"/api/v1/route{route}/{rnd.randrange(10_000)}",
        "url.scheme": "http",
        "server.address": "shop.example",
        "server.port": 8080,
        "client.address": f"10.0.{rnd.randrange(255)}.{rnd.randrange(255)}",
        "user_agent.original": "Mozilla/5.0 (X11; Linux x86_64)",
        "network.protocol.version": "1.1",
    }


class SpanBody:
    """A trace request of one service whose spans get new ids and times with every `fresh`.

    Args:
        spans: How many.
        service: Whose.
        seed: Decides routes, codes and durations.
        pods: How many processes sent them: a Collector puts those of several into one request.
    """

    def __init__(self, spans: int = 512, service: str = "shop", seed: int = 1, pods: int = 1) -> None:
        rnd = random.Random(seed)
        request = ExportTraceServiceRequest()
        scopes = []
        for pod in range(1, pods + 1):
            part = request.resource_spans.add()
            part.resource.attributes.extend(resource(service, pod))
            scopes.append(part.scope_spans.add())
            scopes[-1].scope.name = "opentelemetry.instrumentation.fastapi"
        self._durations = [rnd.randrange(1, 400) * 1_000_000 for _ in range(spans)]
        self.bad = 0
        for number in range(spans):
            route, bad = rnd.randrange(ROUTES), rnd.random() < BAD_SHARE or number == 7
            self.bad += bad
            span = scopes[number * pods // spans].spans.add(
                trace_id=struct.pack(">QQ", _MARK, number),
                span_id=struct.pack(">Q", number + 1),
                parent_span_id=rnd.randbytes(8),
                name=f"GET /api/v1/route{route}",
                kind=2,
                start_time_unix_nano=_MARK + number,
                end_time_unix_nano=_MARK + number,
            )
            span.attributes.extend(attributes(request_attributes(rnd, route, 500 if bad else 200)))
            span.status.code = 2 if bad else 0  # type: ignore[assignment]
        self.spans = spans
        self._body = bytearray(request.SerializeToString())
        self._find_places()

    def _find_places(self) -> None:
        self._traces, self._ids, self._times = [], [], []
        at = 0
        for number in range(self.spans):
            at = self._body.index(struct.pack(">QQ", _MARK, number), at)
            self._traces.append(at)
            self._ids.append(self._body.index(struct.pack(">Q", number + 1), at + 16))
            at = self._body.index(struct.pack("<Q", _MARK + number), at + 16)
            self._times.append(at)

    def fresh(self, now: int) -> bytes:
        """Return the request with ids that were never used and times that end in the last second before `now`."""
        body, noise = self._body, os.urandom(24 * self.spans)
        for number in range(self.spans):
            trace, own, time = self._traces[number], self._ids[number], self._times[number]
            at = 24 * number
            body[trace : trace + 16] = noise[at : at + 16]
            body[own : own + 8] = noise[at + 16 : at + 24]
            end = now - number * 1_000_000
            body[time : time + 8] = (end - self._durations[number]).to_bytes(8, "little")
            body[time + 9 : time + 17] = end.to_bytes(8, "little")
        return bytes(body)


def metrics_body(now: int, start: int, step: int, points: int = 100, service: str = "shop") -> bytes:
    """Return a request of cumulative request-duration histograms, one point for each route; each step adds events."""
    request = ExportMetricsServiceRequest()
    part = request.resource_metrics.add()
    part.resource.attributes.extend(resource(service))
    metric = part.scope_metrics.add().metrics.add(name="http.server.request.duration", unit="s")
    metric.histogram.aggregation_temporality = 2  # type: ignore[assignment]
    for number in range(points):
        buckets = [step * (index % 5) for index in range(len(BOUNDS) + 1)]
        path = f"/api/v1/route{number}"
        route: dict[str, str | int] = {
            "http.route": path,
            "http.request.method": "GET",
            "http.response.status_code": 200,
        }
        metric.histogram.data_points.add(
            start_time_unix_nano=start,
            time_unix_nano=now,
            count=sum(buckets),
            sum=1.0,
            bucket_counts=buckets,
            explicit_bounds=BOUNDS,
            attributes=attributes(route),
        )
    return request.SerializeToString()


def counters_body(now: int, start: int, step: int, points: int = 100, service: str = "shop") -> bytes:
    """Return a request of two cumulative counters, all jobs and failed ones, with half of the points each."""
    request = ExportMetricsServiceRequest()
    part = request.resource_metrics.add()
    part.resource.attributes.extend(resource(service))
    for name, each in (("jobs.started", 20), ("jobs.failed", 1)):
        metric = part.scope_metrics.add().metrics.add(name=name, unit="{job}")
        metric.sum.aggregation_temporality = 2  # type: ignore[assignment]
        metric.sum.is_monotonic = True
        for number in range(points // 2):
            metric.sum.data_points.add(
                start_time_unix_nano=start,
                time_unix_nano=now,
                as_int=step * each,
                attributes=attributes({"queue": f"queue-{number}", "worker": number}),
            )
    return request.SerializeToString()


def exponential_body(now: int, start: int, step: int, points: int = 100, service: str = "shop") -> bytes:
    """Return a request of cumulative exponential histograms with 80 buckets in each point; each step adds events."""
    request = ExportMetricsServiceRequest()
    part = request.resource_metrics.add()
    part.resource.attributes.extend(resource(service))
    metric = part.scope_metrics.add().metrics.add(name="http.server.request.duration", unit="s")
    metric.exponential_histogram.aggregation_temporality = 2  # type: ignore[assignment]
    for number in range(points):
        buckets = [step * (index % 5) for index in range(80)]
        point = metric.exponential_histogram.data_points.add(
            start_time_unix_nano=start,
            time_unix_nano=now,
            count=sum(buckets),
            sum=1.0,
            scale=3,
            attributes=attributes({"http.route": f"/api/v1/route{number}", "http.request.method": "GET"}),
        )
        point.positive.offset = -60
        point.positive.bucket_counts.extend(buckets)
    return request.SerializeToString()


def logs_body(now: int, records: int = 512, service: str = "shop") -> bytes:
    """Return a request of log records with four attributes each."""
    request = ExportLogsServiceRequest()
    part = request.resource_logs.add()
    part.resource.attributes.extend(resource(service))
    scope = part.scope_logs.add()
    for number in range(records):
        record = scope.log_records.add(
            time_unix_nano=now - number,
            observed_time_unix_nano=now,
            severity_number=SeverityNumber.SEVERITY_NUMBER_INFO,
            severity_text="INFO",
            body=AnyValue(string_value=f"order {number} was paid in 31 ms"),
            trace_id=os.urandom(16),
            span_id=os.urandom(8),
        )
        record.attributes.extend(attributes({"code.function": "pay", "order": number, "thread": 7, "logger": "shop"}))
    return request.SerializeToString()
