"""What is shipped: the wheel works alone in an empty environment, and the locks hold what they promise."""

from __future__ import annotations

import email.message
import email.parser
import os
import re
import subprocess
import sys
import tarfile
import tomllib
import venv
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

pytestmark = pytest.mark.timeout(900)  # the first test builds, the first of an environment fills it from an index

ROOT = Path(__file__).parent.parent
LOCKS = ROOT / "requirements"
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())
VERSION = PROJECT["project"]["version"]

# What a service that only wants init_telemetry() must not get.
NOT_IN_THE_CORE = ("fastapi", "starlette", "celery", "grpc", "yaml", "uvicorn", "jinja2", "prometheus_client")


@dataclass(frozen=True, slots=True, kw_only=True)
class Pin:
    """An entry of a lock.

    Args:
        requirement: Name, exact version and marker.
        hashes: The hashes of its files.
    """

    requirement: Requirement
    hashes: tuple[str, ...]

    @property
    def name(self) -> str:
        """Its name in the one form that compares."""
        return canonicalize_name(self.requirement.name)

    @property
    def version(self) -> str:
        """Its exact version."""
        (specifier,) = self.requirement.specifier
        assert specifier.operator == "=="
        return specifier.version


def read_lock(name: str) -> dict[str, Pin]:
    """Return the entries of a lock by name."""
    text = (LOCKS / name).read_text().replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line and not line.lstrip().startswith("#")]
    pins = [_read_pin(line) for line in lines]
    return {pin.name: pin for pin in pins}


def _read_pin(line: str) -> Pin:
    requirement, *hashes = line.split(" --hash=")
    return Pin(requirement=Requirement(requirement), hashes=tuple(text.strip() for text in hashes))


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the wheel and the sdist, built as a release would."""
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    subprocess.run(command, check=True, capture_output=True)
    return folder


@pytest.fixture(scope="session")
def wheel(built: Path) -> Path:
    """The wheel."""
    (path,) = built.glob("*.whl")
    return path


@pytest.fixture(scope="session")
def sdist(built: Path) -> Path:
    """The source distribution."""
    (path,) = built.glob("*.tar.gz")
    return path


@pytest.fixture(scope="session")
def alone(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The programs of an environment in which nothing was installed but the wheel."""
    folder = tmp_path_factory.mktemp("alone")
    venv.create(folder, with_pip=True)
    constraints = folder / "constraints.txt"
    constraints.write_text("".join(f"{pin.requirement}\n" for pin in read_lock("run.txt").values()))
    pip: list[str | Path] = [folder / "bin" / "python", "-m", "pip", "--disable-pip-version-check", "--quiet"]
    subprocess.run([*pip, "install", "--constraint", constraints, wheel], check=True)
    return folder / "bin"


def run(*command: str | Path, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a program away from the checkout, with next to nothing in its environment."""
    environ = {"PATH": os.environ["PATH"], "HOME": str(cwd), **environment}
    return subprocess.run(command, cwd=cwd, env=environ, capture_output=True, text=True, timeout=120, check=False)


def metadata(wheel: Path) -> email.message.Message:
    """Return the metadata of a wheel."""
    with zipfile.ZipFile(wheel) as archive:
        text = archive.read(f"sloburn-{VERSION}.dist-info/METADATA").decode()
    return email.parser.Parser().parsestr(text)


def shipped_sources() -> set[str]:
    """Return every file of the package that is in the checkout, as a wheel names it."""
    files = (path for path in (ROOT / "src").rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    return {str(path.relative_to(ROOT / "src")) for path in files if ".egg-info" not in str(path)}


def test_wheel_holds_the_package(wheel: Path) -> None:
    """The wheel holds every file of the package, templates and styles included, its license, and nothing else."""
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    info = f"sloburn-{VERSION}.dist-info/"

    assert {name for name in names if not name.startswith(info)} == shipped_sources()
    assert {"sloburn/py.typed", f"{info}licenses/LICENSE", f"{info}entry_points.txt"} <= names


def test_wheel_says_what_it_is(wheel: Path) -> None:
    """The metadata names license, Python, and an extra for each role."""
    found = metadata(wheel)

    assert found["License-Expression"] == "Apache-2.0"
    assert found["Requires-Python"] == ">=3.11"
    assert set(found.get_all("Provides-Extra", [])) == set(PROJECT["project"]["optional-dependencies"])


def test_sdist_holds_what_tests_need(sdist: Path) -> None:
    """The source distribution holds package, tests, examples, Collector configuration and locks."""
    with tarfile.open(sdist) as archive:
        names = {name.removeprefix(f"sloburn-{VERSION}/") for name in archive.getnames()}

    assert {f"src/{name}" for name in shipped_sources()} <= names
    assert {"LICENSE", "README.md", "CHANGELOG.md", "Makefile", "pyproject.toml", "otel-collector.yaml"} <= names
    assert {"tests/test_packaging.py", "collector/sloburn.yaml", "requirements/run.txt"} <= names


def test_sdk_works_alone(alone: Path, tmp_path: Path) -> None:
    """The wheel alone gives `init_telemetry()`, and it does nothing harmful where the SDK is disabled."""
    code = "from sloburn import init_telemetry; init_telemetry(); print('fine')"

    done = run(alone / "python", "-W", "error", "-c", code, cwd=tmp_path, OTEL_SDK_DISABLED="true")

    assert (done.returncode, done.stdout, done.stderr) == (0, "fine\n", "")


def test_core_is_light(alone: Path, tmp_path: Path) -> None:
    """A service that installs the core gets no web server, no broker client, no gRPC and no YAML."""
    code = f"from importlib.util import find_spec; print([name for name in {NOT_IN_THE_CORE} if find_spec(name)])"

    assert run(alone / "python", "-c", code, cwd=tmp_path).stdout == "[]\n"


def test_help_works_alone(alone: Path, tmp_path: Path) -> None:
    """`sloburn --help` needs no extra."""
    done = run(alone / "sloburn", "--help", cwd=tmp_path)

    assert (done.returncode, done.stderr) == (0, "")
    assert "serve" in done.stdout


@pytest.mark.parametrize(("command", "extra"), [(("serve",), "server"), (("validate", "slos.yaml"), "spec")])
def test_missing_extra_is_named(alone: Path, tmp_path: Path, command: tuple[str, ...], extra: str) -> None:
    """A command whose extra is not installed says in one line how to install it, and exits with 1."""
    done = run(alone / "sloburn", *command, cwd=tmp_path)

    assert (done.returncode, done.stdout) == (1, "")
    assert re.fullmatch(rf"[^\n]*pip install 'sloburn\[{extra}\]'\n", done.stderr)


@pytest.mark.parametrize("lock", ["run.txt", "dev.txt"])
def test_every_pin_has_hashes(lock: str) -> None:
    """Each entry of a lock is one exact version with the SHA-256 of its files."""
    bare = [
        pin.name
        for pin in read_lock(lock).values()
        if not pin.version or not pin.hashes or not all(re.fullmatch(r"sha256:[0-9a-f]{64}", h) for h in pin.hashes)
    ]

    assert bare == []


@pytest.mark.parametrize("lock", ["run.txt", "dev.txt"])
def test_locks_name_no_address(lock: str) -> None:
    """A lock names no registry, no URL, no path and no index option: it works behind any mirror."""
    text = (LOCKS / lock).read_text()

    assert re.findall(r"\w+://|--(?:extra-)?index-\w+|--find-links|--editable| @ |^-[a-z]", text, re.MULTILINE) == []


def test_run_lock_is_part_of_the_dev_lock() -> None:
    """What runs is what was tested: each entry of the run lock is in the development lock, at the same version."""
    dev = {name: pin.version for name, pin in read_lock("dev.txt").items()}
    run_pins = {name: pin.version for name, pin in read_lock("run.txt").items()}

    assert {name: dev.get(name) for name in run_pins} == run_pins


def direct_dependencies(groups: Iterable[str], *, extras: bool) -> Iterator[Requirement]:
    """Yield what pyproject.toml asks for by itself."""
    project = PROJECT["project"]
    wanted = [*project["dependencies"]]
    if extras:
        wanted += [text for texts in project["optional-dependencies"].values() for text in texts]
    wanted += [text for group in groups for text in PROJECT["dependency-groups"][group] if isinstance(text, str)]
    requirements = (Requirement(text) for text in wanted)
    yield from (requirement for requirement in requirements if requirement.name != "sloburn")


@pytest.mark.parametrize(("lock", "groups"), [("run.txt", ["examples"]), ("dev.txt", ["examples", "dev"])])
def test_dependencies_are_locked_within_their_ranges(lock: str, groups: list[str]) -> None:
    """Every dependency of pyproject.toml is locked, at a version that its range allows."""
    pins = read_lock(lock)

    wrong = [
        str(requirement)
        for requirement in direct_dependencies(groups, extras=True)
        if (pin := pins.get(canonicalize_name(requirement.name))) is None
        or not requirement.specifier.contains(pin.version, prereleases=True)
    ]

    assert wrong == []
