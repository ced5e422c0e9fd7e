"""Where things are: the repository, the cache of what was built, the data of what runs."""

from __future__ import annotations

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
COLLECTOR = ROOT / "collector"
MODULES = COLLECTOR / "modules"

CACHE_VARIABLE = "SLOBURN_STACK_CACHE"
DATA_VARIABLE = "SLOBURN_STACK_DATA"


class StackError(Exception):
    """What a person has to do something about; the message says what."""


def cache_folder() -> Path:
    """Return where built programs are kept: outside the repository, so that every checkout shares them."""
    base = Path(os.environ.get("XDG_CACHE_HOME") or _home() / ".cache")
    return Path(os.environ.get(CACHE_VARIABLE) or base / "sloburn-stack").absolute()


def _home() -> Path:
    try:
        return Path.home()
    except RuntimeError:  # a user without a home, as containers have them
        return ROOT


def data_folder() -> Path:
    """Return where servers keep data, logs and the record of what runs."""
    return Path(os.environ.get(DATA_VARIABLE) or ROOT / ".cache" / "stack").absolute()
