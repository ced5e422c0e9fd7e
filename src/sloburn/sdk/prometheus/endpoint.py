"""`/metrics` over HTTP, in an application or on a small server of our own."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from sloburn.sdk.pages import Answer, PageServer, json_answer, mount, serve
from sloburn.sdk.prometheus.exposition import OPENMETRICS_TYPE, TEXT_TYPE, Style
from sloburn.sdk.prometheus.negotiation import pack, wants_openmetrics
from sloburn.sdk.prometheus.process import SHOWN
from sloburn.sdk.threads import in_thread

logger = logging.getLogger("sloburn")


class MetricsPage:
    """Answers with what all processes of this service have counted.

    Args:
        scope_labels: Whether every series names the instrumentation scope that it comes from.
    """

    def __init__(self, *, scope_labels: bool) -> None:
        self._scope_labels = scope_labels

    async def __call__(self, headers: Mapping[str, str]) -> Answer:
        """Answer in the format that the scraper likes best."""
        return await in_thread(lambda: self.answer(headers))

    def answer(self, headers: Mapping[str, str]) -> Answer:
        """Answer in the format that the scraper likes best."""
        style = Style(is_openmetrics=wants_openmetrics(headers.get("accept", "")), has_scope=self._scope_labels)
        try:
            text = SHOWN.text(style)
        except OSError as error:
            return json_answer({"error": f"the processes' numbers cannot be read: {error.strerror}"}, 503)
        body, encoding = pack(text.encode(), headers.get("accept-encoding", ""))
        kind = OPENMETRICS_TYPE if style.is_openmetrics else TEXT_TYPE
        return Answer(content_type=kind, body=body, encoding=encoding)


def mount_metrics(app: Any, path: str = "/metrics", *, scope_labels: bool = True) -> None:  # noqa: ANN401 - see below
    """Answer Prometheus in a FastAPI or Starlette application, for all workers of this service together.

    The same instruments feed OTLP. Counting begins with this call, or with ``init_telemetry(prometheus=True)``. Never
    raises: what is wrong ends in one log line.

    Args:
        app: The application, FastAPI's or Starlette's; neither is imported here.
        path: Where; it makes no spans and no metrics.
        scope_labels: False leaves out ``otel_scope_name`` and ``otel_scope_version``.
    """
    _switch_on()
    try:
        mount(app, {path: MetricsPage(scope_labels=scope_labels)})
    except Exception as error:
        logger.warning("%s is not mounted: %s: %s", path, type(error).__name__, error)


def serve_metrics(port: int = 9464, host: str = "127.0.0.1", *, scope_labels: bool = True) -> PageServer | None:
    """Answer Prometheus on a small server of our own, in a worker that has none. Never raises.

    Args:
        port: Where to listen; 0 takes a free one.
        host: Where to listen; ``0.0.0.0`` lets other machines in.
        scope_labels: False leaves out ``otel_scope_name`` and ``otel_scope_version``.

    Returns:
        The server; None when the address cannot be used, which one log line says.
    """
    _switch_on()
    return serve({"/metrics": MetricsPage(scope_labels=scope_labels)}, host=host, port=port)


def metrics_page() -> MetricsPage:
    """Return the page by itself, for a server that has others too, and begin to count."""
    _switch_on()
    return MetricsPage(scope_labels=True)


def _switch_on() -> None:
    problem = SHOWN.switch_on()
    if problem:
        logger.warning(problem)
