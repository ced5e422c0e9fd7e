"""A task that is delivered again: its worker died after the run and before the broker knew."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.sdk.collector import Collector
from tests.sdk.processes import succeed

_WORKER = """
import sys
from celery import Celery
from celery.app.trace import build_tracer
from sloburn import init_telemetry
init_telemetry(endpoint=sys.argv[1], libraries=False)
app = Celery("again", broker="memory://", backend="file://" + sys.argv[2])
app.conf.worker_deduplicate_successful_tasks = sys.argv[3] == "once"
@app.task(name="work", acks_late=True)
def work(): return 1
run = build_tracer("work", work, app=app)
for is_again in (False, True):
    delivery = {"routing_key": "q", "redelivered": is_again}
    run("id-1", (), {}, {"id": "id-1", "task": "work", "is_eager": False, "delivery_info": delivery})
"""


@pytest.mark.parametrize(("runs", "expected"), [("each", [None, True]), ("once", [None])])
def test_task_that_is_delivered_again(tmp_path: Path, runs: str, expected: list[bool | None]) -> None:
    """Each run is an attempt of its own and says which was the second; one that Celery leaves out is none."""
    with Collector() as collector:
        succeed(_WORKER, collector.endpoint, str(tmp_path), runs)
        spans = [span.attributes for span in collector.arrivals.spans if span.name == "process work"]
    assert [attributes.get("celery.task.redelivered") for attributes in spans] == expected
    assert {attributes["celery.task.outcome"] for attributes in spans} == {"success"}
    assert collector.total("celery.tasks") == len(expected)
