"""``sloburn annotate`` against a real processor: kept durably, drawn, refused in words."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from sloburn.duration import SECOND
from tests.cli.calls import Result, call
from tests.processor import Processor, free_ports, get, post, wait_until
from tests.telemetry import SpanSpec, trace_request

SLOS = """\
version: sloburn/v1
slos:
  - name: availability
    service: shop
    objective: 99.9
    period: 30d
    indicator: {spans: {kind: server}, bad: {status: error}}
"""


@pytest.fixture(scope="module")
def processor(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Processor]:
    """Run a processor that asks for a token."""
    folder = tmp_path_factory.mktemp("annotate")
    (folder / "slos.yaml").write_text(SLOS)
    (folder / "token").write_text("secret\n")
    with Processor(folder / "slos.yaml", folder, "--bearer-token-file", str(folder / "token")) as running:
        yield running


def annotate(processor: Processor, *arguments: str, token: bool = True) -> Result:
    """Annotate, with the token unless told otherwise."""
    shown = ("--token-file", str(processor.log.with_name("token"))) if token else ()
    return call("annotate", *arguments, "--to", f"http://{processor.page}", "--timeout", "60", *shown)


def listed(processor: Processor) -> list[str]:
    """Return the texts of all annotations, newest first."""
    found = get(f"http://{processor.page}/api/v1/annotations").json()["annotations"]
    return [one["text"] for one in found]


def send(processor: Processor, version: str, number: int) -> None:
    """Send a span of a version."""
    body = trace_request(
        [SpanSpec(number=number, end=time.time_ns() - SECOND)], resource={"service.version": version}
    ).SerializeToString()
    headers = {"content-type": "application/x-protobuf", "authorization": "Bearer secret"}
    post(f"http://{processor.http}/v1/traces", content=body, headers=headers).raise_for_status()


def test_it_survives_a_kill_and_is_drawn(processor: Processor) -> None:
    """What was said to be kept is there after kill -9; so are the versions that the telemetry told."""
    for number, version in ((1, "1.0"), (2, "1.1")):
        send(processor, version, number * 10)
    wait_until(lambda: listed(processor) == ["1.1"], "the new version is a deploy")
    result = annotate(processor, "v1.2.3", "--service", "shop")
    assert (result.status, result.err) == (0, "")
    assert result.out.startswith("deploy of shop at 20")
    assert result.out.endswith(": v1.2.3\n")
    again = annotate(processor, "v1.2.3", "--service", "shop", "--json")
    assert json.loads(again.out)["text"] == "v1.2.3"
    processor.kill()
    processor.start()
    assert listed(processor) == ["v1.2.3", "1.1"]
    send(processor, "1.1", 30)
    send(processor, "1.0", 40)
    wait_until(lambda: processor.status("availability")["total"] == 4, "the events are counted")
    assert [one["text"] for one in processor.status("availability")["annotations"]] == ["1.1", "v1.2.3"]
    page = get(f"http://{processor.page}/slos/availability").text
    assert "<bdi>v1.2.3</bdi> deployed" in page


def test_what_is_refused(processor: Processor, tmp_path: Path) -> None:
    """Who shows no token, says nothing or names no moment is told so, and what to do."""
    without = annotate(processor, "v2", token=False)
    assert (without.status, without.err) == (1, f"http://{processor.page} answers 401: A bearer token is needed.\n")
    empty = annotate(processor, "")
    assert empty.status == 1
    assert empty.err.endswith('answers 400: text: found ""; expected 1 to 200 characters in one line\n')
    noon = annotate(processor, "v2", "--at", "noon")
    assert (noon.status, noon.err) == (2, "--at: found 'noon'; expected a time like 2026-11-21T14:05:00Z\n")
    missing = call("annotate", "v2", "--token-file", str(tmp_path / "none"))
    assert missing.err == f"--token-file {tmp_path / 'none'}: cannot be read: No such file or directory\n"
    assert "v2" not in listed(processor)


def test_nobody_answers() -> None:
    """A processor that is away is status 3, a wrong address status 2."""
    address = f"http://127.0.0.1:{free_ports(1)[0]}"
    away = call("annotate", "v1", "--to", address)
    assert (away.status, away.err) == (3, f"{address} does not answer: [Errno 111] Connection refused\n")
    wrong = call("annotate", "v1", "--to", "localhost:4321")
    assert wrong.status == 2
    assert wrong.err == "--to: found 'localhost:4321'; expected an address like http://127.0.0.1:4321\n"
