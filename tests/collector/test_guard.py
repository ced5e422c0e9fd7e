"""Nothing that tests of the stack start outlives them, however they end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from collector.stack import state as states
from collector.stack.places import ROOT
from collector.stack.ports import USUAL
from collector.stack.processes import Identity, start
from collector.stack.state import State

from tests.stack.guard import clean, guarded_folder, sweep

SLEEPER = (sys.executable, "-c", "import time; time.sleep(600)")
PATIENCE_SECONDS = 90.0
# Begins a stack as the fixture does, with a process that stands for a server, says so, and waits to be killed.
STARTER = """
import sys, time
from pathlib import Path
from tests.collector.test_guard import occupy
from tests.stack.guard import guarded_folder
with guarded_folder(Path(sys.argv[1])) as folder:
    occupy(folder)
    print("ready", flush=True)
    time.sleep(600)
"""


def occupy(folder: Path) -> Identity:
    """Start a process that the folder's record knows."""
    identity = start(SLEEPER, log=folder / "log", folder=folder, environment={})
    states.save(folder, State(ports=USUAL, running={"redis": identity, "shop": identity}))
    return identity


def wait_until_gone(folder: Path) -> None:
    """Wait for the guard to remove a folder: the last thing that it does."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while folder.exists():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_killed_starter_leaves_nothing(tmp_path: Path, number: signal.Signals) -> None:
    """Servers end, and their folder goes, when who started them is killed."""
    with subprocess.Popen(
        [sys.executable, "-c", STARTER, str(tmp_path)], cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as starter:
        assert starter.stdout is not None
        assert starter.stdout.readline() == "ready\n"
        (folder,) = tmp_path.iterdir()
        state = states.load(folder)
        assert state is not None
        starter.send_signal(number)
        wait_until_gone(folder)

    assert state.alive() == {}


def test_good_end_leaves_nothing(tmp_path: Path) -> None:
    """The end of the block is one of the ends that the guard sees."""
    with guarded_folder(tmp_path) as folder:
        identity = occupy(folder)

    assert (identity.is_alive(), folder.exists()) == (False, False)


def test_next_start_cleans(tmp_path: Path) -> None:
    """A folder that lost its guard is cleaned by the next start; one that has its guard is left alone."""
    lost = tmp_path / "sloburn-stack-lost"
    lost.mkdir()
    (lost / "guard.lock").touch()
    identity = occupy(lost)
    with guarded_folder(tmp_path) as folder:
        sweep(tmp_path)

        assert (identity.is_alive(), lost.exists(), folder.exists()) == (False, False, True)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount")
def test_disk_is_taken_away(tmp_path: Path) -> None:
    """A disk that a drill mounted below the folder goes with it."""
    disk = tmp_path / "folder" / "disk"
    disk.mkdir(parents=True)
    mounted = subprocess.run(["mount", "-t", "tmpfs", "tmpfs", str(disk)], capture_output=True, text=True, check=False)
    if mounted.returncode:
        pytest.skip(f"nothing can be mounted here: {mounted.stderr.strip()}")
    clean(tmp_path / "folder")

    assert str(disk) not in Path("/proc/self/mounts").read_text()
    assert not disk.parent.exists()
