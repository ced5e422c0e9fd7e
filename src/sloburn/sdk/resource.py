"""Describe this process to whoever reads its telemetry.

https://opentelemetry.io/docs/specs/semconv/resource/
"""

from __future__ import annotations

import os
import platform
import re
import socket
import sys
import uuid
from pathlib import Path

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.version import __version__ as sdk_version

from sloburn.sdk.config import TelemetryConfig

_DISTRO = "sloburn"
# Docker, containerd and CRI-O name a container by 64 hexadecimal digits, in paths that the kernel shows.
_CONTAINER = re.compile(r"/(?:docker|containers|containerd|kubepods[^\s]*|libpod|crio)[^\s]*?([0-9a-f]{64})")


class Identity:
    """The resource of this process: the configured attributes over what can be seen from inside.

    Built directly and not by `Resource.create`, which reads the environment a second time and starts a thread pool.

    Args:
        config: What the service says about itself.
    """

    def __init__(self, config: TelemetryConfig) -> None:
        self._configured: dict[str, str] = dict(config.resource_attributes)
        self._seen = _seen()
        self.resource = self._make(self._configured.get("service.instance.id") or str(uuid.uuid4()))

    @property
    def configured(self) -> dict[str, str]:
        """What the service says about itself."""
        return dict(self._configured)

    def of(self, theirs: Resource) -> Resource:
        """Return the resource that telemetry is sent with.

        Args:
            theirs: What the provider has put on it: ours, perhaps from before a fork, or that of the host's provider.
        """
        return self.resource if theirs.attributes.get("telemetry.distro.name") == _DISTRO else theirs

    def reconfigure(self, config: TelemetryConfig) -> None:
        """Describe the same process as other settings want it."""
        self._configured = dict(config.resource_attributes)
        current = str(self.resource.attributes["service.instance.id"])
        self.resource = self._make(self._configured.get("service.instance.id", current))

    def after_fork(self) -> None:
        """Become another instance in a forked child; a given instance id gets the process id behind it."""
        given = self._configured.get("service.instance.id")
        self.resource = self._make(f"{given}-{os.getpid()}" if given else str(uuid.uuid4()))

    def _make(self, instance: str) -> Resource:
        process = {"process.pid": os.getpid()}
        return Resource({**self._seen, **process, **self._configured, "service.instance.id": instance})


def _seen() -> dict[str, str | int]:
    seen: dict[str, str | int] = {
        "telemetry.sdk.language": "python",
        "telemetry.sdk.name": "opentelemetry",
        "telemetry.sdk.version": sdk_version,
        "telemetry.distro.name": _DISTRO,
        "host.name": socket.gethostname(),
        "host.arch": {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine()),
        "os.type": sys.platform,
        "process.executable.name": Path(sys.executable or "python").name,
        "process.runtime.name": platform.python_implementation().lower(),
        "process.runtime.version": platform.python_version(),
    }
    container = container_id(_read("/proc/self/cgroup") + _read("/proc/self/mountinfo"))
    return seen | ({"container.id": container} if container else {})


def container_id(seen_by_kernel: str) -> str:
    """Return the id of the container that this process runs in, empty outside of one.

    Args:
        seen_by_kernel: The process's control groups (version 1 names the container) and mounts (version 2 does).
    """
    found = _CONTAINER.search(seen_by_kernel)
    return found[1] if found else ""


def _read(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
