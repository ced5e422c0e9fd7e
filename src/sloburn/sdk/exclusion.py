"""Paths that this process serves for machines that watch it: they make no spans and no metrics, wherever they are."""

from __future__ import annotations

# Grows while an application is put together, is read for every request.
MOUNTED_PATHS: set[str] = set()
