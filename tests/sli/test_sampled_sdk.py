"""What our SDK sends of a sampled service, counted by the processor, beside everything that happened."""

from __future__ import annotations

import random
import time

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.id_generator import IdGenerator
from opentelemetry.trace import SpanKind, StatusCode

from sloburn.sdk.config import Sampling
from sloburn.sdk.exporters.span_encoding import spans_to_bytes
from sloburn.sdk.providers import SpanQueue
from sloburn.sdk.sampling import KEPT, KEPT_ATTRIBUTE, WeighingSampler
from tests.promises import STATUS_ERROR, span_slo
from tests.sli.harness import Bench

REQUESTS = 6_000
BAD_SHARE = 0.1
RATIO = 0.1


class _SeededIds(IdGenerator):
    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)

    def generate_span_id(self) -> int:
        return self._random.getrandbits(64) | 1

    def generate_trace_id(self) -> int:
        return self._random.getrandbits(128) | 1


def test_one_in_ten_tells_what_all_tell() -> None:
    """With a tenth of the traces, and every failed one kept beside them, good, bad and ratio are right in the mean."""
    sent: list[ReadableSpan] = []
    provider = TracerProvider(
        sampler=WeighingSampler(Sampling(ratio=RATIO)),
        resource=Resource({"service.name": "shop"}),
        id_generator=_SeededIds(5),
        shutdown_on_exit=False,
    )
    provider.add_span_processor(SpanQueue(sent.append))
    tracer, rnd, failed = provider.get_tracer("test"), random.Random(11), 0
    for _ in range(REQUESTS):
        with tracer.start_as_current_span("GET /", kind=SpanKind.SERVER) as span:
            if rnd.random() < BAD_SHARE:
                span.set_status(StatusCode.ERROR)
                failed += 1
    kept = sum((span.attributes or {}).get(KEPT_ATTRIBUTE) == KEPT for span in sent)
    bench = Bench(span_slo(bad=STATUS_ERROR))
    bench.now = time.time_ns()
    bench.traces(ExportTraceServiceRequest.FromString(spans_to_bytes(sent)))
    status = bench.status()
    counted = status.lifetime
    assert kept > failed / 2
    assert len(sent) - kept < REQUESTS / 5
    for found, truth in ((counted.good, REQUESTS - failed), (counted.bad, failed)):
        assert abs(found - truth) < 4 * (truth * (1 / RATIO - 1)) ** 0.5  # four standard errors of the sample
    assert abs(counted.bad / counted.total - failed / REQUESTS) < 0.05
    assert counted.total == 10 * (len(sent) - kept)  # one in ten is a whole number to the last of 50 bits
    assert status.failing
