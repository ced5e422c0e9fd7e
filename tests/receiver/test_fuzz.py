"""Damaged requests: a short run of what `bench.fuzz` does by the million, and some of it over real connections."""

from __future__ import annotations

import asyncio
import http.client
import time
from collections.abc import Callable
from pathlib import Path

import grpc
import pytest
from bench.fuzz import ALLOWED, SLOS, EngineIntake, Fuzzer, fuzz
from bench.fuzz_bodies import Bodies, Case

from sloburn.receiver.grpc import SERVICES
from sloburn.receiver.limits import MIB, Limits
from tests.receiver.servers import HOST, Receiver, grpc_receiver, http_receiver
from tests.telemetry import metric_request

LIMITS = Limits(max_body_bytes=MIB, max_pending_bytes=16 * MIB)
METHODS = [f"/{name}/Export" for name in SERVICES.values()]
FAULTS_OF_SENDERS = {grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.RESOURCE_EXHAUSTED}


@pytest.mark.parametrize("seed", [1, 2])
def test_damaged_requests_are_the_senders_fault(tmp_path: Path, seed: int) -> None:
    """Thousands of damaged requests end in 2xx or 4xx, in the encoding that was asked in, and none in an exception."""
    fuzzer = Fuzzer(tmp_path)
    assert asyncio.run(fuzz(fuzzer, seed, 2_000)) == ""
    assert fuzzer.statuses.keys() <= ALLOWED
    assert min(fuzzer.statuses[200], fuzzer.statuses[400]) > 200  # neither all of it valid, nor nothing


def test_a_case_that_breaks_a_rule_is_named(tmp_path: Path) -> None:
    """The fuzzer bites: an application that fails is found, with seed and number."""
    fuzzer = Fuzzer(tmp_path)
    fuzzer.tally.count_unforeseen()
    found = asyncio.run(fuzz(fuzzer, 3, 10))
    assert found.startswith("seed 3, case 0: ended in an error that nobody foresaw: Case(method=")


def test_a_summary_does_not_stop_the_rest(tmp_path: Path) -> None:
    """Found by the fuzzer: points of a summary, which no indicator reads, are passed over."""
    request = metric_request("http.server.request.duration", [])
    metric = request.resource_metrics[0].scope_metrics[0].metrics[0]
    metric.summary.data_points.add(time_unix_nano=time.time_ns(), count=3)
    kind = ((b"content-type", b"application/x-protobuf"),)
    fuzzer = Fuzzer(tmp_path)
    assert asyncio.run(fuzzer.send(Case("POST", "/v1/metrics", kind, request.SerializeToString()))) == ""
    assert fuzzer.statuses == {200: 1}


def _intake(folder: Path) -> EngineIntake:
    (folder / "slos.yaml").write_text(SLOS)
    return EngineIntake(folder / "slos.yaml")


def test_damaged_requests_over_http(tmp_path: Path) -> None:
    """Over real connections every damaged request is answered, and the connection goes on or is closed in order."""
    with http_receiver(_intake(tmp_path), limits=LIMITS) as receiver:
        bodies, statuses = Bodies(5, time.time_ns()), set()
        for case in (bodies.case() for _ in range(300)):
            if case.path.isascii() and case.path.startswith("/"):
                statuses.add(_post(receiver, case))
        assert statuses <= ALLOWED
        assert {200, 400} <= statuses
        assert receiver.tally.unforeseen == 0


def _post(receiver: Receiver, case: Case) -> int:
    connection = http.client.HTTPConnection(HOST, receiver.port, timeout=60)
    connection.putrequest(case.method, case.path)
    for name, value in (*case.headers, (b"content-length", str(len(case.body)).encode())):
        connection.putheader(name.decode(), value)
    connection.endheaders(case.body)
    status = connection.getresponse().status
    connection.close()
    return status


def test_damaged_requests_over_grpc(tmp_path: Path) -> None:
    """Over gRPC a damaged request is an invalid argument and nothing else."""
    with (
        grpc_receiver(_intake(tmp_path), limits=LIMITS) as receiver,
        grpc.insecure_channel(receiver.target) as channel,
    ):
        exports: list[Callable[..., bytes]] = [channel.unary_unary(method) for method in METHODS]
        bodies, codes = Bodies(6, time.time_ns()), set()
        for number in range(300):
            try:
                exports[number % len(exports)](bodies.case().body, timeout=60)
            except grpc.RpcError as error:
                codes.add(error.code())
        assert grpc.StatusCode.INVALID_ARGUMENT in codes
        assert codes <= FAULTS_OF_SENDERS
        assert receiver.tally.unforeseen == 0
