"""``sloburn validate``: check SLO documents."""

from __future__ import annotations

import argparse
from pathlib import Path

from sloburn.slo.clamp import clamp_notes
from sloburn.spec import load_slos


def run(given: argparse.Namespace) -> int:
    """Read every document and say what is in it.

    Raises:
        SpecError: Something is wrong.
    """
    slos = load_slos([Path(path) for path in given.paths])
    for slo in slos:
        print(f"{slo.name}: {slo.service}, {float(slo.objective * 100):g} %")
        for note in clamp_notes(slo):
            print(f"  note: {note}")
    print(f"{len(slos)} SLO{'s are' if len(slos) != 1 else ' is'} fine")
    return 0
