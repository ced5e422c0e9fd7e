"""Log files: JSON lines, rotation, several processes, and disks that refuse."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import Any

import pytest

from sloburn.sdk.log_files import LineFile
from tests.sdk.collector import Collector
from tests.sdk.processes import succeed
from tests.sdk.test_logs_stream import events


@pytest.mark.parametrize("look", ["json", "console"])
def test_file_gets_json_lines(tmp_path: Path, look: str) -> None:
    """The file holds one JSON line for each event, whatever standard output looks like."""
    path = tmp_path / "logs" / "app.log"
    done = succeed(
        f"""
from sloburn import get_logger, init_telemetry
init_telemetry(log_format={look!r}, log_file={str(path)!r}, logs=False, traces=False, metrics=False)
get_logger("cart").info("added", item=7)
"""
    )
    lines = events(path.read_text())
    assert [event["event"] for event in lines if event["logger"] == "cart"] == ["added"]
    assert done.stdout.count("added") == 1


def test_processes_share_a_file_that_rotates(tmp_path: Path) -> None:
    """Four processes write one file: it rotates by size, keeps its count, and no line is torn, lost or doubled."""
    path = tmp_path / "app.log"
    succeed(
        f"""
import os
from sloburn import get_logger, init_telemetry
init_telemetry(log_file={str(path)!r}, log_file_max_bytes=60_000, log_file_count=30, logs=False, traces=False,
               metrics=False)
processes = []
for writer in range(4):
    process = os.fork()
    if process == 0:
        for number in range(500):
            get_logger("writer").info("line", writer=writer, number=number)
        os._exit(0)
    processes.append(process)
for process in processes:
    os.waitpid(process, 0)
"""
    )
    files = sorted(tmp_path.glob("app.log*"))
    parts = [file for file in files if file.suffix != ".lock"]
    seen = [event for part in parts for event in events(part.read_text()) if event["logger"] == "writer"]
    assert sorted((event["writer"], event["number"]) for event in seen) == [
        (writer, number) for writer in range(4) for number in range(500)
    ]
    assert len(parts) > 3
    assert max(part.stat().st_size for part in parts) < 61_000


def test_file_keeps_its_count(tmp_path: Path) -> None:
    """The oldest file goes when there are as many as wanted; one that somebody moved away is begun anew."""
    file = LineFile(tmp_path / "app.log", max_bytes=1024, count=3)
    for number in range(100):
        file.write(f"{number:099d}")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["app.log", "app.log.1", "app.log.2", "app.log.lock"]
    assert int((tmp_path / "app.log").read_text().splitlines()[-1]) == 99
    (tmp_path / "app.log").rename(tmp_path / "moved")
    file.write("next")
    assert (tmp_path / "app.log").read_text() == "next\n"
    file.close()


@pytest.mark.parametrize("call", ["stat", "replace"])
def test_file_is_written_within_a_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str) -> None:
    """A signal handler that logs while the file is written, or rotated, neither waits for ever nor loses its line."""
    file = LineFile(tmp_path / "app.log", max_bytes=1024, count=3)
    file.write("a" * 1000)
    real, inner = getattr(os, call), iter(["inner"])

    def interrupted(*arguments: Any, **settings: Any) -> object:
        for line in inner:
            file.write(line)
        return real(*arguments, **settings)

    monkeypatch.setattr(os, call, interrupted)
    writing = threading.Thread(target=file.write, args=("outer" * 20,), daemon=True)
    writing.start()
    writing.join(30)
    assert not writing.is_alive()
    lines = [line for path in tmp_path.glob("app.log*") for line in path.read_text().splitlines()]
    assert sorted(lines) == ["a" * 1000, "inner", "outer" * 20]


def test_file_that_cannot_be_written_costs_no_event(tmp_path: Path) -> None:
    """A file that cannot be opened is counted, as a metric too; the line is still on standard output."""
    with Collector() as collector:
        done = succeed(
            f"""
from sloburn import get_logger, init_telemetry
init_telemetry(log_file={str(tmp_path)!r}, logs=False, traces=False)
get_logger("cart").info("added")
""",
            extra={"OTEL_EXPORTER_OTLP_ENDPOINT": collector.endpoint},
        )
    assert "added" in {event["event"] for event in events(done.stdout)}
    assert collector.total("sloburn.log.lines.lost") >= 1
