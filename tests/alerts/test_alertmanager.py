"""Alertmanager hears of every alert: its identity, its begin, its end."""

from __future__ import annotations

import asyncio
import json
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from email.utils import parsedate_to_datetime
from fractions import Fraction
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest

from sloburn.alerts.alertmanager import RESOLVED_FOR_NS, PostableAlert, postable_alerts
from sloburn.alerts.sender import AlertmanagerSender
from sloburn.duration import MINUTE, SECOND
from sloburn.sli.status import Snapshot, Suspect
from sloburn.slo.alerting import Alert, AlertState
from sloburn.slo.annotation import Annotation, Kind
from sloburn.slo.budget import Count
from sloburn.slo.model import Severity
from tests.debian import program
from tests.processor import READY_SECONDS, free_ports, get, wait_until
from tests.promises import span_slo
from tests.sli.harness import NOW, Bench
from tests.telemetry import SpanSpec, trace_request

CONFIG = "route: {receiver: nobody}\nreceivers: [{name: nobody}]\n"


def burning(*, group_by: tuple[str, ...] = ()) -> Snapshot:
    """Return a snapshot in which page and ticket fire."""
    slo = replace(span_slo(group_by=group_by), runbook="https://example.org/runbook")
    bench = Bench(slo)
    values = {"http.route": "/pay"}
    spans = [SpanSpec(number=n, end=NOW, error=n <= 20, values=values, exception="Timeout") for n in range(1, 41)]
    bench.traces(trace_request(spans))
    return bench.snapshot()


def with_alerts(snapshot: Snapshot, *alerts: Alert) -> Snapshot:
    """Return a snapshot whose only status has these alerts."""
    (status,) = snapshot.statuses
    return replace(snapshot, statuses=(replace(status, alerts=alerts),))


def test_an_alert_that_fires() -> None:
    """Labels are the identity and nothing else; annotations say what happened, why, and what to do."""
    page, ticket = postable_alerts(burning(), "http://sloburn.example/")
    assert page["labels"] == {
        "alertname": "SloBurn",
        "slo": "availability",
        "service": "shop",
        "severity": "page",
    }
    assert (page["startsAt"], page["generatorURL"]) == (
        "2025-10-09T08:53:20.000Z",
        "http://sloburn.example/slos/availability",
    )
    assert "endsAt" not in page
    assert page["annotations"] == {
        "summary": "availability of shop burns its error budget",
        "description": (
            "burn rate 500 over 1 h (20 of 40 events were bad), above 14.4; -49900.0 % of the budget is left"
        ),
        "runbook_url": "https://example.org/runbook",
        "suspect": "exception=Timeout",
        "autopsy": "exception=Timeout in 100 % of bad events (20 bad, 0 good)",
        "trace_id": f"{20:032x}",
    }
    assert isinstance(ticket["labels"], dict)
    assert ticket["labels"]["severity"] == "ticket"


def test_groups_are_alerts_of_their_own() -> None:
    """The group is part of the identity."""
    labels = postable_alerts(burning(group_by=("http.route",)))[0]["labels"]
    assert isinstance(labels, dict)
    assert labels["group"] == "http.route=/pay"


def test_group_is_written_as_everywhere() -> None:
    """What has a meaning in the label is escaped, as on `/metrics`, so that compiled rules name the same alert."""
    snapshot = burning(group_by=("http.route",))
    (status,) = (one for one in snapshot.statuses if one.group)
    odd = replace(snapshot, statuses=(replace(status, group=(("http.route", "/a,b=c"),)),))
    labels = postable_alerts(odd)[0]["labels"]
    assert isinstance(labels, dict)
    assert labels["group"] == "http.route=/a\\,b\\=c"


def test_the_end_is_told_for_a_while() -> None:
    """A resolved alert carries when it ended, and is left out once everybody must have heard."""
    resolved = Alert(
        severity=Severity.PAGE,
        state=AlertState.RESOLVED,
        fired_unix_nano=NOW - MINUTE,
        resolved_unix_nano=NOW - SECOND,
    )
    snapshot = with_alerts(burning(), resolved)
    (told,) = postable_alerts(snapshot)
    assert (told["startsAt"], told["endsAt"]) == ("2025-10-09T08:52:20.000Z", "2025-10-09T08:53:19.000Z")
    assert postable_alerts(replace(snapshot, at_unix_nano=NOW + RESOLVED_FOR_NS)) == []


@pytest.mark.parametrize("state", [AlertState.INACTIVE, AlertState.PENDING])
def test_what_does_not_fire_is_not_told(state: AlertState) -> None:
    """Pending alerts stay here."""
    assert postable_alerts(with_alerts(burning(), Alert(severity=Severity.PAGE, state=state))) == []


def test_a_budget_alert() -> None:
    """A budget alert has a name and a label of its own, so it is never taken for the burn alert of its severity."""
    low = Alert(severity=Severity.PAGE, left=Fraction(1, 10), state=AlertState.FIRING, fired_unix_nano=NOW)
    gone = replace(low, left=Fraction(0))
    snapshot = with_alerts(burning(), low, gone)
    first, second = postable_alerts(snapshot)
    assert first["labels"] == {
        "alertname": "SloBudget",
        "alert": "budget-10%",
        "slo": "availability",
        "service": "shop",
        "severity": "page",
    }
    assert isinstance(first["annotations"], dict)
    assert first["annotations"]["summary"] == "availability of shop has at most 10 % of its error budget left"
    assert first["annotations"]["description"] == (
        "-49900.0 % of the budget is left: 20 bad events of 0.04 that 40 events allow"
    )
    assert isinstance(second["annotations"], dict)
    assert second["annotations"]["summary"] == "availability of shop has spent its error budget"


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have a sender wait longer for an answer, and with its next try: a busy machine is no dead Alertmanager."""
    for name in ("TIMEOUT_SECONDS", "RETRY_SECONDS", "REPEAT_SECONDS"):
        monkeypatch.setattr(f"sloburn.alerts.sender.{name}", 10 * READY_SECONDS)


@pytest.fixture
def alertmanager(tmp_path: Path) -> Iterator[str]:
    """A real Alertmanager; its address."""
    binary = program("prometheus-alertmanager", "prometheus-alertmanager")
    (port,) = free_ports(1)
    config = tmp_path / "alertmanager.yml"
    config.write_text(CONFIG)
    flags = [f"--config.file={config}", f"--storage.path={tmp_path}", "--cluster.listen-address="]
    log = (tmp_path / "log").open("w")
    process = subprocess.Popen(
        [binary, *flags, f"--web.listen-address=127.0.0.1:{port}"], stdout=log, stderr=subprocess.STDOUT
    )
    address = f"http://127.0.0.1:{port}"

    def is_ready() -> bool:
        try:
            return get(f"{address}/-/ready").is_success
        except httpx.TransportError:
            return False

    try:
        wait_until(is_ready, "Alertmanager is ready")
        yield address
    finally:
        process.terminate()
        process.wait(timeout=READY_SECONDS)
        log.close()


def tell(addresses: list[str], *snapshots: Snapshot) -> AlertmanagerSender:
    """Let a sender follow snapshots to their end."""
    waiting = [*snapshots, None]
    sender = AlertmanagerSender(addresses)

    async def following() -> Snapshot | None:
        return waiting.pop(0)

    asyncio.run(sender.run(following))
    return sender


def test_a_real_alertmanager_takes_them(alertmanager: str) -> None:
    """Alertmanager lists what fires, takes a repetition for the same alert, and drops what ended."""
    snapshot = burning()
    now = _now(alertmanager)
    lately = [replace(alert, fired_unix_nano=now - MINUTE) for alert in snapshot.statuses[0].alerts]
    firing = replace(with_alerts(snapshot, *lately), at_unix_nano=now)
    sender = tell([alertmanager], firing, firing)
    found = get(f"{alertmanager}/api/v2/alerts").json()
    assert sorted(one["labels"]["severity"] for one in found) == ["page", "ticket"]
    assert sender.sent == {(alertmanager, "sent"): 2}
    ended = [replace(one, state=AlertState.RESOLVED, resolved_unix_nano=now - SECOND) for one in lately]
    tell([alertmanager], replace(with_alerts(snapshot, *ended), at_unix_nano=now))
    assert get(f"{alertmanager}/api/v2/alerts").json() == []


def _now(address: str) -> int:
    """Return Alertmanager's own clock, nanoseconds since the epoch, to the second."""
    answer = get(f"{address}/-/ready")
    return int(parsedate_to_datetime(answer.headers["Date"]).timestamp()) * SECOND


def test_a_dead_alertmanager_is_counted_and_hurts_nobody() -> None:
    """Nobody listens: it is counted and logged once, and the next snapshot is followed all the same."""
    snapshot = burning()
    changed = with_alerts(snapshot, replace(snapshot.statuses[0].alerts[0], fired_unix_nano=NOW + SECOND))
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # and never listens
        dead = f"http://127.0.0.1:{taken.getsockname()[1]}"
        sender = tell([dead], snapshot, snapshot, changed)
    assert sender.sent == {(dead, "failed"): 3}


def test_words_are_found_only_for_what_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Snapshots come every second: as long as no alert changes, none is put into words."""
    worded: list[Snapshot] = []

    def word(snapshot: Snapshot, page_url: str = "") -> list[PostableAlert]:
        worded.append(snapshot)
        return postable_alerts(snapshot, page_url)

    monkeypatch.setattr("sloburn.alerts.sender.postable_alerts", word)
    snapshot = burning()
    resolved = replace(snapshot.statuses[0].alerts[0], state=AlertState.RESOLVED, resolved_unix_nano=NOW)
    with answering() as address:
        tell([address], *[replace(snapshot, at_unix_nano=NOW + n) for n in range(50)], with_alerts(snapshot, resolved))
    assert len(worded) == 2


def test_half_a_smile_does_not_stop_the_sender() -> None:
    """What UTF-8 cannot carry comes from telemetry and arrives all the same; the sender goes on."""
    snapshot = burning()
    status = snapshot.statuses[0]
    hostile = replace(status, group=(("tenant", "half \ud83d of a smile"),))
    with answering() as address:
        sender = tell([address], replace(snapshot, statuses=(hostile,)))
        assert sender.sent == {(address, "sent"): 2}


def test_the_autopsy_is_told_with_its_figures() -> None:
    """What stands out is told with shares, lift and counts, so that whoever is paged need not open the page."""
    half = Suspect(
        key="http.route", value="/pay", count=Count(12, 94), bad_share=Fraction(94, 100), good_share=Fraction(12, 100)
    )
    status = replace(burning().statuses[0], suspects=(half,))
    page, _ = postable_alerts(replace(burning(), statuses=(status,)))
    assert isinstance(page["annotations"], dict)
    assert page["annotations"]["autopsy"] == (
        "http.route=/pay in 94 % of bad and 12 % of good events, 7.83 times as common (94 bad, 12 good)"
    )


def test_the_deploy_before_the_burn_is_told() -> None:
    """An alert says which deploy came shortly before it."""
    deploy = Annotation(at_unix_nano=NOW - 4 * MINUTE, kind=Kind.DEPLOY, text="v1.2.3", service="shop")
    page, _ = postable_alerts(replace(burning(), annotations=(deploy,)))
    assert isinstance(page["annotations"], dict)
    assert page["annotations"]["deploy"] == "v1.2.3 was deployed 4 min before the burn began"


@contextmanager
def answering() -> Iterator[str]:
    """Answer every request with 200, as an Alertmanager would; yield the address."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()
