"""The processor's configuration: four sources, the last word wins, and every problem names its place."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from sloburn.clock import ManualClock
from sloburn.errors import ConfigError
from sloburn.server.app import open_keeper
from sloburn.server.config import Address, ProcessorConfig, load_config

NOTHING: dict[str, str] = {}
SLOS = Path(__file__).parent.parent / "spec" / "checkout.yaml"


def test_defaults() -> None:
    """Without any source everything listens on loopback, on OTLP's own ports and one for the page."""
    config = load_config(file=None, environ=NOTHING, flags={})
    assert config == ProcessorConfig()
    assert [str(a) for a in (config.otlp_grpc, config.otlp_http, config.listen)] == [
        "127.0.0.1:4317",
        "127.0.0.1:4318",
        "127.0.0.1:4321",
    ]


def test_flags_win_over_environment_and_file(tmp_path: Path) -> None:
    """A flag beats the environment, the environment beats the file, the file beats the default."""
    file = tmp_path / "sloburn.yaml"
    file.write_text("listen: 127.0.0.1:1\notlp_http: 127.0.0.1:1\notlp_grpc: 127.0.0.1:1\n")
    environ = {"SLOBURN_LISTEN": "127.0.0.1:2", "SLOBURN_OTLP_HTTP": "127.0.0.1:3"}
    config = load_config(file=file, environ=environ, flags={"listen": "127.0.0.1:4", "data": None})
    assert (config.otlp_grpc.port, config.otlp_http.port, config.listen.port) == (1, 3, 4)


def test_paths_of_a_file_start_from_its_folder(tmp_path: Path) -> None:
    """A file names paths beside itself; flags and environment name them from where the user stands."""
    file = tmp_path / "sloburn.yaml"
    file.write_text("slos: [a.yaml, b]\ndata: store\n")
    config = load_config(file=file, environ=NOTHING, flags={})
    assert (config.slos, config.data) == ((tmp_path / "a.yaml", tmp_path / "b"), tmp_path / "store")
    config = load_config(file=file, environ={"SLOBURN_SLOS": "c.yaml, d"}, flags={"data": "e"})
    assert (config.slos, config.data) == ((Path("c.yaml"), Path("d")), Path("e"))


def test_a_collectors_exporters_are_named_by_patterns(tmp_path: Path) -> None:
    """Whose losses are ours can be said; without a word it is every exporter that is called after us."""
    file = tmp_path / "sloburn.yaml"
    file.write_text("collector_exporters: [otlp_http/slo, 'otlp_grpc/*']\n")
    config = load_config(file=file, environ=NOTHING, flags={})
    assert config.collector_exporters == ("otlp_http/slo", "otlp_grpc/*")
    assert ProcessorConfig().collector_exporters == ("*sloburn*",)
    with pytest.raises(ConfigError, match="SLOBURN_COLLECTOR_EXPORTERS: found nothing; expected names of a Collector"):
        load_config(file=None, environ={"SLOBURN_COLLECTOR_EXPORTERS": "a, "}, flags={})


def test_an_address_may_be_ipv6() -> None:
    """The host of an address may stand in brackets."""
    config = load_config(file=None, environ=NOTHING, flags={"listen": "[::1]:0"})
    assert config.listen == Address("::1", 0)
    assert str(config.listen) == "[::1]:0"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("lisen: 127.0.0.1:1", "sloburn.yaml:1: lisen: unknown key (did you mean listen?); expected slos, watch"),
        ("listen: nowhere", "sloburn.yaml:1: listen: found 'nowhere'; expected HOST:PORT with a port from 0 to 65535"),
        ("listen: 127.0.0.1:99999", "sloburn.yaml:1: listen: found '127.0.0.1:99999'; expected HOST:PORT"),
        ("listen:", "sloburn.yaml:1: listen: found ''; expected HOST:PORT"),
        ("listen: [a, b]", "sloburn.yaml:1: listen: found 2 values; expected one"),
        ("a: 1\na: 2", "sloburn.yaml:2: a: "),
        ("data: {}", "sloburn.yaml:1: data: found nothing; expected a path"),
        ("slos: []", "sloburn.yaml:1: slos: found nothing; expected files or folders of SLO documents"),
        ("time_scale: 0", "sloburn.yaml:1: time_scale: found '0'; expected a whole number from 1 to 3600"),
        ("max_body_bytes: many", "sloburn.yaml:1: max_body_bytes: found 'many'; expected a whole number from 1024"),
        ("- a", "sloburn.yaml:1: found a list; expected a mapping"),
        ("listen: {", ": this is no valid YAML"),
        ("otlp_http: 127.0.0.1:1\notlp_grpc: 127.0.0.1:1", "otlp_http and otlp_grpc are both 127.0.0.1:1"),
    ],
)
def test_a_bad_file_is_refused_with_place_and_expectation(tmp_path: Path, text: str, message: str) -> None:
    """Each mistake names file, line, key, what was found and what was expected."""
    file = tmp_path / "sloburn.yaml"
    file.write_text(text)
    with pytest.raises(ConfigError) as caught:
        load_config(file=file, environ=NOTHING, flags={})
    assert message in str(caught.value)


def test_every_problem_is_listed() -> None:
    """Problems of all sources come together, each under the name that the user wrote."""
    with pytest.raises(ConfigError) as caught:
        load_config(file=None, environ={"SLOBURN_LISTEN": "x"}, flags={"time_scale": "-1"})
    assert [line.partition(":")[0] for line in str(caught.value).splitlines()] == ["SLOBURN_LISTEN", "--time-scale"]


def test_how_many_spans_are_remembered_can_be_said(tmp_path: Path) -> None:
    """The memory against repeats is bounded by a flag, the environment or the file, down to the engine."""
    config = load_config(file=None, environ={"SLOBURN_DEDUPE_SPANS": "20000"}, flags={"slos": [str(SLOS)]})
    assert ProcessorConfig().dedupe_spans == 8_000_000
    keeper = open_keeper(replace(config, data=tmp_path), ManualClock(0))
    assert keeper.engine.seen.capacity == 20_000
    keeper.reload((), 0)
    assert keeper.engine.seen.capacity == 20_000
    keeper.store.close()
    with pytest.raises(ConfigError, match="--dedupe-spans: found '9'; expected a whole number from 10000 to "):
        load_config(file=None, environ=NOTHING, flags={"dedupe_spans": "9"})


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    """A configuration file that cannot be read is refused, not passed over."""
    with pytest.raises(ConfigError, match=r"gone\.yaml: cannot be read: No such file"):
        load_config(file=tmp_path / "gone.yaml", environ=NOTHING, flags={})
