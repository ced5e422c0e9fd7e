"""What tests of the real stack do without a server that it leaves out: they fail where it could have been there."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace

import pytest
from collector.stack.lifecycle import Stack

from tests.stack.optional import may_install, require

COMPLAINT = "redis-server is missing and cannot be fetched: E: Unable to locate package"


class Standings(Stack):
    """A stack with one server, which has a command where it is not left out."""

    def __init__(self, data: Path, command: Sequence[str]) -> None:
        super().__init__(data, print)
        self.command = command

    def standings(self) -> list[SimpleNamespace]:  # type: ignore[override]
        """Say how the server stands."""
        return [SimpleNamespace(service=SimpleNamespace(name="redis", command=self.command))]


def user(folder: Path, monkeypatch: pytest.MonkeyPatch, uid: int, **programs: str) -> None:
    """Be a user who finds only these programs, each a shell script."""
    for name, script in programs.items():
        file = folder / name.replace("_", "-")
        file.write_text(f"#!{shutil.which('sh')}\n{script}\n")
        file.chmod(0o755)
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.setattr("os.geteuid", lambda: uid)


@pytest.mark.parametrize(
    ("uid", "programs", "expected"),
    [
        (0, {"apt_get": ""}, True),
        (0, {}, False),
        (1000, {"apt_get": ""}, False),
        (1000, {"apt_get": "", "sudo": ""}, True),
        (1000, {"apt_get": "", "sudo": "exit 1"}, False),
    ],
)
def test_who_may_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, uid: int, programs: dict[str, str], expected: bool
) -> None:
    """Root may install packages on Debian, and who becomes root without a password."""
    user(tmp_path, monkeypatch, uid, **programs)

    assert may_install() is expected


def test_server_that_could_be_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A test fails with what apt said where root lacks a server."""
    user(tmp_path, monkeypatch, 0, apt_get="")
    with pytest.raises(pytest.fail.Exception, match=r"leaves redis out\nredis-server .* Unable to locate"):
        require(Standings(tmp_path, ()), "redis", [COMPLAINT])


def test_server_that_cannot_be_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A test is passed over where nobody could install the server; one with its server goes on."""
    user(tmp_path, monkeypatch, 1000)
    with pytest.raises(pytest.skip.Exception, match="Unable to locate"):
        require(Standings(tmp_path, ()), "redis", [COMPLAINT])

    require(Standings(tmp_path, ("redis-server",)), "redis", [])
