"""The one number that must be right: every span counts once, whatever happens between sender and store."""

from __future__ import annotations

import gzip
import json
import random
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import grpc
import httpx
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2_grpc import TraceServiceStub

from tests.processor import Processor, wait_until
from tests.telemetry import SpanSpec, trace_request

SPANS = 200_000
PER_REQUEST = 500
BAD_EVERY = 97
GIVE_UP_SECONDS = 300

SLOS = """\
version: sloburn/v1
slos:
  - name: availability
    service: shop
    objective: 99.9
    period: 30d
    indicator:
      spans: {kind: server}
      bad: {http.response.status_code: {gte: 500}}
"""


@dataclass(frozen=True)
class Parcel:
    """A request and how it travels."""

    spans: tuple[SpanSpec, ...]
    send: Callable[[tuple[SpanSpec, ...]], bool]


class Senders:
    """Four ways to the processor; each tells whether the request was acknowledged."""

    def __init__(self, processor: Processor) -> None:
        self._url = f"http://{processor.http}/v1/traces"
        self._http = httpx.Client(timeout=20)
        self._channel = grpc.insecure_channel(processor.grpc, options=[("grpc.max_reconnect_backoff_ms", 500)])
        self._stub = TraceServiceStub(self._channel)  # type: ignore[no-untyped-call]

    def close(self) -> None:
        """Close every connection."""
        self._http.close()
        self._channel.close()

    def protobuf(self, spans: tuple[SpanSpec, ...]) -> bool:
        """Send over HTTP as protobuf."""
        return self._post(trace_request(spans).SerializeToString(), {"Content-Type": "application/x-protobuf"})

    def gzipped(self, spans: tuple[SpanSpec, ...]) -> bool:
        """Send over HTTP as compressed protobuf."""
        body = gzip.compress(trace_request(spans).SerializeToString(), 1)
        return self._post(body, {"Content-Type": "application/x-protobuf", "Content-Encoding": "gzip"})

    def json(self, spans: tuple[SpanSpec, ...]) -> bool:
        """Send over HTTP as JSON."""
        return self._post(json.dumps(_as_json(spans)).encode(), {"Content-Type": "application/json"})

    def grpc(self, spans: tuple[SpanSpec, ...]) -> bool:
        """Send over gRPC."""
        request: ExportTraceServiceRequest = trace_request(spans)
        try:
            self._stub.Export(request, timeout=20)
        except grpc.RpcError:
            return False
        return True

    def _post(self, body: bytes, headers: dict[str, str]) -> bool:
        try:
            answer = self._http.post(self._url, content=body, headers=headers)
        except httpx.TransportError:
            return False
        assert answer.status_code in (200, 429, 502, 503, 504), answer.text
        return answer.status_code == httpx.codes.OK


def _as_json(spans: tuple[SpanSpec, ...]) -> dict[str, object]:
    built = [
        {
            "traceId": f"{span.number:032x}",
            "spanId": f"{span.number + 1:016x}",
            "name": span.name,
            "kind": 2,
            "startTimeUnixNano": str(span.end - span.duration),
            "endTimeUnixNano": str(span.end),
            "attributes": [{"key": key, "value": {"intValue": str(value)}} for key, value in span.values.items()],
        }
        for span in spans
    ]
    resource = {"attributes": [{"key": "service.name", "value": {"stringValue": "shop"}}]}
    return {"resourceSpans": [{"resource": resource, "scopeSpans": [{"spans": built}]}]}


@pytest.fixture
def processor(tmp_path: Path) -> Iterator[Processor]:
    """A processor with one SLO on spans."""
    slos = tmp_path / "slos.yaml"
    slos.write_text(SLOS)
    with Processor(slos, tmp_path) as running:
        yield running


def span(number: int, now: int) -> SpanSpec:
    """Return the span of a number: every 97th is bad, their ends lie within the last two minutes."""
    code = 500 if number % BAD_EVERY == 0 else 200
    end = now - number % 120 * 1_000_000_000
    return SpanSpec(number=number, end=end, values={"http.response.status_code": code})


def parcels(senders: Senders, now: int) -> list[Parcel]:
    """Return every span in requests over all four ways, some sent twice, some regrouped."""
    ways = (senders.protobuf, senders.gzipped, senders.json, senders.grpc)
    numbers = range(1, SPANS + 1)
    made = [
        Parcel(tuple(span(n, now) for n in numbers[at : at + PER_REQUEST]), ways[at // PER_REQUEST % len(ways)])
        for at in range(0, SPANS, PER_REQUEST)
    ]
    again = made[::10]
    regrouped = [Parcel(one.spans[250:] + other.spans[:250], ways[0]) for one, other in pairwise(made)]
    shuffled = made + again + regrouped[::20]
    random.Random(7).shuffle(shuffled)
    return shuffled


def deliver(parcel: Parcel) -> None:
    """Send until it is acknowledged, as an OTLP sender does."""
    deadline = time.monotonic() + GIVE_UP_SECONDS
    while not parcel.send(parcel.spans):
        assert time.monotonic() < deadline, "never acknowledged"
        time.sleep(0.05)


@pytest.mark.timeout(600)
def test_every_span_counts_once(processor: Processor) -> None:
    """200,000 spans over HTTP, gzip, JSON and gRPC at once, a kill -9 and a restart in the middle: exact."""
    senders = Senders(processor)
    try:
        waiting = parcels(senders, time.time_ns())
        with ThreadPoolExecutor(max_workers=8) as pool:
            deliveries = [pool.submit(deliver, parcel) for parcel in waiting]
            wait_until(
                lambda: sum(one.done() for one in deliveries) > len(waiting) // 2, "half is delivered", GIVE_UP_SECONDS
            )
            processor.kill()
            processor.start()
            for delivery in deliveries:
                delivery.result()
    finally:
        senders.close()
    bad = SPANS // BAD_EVERY
    wait_until(lambda: sum(processor.counts("availability")) >= SPANS, "everything is evaluated")
    assert processor.counts("availability") == (SPANS - bad, bad)
    assert processor.stop() == 0
    processor.start()
    assert processor.counts("availability") == (SPANS - bad, bad)
