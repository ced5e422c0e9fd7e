"""The façade: names without weight."""

from __future__ import annotations

import pytest

import sloburn
from tests.sdk.processes import succeed

_HEAVY = ("google.protobuf", "opentelemetry", "structlog", "starlette", "fastapi", "celery", "requests", "grpc", "yaml")


def test_import_loads_nothing_heavy_and_starts_no_thread() -> None:
    """`import sloburn` loads no third party at all, starts no thread and reads no environment variable."""
    succeed(
        f"""
import os, sys, threading
class Watched(dict):
    def __getitem__(self, key): raise AssertionError(key)
    get = __getitem__
os.environ = Watched()
import sloburn
assert not [name for name in {_HEAVY!r} if name in sys.modules], sys.modules.keys()
assert threading.active_count() == 1
"""
    )


def test_names_are_sorted_and_can_be_loaded() -> None:
    """Every public name is listed once, in order, and leads to an object."""
    assert sorted(set(sloburn.__all__)) == sloburn.__all__
    assert [name for name in sloburn.__all__ if getattr(sloburn, name, None) is None] == []
    assert set(sloburn.__all__) <= set(dir(sloburn))


def test_unknown_name() -> None:
    """A name that does not exist fails like that of any module."""
    with pytest.raises(AttributeError, match="module 'sloburn' has no attribute 'nonsense'"):
        _ = sloburn.nonsense


def test_start_loads_only_what_is_used() -> None:
    """`init_telemetry()` loads no framework that the service does not use itself, and one thread for each signal."""
    succeed(
        """
import sys, threading
from sloburn import init_telemetry
telemetry = init_telemetry(endpoint="http://127.0.0.1:1", shutdown_timeout=0.1)
unwanted = ("starlette", "fastapi", "celery", "anyio", "requests", "grpc", "google.protobuf", "yaml")
assert not [name for name in unwanted if name in sys.modules]
assert threading.active_count() == 4
"""
    )
