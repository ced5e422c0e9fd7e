"""How far the clocks of services are ahead of ours.

An event that ends after it arrived tells that its sender's clock is ahead, or ours behind. A sender whose clock is
behind cannot be told from one that sends late: queues and retries look the same.
"""

from __future__ import annotations

from collections.abc import Mapping

from sloburn.duration import MINUTE, SECOND

KEEP_NS = 3 * MINUTE
"""A lead is kept for one to two times as long after it was last seen."""


class Leads:
    """The largest lead of each service in the last minutes; the caller gives only services that have an SLO."""

    def __init__(self) -> None:
        self._held: dict[str, tuple[int, int, int]] = {}  # a turn of the clock, the most in it and in the last

    def see(self, leads: Mapping[str, int], now: int) -> None:
        """Take the leads of a batch by service, nanoseconds, that came at `now`, nanoseconds since the epoch."""
        for service, lead in leads.items():
            before, last = self._two(service, now)
            self._held[service] = (now // KEEP_NS, max(lead, last), before)

    def at(self, now: int) -> dict[str, int]:
        """Return the leads that are known at `now`, by service: nanoseconds, rounded to seconds."""
        found = {
            service: (max(self._two(service, now)) + SECOND // 2) // SECOND * SECOND for service in sorted(self._held)
        }
        known = {service: lead for service, lead in found.items() if lead}
        self._held = {service: held for service, held in self._held.items() if service in known}
        return known

    def _two(self, service: str, now: int) -> tuple[int, int]:
        """Return the largest leads of the turn before that of `now`, and of its own."""
        turn, most, before = self._held.get(service, (0, 0, 0))
        passed = now // KEEP_NS - turn
        if passed <= 0:
            return before, most
        return (most, 0) if passed == 1 else (0, 0)


def lead_note(service: str, lead_ns: int) -> str:
    """Say in words what a lead, nanoseconds, does to the numbers of a service."""
    lead = f"{lead_ns // SECOND} s"
    return f"{service}'s clock is {lead} ahead of ours: its events count in their own time, up to {lead} from now"
