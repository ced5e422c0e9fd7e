"""The demo: its parts, a full pass, and that nothing is left behind when it ends early."""

from __future__ import annotations

import io
import json
import os
import shlex
import signal
import socket
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from examples.shop.demo import wording
from examples.shop.demo.interrupt import Interrupt, Interrupted, TooLate
from examples.shop.demo.ports import HOST, Ports, choose_ports, explain
from examples.shop.demo.processes import ChildDied, Crew
from examples.shop.demo.stage import ROOT, SLOS, inherited
from examples.shop.demo.terminal import COLUMNS, Step, Terminal, wants_color

from sloburn.spec.files import load_slos
from tests.ports import free_ports
from tests.scenarios.test_shop import wait_for
from tests.usual_ports import patient, usual_ports

pytestmark = patient
PATIENCE_SECONDS = 200.0  # for what takes some seconds, and up to a minute where the machine has other things to do

# --- the demo's parts ---------------------------------------------------------------------------------------------


def test_taken_port_is_replaced_and_said_so() -> None:
    """Another program at a usual port makes the demo take a free one, and say so in a sentence."""
    with ExitStack() as stack:
        listeners = [stack.enter_context(socket.create_server((HOST, 0))) for _ in range(4)]
        taken = [listener.getsockname()[1] for listener in listeners]
        usual = Ports(otlp_grpc=taken[0], otlp_http=taken[1], page=taken[2], shop=taken[3])
        chosen = choose_ports(usual)

    ours = [chosen.otlp_grpc, chosen.otlp_http, chosen.page, chosen.shop]
    assert len(set(ours) - set(taken)) == 4
    assert (
        f"Port {taken[3]} (shop) is taken by another program: the demo uses {chosen.shop} in its place."
        == explain(chosen, usual)[3]
    )


def test_free_ports_are_kept_and_not_mentioned() -> None:
    """Where nothing is in the way there is nothing to say."""
    grpc, http, page, shop = free_ports(4)
    free = Ports(otlp_grpc=grpc, otlp_http=http, page=page, shop=shop)

    assert free == choose_ports(free)
    assert explain(free, free) == []


def test_output_is_aligned_and_narrow() -> None:
    """Long sentences wrap below themselves, within 100 columns; a label is printed once."""
    stream = io.StringIO()
    terminal = Terminal(stream, color=False)

    terminal.say("why", "word " * 60)
    terminal.say("why", "more")
    terminal.summary([Step(name="first", seen=True, detail="1 s"), Step(name="second", seen=False), Step(name="third")])

    lines = stream.getvalue().splitlines()
    assert max(len(line) for line in lines) <= COLUMNS
    assert sum("why" in line for line in lines) == 1
    assert lines[-4:-1] == ["  ✓ first   1 s", "  ✗ second", "  · third"]
    assert "\033" not in stream.getvalue()


@pytest.mark.parametrize(
    ("environment", "welcome"), [({}, True), ({"NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False)]
)
def test_color_is_for_people(environment: dict[str, str], welcome: bool) -> None:
    """A terminal gets colours unless its owner said no; a file never does."""

    class Screen(io.StringIO):
        def isatty(self) -> bool:
            return True

    assert welcome == wants_color(Screen(), environment)
    assert not wants_color(io.StringIO(), environment)


def test_children_get_no_settings_of_the_users_own() -> None:
    """Telemetry settings and proxies of the user's shell must not break the demo."""
    found = inherited({"OTEL_SDK_DISABLED": "true", "SLOBURN_DATA": "/", "PATH": "/bin", "NO_PROXY": "example.org"})

    assert {"PATH": "/bin", "PYTHONUNBUFFERED": "1", "NO_PROXY": f"{HOST},localhost"} == {
        name: value for name, value in found.items() if name != "no_proxy"
    }


STUBBORN = """
import os, signal, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
if os.fork():
    print("ready", flush=True)
time.sleep(600)
"""


def test_stopping_kills_what_ignores_it_and_its_children(tmp_path: Path) -> None:
    """A process that ignores SIGTERM is killed after a while, and so is its child."""
    crew = Crew(tmp_path, os.environ, patience_seconds=0.2)
    child = crew.start("stubborn", [sys.executable, "-c", STUBBORN])
    wait_for(lambda: child.log.read_text() or None, "the child printed")

    crew.stop()

    assert crew.children == ()
    assert child.process.returncode == -signal.SIGKILL
    wait_for(lambda: True if not group_members(child.process.pid) else None, "its group is empty")


def group_members(group: int) -> list[int]:
    """Return the living processes of a group."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                state, _, of = (entry / "stat").read_text().rpartition(")")[2].split()[:3]
            except (FileNotFoundError, ProcessLookupError):
                continue
            if int(of) == group and state != "Z":
                found.append(int(entry.name))
    return found


def test_early_death_is_noticed_with_its_last_words(tmp_path: Path) -> None:
    """A child that ends by itself is named with its exit status, and its log is at hand."""
    crew = Crew(tmp_path, os.environ)
    child = crew.start("shop", [sys.executable, "-c", "print('no such module'); raise SystemExit(3)"])
    child.process.wait()

    with pytest.raises(ChildDied) as caught:
        crew.check()

    assert str(caught.value) == "the shop ended by itself with exit status 3"
    assert child.log_tail() == ["no such module"]
    crew.stop()


def test_signal_ends_the_next_wait() -> None:
    """A signal is noticed where the demo waits, not where it works; without one a wait ends by itself."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    interrupt = Interrupt()
    try:
        interrupt.catch()
        interrupt.pause(0)
        with pytest.raises(TooLate):
            interrupt.wait_for(lambda: None, 0.1)
        signal.raise_signal(signal.SIGHUP)
        with pytest.raises(Interrupted):
            interrupt.pause(60)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def test_clock_is_explained() -> None:
    """The viewer is told what an hour and the period are here, and that production is not scaled."""
    promise = load_slos([SLOS])[0]

    text = wording.clock(promise.scaled(60), 60)

    assert "60 times as fast" in text
    assert "1 h passes in 1 min" in text
    assert "30 d in 12 h" in text
    assert "as in production" in wording.clock(promise, 1)


# --- the story ----------------------------------------------------------------------------------------------------

needs_proc = pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="looks for processes in /proc")


class Performance:
    """A running demo, known by a mark in the environment that every process of it inherits.

    Args:
        folder: Of the test.
        arguments: Of the demo.
    """

    def __init__(self, folder: Path, *arguments: str) -> None:
        self.mark = f"DEMO_TEST_{uuid.uuid4().hex}"
        self.output = folder / "output.txt"
        environment = os.environ | {self.mark: "1", "TMPDIR": str(folder)}
        with self.output.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "examples.shop.demo", *arguments],
                cwd=ROOT,
                env=environment,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def text(self) -> str:
        """What it printed so far."""
        return self.output.read_text()

    def wait_for_text(self, text: str) -> None:
        """Wait until it has printed that."""
        came = wait_for(lambda: self._has_said(text), text, PATIENCE_SECONDS)
        assert came, self.text

    def _has_said(self, text: str) -> bool | None:
        ended = self.process.poll() is not None  # looked at first: what it says last comes before its end
        return True if text in self.text else False if ended else None

    def wait(self) -> int:
        """Wait for its end and return its exit status."""
        return self.process.wait(PATIENCE_SECONDS)

    def wait_until_nothing_is_left(self) -> None:
        """Wait until nothing of it lives: what was killed needs a moment of a processor to die."""
        wait_for(lambda: True if not self.processes() else None, "no process is left")

    def processes(self) -> dict[int, str]:
        """Return pid and command line of each process that bears the mark."""
        return {int(entry.name): command for entry in Path("/proc").iterdir() if (command := self._command(entry))}

    def _command(self, entry: Path) -> str:
        try:
            marked = entry.name.isdecimal() and self.mark.encode() in (entry / "environ").read_bytes()
            return (entry / "cmdline").read_text().replace("\0", " ") if marked else ""
        except OSError:  # it ended meanwhile
            return ""


@pytest.fixture
def perform(tmp_path: Path) -> Iterator[Callable[..., Performance]]:
    """Provide a function that starts the demo; nothing of it outlives the test."""
    started: list[Performance] = []

    def start(*arguments: str) -> Performance:
        started.append(Performance(tmp_path, *arguments))
        return started[-1]

    with usual_ports():
        yield start
        for performance in started:
            performance.process.terminate()
            performance.process.wait()


@needs_proc
def test_full_pass(perform: Callable[..., Performance], tmp_path: Path) -> None:
    """Every step is observed, at most 2 s and a busy machine's share after the minimum, and nothing is left behind."""
    demo = perform("--json", str(tmp_path / "figures.json"))

    status = demo.wait()

    text, figures = demo.text, json.loads((tmp_path / "figures.json").read_text())
    assert status == 0, text
    assert [step["seen"] for step in figures["steps"]] == [True] * 8
    assert 0 <= figures["seconds_withheld"] <= max(0, figures["seconds_added"])
    assert figures["seconds_to_page"] == pytest.approx(figures["seconds_minimum"] + figures["seconds_added"])
    assert figures["exception"].endswith("PaymentGatewayTimeout")
    assert all(entry["true"] == entry["counted"] > 0 for entry in figures["books"])
    assert figures["trace_id"] in text
    assert f"{figures['page_url']}slos/checkout-availability" in text
    assert [label for label in LABELS if label not in text] == []
    assert max(len(line) for line in text.replace(str(tmp_path), "/tmp").splitlines()) <= COLUMNS
    assert "\033" not in text
    demo.wait_until_nothing_is_left()
    assert [path.name for path in tmp_path.iterdir() if path.is_dir()] == []


LABELS = ("healthy", "fault", "burning", "PAGE", "why", "mended", "recovers", "RESOLVED", "books", "budget")


@needs_proc
@pytest.mark.parametrize(
    ("number", "moment"),
    [(signal.SIGTERM, "sloburn ·"), (signal.SIGHUP, "  start  "), (signal.SIGINT, "customers come in")],
    ids=["SIGTERM before the start", "SIGHUP while it starts", "Ctrl-C in the middle"],
)
def test_early_end_leaves_nothing(
    perform: Callable[..., Performance], tmp_path: Path, number: signal.Signals, moment: str
) -> None:
    """A signal at any moment ends the demo with one calm line and status 130; no process and no folder is left."""
    demo = perform()
    demo.wait_for_text(moment)

    demo.process.send_signal(number)

    assert demo.wait() == 130, demo.text
    demo.wait_until_nothing_is_left()
    assert demo.text.splitlines()[-1] == "Stopped early. No process was left behind."
    assert "Traceback" not in demo.text
    assert [path.name for path in tmp_path.iterdir() if path.is_dir()] == []


@needs_proc
def test_closed_pipe_ends_calmly(tmp_path: Path) -> None:
    """When nobody reads any more the demo ends without a word, and leaves nothing."""
    command = f"{shlex.quote(sys.executable)} -m examples.shop.demo | head -n 2; exit ${{PIPESTATUS[0]}}"
    environment = os.environ | {"TMPDIR": str(tmp_path)}

    with usual_ports():
        call = ["bash", "-c", command]
        found = subprocess.run(call, cwd=ROOT, env=environment, capture_output=True, timeout=PATIENCE_SECONDS)

    assert (found.returncode, found.stderr) == (130, b"")
    assert list(tmp_path.iterdir()) == []


@needs_proc
def test_dead_child_stops_the_story(perform: Callable[..., Performance]) -> None:
    """When a process dies the story stops, shows its last words, names the folder of the logs, and fails."""
    demo = perform()
    demo.wait_for_text("customers come in")
    (shop,) = [pid for pid, command in demo.processes().items() if "uvicorn" in command]

    os.kill(shop, signal.SIGKILL)

    assert demo.wait() == 1
    assert "the shop ended by itself with exit status -9" in demo.text
    assert "--- shop: the end of" in demo.text
    assert "✗ healthy traffic is counted" in demo.text
    demo.wait_until_nothing_is_left()


@needs_proc
def test_impossible_scale_is_refused(perform: Callable[..., Performance]) -> None:
    """A wrong scale is refused in a sentence, before anything starts."""
    demo = perform("--scale", "0")

    assert demo.wait() == 2
    assert "'0' is no whole number from 1 to 240" in demo.text
