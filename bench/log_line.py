"""What one exported log line costs, beside structlog alone: run ``python bench/log_line.py``.

Prints microseconds of the caller's thread (inline) and of the whole process (total), medians of seven rounds, the same
with redaction off, and the cost of looking for secrets alone. Every contender runs in a process of its own. The last
column is the cost of a fixed piece of pure Python in the same rounds: on a machine that others load everything grows
alike, so compare inline and total divided by it.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
import timeit
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

_ROUNDS, _BURSTS, _BURST = 7, 40, 100
_FIELDS = {"item_id": 4711, "amount_cents": 450, "user": "u-1234", "path": "/cart/items", "cached": True}


def main() -> None:
    """Run every contender and print a line for each."""
    if len(sys.argv) > 1:
        globals()[sys.argv[1]](*sys.argv[2:])
        return
    for contender in ("structlog_alone", "sloburn", "sloburn_unredacted", "redaction"):
        with ThreadingHTTPServer(("127.0.0.1", 0), _Sink) as server:
            Thread(target=server.serve_forever, daemon=True).start()
            call = [sys.executable, __file__, contender, str(server.server_port)]
            done = subprocess.run(call, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=True)
            print(f"{contender:20} {done.stderr.strip()}")
            server.shutdown()


def structlog_alone(_port: str) -> None:
    """Print JSON lines with time and level, and export nothing."""
    import structlog

    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso"),
            structlog.processors.JSONRenderer(),
        ],
        logger_factory=structlog.PrintLoggerFactory(),
        wrapper_class=structlog.make_filtering_bound_logger(20),
        cache_logger_on_first_use=True,
    )
    log = structlog.get_logger()
    _measure(lambda: log.info("item added", **_FIELDS), lambda: None)


def sloburn(port: str, is_redacting: bool = True) -> None:
    """Print JSON lines with trace ids, without secrets, and export each."""
    from sloburn import get_logger, init_telemetry

    telemetry = init_telemetry(endpoint=f"http://127.0.0.1:{port}", redact=is_redacting)
    log = get_logger("shop.cart")
    with telemetry.tracer.start_as_current_span("work"):
        _measure(lambda: log.info("item added", **_FIELDS), lambda: telemetry.flush(10))


def sloburn_unredacted(port: str) -> None:
    """Do the same and let secrets through."""
    sloburn(port, is_redacting=False)


def redaction(_port: str) -> None:
    """Look for secrets in the same event."""
    from sloburn.sdk.redaction import Redactor

    event, clean = {"event": "item added", **_FIELDS}, Redactor().clean
    seconds = min(timeit.repeat(lambda: clean(event), number=20_000, repeat=_ROUNDS)) / 20_000
    print(f"inline {seconds * 1e6:5.1f} us", file=sys.stderr)


def _measure(log: Callable[[], object], flush: Callable[[], object]) -> None:
    inline, total, yard = [], [], []
    for _ in range(_ROUNDS):
        yard.append(_yardstick())
        thread, process = time.thread_time(), time.process_time()
        for _ in range(_BURSTS):
            for _ in range(_BURST):
                log()
            time.sleep(0.002)
        inline.append(time.thread_time() - thread)
        flush()
        total.append(time.process_time() - process)
    lines = _BURSTS * _BURST / 1e6
    one = statistics.median(yard)
    print(
        f"inline {statistics.median(inline) / lines:5.1f} us   total {statistics.median(total) / lines:5.1f} us   "
        f"yardstick {one:4.2f} us (inline {statistics.median(inline) / lines / one:4.2f} of it, "
        f"total {statistics.median(total) / lines / one:4.2f})",
        file=sys.stderr,
    )


def _yardstick() -> float:
    """Return what a fixed piece of pure Python costs right now, in microseconds."""
    began = time.thread_time()
    for _ in range(5_000):
        ",".join({str(number): number * 3 for number in range(40)})
    return (time.thread_time() - began) / 5_000 * 1e6


class _Sink(BaseHTTPRequestHandler):
    """Takes everything."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        """Read a request and say that it was taken."""
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's name
        """Say nothing."""


if __name__ == "__main__":
    main()
