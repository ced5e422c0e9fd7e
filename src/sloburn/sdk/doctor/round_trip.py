"""Send one span, one metric and one log line through the very pipeline that services use, and read each answer."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from opentelemetry._logs import SeverityNumber
from opentelemetry.trace import format_trace_id

from sloburn.clock import SystemClock, monotonic
from sloburn.sdk.config import Signal, TelemetryConfig
from sloburn.sdk.doctor.finding import Finding, ok, problem
from sloburn.sdk.handle import Telemetry
from sloburn.sdk.pipeline import start_pipeline

_ABOUT = "round trip"
# Its own name: a canary must neither count in the service's objectives nor look like its traffic.
SERVICE = "sloburn-doctor"
_ONE: dict[Signal, str] = {"traces": "span", "metrics": "metric", "logs": "log line"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Canary:
    """What was sent, for those who look for it further on.

    Args:
        mark: Stands in all three signals.
        trace_id: Of the span.
    """

    mark: str
    trace_id: str


def send_canary(config: TelemetryConfig, timeout_seconds: float) -> tuple[Canary, list[Finding]]:
    """Send one item of each signal that is exported, and wait for the answers.

    Args:
        config: Where to, and how.
        timeout_seconds: The longest that this may take.

    Returns:
        What was sent, and what became of it.
    """
    telemetry = start_pipeline(_for_canary(config, timeout_seconds), ())
    logger = logging.getLogger("sloburn")
    before, logger.disabled = logger.disabled, True
    try:
        canary = _emit(telemetry)
        findings = list(_answers(telemetry, timeout_seconds))
    finally:
        telemetry.shutdown(0.1)
        logger.disabled = before
    return canary, findings


def _for_canary(config: TelemetryConfig, timeout_seconds: float) -> TelemetryConfig:
    attributes = dict(config.resource_attributes) | {"service.name": SERVICE}
    targets = tuple(
        (signal, replace(target, timeout_seconds=min(target.timeout_seconds, timeout_seconds)))
        for signal, target in config.targets
    )
    return replace(
        config,
        resource_attributes=tuple(sorted(attributes.items())),
        targets=targets,
        span_interval_seconds=3600.0,
        metric_interval_seconds=3600.0,
    )


def _emit(telemetry: Telemetry) -> Canary:
    mark = uuid.uuid4().hex
    with telemetry.tracer.start_as_current_span("sloburn doctor", attributes={"sloburn.doctor.mark": mark}) as span:
        telemetry.meter.create_counter("sloburn.doctor.canary").add(1, {"mark": mark})
        telemetry.logger_provider.get_logger("sloburn.doctor").emit(
            timestamp=SystemClock().now_unix_nano(),
            severity_number=SeverityNumber.INFO,
            severity_text="INFO",
            body=f"sloburn doctor {mark}",
            attributes={"mark": mark},
        )
        return Canary(mark=mark, trace_id=format_trace_id(span.get_span_context().trace_id))


def _answers(telemetry: Telemetry, timeout_seconds: float) -> Iterator[Finding]:
    began = monotonic()
    telemetry.flush(timeout_seconds)
    milliseconds = (monotonic() - began) * 1e3
    status = telemetry.status()
    for signal, what in _ONE.items():
        signal_status = status.signals.get(signal)
        if signal_status is None:
            continue
        if signal_status.sent and not signal_status.problem:
            yield ok(_ABOUT, f"one {what} was taken within {milliseconds:.0f} ms")
        else:
            reason = signal_status.problem or _loss(signal_status.lost) or f"no answer within {timeout_seconds:g} s"
            shown = "".join(letter if letter.isprintable() else "." for letter in reason)
            yield problem(_ABOUT, f"one {what} was not taken: {shown}", "see what was found about the network")


def _loss(lost: dict[str, int]) -> str:
    return ", ".join(reason.replace("_", " ") for reason in lost)


def still_waiting(look: Callable[[], bool], wait: Callable[[float], object], seconds: float) -> bool:
    """Look again and again until it is there or the time is over.

    Returns:
        Whether it is not there.
    """
    deadline = monotonic() + seconds
    while not look():
        if monotonic() > deadline:
            return True
        wait(0.25)
    return False
