"""Hosts that others break: greenlets instead of threads, and beat inside a worker."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from time import monotonic

import pytest

from tests.sdk.brokers import redis
from tests.sdk.collector import Collector
from tests.sdk.processes import GUNICORN, free_port, get, started, stop, succeed, wait_until

_REQUESTS = 30
_READY = """
def post_worker_init(worker):
    open({folder!r} + f"/ready-{{worker.pid}}", "w").close()
"""
_PATCH = "from gevent import monkey\nmonkey.patch_all()\n"
# gevent may be installed beside the environment of the tests.
_PATHS = os.pathsep.join(filter(None, (str(Path(__file__).parent / "services"), os.environ.get("PYTHONPATH"))))


@pytest.mark.parametrize(("interval", "is_preloaded"), [("3600", False), ("0.05", True)], ids=["", "preload"])
def test_gunicorn_with_gevent(tmp_path: Path, interval: str, is_preloaded: bool) -> None:
    """Greenlets of a parent survive its fork: what the children export is theirs, once, and nothing is lost."""
    pytest.importorskip("gevent", reason="pip install gevent")
    conf, port = tmp_path / "conf.py", free_port()
    conf.write_text((_PATCH if is_preloaded else "") + _READY.format(folder=str(tmp_path)))
    command = ("-m", *GUNICORN, "plainwsgi:app", "-k", "gevent", "-w", "2", "-c", str(conf), "-b", f"127.0.0.1:{port}")
    with Collector() as collector:
        variables = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.endpoint, "SLOBURN_EXPORT_INTERVAL": interval}
        variables["PYTHONPATH"] = _PATHS
        with started(*command, *(["--preload"] if is_preloaded else []), extra=variables) as process:
            wait_until(lambda: len(list(tmp_path.glob("ready-*"))) == 2, process)
            assert [get(f"http://127.0.0.1:{port}/") for _ in range(_REQUESTS)] == [200] * _REQUESTS
            done = stop(process)
        spans = [span.span_id for span in collector.arrivals.spans if span.name == "served"]
    assert (len(spans), len(set(spans)), collector.total("requests")) == (_REQUESTS,) * 3, done.output
    assert "Traceback" not in done.output


_GREENLETS = f"""
{_PATCH}
import os, signal, sys, time, gevent
from sloburn import init_telemetry
telemetry = init_telemetry(endpoint=sys.argv[1], export_interval=0.05)
def work():
    for _ in range(10):
        with telemetry.tracer.start_as_current_span("work"): gevent.sleep(0.001)
gevent.joinall([gevent.spawn(work) for _ in range(10)])
"""


@pytest.mark.parametrize("is_hanging", [False, True], ids=["alive", "hanging"])
def test_greenlets(is_hanging: bool) -> None:
    """Under gevent all spans arrive, and a Collector that hangs delays the end as little as without it."""
    pytest.importorskip("gevent", reason="pip install gevent")
    with Collector(is_hanging=is_hanging) as collector:
        extra = {"PYTHONPATH": _PATHS} | ({"SLOBURN_SHUTDOWN_TIMEOUT": "1"} if is_hanging else {})
        done = succeed(_GREENLETS, collector.endpoint, extra=extra)
        assert len({span.span_id for span in collector.arrivals.spans}) == (0 if is_hanging else 100)
    assert ("lost: 100 traces" in done.output) == is_hanging
    assert "Traceback" not in done.output


def test_beat_inside_a_worker(tmp_path: Path) -> None:
    """`celery worker -B` runs beat in a child of the worker: what it publishes and counts arrives at its end."""
    with redis(tmp_path) as broker, Collector() as collector:
        extra = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.endpoint, "SLOBURN_EXPORT_INTERVAL": "3600"}
        extra["FLOW_BROKER"] = broker
        command = ("-m", "celery", "-A", "flow", "worker", "-c", "1", "-l", "info", "-B", "-s", str(tmp_path / "plan"))
        with started(*command, extra=extra) as process:
            assert process.stdout is not None
            lines, ran = process.stdout, 0
            while ran < 2:
                ran += "succeeded in" in lines.readline()
                assert process.poll() is None
            done = stop(process)
        spans = collector.arrivals.spans
        published = {span.span_id for span in spans if span.name == "publish tick" and not span.status}
        points = collector.arrivals.points.values()
        counted = sum(point.value for point in points if point.attributes.get("outcome") == "published")
        up = [point.value for point in points if point.name == "celery.beat.up"]
    assert (done.status, up) == (0, [1]), done.output
    assert len(published) == counted >= 2
    assert {span.parent_id for span in spans if span.name == "process tick"} <= published
    assert collector.total("celery.beat.check_ins") == len([span for span in spans if span.name == "process tick"]) >= 2


def test_runs_that_beat_misses(tmp_path: Path) -> None:
    """A scheduler that stood still counts the runs that it missed, says so, and is up again."""
    with redis(tmp_path) as broker, Collector() as collector:
        extra = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.endpoint, "SLOBURN_EXPORT_INTERVAL": "0.1"}
        extra["FLOW_BROKER"] = broker
        command = ("-m", "celery", "-A", "flow", "beat", "-l", "info", "-s", str(tmp_path / "plan"))
        with started(*command, extra=extra) as process:
            collector.wait_for(lambda _: collector.total("celery.beat.runs") >= 2)
            process.send_signal(signal.SIGSTOP)
            until = monotonic() + 2
            wait_until(lambda: monotonic() > until, process)
            process.send_signal(signal.SIGCONT)
            collector.wait_for(lambda _: collector.total("celery.beat.missed") >= 2)
            done = stop(process)
        up = [point.value for point in collector.arrivals.points.values() if point.name == "celery.beat.up"]
    assert (done.status, up) == (0, [1]), done.output
    assert "runs were missed before this one" in done.output
