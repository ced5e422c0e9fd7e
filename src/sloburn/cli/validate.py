"""``sloburn validate``: check SLO documents."""

from __future__ import annotations

import argparse
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

from sloburn.slo.low_traffic import low_traffic_rule
from sloburn.slo.model import Slo
from sloburn.slo.timed import members_of
from sloburn.spec import load_slos


def run(given: argparse.Namespace) -> int:
    """Read every document and say what is in it.

    Raises:
        SpecError: Something is wrong.
    """
    slos = load_slos([Path(path) for path in given.paths])
    for slo in slos:
        print(f"{slo.name}: {slo.service or ', '.join(members_of(slo.indicator))}, {_percent(slo.objective)} %")
        for note in slo.alerting.notes:
            print(f"  note: {note}")
        for text in filter(None, (low_traffic_rule(slo), _together(slo))):
            print(f"  {text}")
    print(f"{len(slos)} SLO{'s are' if len(slos) != 1 else ' is'} fine")
    return 0


def _together(slo: Slo) -> str:
    if not slo.group_by:
        return ""
    names = ", ".join(slo.group_by)
    if slo.alerting.together:
        return f"groups: every {names} has a budget of its own; all of them alert together, by the sum of their events"
    return f"groups: every {names} has a budget and alerts of its own, by its own events alone"


def _percent(ratio: Fraction) -> str:
    """Write a ratio in percent, exactly as it was written: objectives are decimals, and are never rounded."""
    return f"{(Decimal(ratio.numerator) * 100 / Decimal(ratio.denominator)).normalize():f}"
