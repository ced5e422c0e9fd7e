"""Paths that this process serves for machines that watch it: they make no spans and no metrics, wherever they are."""

from __future__ import annotations

# Grows while an application is put together, is read for every request.
MOUNTED_PATHS: set[str] = set()

# Where a scope holds what takes a request out of spans and metrics: a page of ours behind a mount or a prefix is known
# only when it is reached, and a page of the host's with the same name is none of ours.
FORGET = "sloburn.forget"
