"""The command line as a user meets it, mistakes above all."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path

import pytest

GOOD = """\
version: sloburn/v1
slos:
  - name: availability
    service: shop
    objective: 99.9
    period: 30d
    indicator:
      spans: {kind: server}
      bad: {status: error}
"""


def sloburn(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run the command and return what it said."""
    call = [sys.executable, "-m", "sloburn.cli", *arguments]
    return subprocess.run(call, capture_output=True, text=True, cwd=cwd, timeout=120, check=False)


@pytest.fixture
def slos(tmp_path: Path) -> Path:
    """A good SLO document."""
    path = tmp_path / "slos.yaml"
    path.write_text(GOOD)
    return path


def serve(slos: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Start a processor that is expected to refuse."""
    ports = ("--otlp-http", "127.0.0.1:0", "--otlp-grpc", "127.0.0.1:0", "--listen", "127.0.0.1:0")
    return sloburn("serve", "--slos", str(slos), *ports, *arguments, cwd=slos.parent)


def refused(result: subprocess.CompletedProcess[str]) -> str:
    """Return the one message of a call that was refused, without a traceback, with exit status 1."""
    assert (result.returncode, result.stdout) == (1, "")
    assert "Traceback" not in result.stderr
    return result.stderr.strip()


def test_help_is_for_people(tmp_path: Path) -> None:
    """Help names every command and how to begin."""
    text = sloburn("--help", cwd=tmp_path).stdout
    assert all(part in text for part in ("serve", "validate", "Begin here", "http://127.0.0.1:4321"))


def test_a_wrong_call_has_status_2(tmp_path: Path) -> None:
    """A command that does not exist is a wrong call."""
    result = sloburn("srve", cwd=tmp_path)
    assert (result.returncode, "invalid choice: 'srve'" in result.stderr) == (2, True)


def test_validate_says_what_is_there(slos: Path) -> None:
    """A good document is listed."""
    result = sloburn("validate", "slos.yaml", cwd=slos.parent)
    first, low_traffic, last = result.stdout.splitlines()
    assert (result.returncode, first, last) == (0, "availability: shop, 99.9 %", "1 SLO is fine")
    assert low_traffic.startswith("  low traffic: below 70 events in 1 h, ")


def test_validate_rounds_no_objective(slos: Path) -> None:
    """Seven nines are written as seven nines, not as 100 %."""
    slos.write_text(GOOD.replace("99.9", "99.99999"))
    assert "99.99999 %" in sloburn("validate", "slos.yaml", cwd=slos.parent).stdout


def test_validate_refuses_an_objective_of_100(slos: Path) -> None:
    """An objective of 100 leaves no budget: refused with file, line, place and what to write."""
    slos.write_text(GOOD.replace("99.9", "100"))
    message = refused(sloburn("validate", "slos.yaml", cwd=slos.parent))
    assert message.startswith("slos.yaml:5: slos[0].objective: ")
    assert "no error budget" in message


def test_serve_refuses_an_unknown_key(slos: Path) -> None:
    """A misspelt key is refused at start, with a guess."""
    slos.write_text(GOOD.replace("period:", "perid:"))
    message = refused(serve(slos))
    assert "slos.yaml:6: slos[0].perid: unknown key (did you mean period?)" in message


def test_serve_needs_slos(tmp_path: Path) -> None:
    """Without SLO documents there is nothing to do, and the message says how to name one."""
    assert refused(sloburn("serve", cwd=tmp_path)) == (
        "no SLO documents are named; expected for instance --slos slos.yaml"
    )


def test_serve_refuses_a_folder_that_cannot_be_written(slos: Path) -> None:
    """A data folder that cannot be is named, with the flag that changes it."""
    message = refused(serve(slos, "--data", str(slos / "data")))
    assert (
        message
        == f"cannot keep data in {slos / 'data'}: Not a directory; choose a folder that can be written with --data"
    )


@pytest.mark.parametrize("flag", ["--otlp-http", "--listen", "--otlp-grpc"])
def test_serve_refuses_a_taken_port(slos: Path, flag: str) -> None:
    """A port that somebody else listens on is named, with no traceback."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        message = refused(serve(slos, flag, address))
    assert message.splitlines()[-1] == (
        f"cannot listen on {address}: Address already in use; choose another with {flag}"
    )


def test_serve_refuses_a_bad_configuration(slos: Path) -> None:
    """A bad configuration file is refused with file, place and expectation."""
    config = slos.parent / "sloburn.yaml"
    config.write_text("listen: 80\n")
    message = refused(serve(slos, "--config", "sloburn.yaml", "--listen", ""))
    assert message == (
        "sloburn.yaml:1: listen: found '80'; expected HOST:PORT with a port from 0 to 65535, like 127.0.0.1:4318"
    )
