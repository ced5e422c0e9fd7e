"""Queues, workers and senders: bounded, counted, quiet."""

from __future__ import annotations

import logging
import subprocess
import threading
import time
from collections.abc import Iterable, Iterator
from concurrent import futures

import grpc
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from sloburn.sdk.config import Target
from sloburn.sdk.exporters.grpc_sender import GrpcSender
from sloburn.sdk.exporters.health import ExportHealth
from sloburn.sdk.exporters.http_sender import HttpSender
from sloburn.sdk.exporters.sender import Outcome, Sender
from sloburn.sdk.exporters.source import QueueSource
from sloburn.sdk.exporters.worker import ExportWorker
from tests.sdk.collector import Collector
from tests.sdk.processes import PATIENCE_SECONDS, free_port, succeed, wait_until

_TAKEN = Outcome(verdict="taken")
_DOWN = Outcome(verdict="retry", reason="connection refused")


class ScriptedSender:
    """A sender that answers from a list, then takes everything.

    Args:
        outcomes: The first answers.
    """

    def __init__(self, *outcomes: Outcome) -> None:
        self.outcomes = list(outcomes)
        self.bodies: list[bytes] = []
        self.is_closed = False

    def send(self, body: bytes, timeout_seconds: float) -> Outcome:  # noqa: ARG002 - the protocol's
        """Note the body and give the next answer."""
        self.bodies.append(body)
        return self.outcomes.pop(0) if self.outcomes else _TAKEN

    def forget_connection(self) -> None:
        """Have none."""

    def close(self) -> None:
        """Note that it was closed."""
        self.is_closed = True


class HangingSender(ScriptedSender):
    """A sender whose request never returns before it is released."""

    def __init__(self) -> None:
        super().__init__()
        self.is_asked = threading.Event()
        self.release = threading.Event()

    def send(self, body: bytes, timeout_seconds: float) -> Outcome:  # noqa: ARG002 - the protocol's
        """Wait for the release."""
        self.is_asked.set()
        self.release.wait(PATIENCE_SECONDS)
        return _DOWN


def make_queue(*, size: int = 100, batch: int = 10, most_bytes: int = 1000) -> QueueSource[int, None]:
    """Return a queue of numbers whose bodies are their bytes; numbers above 255 cannot be encoded."""

    def encode(item: int) -> bytes:
        return bytes([item])

    def group_of(item: int) -> None:
        return None

    def assemble(items: Iterable[tuple[None, bytes]]) -> bytes:
        return b"".join(encoded for _, encoded in items)

    return QueueSource(
        encode=encode,
        group_of=group_of,
        assemble=assemble,
        max_queue_size=size,
        max_batch_size=batch,
        max_queue_bytes=most_bytes,
    )


def make_worker(source: QueueSource[int, None], sender: Sender, *, interval: float = 0.01) -> ExportWorker:
    """Return a running worker."""
    worker = ExportWorker(
        signal="traces",
        source=source,
        sender=sender,
        health=ExportHealth(destination="the Collector"),
        interval_seconds=interval,
        timeout_seconds=1.0,
    )
    source.wake = worker.wake
    worker.start()
    return worker


def stop(worker: ExportWorker, seconds: float = PATIENCE_SECONDS) -> None:
    """Stop a worker the way the handle does."""
    worker.request_stop(threading.TIMEOUT_MAX)
    worker.join(seconds)


def test_items_leave_in_batches_and_order() -> None:
    """Everything that was added leaves, in order, in batches of the given size."""
    source, sender = make_queue(batch=4), ScriptedSender()
    for number in range(10):
        source.add(number)
    worker = make_worker(source, sender)
    assert worker.request_flush().wait(PATIENCE_SECONDS)
    stop(worker)
    assert sender.bodies == [bytes(range(4)), bytes(range(4, 8)), bytes(range(8, 10))]
    assert worker.status().sent == 10
    assert sender.is_closed


def test_full_batch_leaves_before_the_interval_is_over() -> None:
    """The item that fills a batch wakes the worker."""
    source, sender = make_queue(batch=3), ScriptedSender()
    worker = make_worker(source, sender, interval=3600)
    for number in range(3):
        source.add(number)
    wait_until(lambda: sender.bodies == [bytes(range(3))])
    stop(worker)


def test_full_queue_drops_and_counts() -> None:
    """A full queue keeps what it has and counts what it drops."""
    source = make_queue(size=5)
    for number in range(8):
        source.add(number)
    assert source.waiting() == 5
    assert source.dropped == {"queue_full": 3}


def test_what_cannot_be_encoded_costs_itself_only() -> None:
    """An item that cannot be encoded is counted as lost, and what came with it still leaves."""
    source, sender = make_queue(batch=2), ScriptedSender()
    for number in (1, 999, 2, 3):
        source.add(number)
    worker = make_worker(source, sender)
    assert worker.request_flush().wait(PATIENCE_SECONDS)
    stop(worker)
    assert sender.bodies == [bytes([1, 2]), bytes([3])]
    assert worker.status().lost == {"not_encodable": 1}


def test_bytes_are_bounded_too() -> None:
    """Items wait encoded, and those that would take more bytes than allowed are dropped and counted."""
    source = make_queue(most_bytes=3)
    for number in range(5):
        source.add(number)
    source.prepare()
    assert (source.waiting(), source.dropped) == (3, {"queue_full": 2})
    assert [request.body for request in source.requests()] == [bytes(range(3))]
    source.add(9)
    assert [request.body for request in source.requests()] == [b"\x09"]


def test_drops_of_several_threads_are_all_counted() -> None:
    """Items that several threads add to a full queue at once are counted to the last one."""
    source = make_queue(size=1, batch=1)

    def add_many() -> None:
        for _ in range(20_000):
            source.add(1)

    threads = [threading.Thread(target=add_many) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert source.waiting() + source.dropped["queue_full"] == 80_000


def test_items_are_encoded_while_nothing_can_be_sent() -> None:
    """What waits for a receiver that is away waits as bytes, not as objects that the garbage collector walks."""
    source, sender = make_queue(), ScriptedSender(Outcome(verdict="retry", reason="down", retry_after_seconds=30))
    source.add(1)
    worker = make_worker(source, sender)
    wait_until(lambda: worker.status().problem == "down")
    source.add(2)
    wait_until(lambda: list(source._encoded) == [b"\x02"])
    assert worker.waiting() == 2
    stop(worker)


def test_batch_is_kept_and_sent_again() -> None:
    """A batch that could not be sent is sent again as it was, and nothing is lost."""
    source, sender = make_queue(), ScriptedSender(_DOWN, _DOWN)
    source.add(7)
    worker = make_worker(source, sender)
    wait_until(lambda: worker.status().sent == 1)
    stop(worker)
    assert sender.bodies == [b"\x07"] * 3
    assert worker.status().lost == {}


def test_worker_of_the_parent_stands_still_in_a_child() -> None:
    """What survives a fork, as greenlets do, sends nothing in the child: only the child's own worker does."""

    class Watched(ScriptedSender):
        def __init__(self) -> None:
            super().__init__()
            self.threads: set[threading.Thread] = set()

        def send(self, body: bytes, timeout_seconds: float) -> Outcome:
            self.threads.add(threading.current_thread())
            return super().send(body, timeout_seconds)

    source, sender = make_queue(), Watched()
    worker = make_worker(source, sender)
    source.add(1)
    assert worker.request_flush().wait(PATIENCE_SECONDS)
    (first,) = sender.threads
    # Here the parent's thread lives on as a greenlet would.
    worker.after_fork()
    for number in range(50):
        source.add(number)
        assert worker.request_flush().wait(PATIENCE_SECONDS)
    stop(worker)
    assert len(sender.threads - {first}) == 1
    assert sorted(b"".join(sender.bodies[1:])) == list(range(50))


def test_refused_batch_is_counted_and_not_repeated() -> None:
    """A batch that the receiver refuses for good is counted as lost; so are items of a partial success."""
    source = make_queue(batch=2)
    sender = ScriptedSender(Outcome(verdict="refused", reason="HTTP 400"), Outcome(verdict="taken", refused_items=1))
    for number in range(4):
        source.add(number)
    worker = make_worker(source, sender)
    assert worker.request_flush().wait(PATIENCE_SECONDS)
    stop(worker)
    assert (worker.status().sent, worker.status().lost) == (1, {"refused": 3})


def test_retry_after_is_honoured() -> None:
    """A receiver that asks to wait is not asked again before."""
    source = make_queue()
    sender = ScriptedSender(Outcome(verdict="retry", reason="HTTP 503", retry_after_seconds=30))
    source.add(1)
    worker = make_worker(source, sender)
    wait_until(lambda: worker.status().problem == "HTTP 503")
    source.add(2)
    assert len(sender.bodies) == 1
    assert worker.request_flush().wait(PATIENCE_SECONDS)
    stop(worker)
    assert len(sender.bodies) == 3


def test_two_lines_for_an_outage(caplog: pytest.LogCaptureFixture) -> None:
    """An outage is one line when it begins and one when it ends, however many requests and signals fail."""
    now = [0.0]
    health = ExportHealth(destination="the Collector", now=lambda: now[0])
    with caplog.at_level(logging.INFO, "sloburn"):
        for _ in range(20):
            health.failed("traces", "connection refused")
            health.failed("logs", "connection refused")
        now[0] = 5.0
        health.succeeded("traces", lost=3)
        health.succeeded("logs", lost=4)
        health.succeeded("logs", lost=4)
    assert [record.getMessage() for record in caplog.records] == [
        "telemetry cannot be delivered to the Collector (traces: connection refused): "
        "it is kept up to a bound and tried again",
        "telemetry is delivered to the Collector again after 5.0 s; lost so far: 7 items",
    ]


def test_stop_does_not_wait_for_a_request_that_hangs() -> None:
    """A stop waits as long as it may and counts what is left as lost."""
    source, sender = make_queue(), HangingSender()
    source.add(1)
    worker = make_worker(source, sender)
    assert sender.is_asked.wait(PATIENCE_SECONDS)
    stop(worker, 0.05)
    assert worker.status().lost == {"shutdown": 1}
    sender.release.set()
    worker.join(PATIENCE_SECONDS)


_ENDS = """
import sys, time
from sloburn import init_telemetry
telemetry = init_telemetry(endpoint=sys.argv[1], export_interval=3600, timeout=50)
with telemetry.tracer.start_as_current_span("work"):
    pass
print(f"end {time.monotonic()} of {telemetry.config.shutdown_timeout_seconds}")
"""


def test_exit_with_the_usual_patience() -> None:
    """Unless told otherwise a process ends some two seconds after its own end, whatever hangs."""
    with Collector(is_hanging=True) as collector:
        done = succeed(_ENDS, collector.endpoint, extra={"SLOBURN_SHUTDOWN_TIMEOUT": ""})
        now = time.monotonic()
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("end ")]
    _, end, _, most = line.split()
    assert float(most) == 2.2
    # The machine may stand still for some of it; who waits for the answer waits for fifty seconds.
    assert 2.1 < now - float(end) < 15


def test_forked_child_begins_anew() -> None:
    """After a fork nothing waits and nothing is counted, and the worker runs again."""
    source, sender = make_queue(), ScriptedSender()
    source.add(1)
    worker = make_worker(source, sender)
    assert worker.request_flush().wait(PATIENCE_SECONDS)
    stop(worker)
    # A thread that is over, so that it does nothing any more, with an item that it could not send, as in a child.
    sender = ScriptedSender()
    worker = make_worker(source, sender, interval=3600)
    source.add(2)
    worker.request_stop(0.0)
    wait_until(lambda: sender.is_closed)
    assert worker.waiting() == 1
    worker.after_fork()
    assert (worker.waiting(), worker.status().sent) == (0, 0)
    source.add(3)
    assert worker.request_flush().wait(PATIENCE_SECONDS)
    assert worker.status().sent == 1
    stop(worker)


@pytest.fixture
def collector() -> Iterator[Collector]:
    """A Collector that takes everything."""
    with Collector() as running:
        yield running


def http_sender(url: str, **target: object) -> HttpSender:
    """Return a sender of traces."""
    return HttpSender(target=Target(url=url, protocol="http/protobuf", **target))  # type: ignore[arg-type]


@pytest.mark.parametrize("compression", ["none", "gzip", "deflate"])
def test_http(collector: Collector, compression: str) -> None:
    """A body arrives with its headers, packed as asked for, over one kept connection."""
    sender = http_sender(f"{collector.endpoint}/v1/traces", compression=compression, headers=(("x-key", "secret"),))
    assert [sender.send(b"", PATIENCE_SECONDS), sender.send(b"", PATIENCE_SECONDS)] == [_TAKEN, _TAKEN]
    sender.close()
    headers = collector.arrivals.headers[-1]
    assert (headers["x-key"], headers["content-type"]) == ("secret", "application/x-protobuf")
    assert headers.get("content-encoding", "none") == compression


def test_http_partial_success() -> None:
    """Items that the receiver refused are read from its answer."""
    answer = ExportTraceServiceResponse()
    answer.partial_success.rejected_spans = 2
    with Collector(answer=answer.SerializeToString()) as collector:
        sender = http_sender(f"{collector.endpoint}/v1/traces")
        assert sender.send(b"", PATIENCE_SECONDS) == Outcome(verdict="taken", refused_items=2)
        sender.close()


@pytest.mark.parametrize(("status", "verdict"), [(429, "retry"), (503, "retry"), (400, "refused"), (404, "refused")])
def test_http_statuses(status: int, verdict: str) -> None:
    """Only the statuses that the specification calls retryable are retried."""
    with Collector(statuses=(status,)) as collector:
        sender = http_sender(f"{collector.endpoint}/v1/traces")
        outcome = sender.send(b"", PATIENCE_SECONDS)
        sender.close()
    assert outcome.verdict == verdict
    assert outcome.reason.startswith(f"HTTP {status}")


def test_http_without_a_listener() -> None:
    """Nobody listening is a reason to try again, not an exception."""
    outcome = http_sender(f"http://127.0.0.1:{free_port()}/v1/traces").send(b"", PATIENCE_SECONDS)
    assert (outcome.verdict, "refused" in outcome.reason) == ("retry", True)


def test_http_that_hangs() -> None:
    """A receiver that never answers costs the timeout and no more."""
    with Collector(is_hanging=True) as collector:
        outcome = http_sender(f"{collector.endpoint}/v1/traces").send(b"", 0.1)
    assert outcome == Outcome(verdict="retry", reason="no answer in time")


def test_http_after_the_receiver_was_restarted() -> None:
    """A kept connection that the other side has closed is opened anew within the same attempt."""
    # A port that the system gives to no client: the receiver comes back to it.
    with Collector(port=free_port()) as first:
        sender = http_sender(f"{first.endpoint}/v1/traces")
        assert sender.send(b"", PATIENCE_SECONDS) == _TAKEN
        port = first.port
    with Collector(port=port):
        assert sender.send(b"", PATIENCE_SECONDS) == _TAKEN
        sender.close()


class GrpcReceiver(grpc.GenericRpcHandler):
    """Takes every call and notes what it got."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, bytes, dict[str, str]]] = []
        self.port = 0

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.port}"

    def service(self, details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler[bytes, bytes]:
        """Return a handler that notes the call."""

        def handle(body: bytes, context: grpc.ServicerContext) -> bytes:
            self.calls.append((details.method, body, {key: str(value) for key, value in context.invocation_metadata()}))
            if body == b"full":
                context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "queue full")
            return b"\xff\xff\xff" if body == b"lie" else b""

        return grpc.unary_unary_rpc_method_handler(handle)


@pytest.fixture
def grpc_receiver() -> Iterator[GrpcReceiver]:
    """A gRPC server that takes everything."""
    server, receiver = grpc.server(futures.ThreadPoolExecutor(1)), GrpcReceiver()
    server.add_generic_rpc_handlers((receiver,))
    receiver.port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield receiver
    server.stop(None).wait()


def test_grpc(grpc_receiver: GrpcReceiver) -> None:
    """Over gRPC the same bodies arrive with their metadata, and a full receiver is tried again."""
    target = Target(url=grpc_receiver.url, protocol="grpc", headers=(("x-key", "secret"),))
    sender = GrpcSender(signal="traces", target=target)
    assert sender.send(b"body", PATIENCE_SECONDS) == _TAKEN
    assert sender.send(b"full", PATIENCE_SECONDS) == Outcome(
        verdict="retry", reason="gRPC RESOURCE_EXHAUSTED: queue full"
    )
    assert sender.send(b"lie", PATIENCE_SECONDS).verdict == "refused"
    sender.close()
    method, body, metadata = grpc_receiver.calls[0]
    assert (method, body) == ("/opentelemetry.proto.collector.trace.v1.TraceService/Export", b"body")
    assert metadata["x-key"] == "secret"


def test_all_signals_over_grpc(grpc_receiver: GrpcReceiver) -> None:
    """With the protocol in the environment all three signals leave over gRPC."""
    succeed(
        """
from sloburn import get_logger, init_telemetry
telemetry = init_telemetry()
telemetry.meter.create_counter("work").add(1)
with telemetry.tracer.start_as_current_span("work"):
    get_logger().info("working")
""",
        extra={"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc", "OTEL_EXPORTER_OTLP_ENDPOINT": grpc_receiver.url},
    )
    services = {method.split(".")[-1] for method, _, _ in grpc_receiver.calls}
    assert services == {"TraceService/Export", "MetricsService/Export", "LogsService/Export"}


def test_grpc_that_is_not_installed() -> None:
    """Without grpcio one line names the command that installs it, and the host lives on."""
    done = succeed(
        """
import sys
sys.modules["grpc"] = None
from sloburn import init_telemetry
telemetry = init_telemetry(protocol="grpc")
print(telemetry.status().problems)
"""
    )
    message = "OTLP over gRPC needs grpcio: pip install 'sloburn[grpc]'"
    assert done.stdout.count(message) == 2
    assert "Traceback" not in done.output


def test_worker_survives_what_should_not_happen() -> None:
    """A sender that breaks its promise and raises costs one line, not the thread."""

    class Broken(ScriptedSender):
        def send(self, body: bytes, timeout_seconds: float) -> Outcome:
            super().send(body, timeout_seconds)
            raise subprocess.SubprocessError("broken")

    source, sender = make_queue(), Broken()
    source.add(1)
    worker = make_worker(source, sender)
    wait_until(lambda: len(sender.bodies) > 1)
    assert worker.status().problem == "SubprocessError: broken"
    stop(worker)
