"""The door of the SDK: where OpenTelemetry itself cannot be imported, the host starts all the same.

A broken installation would otherwise end the host at the very line that must never harm it.
"""

from __future__ import annotations

import logging
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, Unpack, cast

from sloburn.sdk.collection import without_collection
from sloburn.sdk.environment import without_misspelt

if TYPE_CHECKING:
    from sloburn.sdk.config import Settings
    from sloburn.sdk.handle import Telemetry

logger = logging.getLogger("sloburn")


class Inert:
    """What `init_telemetry` returns when nothing could be imported: it answers, and does nothing.

    Args:
        problem: Why.
    """

    def __init__(self, problem: str) -> None:
        self.problems = (problem,)

    def flush(self, timeout: float | None = None) -> bool:  # noqa: ARG002 (the signature of `Telemetry`)
        """Send nothing."""
        return True

    def shutdown(self, timeout: float | None = None) -> bool:  # noqa: ARG002 (the signature of `Telemetry`)
        """End nothing."""
        return True

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Do nothing."""

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 (stands in for every other attribute)
        """Return the no-op tracer and meter of OpenTelemetry's API, which needs no SDK."""
        if name == "tracer":
            from opentelemetry.trace import NoOpTracer

            return NoOpTracer()
        if name == "meter":
            from opentelemetry.metrics import NoOpMeter

            return NoOpMeter("sloburn")
        raise AttributeError(f"telemetry could not be started, so it has no {name}: {self.problems[0]}")


def init_telemetry(**settings: Unpack[Settings]) -> Telemetry:
    """Start telemetry; see `sloburn.sdk.init.init_telemetry`."""
    with without_collection("sloburn.sdk.init"):
        try:
            with without_misspelt():
                from sloburn.sdk.init import init_telemetry as start
        except Exception as error:
            problem = f"telemetry could not be started: {type(error).__name__}: {error}"
            logger.warning(problem)
            return cast("Telemetry", Inert(problem))
        return start(**settings)
