"""The garbage collector and senders who wait: a full collection stops every thread for as long as it looks around."""

from __future__ import annotations

import gc


def set_aside() -> None:
    """Take everything that lives now out of the collector's sight, after a last look at it.

    Modules, SLOs and ledgers live as long as the processor; without them a full collection takes a tenth of the time.
    Call it anew when much of that was replaced: what was set aside before is looked at once more.
    """
    gc.unfreeze()
    gc.collect()
    gc.freeze()
