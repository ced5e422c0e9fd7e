"""Server-sent events through a real server: what comes when, who is sent away, and who is missed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import httpx
import pytest

from sloburn.duration import SECOND
from sloburn.outputs.pages import PageSettings
from sloburn.sli.status import Snapshot
from tests.outputs import snapshots
from tests.outputs.serving import Served, served
from tests.processor import get, wait_until

QUICK = PageSettings(heartbeat_seconds=0.05)
SLOW = PageSettings(heartbeat_seconds=600)
WAIT_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Event:
    """One event as a browser sees it."""

    name: str
    id: str
    data: Any


@contextmanager
def stream(url: str, query: str = "") -> Iterator[Iterator[Event]]:
    """Listen as a browser does; without compression, which would hold events back."""
    headers = {"accept": "text/event-stream", "accept-encoding": "gzip"}
    with httpx.stream("GET", f"{url}/api/v1/stream{query}", headers=headers, timeout=WAIT_SECONDS) as answer:
        assert (answer.status_code, answer.headers["content-type"]) == (200, "text/event-stream; charset=utf-8")
        assert "content-encoding" not in answer.headers
        yield read_events(answer.iter_lines())


def read_events(lines: Iterator[str]) -> Iterator[Event]:
    """Read the frames of HTML Living Standard, section 9.2.6."""
    fields: dict[str, str] = {}
    for line in lines:
        if line:
            name, _, value = line.partition(": ")
            fields[name] = value
        elif "data" in fields:
            yield Event(fields.get("event", "message"), fields.get("id", ""), json.loads(fields["data"]))
            fields = {}
        else:
            fields = {}


def later(snapshot: Snapshot, seconds: int) -> Snapshot:
    """Return the same, some seconds later."""
    return replace(snapshot, at_unix_nano=snapshot.at_unix_nano + seconds * SECOND)


def readers(server: Served, count: int) -> None:
    """Wait until so many read."""
    wait_until(lambda: server.board.readers == count, f"{count} readers", WAIT_SECONDS)


def test_the_first_event_comes_at_once_then_one_for_each_change() -> None:
    """Who connects knows everything at once, without waiting for the next evaluation."""
    snapshot = snapshots.demo_snapshot()
    with served(snapshot, settings=SLOW) as server, stream(server.url) as events:
        first = next(events)
        assert (first.name, first.id, first.data["summary"]["text"]) == (
            "status",
            str(snapshots.NOW),
            "1 of 2 SLOs burns · 1 page",
        )
        assert first.data == get(f"{server.url}/api/v1/status").json()
        for seconds in (1, 2):
            server.publish(later(snapshot, seconds))
            assert next(events).id == str(snapshots.NOW + seconds * SECOND)


def test_the_brief_view_holds_only_the_summary() -> None:
    """The page needs to know that something changed, not what."""
    with served(snapshots.many_snapshot(), settings=SLOW) as server, stream(server.url, "?view=summary") as events:
        history = {"history_begins", "history_begins_unix_nano", "notices"}
        assert set(next(events).data) == {"at", "at_unix_nano", "time_scale", "summary"} | history


def test_silence_is_broken_by_heartbeats() -> None:
    """While nothing changes the reader hears that the server is there."""
    with served(snapshots.demo_snapshot(), settings=QUICK) as server, stream(server.url) as events:
        assert [next(events).name for _ in range(4)] == ["status", "heartbeat", "heartbeat", "heartbeat"]


def test_a_stream_may_open_before_the_first_snapshot() -> None:
    """A page that is opened early is served as soon as there is something."""
    with served(settings=SLOW) as server, stream(server.url) as events:
        readers(server, 1)
        server.publish(snapshots.demo_snapshot())
        assert next(events).name == "status"


def test_a_reader_that_leaves_is_forgotten() -> None:
    """A closed tab costs nothing, even if nothing changes any more."""
    with served(snapshots.demo_snapshot(), settings=SLOW) as server:
        with stream(server.url) as events:
            next(events)
            assert server.board.readers == 1
        readers(server, 0)


def test_a_closing_server_ends_its_streams() -> None:
    """Open tabs do not hold up the shutdown: the stream ends without an error."""
    with served(snapshots.demo_snapshot(), settings=SLOW) as server, stream(server.url) as events:
        next(events)
        server.close()
        assert [event for event in events if event.name == "status"] == []


def test_too_many_streams_are_sent_away() -> None:
    """Beyond the limit a reader is told when to come back; when one leaves, there is room again."""
    settings = replace(SLOW, max_streams=2)
    with served(snapshots.demo_snapshot(), settings=settings) as server:
        with stream(server.url) as one, stream(server.url) as other:
            next(one), next(other)
            refused = get(f"{server.url}/api/v1/stream")
            assert (refused.status_code, refused.headers["retry-after"]) == (503, "5")
            assert refused.json() == {"error": "Too many streams are open."}
        readers(server, 0)
        with stream(server.url) as again:
            assert next(again).name == "status"


@pytest.mark.parametrize("path", ["/", "/metrics", "/static/sloburn.css"])
def test_the_rest_is_served_meanwhile(path: str) -> None:
    """An open stream blocks nobody."""
    with served(snapshots.demo_snapshot(), settings=SLOW) as server, stream(server.url) as events:
        next(events)
        assert get(server.url + path).status_code == httpx.codes.OK
