"""`python -m collector.stack` without its servers: what is built, which ports, whose processes."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from collector.stack import build, places, state
from collector.stack.__main__ import main
from collector.stack.lifecycle import Stack
from collector.stack.lock import locked
from collector.stack.marks import mark
from collector.stack.places import COLLECTOR, MODULES, ROOT, StackError
from collector.stack.ports import USUAL, choose_ports, free_ports, taken
from collector.stack.prepare import compile_rules, compile_sampling, write_targets
from collector.stack.processes import Identity, last_run, start, stop, wait_for_end
from collector.stack.programs import GO_PROGRAMS, GoProgram
from collector.stack.services import Service, sampling_file, services
from collector.stack.state import State

SLEEPER = (sys.executable, "-c", "import time; time.sleep(600)")
STUBBORN = (
    sys.executable,
    "-c",
    "import signal, time; signal.signal(15, signal.SIG_IGN); print('deaf', flush=True); time.sleep(600)",
)


def start_process(folder: Path, command: tuple[str, ...] = SLEEPER) -> Identity:
    """Start a process that does nothing."""
    return start(command, log=folder / "log", folder=folder, environment={})


@pytest.mark.parametrize("program", GO_PROGRAMS, ids=lambda program: program.name)
def test_every_program_is_pinned(program: GoProgram) -> None:
    """Versions and checksums of all that goes into a program are committed."""
    assert (program.folder / "go.mod").read_text().count("\n\t") > 5
    assert (program.folder / "go.sum").stat().st_size > 1000


def test_nothing_but_checked_modules_is_built() -> None:
    """Go may neither change what is pinned nor take what go.sum does not hold."""
    assert "-mod=readonly" in build._FLAGS


def test_builder_and_components_are_one_release() -> None:
    """The manifest's components have the version of the builder, or they would not compile."""
    manifest = yaml.safe_load((MODULES / "otelcol" / "manifest.yaml").read_text())
    version = manifest["dist"]["version"]
    kinds = ("receivers", "processors", "exporters", "connectors", "extensions")
    versions = {entry["gomod"].split()[1] for kind in kinds for entry in manifest[kind]}

    assert versions == {f"v{version}"}
    assert f"go.opentelemetry.io/collector/cmd/builder v{version}" in (MODULES / "builder" / "go.mod").read_text()


def test_modules_are_those_of_the_manifest() -> None:
    """The pinned modules of the Collector are those that its manifest names."""
    manifest = yaml.safe_load((MODULES / "otelcol" / "manifest.yaml").read_text())
    pinned = (MODULES / "otelcol" / "go.mod").read_text()

    for kind in ("receivers", "processors", "exporters", "connectors", "extensions", "providers"):
        for entry in manifest[kind]:
            assert entry["gomod"] in pinned


def test_cache_follows_content(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another pin is another build; the same pins, in another checkout too, are the same one."""
    shutil.copytree(MODULES, tmp_path / "modules")
    program = build.program_named("alertmanager")
    before = build.content_key(program)
    monkeypatch.setattr("collector.stack.programs.MODULES", tmp_path / "modules")
    same = build.content_key(program)
    with (tmp_path / "modules" / "alertmanager" / "go.sum").open("a") as pins:
        pins.write("x\n")

    assert (same == before, build.content_key(program) == before) == (True, False)


def test_built_programs_are_not_built_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With everything in the cache, not even Go is needed."""
    monkeypatch.setenv(places.CACHE_VARIABLE, str(tmp_path))
    monkeypatch.setenv("PATH", "")
    for program in GO_PROGRAMS:
        build.binary(program).parent.mkdir(parents=True, exist_ok=True)
        build.binary(program).touch()

    assert build.build_missing(print) == []


def test_go_is_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without Go, the message says what is needed."""
    monkeypatch.setattr("collector.stack.golang.check_room", lambda _count: None)  # whatever disk the test is on
    monkeypatch.setenv(places.CACHE_VARIABLE, str(tmp_path))
    monkeypatch.setenv("PATH", "")
    with pytest.raises(StackError, match=r"building needs Go on the PATH .*, at least 1\.21"):
        build.build_missing(lambda _line: None)


def test_ports_are_chosen_by_name() -> None:
    """A variable moves one listener and leaves the others."""
    assert choose_ports({"SLOBURN_STACK_PORT_LOKI": "3200", "OTHER": "1"}) == {**USUAL, "loki": 3200}


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("SLOBURN_STACK_PORT_LOKY", "1", "SLOBURN_STACK_PORT_LOKY: no such port; there are .*_LOKI"),
        ("SLOBURN_STACK_PORT_LOKI", "x", "SLOBURN_STACK_PORT_LOKI=x: expected a port, 1 to 65535"),
        ("SLOBURN_STACK_PORT_LOKI", "65536", "SLOBURN_STACK_PORT_LOKI=65536: expected a port, 1 to 65535"),
    ],
)
def test_wrong_ports_are_named(name: str, value: str, message: str) -> None:
    """A port that is none, or of nothing, is refused by its variable."""
    with pytest.raises(StackError, match=message):
        choose_ports({name: value})


def test_free_ports_differ() -> None:
    """No two listeners get the same port, and none is where the system takes ports for clients."""
    ports = free_ports()

    assert set(ports) == set(USUAL)
    assert len(set(ports.values())) == len(ports)
    assert max(ports.values()) < 32_768


def test_taken_port_is_named() -> None:
    """Who listens on a port of ours is told apart from a free one, with what to set."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        ports = {**free_ports(), "loki": other.getsockname()[1]}
        (stranger,) = taken(ports, ["loki", "prometheus"], {})
        (sibling,) = taken(ports, ["loki", "prometheus"], {ports["loki"]: Path("/elsewhere")})

    begin = f"port {ports['loki']} (loki) is taken by"
    assert stranger == f"{begin} another program: stop it, set SLOBURN_STACK_PORT_LOKI, or use --free-ports"
    assert sibling.startswith(
        f"{begin} the stack whose data is in /elsewhere: SLOBURN_STACK_DATA=/elsewhere make stack-"
    )
    assert sibling.endswith("or start this one with --free-ports")


@pytest.mark.skipif(os.geteuid() != 0, reason="PostgreSQL runs as another user only where we are root")
def test_database_is_left_out_where_it_cannot_enter(tmp_path: Path) -> None:
    """Below a folder that its user may not enter there is no PostgreSQL and no exporter for it; the rest is there."""
    shut = tmp_path / "shut"
    shut.mkdir(mode=0o700)
    there = {service.name for service in services(shut / "data", USUAL, []) if service.command}

    assert there & {"postgresql", "postgresql_exporter"} == set()
    assert {"otelcol", "sloburn", "prometheus"} <= there


def test_no_two_listeners_share_a_port() -> None:
    """The usual ports differ, and every server names ports that exist, each once."""
    used = [port for service in services(Path("/data"), USUAL, ["slos.yaml"]) for port in service.ports]

    assert len(set(USUAL.values())) == len(USUAL)
    assert sorted(used) == sorted(USUAL)


def test_process_is_known_by_more_than_its_id(tmp_path: Path) -> None:
    """A process that has ended, and another one under its id, are not taken for it, and not killed."""
    found = start_process(tmp_path)
    other = Identity(pid=found.pid, started="another time")
    other.kill_group()

    assert (found.is_alive(), other.is_alive()) == (True, False)
    assert stop([found], 20) == []
    assert not found.is_alive()


def test_who_does_not_end_is_killed(tmp_path: Path) -> None:
    """A process that ignores SIGTERM is killed when its time is over, and reported."""
    found = start_process(tmp_path, STUBBORN)
    while "deaf" not in (tmp_path / "log").read_text():
        assert found.is_alive()

    assert stop([found], 0.2) == [found]
    assert not found.is_alive()


def test_ended_child_is_not_alive(tmp_path: Path) -> None:
    """What has ended but was not waited for is not alive."""
    found = start_process(tmp_path, (sys.executable, "-c", ""))
    while found.is_alive():
        pass
    found.send(signal.SIGTERM)

    assert not found.is_alive()


def test_state_survives(tmp_path: Path) -> None:
    """What is written is read again, whole."""
    identity = Identity(pid=1, started="x")
    written = State(ports=USUAL, slos=("a",), options=("b",), running={"loki": identity})
    state.save(tmp_path, written)

    assert state.load(tmp_path) == written
    assert written.with_process("loki", None).running == {}


def test_damaged_state_is_named(tmp_path: Path) -> None:
    """A record that cannot be read is an error that names the file, not a stack that is forgotten."""
    (tmp_path / "state.json").write_text("{}")
    with pytest.raises(StackError, match=r"state\.json: cannot be understood .*; no server runs: `make stack-down`"):
        state.load(tmp_path)


@pytest.fixture
def orphan(tmp_path: Path) -> Iterator[Identity]:
    """A server that no record knows: who started it was killed before it could be written."""
    mine = {**os.environ, **mark("redis", tmp_path)}
    identity = start(SLEEPER, log=tmp_path / "log", folder=tmp_path, environment=mine)
    yield identity
    stop([identity], 20)


@pytest.mark.parametrize("record", [None, "{}", json.dumps({"ports": USUAL, "running": {}, "slos": [], "options": []})])
def test_orphans_are_stopped(tmp_path: Path, orphan: Identity, record: str | None) -> None:
    """A server that runs is found and stopped without a record, with a damaged one, and with one that lacks it."""
    if record:
        (tmp_path / "state.json").write_text(record)
    stopped = Stack(tmp_path, print).down()

    assert (stopped, orphan.is_alive()) == (["redis"], False)
    assert state.load(tmp_path) is None


def test_orphans_are_shown(tmp_path: Path, orphan: Identity) -> None:
    """A server that its record lacks runs all the same, and without a record it is told, with what to do."""
    with pytest.raises(StackError, match=rf"is missing; redis \(pid {orphan.pid}\) runs: `make stack-down` stops"):
        state.load(tmp_path)
    state.save(tmp_path, State(ports=USUAL))
    found = state.load(tmp_path)

    assert found is not None
    assert found.alive() == {"redis": orphan}


def test_ports_of_another_stack_are_known(tmp_path: Path, orphan: Identity) -> None:
    """Which ports another stack on this machine has is read in its record; our own are none of others."""
    state.save(tmp_path, State(ports={"loki": 1234}))

    assert state.ports_of_others(tmp_path.parent)[1234] == tmp_path
    assert 1234 not in state.ports_of_others(tmp_path)


def test_commands_wait_for_each_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """While one command works on a stack, a second one says so and waits."""
    monkeypatch.setenv(places.DATA_VARIABLE, str(tmp_path))
    command = [sys.executable, "-m", "collector.stack", "down"]
    with locked(tmp_path, "", print):
        second = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        assert second.stdout is not None
        assert second.stdout.readline() == "another command works on this stack: waiting for it ...\n"
        assert second.poll() is None
    with second:
        assert second.stdout.readline() == "nothing ran\n"


def test_log_is_that_of_the_last_run(tmp_path: Path) -> None:
    """What earlier runs wrote is kept in the log, and not shown as the end of this one."""
    for word in ("first", "second"):
        script = f"print('{word}')"
        wait_for_end([start_process(tmp_path, (sys.executable, "-c", script))], 60)

    assert last_run(tmp_path / "log") == ["second"]
    assert "first" in (tmp_path / "log").read_text()


def test_wrong_promises_start_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Documents that are wrong are refused, with the whole message, before anything is built, written or started."""
    monkeypatch.setenv(places.DATA_VARIABLE, str(tmp_path / "data"))
    (tmp_path / "slos.yaml").write_text("version: sloburn/v1\nslos: [{name: a}]\n")
    status = main(["up", "--slos", str(tmp_path / "slos.yaml")])

    assert (status, [file.name for file in (tmp_path / "data").iterdir()]) == (1, ["lock"])
    assert capsys.readouterr().err.startswith(f"nothing was started or changed: {tmp_path / 'slos.yaml'}")


def test_targets_follow_ports_and_what_is_there(tmp_path: Path) -> None:
    """Prometheus' targets name the ports in force; what is not started is no target."""
    write_targets(tmp_path, {**USUAL, "jaeger_self": 1234}, {"jaeger", "redis_exporter"})
    folder = tmp_path / "prometheus" / "targets"

    assert yaml.safe_load((folder / "jaeger.yaml").read_text()) == [{"targets": ["127.0.0.1:1234"]}]
    assert yaml.safe_load((folder / "redis.yaml").read_text()) == [{"targets": ["127.0.0.1:9121"]}]
    assert yaml.safe_load((folder / "node.yaml").read_text()) == []


def test_committed_targets_are_the_usual_ports(tmp_path: Path) -> None:
    """The files that are committed are those that the stack writes for its usual ports."""
    write_targets(tmp_path, USUAL, {service.name for service in services(tmp_path, USUAL, [])})
    written = {file.name: file.read_text() for file in (tmp_path / "prometheus" / "targets").iterdir()}
    committed = COLLECTOR / "prometheus" / "targets"

    assert {name: (committed / name).read_text() for name in written} == written


def test_what_is_pushed_is_not_scraped_too(tmp_path: Path) -> None:
    """With the part that pushes metrics, the Collector shows none to scrape, and Prometheus does not look for them."""
    found = {
        option: next(it for it in services(tmp_path, USUAL, [], [option]) if it.name == "otelcol").ports
        for option in ("collector/options/otlp-push.yaml", "collector/options/secure.yaml")
    }
    write_targets(tmp_path, USUAL, {"otelcol"}, scraped=found["collector/options/otlp-push.yaml"])

    assert ["telemetry" in ports for ports in found.values()] == [False, True]
    assert yaml.safe_load((tmp_path / "prometheus" / "targets" / "telemetry.yaml").read_text()) == []


MIXED_SLOS = """\
version: sloburn/v1
slos:
  - {name: spans, service: shop, objective: 99, period: 30d, indicator: {spans: {kind: server}, bad: {status: error}}}
  - name: lines
    service: shop
    objective: 99
    period: 30d
    indicator: {logs: {severity: {gte: INFO}}, bad: {severity: {gte: ERROR}}}
"""


def test_rules_are_those_of_the_promises(tmp_path: Path) -> None:
    """Prometheus gets rules of every SLO that its metrics count; why another has none is told."""
    slos = tmp_path / "slos.yaml"
    slos.write_text(MIXED_SLOS)
    (note,) = compile_rules(tmp_path, [str(slos)])
    rules = (tmp_path / "prometheus" / "rules" / "slos.yaml").read_text()

    assert note.startswith("rules for Prometheus: lines: no metric of the Collector")
    assert ("slo: spans" in rules, "slo: lines" in rules) == (True, False)


def test_no_rules_of_others_are_left(tmp_path: Path) -> None:
    """Where documents cannot be read, Prometheus gets no rules, rather than those that were there before."""
    rules = tmp_path / "prometheus" / "rules" / "slos.yaml"
    rules.parent.mkdir(parents=True)
    rules.write_text("groups: [{name: others}]")
    (note,) = compile_rules(tmp_path, [str(tmp_path / "missing.yaml")])

    assert "missing.yaml" in note
    assert yaml.safe_load(rules.read_text()) == {"groups": []}


def test_traces_that_break_promises_are_kept(tmp_path: Path) -> None:
    """The Collector starts with policies of the promises, before what a user merges."""
    slos = tmp_path / "slos.yaml"
    slos.write_text(MIXED_SLOS)
    (note,) = compile_sampling(tmp_path, [str(slos)])
    (collector,) = (it for it in services(tmp_path, USUAL, [], ["mine.yaml"]) if it.name == "otelcol")
    policies = yaml.safe_load(sampling_file(tmp_path).read_text())["processors"]["tail_sampling"]["policies"]

    assert note.startswith("traces that are kept: lines: no span is bad to it")
    assert policies[0]["name"] == "slo-spans"
    assert collector.command[2:] == (f"--config={sampling_file(tmp_path)}", "--config=mine.yaml")


def test_collector_starts_without_promises(tmp_path: Path) -> None:
    """Where documents cannot be read, nothing is merged that could keep it from starting."""
    (note,) = compile_sampling(tmp_path, [str(tmp_path / "missing.yaml")])

    assert "missing.yaml" in note
    assert yaml.safe_load(sampling_file(tmp_path).read_text()) == {}


def test_status_of_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Where nothing was started, status says how to start it, and down has nothing to do."""
    monkeypatch.setenv(places.DATA_VARIABLE, str(tmp_path))

    assert (main(["status"]), main(["down"])) == (1, 0)
    assert "make stack-up" in capsys.readouterr().out


def test_services_are_not_changed() -> None:
    """A description of a server cannot be changed by who reads it."""
    service = Service(name="x", command=("x",), ports=(), ready="tcp://127.0.0.1:1")
    with pytest.raises(AttributeError):
        service.name = "y"  # type: ignore[misc]


def test_make_targets_are_there() -> None:
    """What the documents name, the Makefile has."""
    text = (ROOT / "Makefile").read_text()

    assert all(f"\n{name}:" in text for name in ("stack-build", "stack-up", "stack-status", "stack-down", "test-stack"))
