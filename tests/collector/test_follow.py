"""Rules follow SLO documents that change while the stack runs; a server that counts stands in for Prometheus."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from collector.stack.follow import Follower
from collector.stack.ports import HOST, USUAL
from collector.stack.prepare import compile_rules, rules_file
from collector.stack.state import State, recorded


def document(name: str) -> str:
    """Return an SLO document with one promise."""
    indicator = "{spans: {kind: server}, bad: {status: error}}"
    return (
        f"version: sloburn/v1\nslos: [{{name: {name}, service: s, objective: 99, period: 7d, indicator: {indicator}}}]"
    )


class Prometheus:
    """What stands in for it: it answers with a status, and counts how often it was told to read anew."""

    def __init__(self) -> None:
        self.told, self.status = 0, 200
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                outer.told += self.path == "/-/reload"
                self.send_response(outer.status)
                self.end_headers()
                self.wfile.write(b"bad rule")

            def log_message(self, *_arguments: object) -> None:
                return

        self.server = ThreadingHTTPServer((HOST, 0), Handler)


@pytest.fixture
def prometheus() -> Iterator[Prometheus]:
    """Give a server that is told."""
    found = Prometheus()
    thread = Thread(target=found.server.serve_forever)
    thread.start()
    yield found
    found.server.shutdown()
    thread.join()
    found.server.server_close()


class Stage:
    """A stack's folder with one document, and who follows it."""

    def __init__(self, folder: Path, prometheus: Prometheus) -> None:
        self.data, self.slos, self.said = folder / "data", folder / "slos", list[str]()
        self.prometheus = prometheus
        self.data.mkdir()
        self.slos.mkdir()
        self.write("first")
        state = State(ports={**USUAL, "prometheus": prometheus.server.server_port}, slos=(str(self.slos),))
        (self.data / "state.json").write_text(json.dumps(asdict(state)))
        self.follower = Follower(self.data, self.said.append)

    def write(self, name: str) -> None:
        """Change the document."""
        (self.slos / "slos.yaml").write_text(document(name))

    def look(self) -> tuple[bool, int]:
        """Look; return whether the rules are of the second promise, and how often Prometheus was told."""
        self.follower.look()
        file = rules_file(self.data)
        return file.exists() and "slo: second" in file.read_text(), self.prometheus.told


@pytest.fixture
def stage(tmp_path: Path, prometheus: Prometheus) -> Stage:
    """Give a stack's folder."""
    return Stage(tmp_path, prometheus)


def test_rules_follow(stage: Stage) -> None:
    """What a document says becomes rules once it was left alone for a look; Prometheus is told of a change, once."""
    assert [stage.look(), stage.look(), stage.look()] == [(False, 0), (False, 1), (False, 1)]

    stage.write("second")

    assert [stage.look(), stage.look(), stage.look()] == [(False, 1), (True, 2), (True, 2)]


def test_wrong_documents_change_nothing(stage: Stage) -> None:
    """Rules stay those of before while a document is wrong, which is said once."""
    stage.look()
    stage.look()
    stage.write("second")
    (stage.slos / "more.yaml").write_text("version: sloburn/v1\nslos: [")

    assert [stage.look(), stage.look(), stage.look()] == [(False, 1)] * 3
    assert ["more.yaml" in line for line in stage.said].count(True) == 1

    (stage.slos / "more.yaml").unlink()
    assert [stage.look(), stage.look()] == [(False, 1), (True, 2)]


def killed_once(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """End the next run of one of sloburn's commands as a system without memory does."""
    run, victims = subprocess.run, [command]

    def fatal(call: list[str], **options: Any) -> subprocess.CompletedProcess[Any]:
        if victims and victims[0] in call:
            victims.clear()
            call = [sys.executable, "-c", f"import os; os.kill(os.getpid(), {int(signal.SIGKILL)})"]
        return run(call, **options)

    monkeypatch.setattr("collector.stack.prepare.subprocess.run", fatal)


@pytest.mark.parametrize("command", ["validate", "rules"])
def test_killed_compilation_changes_nothing(stage: Stage, monkeypatch: pytest.MonkeyPatch, command: str) -> None:
    """Rules stay those of before while they cannot be compiled, which is said once, and are compiled later."""
    stage.look()
    stage.look()
    before = rules_file(stage.data).read_bytes()
    stage.write("second")
    stage.look()
    killed_once(command, monkeypatch)

    assert stage.look() == (False, 1)
    assert rules_file(stage.data).read_bytes() == before
    assert ["exit status -9" in line for line in stage.said] == [False, True]
    assert stage.look() == (True, 2)


def test_document_that_becomes_wrong_meanwhile(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rules stay those of before when a document was right as it was checked, and is wrong as it is compiled."""
    stage.look()
    stage.look()
    before = rules_file(stage.data).read_bytes()
    stage.write("second")
    stage.look()
    wrong = stage.slos / "slos.yaml"
    monkeypatch.setattr("collector.stack.follow.check_promises", lambda _slos: wrong.write_text("slos: ["))

    assert [stage.look(), stage.look()] == [(False, 1)] * 2
    assert rules_file(stage.data).read_bytes() == before


def test_full_disk_is_waited_for(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nothing can be written, the follower lives, says so once, and tries ever more rarely."""
    attempts = []

    def full(*_arguments: object) -> list[str]:
        attempts.append(1)
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patches:
        patches.setattr("collector.stack.follow.check_promises", lambda _slos: None)
        patches.setattr("collector.stack.follow.replace_rules", full)
        assert {stage.look() for _ in range(9)} == {(False, 0)}
        assert (len(attempts), len(stage.said)) == (4, 1)  # looks 2, 3, 5 and 9

    assert [stage.look() for _ in range(8)][-1] == (False, 1)


def test_log_that_cannot_be_written(stage: Stage) -> None:
    """The follower goes on without a word where its log is on the full disk."""

    def full(_line: str) -> None:
        raise OSError(28, "No space left on device")

    follower = Follower(stage.data, full)
    follower.look()
    follower.look()

    assert stage.prometheus.told == 1


@pytest.mark.timeout(60)
def test_other_files_are_no_documents(stage: Stage) -> None:
    """What sloburn does not read in a folder is not looked at: logs that grow, pipes, hidden files, other folders."""
    os.mkfifo(stage.slos / "pipe")
    (stage.slos / "more").mkdir()
    others = [stage.slos / name for name in ("deploy.log", ".slos.yaml", "more/slos.yaml")]
    for count in range(2):
        for other in others:
            other.write_text("x" * count)
        last = stage.look()

    assert last == (False, 1)


def test_up_has_no_rules_of_other_promises(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """An `up` whose rules cannot be compiled leaves none: those of before may be of other documents."""
    stage.look()
    stage.look()
    killed_once("rules", monkeypatch)

    assert compile_rules(stage.data, [str(stage.slos)]) == ["no rules were compiled for Prometheus: exit status -9"]
    assert rules_file(stage.data).read_text() == "groups: []\n"


def test_prometheus_is_told_later(stage: Stage) -> None:
    """A Prometheus that could not read the rules, or was away, is told again; what it says is said once."""
    stage.prometheus.status = 500

    assert [stage.look(), stage.look(), stage.look()] == [(False, 0), (False, 1), (False, 2)]
    assert stage.said == ["Prometheus goes on with what it had: bad rule"]

    stage.prometheus.status = 200
    assert [stage.look(), stage.look()] == [(False, 3)] * 2


def test_nothing_is_followed_without_a_stack(tmp_path: Path) -> None:
    """Without a record, or with a damaged one, there is nothing to do and nothing to say."""
    said: list[str] = []
    Follower(tmp_path, said.append).look()
    (tmp_path / "state.json").write_text("{")
    Follower(tmp_path, said.append).look()

    assert (said, [file.name for file in tmp_path.iterdir()]) == ([], ["state.json"])


def test_who_waited_looks_again(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """Documents that another command replaced while the follower waited for it are not compiled any more."""

    @contextmanager
    def after_another_command(folder: Path, *_rest: object) -> Iterator[None]:
        state = recorded(folder)
        (folder / "state.json").write_text(json.dumps(asdict(replace(state, slos=("elsewhere.yaml",)))))
        yield

    monkeypatch.setattr("collector.stack.follow.locked", after_another_command)

    assert [stage.look(), stage.look()] == [(False, 0)] * 2
    assert not rules_file(stage.data).exists()
