"""Client libraries: instrumented when they and their contrib package are there, and only then."""

from __future__ import annotations

import pytest

from tests.sdk.collector import Collector
from tests.sdk.processes import succeed

_CLIENT = 3
_INIT = "import sys\nfrom sloburn import init_telemetry\ntelemetry = init_telemetry(endpoint=sys.argv[1]{settings})\n"
_CALLS = {
    "httpx": "import httpx\nhttpx.post(sys.argv[1] + '/v1/other', content=b'')",
    "requests": "import requests\nrequests.post(sys.argv[1] + '/v1/other', data=b'')",
    "redis": """
import redis
try: redis.Redis(port=1).get("key")
except redis.ConnectionError: pass
""",
}


@pytest.mark.parametrize("name", _CALLS)
@pytest.mark.parametrize("is_late", [False, True])
def test_call_leaves_a_client_span(name: str, is_late: bool) -> None:
    """A call leaves one client span, whether the library was imported before `init_telemetry` or after."""
    init = _INIT.format(settings="")
    code = f"import {name}\n{init}{_CALLS[name]}" if is_late else init + _CALLS[name]
    with Collector() as collector:
        succeed(code, collector.endpoint)
        kinds = [span.kind for span in collector.arrivals.spans]
    assert kinds == [_CLIENT]


@pytest.mark.parametrize(
    ("settings", "extra"),
    [
        (", libraries=['redis']", {}),
        (", libraries=False", {}),
        ("", {"OTEL_PYTHON_DISABLED_INSTRUMENTATIONS": "httpx, celery"}),
        ("", {"SLOBURN_LIBRARIES": "none"}),
    ],
)
def test_library_that_is_not_wanted(settings: str, extra: dict[str, str]) -> None:
    """A library that is not wanted is left alone."""
    with Collector() as collector:
        succeed(_INIT.format(settings=settings) + _CALLS["httpx"], collector.endpoint, extra=extra)
        assert collector.arrivals.spans == []


def test_broker_is_left_alone() -> None:
    """Redis that Celery's transport has brought along is its broker, whose polls are no traces."""
    with Collector() as collector:
        succeed(_INIT.format(settings="") + "import kombu\n" + _CALLS["redis"], collector.endpoint)
        assert collector.arrivals.spans == []


def test_library_without_contrib() -> None:
    """Without contrib's package the library works as ever, and nothing is said."""
    with Collector() as collector:
        code = "import sys\nsys.modules['opentelemetry.instrumentation.requests'] = None\n"
        done = succeed(code + _INIT.format(settings="") + _CALLS["requests"], collector.endpoint)
        assert collector.arrivals.spans == []
    assert "not instrumented" not in done.output


def test_library_that_the_host_has_instrumented() -> None:
    """An instrumentation that the host has applied itself stays the only one."""
    own = """
from opentelemetry.instrumentation.httpx import HTTPXClientInstrumentor
HTTPXClientInstrumentor().instrument()
"""
    with Collector() as collector:
        done = succeed("import httpx\n" + own + _INIT.format(settings="") + _CALLS["httpx"], collector.endpoint)
        assert [span.kind for span in collector.arrivals.spans] == [_CLIENT]
    assert "already instrumented" not in done.output


_ALL = """
import sys, types
from importlib.machinery import ModuleSpec
from sloburn.sdk.integrations.libraries import INSTRUMENTORS, instrument_libraries
seen = []
def plant(name, **members):
    module = types.ModuleType(name)
    module.__spec__ = ModuleSpec(name, None)
    vars(module).update(members)
    sys.modules[name] = module
for name, (module, kind) in INSTRUMENTORS.items():
    class Instrumentor:
        is_instrumented_by_opentelemetry = False
        def instrument(self, *, tracer_provider, meter_provider, name=name):
            seen.append((name, tracer_provider, meter_provider))
    plant(module, **{kind: Instrumentor})
    plant(name)
instrument_libraries(frozenset(INSTRUMENTORS), "tracers", "meters")
assert sorted(seen) == [(name, "tracers", "meters") for name in sorted(INSTRUMENTORS)], seen
"""


def test_every_instrumentor_is_called_alike() -> None:
    """All known instrumentors get our providers, those too whose packages cannot be installed beside SDK 1.45.2."""
    succeed(_ALL)
