"""Describe this process to whoever reads its telemetry."""

from __future__ import annotations

import platform
import socket
import uuid

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.version import __version__ as sdk_version

from sloburn.sdk.config import TelemetryConfig


def make_resource(config: TelemetryConfig) -> Resource:
    """Describe this process: the configured attributes over what can be seen from inside.

    Built directly and not by `Resource.create`, which reads the environment a second time and starts a thread pool.
    """
    seen: dict[str, str | int] = {
        "telemetry.sdk.language": "python",
        "telemetry.sdk.name": "opentelemetry",
        "telemetry.sdk.version": sdk_version,
        "telemetry.distro.name": "sloburn",
        "host.name": socket.gethostname(),
        "process.runtime.name": platform.python_implementation().lower(),
        "process.runtime.version": platform.python_version(),
    }
    identity = {"service.instance.id": str(uuid.uuid4())}
    return Resource({**seen, **identity, **dict(config.resource_attributes)})


def with_identity_of(resource: Resource, provider: object) -> Resource:
    """Give a resource the instance id of a provider's, so that all signals of a forked child carry the same one.

    The SDK renews ``service.instance.id`` of its own providers in a forked child, and only there.
    """
    theirs = getattr(provider, "resource", None)
    if not isinstance(theirs, Resource) or "service.instance.id" not in theirs.attributes:
        return resource
    return resource.merge(Resource({"service.instance.id": theirs.attributes["service.instance.id"]}))
