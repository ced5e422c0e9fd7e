"""What a start leaves alone: the collector of garbage that it pauses."""

from __future__ import annotations

import pytest

from tests.sdk.processes import succeed

_START = """
import gc, weakref
class Ring:
    def __init__(self): self.ring = self
looks = []
{before}
gc.callbacks.append(lambda phase, info: phase == "start" and looks.append(info["generation"]))
from sloburn import get_logger, init_telemetry
loading, looks[:] = list(looks), []
init_telemetry(endpoint="http://127.0.0.1:1", shutdown_timeout=0.1)
gc.callbacks.clear()
"""


def test_start_looks_for_no_garbage() -> None:
    """Hardly anybody looks for garbage while telemetry starts; afterwards the collector works as before."""
    code = """
assert all(len(part) < 10 and 2 not in part for part in (loading, looks)), (loading, looks)
assert gc.isenabled() and gc.get_freeze_count() == 0
ring = weakref.ref(Ring())
gc.collect()
assert early() is None and ring() is None
"""
    # A collector that looks as often as this would look dozens of times at each step.
    eager = "import sloburn.sdk.collection; gc.set_threshold(100); early = weakref.ref(Ring())"
    succeed(_START.format(before=eager) + code)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("gc.disable()", "assert not gc.isenabled()"),
        (
            "gc.freeze(); frozen = gc.get_freeze_count()",
            "assert frozen > 1000 and gc.get_freeze_count() >= frozen - 50",
        ),
    ],
    ids=["disabled", "frozen"],
)
def test_collector_stays_as_the_host_has_set_it(before: str, after: str) -> None:
    """A collector that is off stays off, and what the host has put aside stays there."""
    succeed(_START.format(before=before) + after)


def test_what_is_loaded_is_old_at_once() -> None:
    """What a pause has left is not walked the next time that the collector looks at what is young."""
    succeed(
        """
import gc
from sloburn.sdk.collection import without_collection
with without_collection("loaded"):
    made = [[] for _ in range(5000)]
    assert not gc.isenabled()
assert gc.isenabled() and any(old is made for old in gc.get_objects(generation=2))
"""
    )


def test_telemetry_that_starts_again_lets_the_collector_work() -> None:
    """A host that calls again and again, or changes its settings, keeps its collector, and its garbage is found."""
    succeed(
        """
import gc, sys
from sloburn import init_telemetry
settings = {"endpoint": "http://127.0.0.1:1", "shutdown_timeout": 0.1, "libraries": False}
init_telemetry(**settings)
class Ring:
    alive = 0
    def __init__(self):
        self.ring = self
        Ring.alive += 1
    def __del__(self): Ring.alive -= 1
for _ in range(500):
    init_telemetry(**settings)
    made = [Ring() for _ in range(20)]
assert Ring.alive < 5000, Ring.alive
from sloburn.sdk.handle import Telemetry
shut_down = Telemetry.shutdown
def seen(telemetry, timeout=None):
    on.append(gc.isenabled())
    return shut_down(telemetry, timeout)
on, Telemetry.shutdown = [], seen
init_telemetry(**settings, service_name="another", reconfigure=True)
assert on == [True], on
"""
    )


def test_collector_works_in_a_child_of_the_start() -> None:
    """A process that another thread forks while telemetry starts has its collector."""
    succeed(
        """
import gc, os, threading
from sloburn.sdk.collection import without_collection
inside, forked = threading.Event(), threading.Event()
def load():
    with without_collection("loaded"):
        inside.set()
        forked.wait(60)
thread = threading.Thread(target=load)
thread.start()
assert inside.wait(60)
child = os.fork()
if not child:
    os._exit(not gc.isenabled())
was_off = not gc.isenabled()
forked.set()
thread.join()
assert os.waitpid(child, 0)[1] == 0 and was_off and gc.isenabled()
"""
    )


def test_collector_works_where_nothing_can_be_set_aside() -> None:
    """An interpreter without gc.freeze, or whose own fails, has its collector after the start."""
    succeed(
        """
import gc
from sloburn.sdk.collection import without_collection
def fail(): raise RuntimeError("broken")
gc.freeze = fail
with without_collection("one"): pass
assert gc.isenabled()
del gc.freeze, gc.get_freeze_count
with without_collection("two"): assert not gc.isenabled()
assert gc.isenabled()
"""
    )


def test_collector_works_after_a_start_that_fails() -> None:
    """Where OpenTelemetry cannot be imported the collector is on again all the same."""
    succeed(
        """
import gc, sys
from sloburn import init_telemetry
sys.modules["opentelemetry.sdk.trace"] = None
assert init_telemetry().problems and gc.isenabled()
"""
    )
