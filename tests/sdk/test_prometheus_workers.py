"""`/metrics` of services with several workers: every worker answers for all of them."""

from __future__ import annotations

import os
import signal
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.request import Request, urlopen

from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from tests.sdk.processes import PATIENCE_SECONDS, PATIENT_WORKERS, free_port, get, started, succeed, wait_until

_OPENMETRICS = "application/openmetrics-text; version=1.0.0"


def _read(url: str, accept: str = "") -> str:
    with urlopen(Request(url, headers={"accept": accept}), timeout=PATIENCE_SECONDS) as answer:
        return str(answer.read().decode())


def _total(url: str, name: str) -> float:
    families = parse_text(_read(url))
    return sum(sample.value for family in families for sample in family.samples if sample.name == name)


def _environment(folder: Path) -> dict[str, str]:
    return {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9", "TMPDIR": str(folder)}


def test_uvicorn_workers_are_counted_together(tmp_path: Path) -> None:
    """Three workers that know nothing of each other show the sum of all requests, one that is killed included."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    command = ("-m", "uvicorn", "metered:app", "--port", str(port), "--workers", "3", *PATIENT_WORKERS)
    with started(*command, "--log-level", "warning", extra=_environment(tmp_path)) as process:
        wait_until(lambda: get(f"{url}/metrics") == 200, process)
        seen: set[int] = set()
        requests = 0
        with ThreadPoolExecutor(8) as crowd:
            # One visitor at a time may meet the same worker for ever.
            while len(seen) < 2:
                seen |= {int(body) for body in crowd.map(_read, [f"{url}/work"] * 50)}
                requests += 50
        assert {_total(f"{url}/metrics", "work_done_total") for _ in range(10)} == {requests}

        def served() -> float:
            return _total(f"{url}/metrics", "http_server_request_duration_seconds_count")

        # A request is measured when its answer is out: who is killed in between has counted, but not measured it.
        wait_until(lambda: served() == requests, process)
        os.kill(seen.pop(), signal.SIGKILL)
        wait_until(lambda: get(f"{url}/work") == 200, process)
        requests = int(_total(f"{url}/metrics", "work_done_total"))
        _read(f"{url}/work")
        assert {_total(f"{url}/metrics", "work_done_total") for _ in range(10)} == {requests + 1}
        wait_until(lambda: served() >= requests + 1, process)
        assert served() == requests + 1, "the metrics page itself is not counted"


def test_exemplars_lead_to_traces(tmp_path: Path) -> None:
    """OpenMetrics carries the trace id of a request, and reads well in Prometheus's own parser."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    command = ("-m", "uvicorn", "metered:app", "--port", str(port), "--log-level", "warning")
    with started(*command, extra=_environment(tmp_path)) as process:
        wait_until(lambda: get(f"{url}/work") == 200, process)
        text = _read(f"{url}/metrics", _OPENMETRICS)
        families = {family.name: family for family in parse_openmetrics(text)}  # type: ignore[no-untyped-call]
        duration = families["http_server_request_duration_seconds"]
        exemplars = [sample.exemplar for sample in duration.samples if sample.exemplar]
        assert (duration.type, duration.unit) == ("histogram", "seconds")
        assert {len(exemplar.labels["trace_id"]) for exemplar in exemplars} == {32}
        assert families["work_done"].samples[0].exemplar is not None


def test_forked_workers_are_counted_together(tmp_path: Path) -> None:
    """Forked children add to what their parent counted before the fork, and not to a copy of it."""
    succeed(
        """
import os, sys
from sloburn import init_telemetry, count, serve_metrics
from urllib.request import urlopen
init_telemetry(service_name="forked", endpoint="http://127.0.0.1:9", prometheus=True, shutdown_timeout=0.1)
count("work", 5)
for _ in range(3):
    pid = os.fork()
    if pid == 0:
        count("work", 2)
        os._exit(0)
    os.waitpid(pid, 0)
server = serve_metrics(port=0)
text = urlopen(f"http://127.0.0.1:{server.port}/metrics").read().decode()
assert 'work_total{otel_scope_name="sloburn"} 11' in text, text
server.close()
""",
        extra={"TMPDIR": str(tmp_path)},
    )


_TASKS = """
import sys
from celery import Celery
app = Celery("tasks", broker="filesystem://localhost")
folder = sys.argv[-1] if sys.argv[0] == "-c" else __file__.rpartition("/")[0] + "/queue"
app.conf.broker_transport_options = dict.fromkeys(["data_folder_in", "data_folder_out", "control_folder"], folder)
app.conf.update(worker_enable_remote_control=False, task_ignore_result=True)
"""
_WORKER = """
from sloburn import count, init_telemetry, serve_metrics
init_telemetry(service_name="tasks", endpoint="http://127.0.0.1:9", shutdown_timeout=0.2)
serve_metrics(port=PORT)
@app.task
def work():
    count("work.done")
"""


def test_celery_workers_are_counted_together(tmp_path: Path) -> None:
    """The children of a prefork pool, each of which is replaced after one task, are shown by their parent's server."""
    port = free_port()
    url = f"http://127.0.0.1:{port}/metrics"
    (tmp_path / "metered_tasks.py").write_text(_TASKS + _WORKER.replace("PORT", str(port)))
    (tmp_path / "queue").mkdir()
    quiet = ("--without-gossip", "--without-mingle", "--without-heartbeat", "-l", "ERROR")
    # Before there is a worker: this broker's files appear empty, and are written a moment later.
    succeed(_TASKS + "for _ in range(6): app.send_task('metered_tasks.work')", str(tmp_path / "queue"))
    command = ("-m", "celery", "-A", "metered_tasks", "worker", "-c", "2", "--max-tasks-per-child", "1", *quiet)
    with started(*command, extra={**_environment(tmp_path), "PYTHONPATH": str(tmp_path)}) as process:
        wait_until(lambda: get(url) == 200, process)
        wait_until(lambda: _total(url, "work_done_total") == 6, process)
        # Its own end is not waited for: billiard waits for ever for a lock that a replaced child died with.
