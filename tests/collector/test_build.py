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
BROKEN = "go: example.org/x@v1: stream error: stream ID 97; INTERNAL_ERROR; received from peer"
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


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of the test's own: builds write below it."""
    folder = tmp_path / "cache"
    monkeypatch.setenv(places.CACHE_VARIABLE, str(folder))
    return folder


@pytest.mark.parametrize("complaint", [TIMEOUT, BROKEN])
def test_network_that_comes_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, complaint: str) -> None:
    """A download that fails is tried again, and what happened is said."""
    stand_in(tmp_path, "go", f"[ $calls -ge 3 ] || {{ echo '{complaint}' >&2; exit 1; }}", monkeypatch)
    said: list[str] = []
    golang.build(["build"], tmp_path, said.append, "1/1 x")

    assert calls(tmp_path) == 3
    assert said == [f"1/1 x: the network failed, trying again in 0 s: {complaint}"] * 2


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


@pytest.mark.parametrize(("words", "seconds"), [("go: downloading example.org/x v1", 600), ("example.org/x", 1200)])
def test_silent_build_is_begun_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: str, seconds: int) -> None:
    """A build that hangs ends, and is tried again: one that downloads sooner than one that may be linking."""
    clock = [0.0]

    class Listening(golang.Progress):
        def note(self, line: str) -> None:
            super().note(line)
            clock[0] += seconds  # silence begins after the first word of the first attempt, and lasts until it is over

    monkeypatch.setattr(golang, "monotonic", lambda: clock[0])
    monkeypatch.setattr(golang, "Progress", Listening)
    stand_in(tmp_path, "go", f"[ $calls -ge 2 ] || {{ echo '{words}' >&2; exec sleep 600; }}", monkeypatch)
    said: list[str] = []
    golang.build(["build"], tmp_path, said.append, "x")

    assert said[-1] == f"x: the network failed, trying again in 0 s: nothing was heard of it for {seconds} s"
    assert calls(tmp_path) == 2


def test_full_disk_is_told_before(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where our cache has no room, nothing is begun; the message names place, room and need."""
    monkeypatch.setattr("shutil.disk_usage", lambda _place: Usage(0, 0, 300 * 2**20))
    with pytest.raises(StackError, match=r"has room for 300 MiB, and building 2 programs needs about \d+ MiB"):
        golang.check_room(2)


def test_builds_leave_the_caches_of_go_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cache: Path) -> None:
    """Modules, packages and what is being linked go to a folder of ours, which is removed once all is built."""
    script = 'mkdir -p "$GOCACHE" "$GOMODCACHE"; echo "$GOCACHE $GOMODCACHE $GOTMPDIR" > asked'
    stand_in(tmp_path, "go", script, monkeypatch)
    golang.build(["build"], tmp_path, print, "x")
    asked = [Path(place) for place in (tmp_path / "asked").read_text().split()]

    assert len(asked) == 3
    assert all(place.is_relative_to(cache) and place.is_dir() for place in asked)
    golang.forget()
    assert not any(place.exists() for place in asked)


@pytest.mark.parametrize(("asked", "given"), [("", "auto"), ("local", "auto"), ("go1.30.0+auto", "go1.30.0+auto")])
def test_newer_go_is_fetched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, asked: str, given: str) -> None:
    """A Go that is older than what modules ask for may fetch a newer one, in an image that forbids it, too."""
    monkeypatch.setenv("GOTOOLCHAIN", asked)
    stand_in(tmp_path, "go", 'echo "$GOTOOLCHAIN" > asked', monkeypatch)
    golang.build(["build"], tmp_path, print, "x")

    assert (tmp_path / "asked").read_text() == f"{given}\n"


def test_half_an_installation_is_finished(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where an installation was killed half way, what apt asks for then is done, and it is asked again."""
    complaint = "E: dpkg was interrupted, you must manually run 'dpkg --configure -a' to correct the problem."
    script = f'case "$1" in install) [ -e mended ] || {{ echo "{complaint}" >&2; exit 100; }}; touch installed;; esac'
    stand_in(tmp_path, "apt-get", script, monkeypatch)
    stand_in(tmp_path, "dpkg", "touch mended", monkeypatch)
    server = next(program for program in DEBIAN_PROGRAMS if program.service)
    monkeypatch.setattr(debian, "DEBIAN_PROGRAMS", (server,))
    monkeypatch.setattr(debian, "find", lambda _program: tmp_path if (tmp_path / "installed").exists() else None)
    monkeypatch.setattr("os.geteuid", lambda: 0)

    assert debian.fetch_missing(print) == []
    assert (tmp_path / "mended").exists()


def test_apt_is_not_waited_for_for_ever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where attempts take long, there are not as many of them."""
    stand_in(tmp_path, "apt-get", "exit 100", monkeypatch)
    monkeypatch.setattr(debian, "DEBIAN_PROGRAMS", (DEBIAN_PROGRAMS[0],))
    monkeypatch.setattr(debian, "find", lambda _program: None)
    monkeypatch.setattr(debian, "monotonic", lambda: 1000.0 * calls(tmp_path) if (tmp_path / "calls").exists() else 0.0)
    monkeypatch.setattr("os.geteuid", lambda: 0)
    (advice,) = debian.fetch_missing(print)

    assert advice.endswith("exit status 100")
    assert calls(tmp_path) == 2  # update and download, once


def test_apt_that_comes_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where apt fails, its complaint is passed on and it is asked again; in the end a person is told."""
    stand_in(
        tmp_path, "apt-get", "printf 'E: Could not get lock\\nE: Is another using it?\\n' >&2; exit 100", monkeypatch
    )
    monkeypatch.setattr(debian, "DEBIAN_PROGRAMS", (DEBIAN_PROGRAMS[0],))
    monkeypatch.setattr(debian, "find", lambda _program: None)
    monkeypatch.setattr("os.geteuid", lambda: 0)
    said: list[str] = []
    (advice,) = debian.fetch_missing(said.append)

    complaint = "E: Could not get lock / E: Is another using it?"
    assert advice.endswith(f"(as root): {complaint}")
    assert said.count(f"fetching from Debian failed, trying again in 0 s: {complaint}") == 2
    assert calls(tmp_path) == 6  # three times update and download


def test_user_without_a_home(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who has no home, as users of containers, has the cache in the checkout."""

    def nowhere() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv(places.CACHE_VARIABLE)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(Path, "home", nowhere)

    assert places.cache_folder() == places.ROOT / ".cache" / "sloburn-stack"
