"""``sloburn replay`` on recordings of the Collector's file exporter; what comes out is committed beside them."""

from __future__ import annotations

import gzip
import json
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.scenarios.replay.make import BEGIN, HERE, lines, run, scenarios, traffic
from tests.zstandard import zstd_of

NAMES = sorted(scenarios())
FIRING = "firing"


def copied(name: str, to: Path) -> Path:
    """Return a copy of a scenario that may be changed."""
    return Path(shutil.copytree(HERE / name, to / name))


def replayed(folder: Path, *further: str) -> dict[str, Any]:
    """Return what a scenario gives, as JSON."""
    status, out, err = run(folder, "--json", *further)
    assert status == 0, err
    document: dict[str, Any] = json.loads(out)
    return document


def pages(document: dict[str, Any], variant: int) -> list[str]:
    """Return why pages fired."""
    changes = document["variants"][variant]["alerts"]
    return [one["reason"] for one in changes if (one["severity"], one["state"]) == ("page", FIRING)]


@pytest.mark.parametrize("name", NAMES)
def test_a_recording_gives_what_is_committed(name: str) -> None:
    """Every scenario gives the bytes of its expected.json, and the same bytes again."""
    status, out, _ = run(HERE / name, "--json")
    assert (status, out) == (0, (HERE / name / "expected.json").read_text())
    assert run(HERE / name, "--json")[1] == out


def test_silence_pages_whom_it_is_a_signal_to() -> None:
    """An hour without an event freezes the SLOs on events; freshness pages on time, and its journey with it."""
    document = replayed(HERE / "silence")
    alerts = document["variants"][0]["alerts"]
    fired = {one["slo"]: one["at"] for one in alerts if (one["severity"], one["state"]) == ("page", FIRING)}
    # The last event comes at 14:04:59 and is fresh for 5 min; two bad minutes are needed, known 10 s after their end.
    assert fired["fresh"] == "2026-11-21T14:11:10.000Z"
    assert fired["journey"] < fired["fresh"]  # its other member burns in the outage before
    states = {one["name"]: one["state"] for one in document["variants"][0]["status"][0]["slos"]}
    assert (states["fresh"], states["orders-strict"], states["minutes"]) == ("burning", "no data", "no data")


@pytest.mark.parametrize("name", NAMES)
def test_recordings_have_not_drifted(name: str) -> None:
    """The committed recordings are what tests.scenarios.replay.make writes."""
    for file, content in scenarios()[name].items():
        assert (HERE / name / file).read_bytes() == (content.encode() if isinstance(content, str) else content)


def test_protobuf_and_json_give_the_same() -> None:
    """The same telemetry in either format gives the same numbers and the same alerts."""
    lined, packed = replayed(HERE / "outage"), replayed(HERE / "protobuf")
    assert lined["variants"][0]["alerts"] == packed["variants"][0]["alerts"]
    assert packed["variants"][0]["status"][0]["slos"][0]["bad"] == 60


def test_other_rules_answer_what_would_have_paged() -> None:
    """Six failing seconds page with the early page and do not without it."""
    document = replayed(HERE / "compare")
    (reason,), others = pages(document, 0), pages(document, 1)
    assert "at this pace 2 % of the budget is gone in" in reason
    assert others == []
    _, out, _ = run(HERE / "compare")
    assert ["availability", "page", "1", "0"] in [line.split() for line in out.splitlines()]


def test_what_is_unreadable_is_named_and_does_not_stop_the_rest() -> None:
    """Two flawed lines are named by file and line; every other event counts as without them."""
    document = replayed(HERE / "flaws")
    assert [flaw["place"] for flaw in document["flaws"]] == ["input.jsonl:25", "input.jsonl:27"]
    assert document["variants"][0]["status"][0]["slos"][0]["total"] == 300
    _, _, err = run(HERE / "flaws")
    assert err.splitlines()[-1] == "2 parts of the recordings cannot be read"
    cut = replayed(HERE / "cut-short")
    assert [flaw["reason"] for flaw in cut["flaws"]] == ["the file ends after 310 of 317 bytes of a message"]


def test_strict_ends_at_the_first_flaw() -> None:
    """With --strict nothing is printed, the first flaw is named and the status is 1."""
    status, out, err = run(HERE / "flaws", "--strict")
    assert (status, out) == (1, "")
    assert err.splitlines()[0].startswith("input.jsonl:25: ")
    assert len(err.splitlines()) == 2


def test_two_files_are_one_stream_and_resent_spans_count_once() -> None:
    """Batches split over two files, some of them sent twice, give what one file gave."""
    alone, split = replayed(HERE / "outage"), replayed(HERE / "two-files")
    assert split["variants"][0]["alerts"] == alone["variants"][0]["alerts"]
    assert split["variants"][0]["status"][0]["slos"][0]["total"] == 300


def test_the_status_is_shown_as_it_was_known_then() -> None:
    """--at shows what was known at a moment; after the recording silence is no data, and alerts freeze."""
    first, last = replayed(HERE / "outage")["variants"][0]["status"]
    assert (first["at"], first["slos"][0]["bad"], first["slos"][0]["state"]) == ("2026-11-21T14:02:00.000Z", 0, "ok")
    assert (last["slos"][0]["bad"], last["slos"][0]["state"]) == (60, "no data")


def test_a_gap_is_no_data_and_not_an_end() -> None:
    """An alert that fires when telemetry stops resolves with the first good event hours later and not before."""
    changes = replayed(HERE / "gap")["variants"][0]["alerts"]
    assert [(one["severity"], one["state"], one["at"]) for one in changes][-1] == (
        "page",
        "resolved",
        "2026-11-21T17:00:00.000Z",
    )


def test_a_wrong_clock_does_not_move_the_virtual_one(tmp_path: Path) -> None:
    """One span from the far future among others is refused as such; time goes on with the others."""
    folder = copied("outage", tmp_path)
    requests = traffic(300, range(120, 180))
    span = requests[3].resource_spans[0].scope_spans[0].spans[4]  # type: ignore[attr-defined]
    span.end_time_unix_nano = BEGIN * 2
    (folder / "input.jsonl").write_bytes(lines(requests))
    document = replayed(folder)
    assert document["end"] == "2026-11-21T14:04:59.000Z"
    assert document["variants"][0]["status"][0]["slos"][0]["total"] == 120 - 1


def test_gzip_is_read(tmp_path: Path) -> None:
    """A recording that was compressed as a whole gives what it gave before; a damaged one says so."""
    folder = copied("outage", tmp_path)
    plain = (folder / "input.jsonl").read_bytes()
    expected = replayed(folder)
    (folder / "input.jsonl").write_bytes(gzip.compress(plain))
    assert replayed(folder) == expected
    (folder / "input.jsonl").write_bytes(gzip.compress(plain)[:-400])
    assert "the compressed file is damaged" in replayed(folder)["flaws"][0]["reason"]


def test_zstd_is_read(tmp_path: Path) -> None:
    """A recording in one zstd file gives what it gave before; one that is cut short says so."""
    folder = copied("outage", tmp_path)
    plain = (folder / "input.jsonl").read_bytes()
    expected = replayed(folder)
    (folder / "input.jsonl").write_bytes(zstd_of(plain))
    assert replayed(folder) == expected
    (folder / "input.jsonl").write_bytes(zstd_of(plain[:20_000]) + zstd_of(plain[20_000:])[:-10])
    assert "the compressed file is damaged" in replayed(folder)["flaws"][0]["reason"]


def test_requests_that_the_exporter_compressed_are_read(tmp_path: Path) -> None:
    """With its own zstd the file exporter compresses each request, JSON or protobuf, behind its length."""
    lined, packed = copied("outage", tmp_path), copied("protobuf", tmp_path)
    expected = replayed(lined), replayed(packed)
    bodies = (lined / "input.jsonl").read_bytes().splitlines()
    (lined / "input.jsonl").write_bytes(framed(bodies))
    (packed / "input.binpb").write_bytes(framed(messages((packed / "input.binpb").read_bytes())))
    assert (replayed(lined), replayed(packed)) == expected


def framed(bodies: Iterable[bytes]) -> bytes:
    """Return bodies compressed one by one, each behind its length."""
    compressed = [zstd_of(body) for body in bodies]
    return b"".join(len(body).to_bytes(4, "big") + body for body in compressed)


def messages(recording: bytes) -> Iterator[bytes]:
    """Yield what a recording holds behind its lengths."""
    at = 0
    while at < len(recording):
        end = at + 4 + int.from_bytes(recording[at : at + 4], "big")
        yield recording[at + 4 : end]
        at = end


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"\x28\xb5\x2f\xfd" + bytes(12), "the compressed file is damaged"),
        (b"\0\0\0\x10\x28\xb5\x2f\xfd" + bytes(12), "the zstd body"),
        (b"\xff\xff\xff\xff and so on", "no length of a message is here"),
        (bytes(3), "no length of a message is here"),
        (b"{not json\n", "Expecting property name"),
        (b'{"resourceSpans":[]}\n', "there is nothing to replay"),
        (b"", "there is nothing to replay"),
    ],
)
def test_hopeless_files_say_why(tmp_path: Path, content: bytes, reason: str) -> None:
    """A file that holds nothing to replay ends with status 1 and the reason."""
    folder = copied("protobuf", tmp_path)
    (folder / "input.binpb").write_bytes(content)
    status, out, err = run(folder)
    assert (status, out) == (1, "")
    assert reason in err


@pytest.mark.parametrize(
    ("further", "code", "reason"),
    [
        (["missing.json"], 1, "missing.json: cannot be read: No such file or directory"),
        (["--at", "yesterday"], 2, "--at: found 'yesterday'; expected a time like 2026-11-21T14:05:00Z"),
        (["--at", "2026-11-21T13:00:00Z"], 1, "is before the recording begins"),
        (["--time-scale", "0"], 2, "--time-scale: found 0; expected a whole number from 1 to 3600"),
    ],
)
def test_wrong_calls_say_what_was_expected(further: list[str], code: int, reason: str) -> None:
    """What is wrong is said in a sentence: with status 2 where it is the call, with 1 where it is what it names."""
    status, out, err = run(HERE / "protobuf", *further)
    assert (status, out) == (code, "")
    assert reason in err
