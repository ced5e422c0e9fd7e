"""The README is true: every command in it runs here, every file in it is taken from it, every link leads somewhere."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
import trustme

from tests.otlp.requests import otlp_json
from tests.processor import get, post, wait_until
from tests.sli.harness import NOW
from tests.telemetry import SpanSpec, trace_request
from tests.usual_ports import patient, usual_ports

pytestmark = patient

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
COMMANDS = [line.removeprefix("$ ") for line in README.splitlines() if line.startswith("$ ")]

# What runs a command, where it is not this module.
ELSEWHERE = {
    "make demo": "tests/scenarios/test_demo.py plays the demo",
    "make test": "this test is part of it; .ci/run calls it",
    "make stack-up": "tests/stack starts, asks and stops the stack",
    "make stack-status": "tests/stack starts, asks and stops the stack",
    "make stack-down": "tests/stack starts, asks and stops the stack",
    "make test-stack": "it runs tests/stack, in minutes: make test leaves it out",
}
USUAL_PORTS = (4317, 4318, 4321, 8000, 4327, 4328)
PATIENCE_SECONDS = 30


def block(kind: str, name: str) -> str:
    """Return the fenced block of a file that the README shows."""
    found = re.search(rf"```{kind}\n(# {re.escape(name)}\n.*?)```", README, re.DOTALL)
    assert found, f"the README shows no {name}"
    return found[1]


def command(start: str) -> list[str]:
    """Return the one command of the README that starts so."""
    (found,) = [line for line in COMMANDS if line.startswith(start)]
    return shlex.split(found)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with the README's files, and nothing else."""
    (tmp_path / "app.py").write_text(block("python", "app.py"))
    for name in ("slos.yaml", "everything.yaml", "production.yaml"):
        (tmp_path / name).write_text(block("yaml", name))
    (tmp_path / "more.py").write_text(block("python", "more.py"))
    return tmp_path


def environment() -> dict[str, str]:
    """Return an environment in which the commands of this environment come first and nothing is configured."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("OTEL_", "SLOBURN_"))}
    return {**kept, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}


def run(call: list[str], folder: Path) -> str:
    """Run a command that ends, and return what it said."""
    done = subprocess.run(call, cwd=folder, env=environment(), capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@contextmanager
def running(call: list[str], folder: Path, address: str) -> Iterator[None]:
    """Run a command that stays, from when an address answers."""

    def answers() -> bool:
        assert process.poll() is None, log.read_text()
        try:
            return get(address).is_success
        except httpx.TransportError:
            return False

    log = folder / f"{call[0]}.log"
    with log.open("w") as output:
        process = subprocess.Popen(call, cwd=folder, env=environment(), stdout=output, stderr=output)
    try:
        wait_until(answers, f"{call[0]} answers at {address}")
        yield
    finally:
        process.terminate()
        process.wait(timeout=120)


@pytest.fixture
def ports() -> Iterator[None]:
    """The ports that the README names, free and for this test alone."""
    with usual_ports():
        need_usual_ports()
        yield


def need_usual_ports() -> None:
    """Wait a while for the ports that the README names; skip, and say why, where somebody keeps one."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while taken := [port for port in USUAL_PORTS if is_taken(port)]:
        if time.monotonic() > deadline:
            pytest.skip(f"the README's commands need port {taken[0]}, and something listens there")
        time.sleep(0.2)


def is_taken(port: int) -> bool:
    """Tell whether somebody listens on a port."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def test_every_command_has_its_test() -> None:
    """No command of the README is left untried."""
    tried = (
        "pip install",
        "sloburn validate",
        "sloburn serve",
        "sloburn doctor",
        "sloburn replay",
        "sloburn gate",
        "sloburn annotate",
        "sloburn autopsy",
        "sloburn rules",
        "sloburn dashboards",
        "sloburn sampling",
        "uvicorn",
        "curl",
    )
    untried = [line for line in COMMANDS if line not in ELSEWHERE and not line.startswith(tried)]
    assert untried == []
    assert len(COMMANDS) == 22


def test_make_has_the_two_commands() -> None:
    """`make demo` and `make test` are there, and CI calls the latter."""
    listed = run(["make", "help"], ROOT)
    assert re.findall(r"^  (demo|test) ", listed, re.MULTILINE) == ["demo", "test"]
    assert "make test" in (ROOT / ".ci" / "run").read_text()


@pytest.mark.usefixtures("ports")
def test_the_service_reaches_the_processor(folder: Path) -> None:
    """The README's service, SLOs and commands work as written: a payment is counted and its page is up."""
    assert "2 SLOs are fine" in run(command("sloburn validate slos.yaml"), folder)
    page = "http://127.0.0.1:4321"
    serve, service = command("sloburn serve --slos"), command("uvicorn")
    with running(serve, folder, f"{page}/readyz"), running(service, folder, "http://127.0.0.1:8000/docs"):
        assert run(command("curl"), folder) == '{"status":"paid"}'

        def counted() -> bool:
            found = {slo["name"]: slo["good"] for slo in get(f"{page}/api/v1/status").json()["slos"]}
            return bool(found["checkout-availability"] and found["checkout-latency"])

        wait_until(counted, "both SLOs count the payment")
        assert "arriv" in run(command("sloburn doctor"), folder)
        run(command("sloburn gate"), folder)
        run(command("sloburn annotate"), folder)
        assert "v1.2.3" in get(f"{page}/api/v1/annotations").text
        assert "checkout-availability" in run(command("sloburn autopsy"), folder)
        assert "checkout-availability" in get(page).text
        assert "sloburn_slo_events_total" in get(f"{page}/metrics").text
    assert '"event": "paid"' in (folder / "uvicorn.log").read_text()


def test_more_in_a_line_each(folder: Path) -> None:
    """The tour of the SDK runs, and its card number is redacted."""
    said = run([sys.executable, "more.py"], folder)
    assert '"event": "paid"' in said
    assert "4111" not in said


def test_replay_reads_a_recording(folder: Path) -> None:
    """A recorded request is replayed against the README's SLOs."""
    request = trace_request([SpanSpec(number=1, end=NOW)], service="checkout")
    (folder / "recording.jsonl").write_bytes(otlp_json(request) + b"\n")
    assert "checkout-availability" in run(command("sloburn replay"), folder)


def test_an_slo_can_say_all_of_it(folder: Path) -> None:
    """The document that shows everything is a good one."""
    assert "9 SLOs are fine" in run(command("sloburn validate everything.yaml"), folder)


def test_the_slos_compile(folder: Path) -> None:
    """The README's SLOs become rules, dashboards and sampling policies."""
    shutil.copy(ROOT / "otel-collector.yaml", folder)
    run(command("sloburn rules"), folder)
    run(command("sloburn dashboards"), folder)
    assert "checkout-availability" in (folder / "rules.yml").read_text()
    assert list((folder / "dashboards").glob("*.json"))
    run(command("sloburn sampling"), folder)
    assert "checkout-availability" in (folder / "sampling.yaml").read_text()


@pytest.mark.usefixtures("ports")
def test_the_production_configuration_works(folder: Path) -> None:
    """The production configuration is taken as written, and a sender without certificate is turned away."""
    authority = trustme.CA()
    certificate = authority.issue_cert("127.0.0.1")
    certificate.cert_chain_pems[0].write_to_path(folder / "server.pem")
    certificate.private_key_pem.write_to_path(folder / "server.key")
    authority.cert_pem.write_to_path(folder / "clients.pem")
    (folder / "token").write_text("secret")
    call = command("sloburn serve --config production.yaml")
    with running(call, folder, "http://127.0.0.1:4321/readyz"), pytest.raises(httpx.TransportError):
        post("http://127.0.0.1:4318/v1/traces", content=b"")


@pytest.mark.usefixtures("ports")
def test_the_processor_runs_beside_a_collector(folder: Path) -> None:
    """The configuration for the place beside a Collector works as written."""
    data = ["--data", str(folder / "data")]  # the repository stays clean
    call = command("sloburn serve --config collector")
    call[call.index("--config") + 1] = str(ROOT / call[call.index("--config") + 1])
    with running([*call, *data], folder, "http://127.0.0.1:4321/readyz"):
        assert get("http://127.0.0.1:4328/v1/traces").status_code == httpx.codes.METHOD_NOT_ALLOWED


def test_the_install_command_works() -> None:
    """Pip can resolve and build what the README installs; tests/test_packaging.py installs it for real."""
    call = [sys.executable, "-m", *command("pip install"), "--dry-run", "--quiet", "--no-build-isolation"]
    run(call, ROOT)


def test_links_lead_somewhere() -> None:
    """Every relative link and picture is there."""
    links = re.findall(r"\]\(([^)#]+)\)", README)
    assert links
    assert [link for link in links if "://" not in link and not (ROOT / link).exists()] == []
