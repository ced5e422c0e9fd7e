"""Switch on what is measured beside requests and tasks: business metrics, `/metrics`, process, host and health."""

from __future__ import annotations

from sloburn.errors import ConfigError
from sloburn.sdk.config import TelemetryConfig
from sloburn.sdk.handle import Telemetry
from sloburn.sdk.import_hook import when_imported
from sloburn.sdk.measures import MEASURES
from sloburn.sdk.prometheus.process import SHOWN


def watch(telemetry: Telemetry) -> None:
    """Measure what the settings ask for; what cannot be done goes into the status."""
    config = telemetry.config
    SHOWN.describe(config.service_name, dict(config.resource_attributes), config.local.folder)
    MEASURES.use(telemetry.meter)
    # Checks cost 20 ms to load, and most processes have none.
    when_imported("sloburn.sdk.health.checks", lambda: _watch_health(telemetry))
    for problem in (_show(config), _measure_system(telemetry)):
        if problem:
            telemetry.note_problem(problem)


def _show(config: TelemetryConfig) -> str:
    return SHOWN.switch_on() if config.local.prometheus else ""


def _measure_system(telemetry: Telemetry) -> str:
    if not telemetry.config.local.system:
        return ""
    try:
        from sloburn.sdk.system import measure_system
    except ConfigError as error:
        return str(error)
    measure_system(telemetry.meter)
    return ""


def _watch_health(telemetry: Telemetry) -> None:
    """Tell the checks who they speak for, and report them as metrics."""
    from sloburn.sdk.health.checks import health

    about = dict(telemetry.config.resource_attributes)
    health.describe(about["service.name"], about.get("service.version", ""))
    health.observe(telemetry.meter)
