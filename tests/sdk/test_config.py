"""Where settings come from: the project around the caller, SLO documents, proxies; and changes."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from sloburn.errors import ConfigError
from sloburn.sdk.config import Arguments, TelemetryConfig
from sloburn.sdk.environment import resolve
from sloburn.sdk.pipeline import describe
from sloburn.sdk.project import Project, find_project
from sloburn.sdk.proxies import proxy_for
from sloburn.sdk.resource import Identity, container_id
from sloburn.sdk.slo_boundaries import slo_boundaries
from tests.sdk.collector import Collector
from tests.sdk.processes import succeed

_SHA = "0123456789abcdef0123456789abcdef01234567"


def settle(environ: dict[str, str] | None = None, **arguments: object) -> TelemetryConfig:
    """Resolve settings and insist that nothing was refused."""
    config, problems = resolve(Arguments(**arguments), environ or {})  # type: ignore[arg-type]
    assert problems == ()
    return config


def project_folder(folder: Path, pyproject: str) -> Path:
    """Make a project with a module two folders down and return the module's file."""
    (folder / "pyproject.toml").write_text(pyproject)
    file = folder / "src" / "shop" / "main.py"
    file.parent.mkdir(parents=True)
    return file


_SHOW = """
import json
from sloburn import init_telemetry
telemetry = init_telemetry(enabled=False)
print(json.dumps(dict(telemetry.config.resource_attributes)))
"""


def attributes_of(file: Path, **extra: str) -> dict[str, str]:
    """Run a module that calls `init_telemetry` and return what it reports itself as."""
    file.write_text(_SHOW)
    done = succeed("import runpy, sys; runpy.run_path(sys.argv[1], run_name='__main__')", str(file), extra=extra)
    found: dict[str, str] = json.loads(done.stdout.splitlines()[-1])
    return found


def test_name_and_version_of_the_project(tmp_path: Path) -> None:
    """Without a name, a service is called what the pyproject.toml above its entry point says."""
    file = project_folder(tmp_path, '[project]\nname = "checkout"\nversion = "1.2.3"\n')
    found = attributes_of(file)
    assert (found["service.name"], found["service.version"]) == ("checkout", "1.2.3")


def test_given_name_beats_the_project(tmp_path: Path) -> None:
    """A name that is given stays, beside the project's version; tool-only files are passed over."""
    file = project_folder(tmp_path, '[project]\nname = "checkout"\nversion = "1.2.3"\n')
    (file.parent / "pyproject.toml").write_text("[tool.ruff]\n")
    found = attributes_of(file, OTEL_SERVICE_NAME="other")
    assert (found["service.name"], found["service.version"]) == ("other", "1.2.3")


@pytest.mark.parametrize("pyproject", ["not [ toml", "", "[project]\n"])
def test_project_that_says_nothing(tmp_path: Path, pyproject: str) -> None:
    """A broken or empty pyproject.toml costs nothing but the name."""
    assert attributes_of(project_folder(tmp_path, pyproject))["service.name"].startswith("unknown_service:")


def test_name_of_an_installed_distribution() -> None:
    """A program that runs from its installed distribution is called like that."""
    done = succeed(
        "import sys, structlog; sys._getframe(0).f_globals.update(vars(structlog)); "
        "from pathlib import Path; from sloburn.sdk.project import find_project; "
        "print(find_project(sys._getframe(0), Path('/')))"
    )
    assert "Project(name='structlog', version='2" in done.stdout


def test_commit_of_the_working_tree(tmp_path: Path) -> None:
    """The commit is read from git's files: a branch, a packed branch, a detached head and a worktree."""
    git = tmp_path / ".git"
    (git / "refs" / "heads").mkdir(parents=True)
    (git / "HEAD").write_text("ref: refs/heads/main\n")
    (git / "packed-refs").write_text(f"# pack-refs\n{_SHA} refs/heads/main\n")
    assert find_project(None, tmp_path / "deep" / "er").commit == _SHA
    (git / "refs" / "heads" / "main").write_text(f"{_SHA[::-1]}\n")
    assert find_project(None, tmp_path).commit == _SHA[::-1]
    (git / "HEAD").write_text(f"{_SHA}\n")
    assert find_project(None, tmp_path).commit == _SHA
    tree, part = tmp_path / "tree", git / "worktrees" / "tree"
    tree.mkdir()
    part.mkdir(parents=True)
    (tree / ".git").write_text(f"gitdir: {part}\n")
    (part / "HEAD").write_text("ref: refs/heads/main\n")
    (part / "commondir").write_text("../..\n")
    assert find_project(None, tree).commit == _SHA[::-1]


def test_commit_agrees_with_git(tmp_path: Path) -> None:
    """What is read from the files is what git says."""
    run = ["git", "-C", str(tmp_path), "-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false"]
    subprocess.run([*run, "init", "-q"], check=True)
    subprocess.run([*run, "commit", "-q", "--allow-empty", "-m", "first"], check=True)
    said = subprocess.run([*run, "rev-parse", "HEAD"], check=True, capture_output=True, text=True).stdout.strip()
    assert find_project(None, tmp_path).commit == said


def test_commit_of_a_build() -> None:
    """Where there is no working tree the variables of build systems say the commit."""
    assert dict(settle({"GITHUB_SHA": _SHA}).resource_attributes)["vcs.ref.head.revision"] == _SHA


@pytest.mark.parametrize(
    "seen",
    [
        f"12:pids:/docker/{'a1' * 32}\n",
        f"0::/kubepods/burstable/pod1234/{'a1' * 32}\n",
        f"1 2 0:1 /var/lib/docker/containers/{'a1' * 32}/hostname /etc/hostname rw\n",
        f"0::/system.slice/containerd.service/kubepods-besteffort.slice/cri-containerd-{'a1' * 32}.scope\n",
    ],
)
def test_container_id(seen: str) -> None:
    """The container is found in control groups of either version."""
    assert container_id(seen) == "a1" * 32


def test_no_container() -> None:
    """Outside of a container there is no id."""
    assert container_id("0::/user.slice/user-1000.slice/session-2.scope\n") == ""


def test_identity_of_children() -> None:
    """A forked child is another instance with a process id of its own, whether an instance id was given or not."""
    given = Identity(settle(resource_attributes={"service.instance.id": "pod-1"}))
    assert given.resource.attributes["service.instance.id"] == "pod-1"
    given.after_fork()
    assert str(given.resource.attributes["service.instance.id"]).startswith("pod-1-")
    drawn = Identity(settle())
    first = drawn.resource.attributes["service.instance.id"]
    drawn.after_fork()
    assert drawn.resource.attributes["service.instance.id"] != first


_SLOS = """
version: sloburn/v1
slos:
  - name: a
    indicator: {metric: http.server.request.duration, good: {le: 275ms}}
  - name: b
    period: 30d
    indicator: {good: {duration: {le: 1.2s}}}
---
spec: {query: 'sum(rate(x_bucket{le="0.45"}[5m]))'}
"""


def test_boundaries_of_slo_files(tmp_path: Path) -> None:
    """The thresholds of SLO documents, ours and those in queries, become boundaries; periods do not."""
    (tmp_path / "slos.yaml").write_text(_SLOS)
    assert slo_boundaries([str(tmp_path)]) == (0.275, 0.45, 1.2)
    config = settle({"SLOBURN_SLOS": str(tmp_path), "SLOBURN_HISTOGRAM_BOUNDARIES": "0.2"})
    assert config.web.boundaries_seconds == (0.2, 0.275, 0.45, 1.2)


def test_too_many_boundaries(tmp_path: Path) -> None:
    """More thresholds than a histogram should have are refused."""
    file = tmp_path / "slos.yaml"
    file.write_text("\n".join(f"- {{le: {number}ms}}" for number in range(1, 60)))
    with pytest.raises(ConfigError, match="59 thresholds"):
        slo_boundaries([str(file)])


@pytest.mark.parametrize(
    ("url", "environ", "proxy"),
    [
        ("http://c:4318", {}, ""),
        ("http://c:4318", {"http_proxy": "http://p:1"}, "http://p:1"),
        ("http://c:4318", {"HTTP_PROXY": "p:1"}, "http://p:1"),
        ("http://c:4318", {"HTTP_PROXY": "p:1", "REQUEST_METHOD": "GET"}, ""),
        ("https://c:4318", {"http_proxy": "http://p:1"}, ""),
        ("https://c:4318", {"HTTPS_PROXY": "http://u:s@p:1"}, "http://u:s@p:1"),
        ("https://c:4318", {"ALL_PROXY": "http://p:1"}, "http://p:1"),
        ("http://localhost:4318", {"http_proxy": "http://p:1"}, ""),
        ("http://127.0.0.1:4318", {"http_proxy": "http://p:1"}, ""),
        ("http://a.corp:4318", {"http_proxy": "http://p:1", "no_proxy": "x, .corp"}, ""),
        ("http://10.1.2.3:4318", {"http_proxy": "http://p:1", "no_proxy": "10.0.0.0/8"}, ""),
        ("http://acorp:4318", {"http_proxy": "http://p:1", "no_proxy": "corp"}, "http://p:1"),
        ("http://c:4318", {"http_proxy": "http://p:1", "no_proxy": "c:4317"}, "http://p:1"),
        ("http://c:4318", {"http_proxy": "http://p:1", "no_proxy": "*"}, ""),
    ],
)
def test_proxy_variables(url: str, environ: dict[str, str], proxy: str) -> None:
    """The usual variables choose the proxy; the own machine is reached directly."""
    assert proxy_for(url, environ) == proxy


def test_proxy_that_is_not_supported() -> None:
    """A proxy of another kind is refused once, without its password."""
    _, problems = resolve(Arguments(endpoint="https://c"), {"HTTPS_PROXY": "socks5://u:secret@p:1"})
    assert problems == ("proxy variables: a proxy of the kind socks5:// is not supported, only http://",)


def test_login_in_the_address_becomes_a_header() -> None:
    """User and password of an address are sent, and shown nowhere."""
    config = settle(endpoint="https://user:s%20cret@collector:4318")
    target = config.targets[0][1]
    assert (target.url, dict(target.headers)) == (
        "https://collector:4318/v1/traces",
        {"authorization": "Basic dXNlcjpzIGNyZXQ="},
    )
    assert "cret" not in repr(config)


def test_start_line() -> None:
    """The line at the start says who, what, where, how and how often, and nothing secret."""
    config = settle(
        service_name="checkout",
        service_version="1.2",
        endpoint="https://u:secret@collector:4318/tenant-key",
        headers={"api-key": "secret"},
        sample_ratio=0.1,
        export_interval=2,
    )
    assert describe(config, ("traces", "metrics", "logs")) == (
        "telemetry of checkout 1.2: traces (0.1 of new ones), metrics, logs by OTLP/HTTP to "
        "https://collector:4318 every 2 s"
    )


def test_reconfigure() -> None:
    """A later call changes target, name, sampling and exclusions under the same handle, and loses nothing."""
    with Collector() as first, Collector() as second:
        done = succeed(
            """
import sys
from opentelemetry import trace
from sloburn import init_telemetry
telemetry = init_telemetry(service_name="a", endpoint=sys.argv[1], export_interval=3600)
tracer, counter = trace.get_tracer("host"), telemetry.meter.create_counter("work")
counter.add(1)
with tracer.start_as_current_span("before"): pass
assert init_telemetry(service_name="b") is telemetry
assert init_telemetry(service_name="b", endpoint=sys.argv[2], export_interval=3600, reconfigure=True) is telemetry
counter.add(2)
with tracer.start_as_current_span("after"): pass
assert telemetry.flush(30)
init_telemetry(enabled=False, reconfigure=True)
with tracer.start_as_current_span("silence"): pass
assert not telemetry.status().is_enabled
init_telemetry(service_name="c", endpoint=sys.argv[2], reconfigure=True)
with trace.get_tracer("host").start_as_current_span("again"): pass
""",
            first.endpoint,
            second.endpoint,
        )
        assert first.span("before").resource["service.name"] == "a"
        assert second.span("after").resource["service.name"] == "b"
        assert second.span("again").resource["service.name"] == "c"
        assert (first.total("work"), [span.name for span in first.arrivals.spans]) == (1, ["before"])
        assert "silence" not in str(second.arrivals.spans)
    assert done.stdout.count("called again with other settings") == 1


def test_project_of_no_caller(tmp_path: Path) -> None:
    """A notebook, whose code is in no file, is called like the project that it is started in."""
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "notes"\n')
    assert find_project(None, tmp_path) == Project(name="notes")


@pytest.mark.parametrize(
    "address",
    [
        "http://user:hunter2",
        "http://user:hunter2@host:99999",
        "http://[hunter2]",
        "http://user:hunter2@host\u2100name",
        "http://",
        "http://user:hunter2@:1",
    ],
)
def test_addresses_that_are_none_are_not_quoted(address: str) -> None:
    """A misspelt address, of the receiver or of a proxy, is refused without what may be its password."""
    endpoint = {"OTEL_EXPORTER_OTLP_ENDPOINT": address}
    proxy = {"http_proxy": address, "OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector.example:4318"}
    for environ in (endpoint, proxy):
        config, problems = resolve(Arguments(), environ)
        assert len(problems) == 1
        assert "hunter2" not in " ".join(problems)
        assert "hunter2" not in str(config)
