"""What a build does when the network, apt or the disk lets it down; a script stands in for the program it asks."""

from __future__ import annotations

from collections import namedtuple
from pathlib import Path

import pytest
from collector.stack import debian, golang, places
from collector.stack.places import StackError
from collector.stack.programs import DEBIAN_PROGRAMS

TIMEOUT = 'go: example.org/x@v1: Get "https://proxy.example.org/x": dial tcp: i/o timeout'
MISSING = "go: example.org/x@v1: reading https://proxy.example.org/x: 404 Not Found"
COMPILER = "./main.go:3:1: syntax error: unexpected name"
Usage = namedtuple("Usage", "total used free")


@pytest.fixture(autouse=True)
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """No pauses between attempts."""
    monkeypatch.setattr(golang, "PAUSES_SECONDS", (0.0, 0.0))
    monkeypatch.setattr(debian, "PAUSES_SECONDS", (0.0, 0.0))


def stand_in(folder: Path, name: str, script: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Put a script in front of the program of that name; it counts its calls in a file beside it."""
    program = folder / name
    program.write_text(f"#!/bin/sh\ncd {folder}\necho x >> calls\ncalls=$(wc -l < calls)\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(folder), prepend=":")


def calls(folder: Path) -> int:
    """Return how often the stand-in was called."""
    return (folder / "calls").read_text().count("x")


def test_network_that_comes_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A download that fails is tried again, and what happened is said."""
    stand_in(tmp_path, "go", f"[ $calls -ge 3 ] || {{ echo '{TIMEOUT}' >&2; exit 1; }}", monkeypatch)
    said: list[str] = []
    golang.build(["build"], tmp_path, said.append, "1/1 x")

    assert calls(tmp_path) == 3
    assert said == [f"1/1 x: the network failed, trying again in 0 s: {TIMEOUT}"] * 2


def test_network_that_stays_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After the last attempt the build fails with what Go said."""
    stand_in(tmp_path, "go", f"echo '{TIMEOUT}' >&2; exit 1", monkeypatch)
    with pytest.raises(StackError, match="i/o timeout"):
        golang.build(["build"], tmp_path, print, "x")

    assert calls(tmp_path) == 3


@pytest.mark.parametrize("complaint", [COMPILER, MISSING])
def test_mistake_is_not_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, complaint: str) -> None:
    """What will not be another time fails at once."""
    stand_in(tmp_path, "go", f"echo '{complaint}' >&2; exit 1", monkeypatch)
    with pytest.raises(StackError, match=complaint[-9:]):
        golang.build(["build"], tmp_path, print, "x")

    assert calls(tmp_path) == 1


def test_silent_build_is_begun_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A download that hangs ends, and is tried again."""
    monkeypatch.setattr(golang, "_SILENCE_SECONDS", 0.5)
    stand_in(tmp_path, "go", "[ $calls -ge 2 ] || exec sleep 600", monkeypatch)
    said: list[str] = []
    golang.build(["build"], tmp_path, said.append, "x")

    assert said == ["x: the network failed, trying again in 0 s: nothing was heard of it for 0 s"]


def test_full_disk_is_told_before(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where our cache has no room, nothing is begun; the message names place, room and need."""
    monkeypatch.setattr("shutil.disk_usage", lambda _place: Usage(0, 0, 300 * 2**20))
    with pytest.raises(StackError, match=r"has room for 300 MiB, and building 2 programs needs about \d+ MiB"):
        golang.check_room(2)


def test_builds_leave_the_caches_of_go_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Modules and packages go to a folder of ours, which is removed once all is built."""
    monkeypatch.setenv(places.CACHE_VARIABLE, str(tmp_path / "cache"))
    script = 'mkdir -p "$GOCACHE" "$GOMODCACHE"; echo "$GOCACHE $GOMODCACHE" > asked'
    stand_in(tmp_path, "go", script, monkeypatch)
    golang.build(["build"], tmp_path, print, "x")
    asked = [Path(place) for place in (tmp_path / "asked").read_text().split()]

    assert all(place.is_relative_to(tmp_path / "cache") and place.is_dir() for place in asked)
    golang.forget()
    assert not any(place.exists() for place in asked)


def test_apt_that_comes_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where apt fails, its complaint is passed on and it is asked again; in the end a person is told."""
    stand_in(tmp_path, "apt-get", "echo 'E: Could not get lock' >&2; exit 100", monkeypatch)
    monkeypatch.setattr(debian, "DEBIAN_PROGRAMS", (DEBIAN_PROGRAMS[0],))
    monkeypatch.setattr(debian, "find", lambda _program: None)
    monkeypatch.setattr("os.geteuid", lambda: 0)
    said: list[str] = []
    (advice,) = debian.fetch_missing(said.append)

    assert advice.endswith("(as root): E: Could not get lock")
    assert said.count("fetching from Debian failed, trying again in 0 s: E: Could not get lock") == 2
    assert calls(tmp_path) == 6  # three times update and download
