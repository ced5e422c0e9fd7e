"""Find the folder that the workers of one service share, without being told.

Workers of uvicorn, gunicorn and Celery are in one process group with their parent, and different services, and other
runs of the same one, are not. The time at which the group's leader started makes a reused number another group.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import tempfile
from pathlib import Path

from sloburn.clock import SystemClock
from sloburn.errors import ConfigError
from sloburn.sdk.prometheus.folder import Folder

_STARTED_FIELD = 19
_SHORTEST_LIFE_SECONDS = 3600.0


def make_folder(service_name: str, path: str | None) -> Folder:
    """Return the folder of a service's processes.

    Args:
        service_name: Under which name the service reports.
        path: The folder, if one was configured.

    Raises:
        ConfigError: It cannot be used.
    """
    if path is not None:
        return Folder(Path(path))
    root = Path(tempfile.gettempdir()) / f"sloburn-{os.geteuid()}"
    Folder(root)
    group = os.getpgrp()
    name = re.sub(r"[^A-Za-z0-9_.-]", "_", service_name)[:80]
    folder = Folder(root / f"{name}-{group}-{_started(group)}")
    _remove_ended(root, folder.path)
    return folder


def _started(process: int) -> str:
    """Return when a process started, in ticks since the machine did; 0 when that cannot be seen."""
    try:
        about = Path(f"/proc/{process}/stat").read_text(encoding="utf-8", errors="replace")
        return about.rpartition(")")[2].split()[_STARTED_FIELD]
    except (OSError, IndexError):
        return "0"


def _remove_ended(root: Path, own: Path) -> None:
    """Remove the folders of earlier runs in which nobody counts any more."""
    now = SystemClock().now_unix_nano() / 1e9
    with contextlib.suppress(OSError, ConfigError):
        for path in root.iterdir():
            is_old = now - path.stat().st_mtime > _SHORTEST_LIFE_SECONDS
            if path != own and is_old and not Folder(path).is_alive():
                shutil.rmtree(path, ignore_errors=True)
