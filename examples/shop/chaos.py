"""The demo's fault switch. For demonstrations only: a real service has no such route."""

from __future__ import annotations

import time
from typing import Literal

from fastapi import APIRouter
from pydantic import BaseModel

router = APIRouter(tags=["demo only"])

Mode = Literal["exception", "slow", "off"]
SLOW_SECONDS = 0.6  # above the 300 ms that slos.yaml promises

_faults: dict[str, Mode] = {}


class Fault(BaseModel):
    route: str
    mode: Mode


@router.post("/chaos")
def switch(fault: Fault) -> dict[str, Mode]:
    _faults[fault.route] = fault.mode
    return _faults


def strike(route: str, error: Exception) -> None:
    """Raise the error, or wait, where the switch of this route says so."""
    mode = _faults.get(route, "off")
    if mode == "exception":
        raise error
    if mode == "slow":
        time.sleep(SLOW_SECONDS)
