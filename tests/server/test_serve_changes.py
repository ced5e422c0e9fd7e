"""The real processor while its SLO documents change and its store is damaged: it goes on, and says so everywhere."""

from __future__ import annotations

import resource
import threading
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from sloburn.server.storage import FILE_NAME
from tests.processor import Processor, get, post, wait_until
from tests.telemetry import SpanSpec, trace_request

SLO = """
  - name: {name}
    service: shop
    objective: {objective}
    period: 30d
    indicator:
      spans: {{kind: server}}
      bad: {{status: error}}
"""
PATIENCE = 60.0


def document(*slos: tuple[str, str]) -> str:
    """Return an SLO document: names and objectives."""
    return "version: sloburn/v1\nslos:" + "".join(SLO.format(name=name, objective=each) for name, each in slos)


class Sender(threading.Thread):
    """Posts requests of ten spans, one of them bad, again and again until each is acknowledged.

    Each has a connection of its own: a port that is closed for a moment refuses one, and none is old and closed.
    """

    def __init__(self, address: str) -> None:
        super().__init__(daemon=True)
        self.acknowledged = 0
        self.stopping = threading.Event()
        self.refusals: list[int] = []  # statuses; 0 where nobody answered
        self._address = address

    def run(self) -> None:
        """Post until told to stop; a request that is not acknowledged is posted again."""
        afresh = httpx.Limits(max_keepalive_connections=0)
        with httpx.Client(timeout=PATIENCE, limits=afresh, trust_env=False) as client:
            while not self.stopping.is_set():
                first = 10 * self.acknowledged + 1
                now = time.time_ns()
                specs = [SpanSpec(number=first + n, end=now, error=n == 0) for n in range(10)]
                if not self._deliver(client, trace_request(specs).SerializeToString()):
                    return
                self.acknowledged += 1

    def _deliver(self, client: httpx.Client, body: bytes) -> bool:
        headers = {"Content-Type": "application/x-protobuf"}
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            try:
                status = client.post(f"http://{self._address}/v1/traces", content=body, headers=headers).status_code
            except httpx.TransportError:
                status = 0
            if status == httpx.codes.OK:
                return True
            self.refusals.append(status)
            time.sleep(0.05)
        return False

    def stop(self) -> tuple[int, int]:
        """Stop; return good and bad events that were acknowledged."""
        self.stopping.set()
        self.join(PATIENCE)
        return 9 * self.acknowledged, self.acknowledged


def status(processor: Processor) -> dict[str, Any]:
    """Return the API's document of everything."""
    found: dict[str, Any] = get(f"http://{processor.page}/api/v1/status").json()
    return found


def metric(processor: Processor, name: str) -> float:
    """Return the value of a metric of one series, or of the one that a name with labels tells."""
    lines = get(f"http://{processor.page}/metrics").text.splitlines()
    return float(next(line.rpartition(" ")[2] for line in lines if line.startswith(f"{name} ")))


@pytest.mark.timeout(500)
def test_documents_change_under_traffic(tmp_path: Path) -> None:
    """Documents change under traffic: nothing is lost or doubled, and wrong ones are refused until they are mended."""
    slos = tmp_path / "slos.yaml"
    slos.write_text(document(("a", "99")))
    with Processor(slos, tmp_path, "--no-watch") as processor:
        sender = Sender(processor.http)
        sender.start()
        wait_until(lambda: sender.acknowledged > 5, "requests are acknowledged", PATIENCE)
        slos.write_text(document(("b", "99"), ("a", "95")))
        processor.hang_up()
        ok = 'sloburn_config_reloads_total{outcome="ok"}'
        wait_until(lambda: metric(processor, ok) == 1, "the documents are taken", PATIENCE)
        slos.write_text(document(("a", "ninety")))
        processor.hang_up()
        wait_until(lambda: metric(processor, "sloburn_config_reload_ok") == 0, "the documents are refused", PATIENCE)
        wait_until(lambda: status(processor)["notices"], "the API says so", PATIENCE)
        (notice,) = status(processor)["notices"]
        assert "are not in force, the ones before them are" in notice["text"]
        assert f"{slos}:5: slos[0].objective: found" in notice["text"]
        assert not notice["over"]
        assert "not in force" in get(f"http://{processor.page}/").text
        assert [one["name"] for one in status(processor)["slos"]] == ["b", "a"]
        slos.write_text(document(("a", "90")))
        processor.hang_up()
        wait_until(lambda: not status(processor)["notices"], "all is well again", PATIENCE)
        assert metric(processor, "sloburn_config_reload_ok") == 1
        assert metric(processor, "sloburn_removed_slos") == 1
        expected = sender.stop()
        assert sender.refusals == []
        wait_until(lambda: processor.counts("a") == expected, f"{expected} are counted", PATIENCE)
        assert processor.status("a")["objective"] == "0.9"
        assert "the SLO documents were read again: added b; changed a" in processor.log.read_text()
        assert "are not in force" in processor.log.read_text()


@pytest.mark.timeout(500)
def test_a_changed_document_is_noticed_and_a_damaged_store_survived(tmp_path: Path) -> None:
    """A document that changes is read without being told; a store that was damaged is moved aside at the next start."""
    slos = tmp_path / "slos.yaml"
    slos.write_text(document(("a", "99")))
    with Processor(slos, tmp_path) as processor:
        slos.write_text(document(("a", "99"), ("b", "99")))
        names = ["a", "b"]
        wait_until(lambda: [one["name"] for one in status(processor)["slos"]] == names, "b is there", PATIENCE)
        began = status(processor)["history_begins_unix_nano"]
        processor.kill()
        for file in (tmp_path / "data").iterdir():
            file.write_bytes(b"\xa5" * 5000)
        processor.start()
        found = status(processor)
        (notice,) = found["notices"]
        assert "it was moved aside as sloburn.db.damaged-" in notice["text"]
        assert notice["over"]
        assert found["history_begins_unix_nano"] > began
        assert metric(processor, "sloburn_history_begin_timestamp_seconds") * 1e9 > began
        assert metric(processor, "sloburn_store_ok") == 1
        assert metric(processor, "sloburn_store_damages") == 1
        assert "moved aside" in get(f"http://{processor.page}/").text
        assert notice["text"] in processor.log.read_text()
        kept = {file.name for file in (tmp_path / "data").iterdir() if ".damaged-" in file.name}
        assert {name.split(".damaged-")[0] for name in kept} == {FILE_NAME}


@pytest.mark.timeout(500)
def test_a_disk_that_is_full_for_a_while(tmp_path: Path) -> None:
    """While nothing can be written senders are told when to retry; then it goes on by itself, and nothing is lost."""
    slos = tmp_path / "slos.yaml"
    slos.write_text(document(("a", "99")))
    with Processor(slos, tmp_path) as processor:
        sender = Sender(processor.http)
        sender.start()
        wait_until(lambda: sender.acknowledged > 5, "requests are acknowledged", PATIENCE)
        _, hard = resource.prlimit(processor.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(processor.pid, resource.RLIMIT_FSIZE, (8192, hard))
        wait_until(lambda: bool(sender.refusals), "requests are refused", PATIENCE)
        wait_until(lambda: metric(processor, "sloburn_store_ok") == 0, "the metrics say so", PATIENCE)
        wait_until(lambda: status(processor)["notices"], "the API says so", PATIENCE)
        assert "senders are told to retry" in status(processor)["notices"][0]["text"]
        span = trace_request([SpanSpec(number=1, end=time.time_ns())]).SerializeToString()
        headers = {"Content-Type": "application/x-protobuf"}
        answer = post(f"http://{processor.http}/v1/traces", content=span, headers=headers)
        known = answer.status_code == httpx.codes.OK  # the span was counted before: nothing had to be written
        assert known or (answer.status_code, answer.headers["Retry-After"].isdigit()) == (503, True)
        before = sender.acknowledged
        resource.prlimit(processor.pid, resource.RLIMIT_FSIZE, (hard, hard))
        wait_until(lambda: sender.acknowledged > before, "requests are acknowledged again", PATIENCE)
        wait_until(lambda: not status(processor)["notices"], "all is well again", PATIENCE)
        expected = sender.stop()
        assert set(sender.refusals) == {503}
        processor.kill()
        processor.start()
        assert processor.counts("a") == expected
