"""``sloburn validate``: check SLO documents."""

from __future__ import annotations

import argparse
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

from sloburn.spec import load_slos


def run(given: argparse.Namespace) -> int:
    """Read every document and say what is in it.

    Raises:
        SpecError: Something is wrong.
    """
    slos = load_slos([Path(path) for path in given.paths])
    for slo in slos:
        print(f"{slo.name}: {slo.service}, {_percent(slo.objective)} %")
        for note in slo.alerting.notes:
            print(f"  note: {note}")
    print(f"{len(slos)} SLO{'s are' if len(slos) != 1 else ' is'} fine")
    return 0


def _percent(ratio: Fraction) -> str:
    """Write a ratio in percent, exactly as it was written: objectives are decimals, and are never rounded."""
    return f"{(Decimal(ratio.numerator) * 100 / Decimal(ratio.denominator)).normalize():f}"
