"""Every server, every way to end it: all finished spans and all counts arrive."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections import Counter
from datetime import datetime
from pathlib import Path
from time import monotonic

import pytest

from tests.sdk.collector import Collector
from tests.sdk.processes import (
    GUNICORN,
    PATIENT_WORKERS,
    SERVICES,
    catches,
    free_port,
    get,
    interrupt,
    run,
    started,
    stop,
    succeed,
    wait_until,
)

_REQUESTS = 40
_UVICORN_WORKER = ("-k", "uvicorn_worker.UvicornWorker")


def command_of(server: str, port: int) -> tuple[str, ...]:
    """Return how a server is started."""
    bind = f"127.0.0.1:{port}"
    wsgi = (*GUNICORN, "plainwsgi:app", "-b", bind, "-c", "python:ready")
    commands: dict[str, tuple[str, ...]] = {
        "uvicorn": ("uvicorn", "web:app", "--port", str(port)),
        "uvicorn workers": ("uvicorn", "web:app", "--port", str(port), "--workers", "2", *PATIENT_WORKERS),
        "uvicorn reload": ("uvicorn", "web:app", "--port", str(port), "--reload", "--reload-dir", str(SERVICES)),
        "gunicorn sync": (*wsgi, "-w", "2"),
        "gunicorn sync preload": (*wsgi, "-w", "2", "--preload"),
        "gunicorn threads": (*wsgi, "-w", "1", "--threads", "2"),
        "gunicorn uvicorn": (*GUNICORN, "web:app", "-b", bind, "-w", "2", *_UVICORN_WORKER),
        "gunicorn uvicorn preload": (*GUNICORN, "web:app", "-b", bind, "-w", "2", "--preload", *_UVICORN_WORKER),
        "hypercorn": ("hypercorn", "web:app", "-b", bind),
        "hypercorn workers": ("hypercorn", "web:app", "-b", bind, "-w", "2"),
    }
    return ("-m", *commands[server])


SERVERS = (
    "uvicorn",
    "uvicorn workers",
    "gunicorn sync",
    "gunicorn sync preload",
    "gunicorn threads",
    "gunicorn uvicorn",
    "gunicorn uvicorn preload",
    "hypercorn",
    "hypercorn workers",
)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "SIGINT"])
@pytest.mark.parametrize("server", SERVERS)
def test_everything_arrives(server: str, number: int, tmp_path: Path) -> None:
    """With an hour between exports and an end by a signal, each request is one span and one count, once."""
    port = free_port()
    command = command_of(server, port)
    workers = 2 if "2" in command and "threads" not in server else 1
    with Collector() as collector:
        variables = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.endpoint, "SLOBURN_EXPORT_INTERVAL": "3600"}
        with started(*command, extra={**variables, "READY_FOLDER": str(tmp_path)}) as process:
            wait_until(lambda: len(list(tmp_path.iterdir())) == workers, process)
            wait_until(lambda: get(f"http://127.0.0.1:{port}/health") == 200, process)
            answers = Counter(get(f"http://127.0.0.1:{port}/stream") for _ in range(_REQUESTS))
            wait_until(lambda: catches(process, number), process)
            done = interrupt(process) if number == signal.SIGINT else stop(process, number)
        assert answers == {200: _REQUESTS}, done.output
        spans = [span for span in collector.arrivals.spans if span.name in ("GET /stream", "served")]
        is_wsgi = "sync" in server or "threads" in server
        counted = collector.total("requests" if is_wsgi else "http.server.request.duration")
    assert (len(spans), counted) == (_REQUESTS, _REQUESTS), done.output
    assert len({span.span_id for span in spans}) == _REQUESTS
    check_identities(collector)
    assert "Traceback" not in done.output


# So much longer than a busy machine takes for a server's own end: to wait twice would take twelve seconds.
_BUDGET_SECONDS, _LONGEST_SECONDS = 6.0, 11.5


@pytest.mark.parametrize("server", ["uvicorn", "uvicorn reload", "gunicorn uvicorn preload"])
def test_end_with_a_hanging_collector(server: str, tmp_path: Path) -> None:
    """A Collector that never answers delays a server's end once, however many hooks and processes want to flush."""
    port = free_port()
    workers = 2 if "preload" in server else 1
    with Collector(is_hanging=True) as collector:
        extra = {
            "OTEL_EXPORTER_OTLP_ENDPOINT": collector.endpoint,
            "READY_FOLDER": str(tmp_path),
            "SLOBURN_SHUTDOWN_TIMEOUT": str(_BUDGET_SECONDS),
        }
        with started(*command_of(server, port), extra=extra) as process:
            wait_until(lambda: len(list(tmp_path.iterdir())) == workers, process)
            wait_until(lambda: get(f"http://127.0.0.1:{port}/stream") == 200, process)
            done = stop(process)
    assert _BUDGET_SECONDS / 2 < seconds_to_end(done.output) < _LONGEST_SECONDS, done.output
    # uvicorn's reloader ends its child by a SIGTERM that nobody can catch any more, so that child has no last word.
    assert ("could not be delivered before the end" in done.output) is (not server.endswith(" reload")), done.output


def seconds_to_end(output: str) -> float:
    """Return the time from a server's first word about its end to the last word of all."""
    lines = [json.loads(line) for line in output.splitlines() if line.startswith("{")]
    (began, *_) = [line for line in lines if line["event"].startswith(("Handling signal", "Shutting down"))]
    first, last = (datetime.fromisoformat(line["timestamp"]) for line in (began, lines[-1]))
    return (last - first).total_seconds()


_WARN = """

def post_worker_init(worker):
    worker.log.warning("password=%s", "S3CRET")
    ready.post_worker_init(worker)
"""


@pytest.mark.parametrize("mode", [(), ("--preload",)], ids=["", "preload"])
def test_gunicorn_with_uvicorn_writes_only_json(mode: tuple[str, ...], tmp_path: Path) -> None:
    """Both servers' own lines and the errors of the application are in the stream, each once, without secrets."""
    conf, port = tmp_path / "conf.py", free_port()
    conf.write_text("import ready" + _WARN)
    (tmp_path / "ready").mkdir()
    command = ("-m", *GUNICORN, "web:app", "-c", str(conf), "-b", f"127.0.0.1:{port}", *_UVICORN_WORKER, *mode)
    with Collector() as collector:
        extra = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.endpoint, "READY_FOLDER": str(tmp_path / "ready")}
        with started(*command, "--access-logfile", "-", extra=extra) as process:
            wait_until(lambda: list((tmp_path / "ready").iterdir()), process)
            wait_until(lambda: get(f"http://127.0.0.1:{port}/health") == 200, process)
            assert get(f"http://127.0.0.1:{port}/boom") == 500
            done = stop(process)
    lines = done.output.splitlines()
    joined = [json.loads(line) for line in lines if line.startswith("{")]
    seen = Counter((line["logger"], line["event"].splitlines()[0]) for line in joined)
    expected = [
        ("gunicorn.error", "password=[redacted]"),
        ("uvicorn.error", "Application startup complete."),
        ("uvicorn.error", "Exception in ASGI application"),
    ]
    assert [seen[event] for event in expected] == [1, 1, 1], done.output
    assert sum(line["logger"] == "uvicorn.access" and "/boom" in line["event"] for line in joined) == 1, done.output
    raw = [line for line in lines if not line.startswith("{")]
    assert all("[INFO]" in line for line in raw), done.output
    assert "S3CRET" not in done.output


def check_identities(collector: Collector) -> None:
    """Insist that each process is one instance in all signals, with its own process id."""
    arrivals = collector.arrivals
    resources = [span.resource for span in arrivals.spans] + [record.resource for record in arrivals.logs]
    resources += [point.resource for point in arrivals.points.values()]
    pairs = {(resource["service.instance.id"], resource["process.pid"]) for resource in resources}
    assert len(pairs) == len({pid for _, pid in pairs}) == len({instance for instance, _ in pairs})


_CODE = """
import os, sys, threading, time
from sloburn import init_telemetry
telemetry = init_telemetry(endpoint=sys.argv[1], export_interval=3600)
counter = telemetry.meter.create_counter("work")
def work():
    with telemetry.tracer.start_as_current_span("work"):
        counter.add(1)
"""


@pytest.mark.parametrize(
    ("end", "status"),
    [
        ("work()", 0),
        ("work()\nraise RuntimeError('kaput')", 1),
        ("work()\nsys.exit(3)", 3),
        ("thread = threading.Thread(target=lambda: (work(), sys.exit(1)))\nthread.start()\nthread.join()", 0),
        ("threading.Thread(target=lambda: (time.sleep(0.2), work())).start()", 0),
        ("import signal\nwork()\nsignal.raise_signal(signal.SIGINT)", -2),
    ],
    ids=["normal", "exception", "sys.exit", "sys.exit in a thread", "thread that outlives main", "SIGINT"],
)
def test_every_end_of_a_script(end: str, status: int) -> None:
    """However a script ends, nothing is lost, and its status stays what it was."""
    with Collector() as collector:
        done = run(_CODE + end, collector.endpoint)
        assert (done.status, collector.total("work")) == (status, 1), done.output
        assert collector.span("work").name == "work"


_FORKS = {
    "os.fork": """
for _ in range(3):
    if os.fork() == 0:
        work()
        sys.exit()
for _ in range(3): os.wait()
""",
    "os.fork twice": """
if os.fork() == 0:
    work()
    if os.fork() == 0:
        work()
        sys.exit()
    os.wait()
    work()
    sys.exit()
os.wait()
""",
    "os._exit after a flush": """
for _ in range(3):
    if os.fork() == 0:
        work()
        telemetry.flush()
        os._exit(0)
for _ in range(3): os.wait()
""",
    "multiprocessing": """
import multiprocessing
context = multiprocessing.get_context("fork")
children = [context.Process(target=work) for _ in range(3)]
for child in children: child.start()
for child in children: child.join()
""",
    "multiprocessing pool": """
import multiprocessing
with multiprocessing.get_context("fork").Pool(2) as pool:
    pool.apply(work); pool.apply(work); pool.apply(work)
    pool.close(); pool.join()
""",
    "process pool executor": """
import multiprocessing
from concurrent.futures import ProcessPoolExecutor
with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("fork")) as pool:
    for done in [pool.submit(work) for _ in range(3)]: done.result()
""",
    "terminated children": """
import multiprocessing, signal
ready = multiprocessing.get_context("fork").Semaphore(0)
def serve():
    work()
    ready.release()
    time.sleep(60)
children = [multiprocessing.get_context("fork").Process(target=serve) for _ in range(3)]
for child in children: child.start()
for child in children: ready.acquire()
for child in children: child.terminate()
for child in children: child.join()
""",
}


@pytest.mark.parametrize("kind", _FORKS)
def test_sum_over_processes_is_the_truth(kind: str) -> None:
    """Parent 5 and children 3 sum up to 8, spans too, and each process is an instance of its own."""
    with Collector() as collector:
        succeed(_CODE + "for _ in range(5): work()\n" + _FORKS[kind], collector.endpoint)
        spans = [span for span in collector.arrivals.spans if span.name == "work"]
    assert (collector.total("work"), len(spans), len({span.span_id for span in spans})) == (8, 8, 8)
    check_identities(collector)


def test_fork_while_the_parent_works() -> None:
    """A fork in the middle of export, with a thread that records all the time, leaves a child that works."""
    with Collector() as collector:
        succeed(
            _CODE.replace("3600", "0.01")
            + """
stop = threading.Event()
def busy():
    while not stop.is_set(): work()
threads = [threading.Thread(target=busy) for _ in range(3)]
for thread in threads: thread.start()
for _ in range(8):
    if (child := os.fork()) == 0:
        os.register_at_fork
        telemetry.meter.create_counter("child").add(1)
        sys.exit()
    assert os.waitpid(child, 0)[1] == 0
stop.set()
for thread in threads: thread.join()
""",
            collector.endpoint,
        )
        assert collector.total("child") == 8


def test_spawned_children() -> None:
    """Children that are started anew and call `init_telemetry` themselves count their own work."""
    program = _CODE + "import subprocess\nwork()\nif len(sys.argv) < 3:\n    subprocess.run(sys.orig_argv + ['x'])"
    with Collector() as collector:
        succeed(program, collector.endpoint)
        assert collector.total("work") == 2


_RELOADED = """
from fastapi import FastAPI
from sloburn import init_telemetry
init_telemetry(service_name="reloaded")
app = FastAPI()
@app.get("/{edition}")
def read() -> int:
    return 0
"""


def test_reload(tmp_path: Path) -> None:
    """uvicorn --reload serves from processes that come and go; what each of them has seen arrives."""
    port, file = free_port(), tmp_path / "reloaded.py"
    file.write_text(_RELOADED.format(edition="first"))
    with Collector() as collector:
        variables = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.endpoint, "SLOBURN_EXPORT_INTERVAL": "3600"}
        command = ("-m", "uvicorn", "reloaded:app", "--app-dir", str(tmp_path), "--port", str(port))
        with started(*command, "--reload", "--reload-dir", str(tmp_path), extra=variables) as process:
            wait_until(lambda: get(f"http://127.0.0.1:{port}/first") == 200, process)
            touched = [float("-inf")]

            def is_second() -> bool:
                # The first look at the file is the one that later ones are compared to, and nobody sees when it is.
                if monotonic() - touched[0] > 5:
                    touched[0] = monotonic()
                    file.write_text(_RELOADED.format(edition="second"))
                return get(f"http://127.0.0.1:{port}/second") == 200

            wait_until(is_second, process)
            interrupt(process)
        names = [span.name for span in collector.arrivals.spans]
        assert (names.count("GET /first"), names.count("GET /second")) == (1, 1)


def test_notebook() -> None:
    """In an interactive session, whose cells run one after another, everything works and a second call is harmless."""
    cells = f"import sys\nsys.argv.append('{{}}')\n{_CODE}\n\nwork()\ninit_telemetry(endpoint=sys.argv[1])\nwork()\n"
    with Collector() as collector:
        subprocess.run(
            [sys.executable, "-i", "-q"],
            input=cells.format(collector.endpoint),
            text=True,
            capture_output=True,
            check=True,
            timeout=60,
        )
        assert collector.total("work") == 2
