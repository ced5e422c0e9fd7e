"""Gunicorn's configuration: a mark for each worker that can be stopped."""

from __future__ import annotations

import os
from pathlib import Path


def post_worker_init(worker: object) -> None:
    """Leave a file named by the process in the folder READY_FOLDER: the worker has its own signal handlers now."""
    if folder := os.environ.get("READY_FOLDER"):
        Path(folder, str(os.getpid())).touch()
