"""A host that configures logging or structlog after `init_telemetry` keeps its look; every event is exported once."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.sdk.collector import Collector, SeenLog
from tests.sdk.processes import Finished, succeed

_DICT = """
SETTINGS = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"host": {"format": "host %(message)s"}},
    "handlers": {"out": {"class": "logging.StreamHandler", "stream": "ext://sys.stdout", "formatter": "host"}},
    "root": {"handlers": ["out"], "level": "INFO"},
    "loggers": {"alone": {"handlers": ["out"], "level": "INFO", "propagate": False}},
}
"""
_FILE = """
[loggers]
keys=root
[handlers]
keys=out
[formatters]
keys=host
[logger_root]
level=INFO
handlers=out
[handler_out]
class=StreamHandler
args=(sys.stdout,)
formatter=host
[formatter_host]
format=host %(message)s
"""
_OUT = "logging.basicConfig(stream=sys.stdout, level='INFO', format='host %(message)s', force=True)"

# An early name, because what was imported from its module cannot be wrapped.
_START = """
import logging, logging.config, sys, time
from logging.config import dictConfig, fileConfig
from sloburn import get_logger, init_telemetry
"""


def outcome(code: str, *arguments: str) -> tuple[Finished, list[SeenLog]]:
    """Run code in its own process; return what it printed and the records that arrived."""
    with Collector() as collector:
        done = succeed(_START + code, *arguments, extra={"OTEL_EXPORTER_OTLP_ENDPOINT": collector.endpoint})
    return done, collector.arrivals.logs


def bodies(records: list[SeenLog], logger: str) -> list[str]:
    """Return what a logger has exported."""
    return [record.body for record in records if record.logger == logger]


_DISABLING = "dictConfig(SETTINGS | {'disable_existing_loggers': True})"


@pytest.mark.parametrize(
    ("before", "configure"),
    [
        ("", "dictConfig(SETTINGS)"),
        ("", _DISABLING),
        ("", "fileConfig(sys.argv[1], disable_existing_loggers=True)"),
        ("", _OUT),
        ("logging.basicConfig(stream=sys.stderr)", _DISABLING),
    ],
    ids=["dictConfig", "disabling", "fileConfig", "basicConfig", "over a host's"],
)
def test_logging_configured_anew(tmp_path: Path, before: str, configure: str) -> None:
    """The very first record after it is written once, by the host's handler, without secrets, and exported once."""
    file = tmp_path / "logging.ini"
    file.write_text(_FILE)
    done, records = outcome(
        f"""
{_DICT}
{before}
init_telemetry()
{configure}
logging.getLogger("shop").info("sold password=hunter2")
logging.getLogger("shop").info("sold more")
""",
        str(file),
    )
    shown = [line for line in done.output.splitlines() if "sold" in line]
    assert shown == ["host sold password=[redacted]", "host sold more"]
    assert bodies(records, "shop") == ["sold password=[redacted]", "sold more"]
    assert (done.output.count("logging was configured anew"), "logging was configured anew" in str(records)) == (
        (0, False) if before else (1, True)
    )


@pytest.mark.parametrize("replace", ["root.handlers = [mine]", "root.handlers.clear(); root.addHandler(mine)"])
def test_replaced_handlers(replace: str) -> None:
    """Handlers that are replaced by hand are noticed within an interval."""
    done, records = outcome(
        f"""
telemetry = init_telemetry(export_interval=0.05)
root, mine = logging.getLogger(), logging.StreamHandler(sys.stdout)
before = root.handlers[0]
{replace}
deadline = time.monotonic() + 30
while (before not in root.handlers or before.is_writing) and time.monotonic() < deadline:
    time.sleep(0.01)
logging.getLogger("shop").info("sold")
"""
    )
    assert [line for line in done.stdout.splitlines() if "sold" in line] == ["sold"]
    assert bodies(records, "shop") == ["sold"]


def test_handlers_that_are_only_removed() -> None:
    """Without other handlers ours comes back and goes on writing JSON."""
    done, records = outcome(
        """
init_telemetry(export_interval=0.05)
for handler in logging.getLogger().handlers[:]:
    logging.getLogger().removeHandler(handler)
deadline = time.monotonic() + 30
while not logging.getLogger().handlers and time.monotonic() < deadline:
    time.sleep(0.01)
logging.getLogger("shop").info("sold")
"""
    )
    assert [json.loads(line)["event"] for line in done.stdout.splitlines() if "sold" in line] == ["sold"]
    assert bodies(records, "shop") == ["sold"]


@pytest.mark.parametrize("first", ["dictConfig(SETTINGS)", "init_telemetry()"])
def test_loggers_that_do_not_propagate(first: str) -> None:
    """A logger with handlers of its own that hands nothing on is exported; one that was silenced is not."""
    second = "init_telemetry()" if first.startswith("dict") else "dictConfig(SETTINGS)"
    done, records = outcome(
        f"""
{_DICT}
{first}
{second}
logging.getLogger("quiet").addHandler(logging.NullHandler())
logging.getLogger("quiet").propagate = False
logging.getLogger("shop").info("seen")
logging.getLogger("alone").info("sold token=abc")
logging.getLogger("quiet").info("unseen")
"""
    )
    assert [line for line in done.stdout.splitlines() if "sold" in line] == ["host sold token=[redacted]"]
    assert bodies(records, "alone") == ["sold token=[redacted]"]
    assert bodies(records, "quiet") == []


_LOGGER_ONLY = "dictConfig({key: value for key, value in SETTINGS.items() if key != 'root'})"
_FILE_ALONE = (
    _FILE.replace("keys=root", "keys=root,alone")
    + """
[logger_alone]
level=INFO
handlers=out
propagate=0
qualname=alone
"""
)


@pytest.mark.parametrize(
    "configure", [_LOGGER_ONLY, "fileConfig(sys.argv[1])"], ids=["dictConfig without root", "fileConfig"]
)
def test_loggers_configured_after_the_root(tmp_path: Path, configure: str) -> None:
    """The very first record of a logger that hands nothing on is redacted and exported, however short the program."""
    file = tmp_path / "logging.ini"
    file.write_text(_FILE_ALONE)
    done, records = outcome(
        f"""
{_DICT}
init_telemetry()
{configure}
logging.getLogger("alone").info("sold token=abc")
""",
        str(file),
    )
    assert [line for line in done.stdout.splitlines() if "sold" in line] == ["host sold token=[redacted]"]
    assert bodies(records, "alone") == ["sold token=[redacted]"]


def test_many_looks_at_once_export_once() -> None:
    """Threads that configure at the same time leave one handler of ours, and one filter on the host's."""
    done, records = outcome(
        """
import threading
from sloburn.sdk.logs import look_after_logs
init_telemetry()
sys.setswitchinterval(1e-6)
def look(barrier):
    barrier.wait()
    look_after_logs()
mine = logging.StreamHandler(sys.stdout)
for number in range(100):
    log = logging.getLogger(f"shop{number}")
    log.propagate = False
    log.addHandler(mine)
    barrier = threading.Barrier(4)
    threads = [threading.Thread(target=look, args=(barrier,)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    log.warning("sold")
"""
    )
    assert done.stdout.splitlines().count("sold") == 100
    assert [len(bodies(records, f"shop{number}")) for number in range(100)] == [1] * 100


_ACCESS = """
SERVER = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"host": {"format": "host %(name)s %(message)s"}},
    "handlers": {"out": {"class": "logging.StreamHandler", "stream": "ext://sys.stdout", "formatter": "host"}},
    "root": {"handlers": ["out"], "level": "INFO"},
    "loggers": {"uvicorn.access": {"handlers": ["out"], "level": "INFO", "propagate": False}},
}
"""


@pytest.mark.parametrize(
    ("settings", "is_host"), [("SERVER", True), ("uvicorn.config.LOGGING_CONFIG", False)], ids=["host", "uvicorn"]
)
def test_look_of_the_host_for_access(settings: str, is_host: bool) -> None:
    """The look that a host gives uvicorn stays; without one the access log is of our stream. It is exported once."""
    done, records = outcome(
        f"""
import uvicorn
{_ACCESS}
init_telemetry()
for _ in range(2):
    uvicorn.Config("app", log_config={settings})
logging.getLogger("uvicorn.access").info("sold")
"""
    )
    (shown,) = [line for line in done.stdout.splitlines() if "sold" in line]
    assert (shown == "host uvicorn.access sold") is is_host
    assert bodies(records, "uvicorn.access") == ["sold"]


_LOOK = "processors=[structlog.processors.add_log_level, structlog.processors.JSONRenderer()]"


@pytest.mark.parametrize(
    "call",
    [
        f"structlog.configure({_LOOK})",
        f"early({_LOOK})",
        f"early({_LOOK.replace('[', '(').replace(']', ')')})",
        "structlog.reset_defaults()",
    ],
    ids=["late", "early", "early tuple", "reset"],
)
def test_structlog_configured_anew(call: str) -> None:
    """Whatever name the host has for `structlog.configure`, its events get ids and are exported, once and said so."""
    done, records = outcome(
        f"""
import structlog
from structlog import configure as early
telemetry = init_telemetry(export_interval=0.05)
{call}
deadline = time.monotonic() + 30
def is_joined():
    return any("sloburn" in type(processor).__module__ for processor in structlog.get_config()["processors"])
while not is_joined() and time.monotonic() < deadline:
    time.sleep(0.01)
with telemetry.tracer.start_as_current_span("work"):
    structlog.get_logger("shop").info("sold", password="hunter2")
"""
    )
    (shown,) = [line for line in done.stdout.splitlines() if "sold" in line]
    (record,) = [record for record in records if record.body == "sold"]
    assert record.trace_id in shown
    assert "hunter2" not in done.output + str(records)
    assert done.stdout.count("structlog was configured anew") == 1


def test_host_handlers_show_no_secrets_anywhere() -> None:
    """Messages that are mappings, fields of ``extra`` and tracebacks are redacted, and the host's objects stay."""
    done = succeed(
        """
import logging, sys
logging.basicConfig(stream=sys.stdout, level="INFO", format="host %(message)s %(token)s")
from sloburn import init_telemetry
init_telemetry(logs=False, traces=False, metrics=False)
log = logging.getLogger("a")
mine = {"password": "hunter2", "n": 1}
log.info(mine, extra={"token": "hunter3"})
assert mine["password"] == "hunter2"
try:
    raise ValueError("api_key=hunter4")
except ValueError as error:
    log.info(error, extra={"token": ""}, exc_info=True)
try:
    1 / 0
except ZeroDivisionError:
    log.info("plain", extra={"token": ""}, exc_info=True)
"""
    )
    assert "hunter" not in done.stdout.replace('hunter2"}', "")
    assert "host {'password': '[redacted]', 'n': 1} [redacted]" in done.stdout
    assert "host api_key=[redacted]" in done.stdout
    assert "ValueError: api_key=[redacted]" in done.stdout
    assert done.stdout.rstrip().endswith("ZeroDivisionError: division by zero")
