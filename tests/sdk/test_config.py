"""Where settings come from: the project around the caller, declarative files, SLO documents, proxies; and changes."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from sloburn.errors import ConfigError
from sloburn.sdk.config import Arguments, TelemetryConfig
from sloburn.sdk.declarative import declared
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
    run = ["git", "-C", str(tmp_path), "-c", "user.name=a", "-c", "user.email=a@b"]
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


_DECLARED = """
file_format: "1.0"
disabled: false
resource:
  attributes:
    - name: service.name
      value: ${NAME:-declared}
    - {name: team, value: "a, b"}
propagator:
  composite: [tracecontext: , baggage: ]
tracer_provider:
  sampler: {parent_based: {root: {trace_id_ratio_based: {ratio: 0.25}}}}
  processors:
    - batch:
        schedule_delay: 250
        max_queue_size: 100
        exporter:
          otlp_http:
            endpoint: https://collector:4318/v1/traces
            headers: [{name: api-key, value: "${KEY}"}]
            compression: gzip
            timeout: 2000
            tls: {ca_file: /ca.pem}
meter_provider:
  readers:
    - periodic:
        interval: 15000
        exporter: {otlp_grpc: {endpoint: "http://collector:4317"}}
"""


def declare(folder: Path, text: str, **environ: str) -> tuple[TelemetryConfig, list[str]]:
    """Resolve settings from a declarative file."""
    file = folder / "otel.yaml"
    file.write_text(text)
    variables, problems = declared({"OTEL_CONFIG_FILE": str(file), **environ})
    config, refused = resolve(Arguments(), variables)
    return config, [problem.removeprefix(f"{file}: ") for problem in (*problems, *refused)]


def test_declarative_file(tmp_path: Path) -> None:
    """OTEL_CONFIG_FILE says the same as the variables do, replaces them, and may refer to the environment."""
    config, problems = declare(tmp_path, _DECLARED, KEY="a=b", OTEL_SERVICE_NAME="ignored", OTEL_TRACES_EXPORTER="none")
    targets = dict(config.targets)
    assert problems == []
    assert dict(config.resource_attributes) == {"service.name": "declared", "team": "a, b"}
    assert (config.sampling.ratio, config.sampling.parent_based) == (0.25, True)
    assert (config.span_interval_seconds, config.metric_interval_seconds, config.max_queue_size) == (0.25, 15.0, 100)
    traces = targets["traces"]
    assert (traces.url, traces.headers) == ("https://collector:4318/v1/traces", (("api-key", "a=b"),))
    assert (traces.compression, traces.timeout_seconds, traces.ca_file) == ("gzip", 2.0, "/ca.pem")
    assert (targets["metrics"].protocol, targets["metrics"].url) == ("grpc", "http://collector:4317")
    assert "logs" not in targets


def test_declarative_file_asks_for_what_we_have_not(tmp_path: Path) -> None:
    """What a file asks for and we have not is named with its place, and the rest is done."""
    text = """
file_format: "1.0"
instrumentation/development: {python: {x: {}}}
tracer_provider:
  limits: {event_count_limit: 4, bytes: 1}
  sampler: {jaeger_remote: {}}
  processors:
    - simple: {exporter: {console: }}
    - batch: {exporter: {zipkin: {endpoint: x}}}
meter_provider:
  views: [{selector: {}}]
  readers: [pull: {exporter: {prometheus: {}}}]
logger_provider:
  processors: [batch: {exporter: {otlp_http: {endpoint: "http://c/v1/logs", retry: {}, dns: 1}}}]
"""
    config, problems = declare(tmp_path, text)
    assert [problem.partition(":")[0] for problem in problems] == [
        "tracer_provider.sampler",
        "tracer_provider.limits.bytes",
        "tracer_provider.processors",
        "tracer_provider.processors.batch.exporter",
        "meter_provider.readers",
        "meter_provider.views",
        "logger_provider.processors.batch.exporter.otlp_http.dns",
        "instrumentation/development",
    ]
    assert dict(config.targets)["logs"].url == "http://c/v1/logs"


def test_declarative_limits(tmp_path: Path) -> None:
    """Limits of spans, their parts and log records, and the exemplar filter, are what the file says."""
    text = """
file_format: "1.0"
attribute_limits: {attribute_count_limit: 50, attribute_value_length_limit: 90}
tracer_provider: {limits: {event_count_limit: 4, link_attribute_count_limit: 3, attribute_count_limit: 2}}
logger_provider: {limits: {attribute_value_length_limit: 9}}
meter_provider: {exemplar_filter: always_off}
"""
    config, problems = declare(tmp_path, text)
    limits = config.limits
    assert problems == []
    assert (limits.span_events, limits.span_attributes, limits.event_attributes, limits.link_attributes) == (
        4,
        2,
        50,
        3,
    )
    assert (limits.log_length, limits.span_length, config.exemplar_filter) == (9, 90, "always_off")


@pytest.mark.parametrize("text", ["a: [", "- 1", "", "file_format: '1.0'\n---\na: 1"])
def test_declarative_file_that_is_none(tmp_path: Path, text: str) -> None:
    """A file that is not a configuration is refused in one sentence and the variables stay in force."""
    config, problems = declare(tmp_path, text, OTEL_SERVICE_NAME="kept")
    assert (len(problems), config.service_name) == (1, "kept")


def test_declarative_file_that_is_missing() -> None:
    """A file that is not there is refused with its name."""
    assert declared({"OTEL_CONFIG_FILE": "/nowhere"})[1] == (
        "OTEL_CONFIG_FILE: /nowhere cannot be read: no such file or directory",
    )


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
assert telemetry.flush()
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
