"""A WSGI application that counts its requests and makes a span for each, for gunicorn's synchronous workers."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable

from sloburn import init_telemetry

telemetry = init_telemetry(service_name="wsgi")
requests = telemetry.meter.create_counter("requests")


def app(environ: dict[str, object], start_response: Callable[[str, list[tuple[str, str]]], object]) -> Iterable[bytes]:
    """Answer with the number of the process."""
    if environ["PATH_INFO"] != "/health":
        with telemetry.tracer.start_as_current_span("served"):
            requests.add(1)
    start_response("200 OK", [("content-type", "text/plain")])
    return [str(os.getpid()).encode()]
