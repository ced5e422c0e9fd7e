"""How far the slices of a series are judged: what a restart must know beside the verdicts themselves."""

from __future__ import annotations

from dataclasses import dataclass

from sloburn.slo.exclusions import Interval


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far the slices of a series are judged.

    Args:
        history_unix_nano: When its history began, nanoseconds since the epoch: nothing is missed before; 0 before that.
        until: Number, since the epoch, of the first slice that was not judged yet.
        gaps: When nobody listened, in order.
    """

    history_unix_nano: int = 0
    until: int = 0
    gaps: tuple[Interval, ...] = ()

    def record(self) -> list[object]:
        """Return it as lists of numbers, for the store."""
        return [self.history_unix_nano, self.until, [[gap.begin_unix_nano, gap.end_unix_nano] for gap in self.gaps]]

    @classmethod
    def of_record(cls, record: list[object]) -> Progress:
        """Read what `record` returned.

        Raises:
            ValueError: It is something else.
        """
        match record:
            case [int(history), int(until), list(gaps)]:
                found = tuple(Interval(int(begin), int(end)) for begin, end in gaps)
                return cls(history_unix_nano=history, until=until, gaps=found)
            case _:
                raise ValueError(f"{record!r} is no progress of a series")


NOT_BEGUN = Progress()
