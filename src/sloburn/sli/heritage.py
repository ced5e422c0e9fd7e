"""Series that begin with a history: another one counted the same events, or the groups of a whole did.

A series counts the same as another one where the generations (`sloburn.sli.generation`) and groups are equal and only
the names differ: another objective over the same indicator, or the same SLO under a new name. Such a series takes a
copy of what the older one counted. The whole of groups that alert together holds exactly what they hold: where it does
not, because they began to alert together later, it is made anew from them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from sloburn.sli.series import Series, SeriesKey
from sloburn.slo.model import Slo

Open = Callable[[SeriesKey], Series | None]


def share_histories(
    donors: Iterable[Series], generations: Mapping[str, str], known: Iterable[SeriesKey], open_series: Open
) -> None:
    """Give series that are new the history of those that counted the same.

    Args:
        donors: Whose histories there are.
        generations: Of today's SLOs, by name.
        known: Series that have a history of their own, even an empty one.
        open_series: Returns a series, made if it is new; None if no SLO of today counts it.
    """
    names: dict[str, list[str]] = {}
    for name, generation in generations.items():
        names.setdefault(generation, []).append(name)
    taken = set(known)
    lasting = [one for one in donors if one.ledger.first_unix_nano]
    for donor in sorted(lasting, key=lambda one: (one.ledger.first_unix_nano, one.key)):
        for name in names.get(donor.key.generation, ()):
            key = SeriesKey(name, donor.key.generation, donor.key.group)
            heir = None if key in taken else open_series(key)
            if heir is not None:
                heir.resemble(donor)
                taken.add(key)


def fold_groups(series: Mapping[SeriesKey, Series], slos: Mapping[str, Slo], open_series: Open) -> None:
    """Make the whole of groups that alert together anew from them, wherever it holds something else than they do."""
    groups: dict[SeriesKey, list[Series]] = {}
    for key, one in series.items():
        if key.group and slos[key.slo].alerting.together:
            groups.setdefault(SeriesKey(key.slo, key.generation), []).append(one)
    for key, parts in groups.items():
        whole = open_series(key)
        if whole is not None and whole.ledger.lifetime.total != sum(part.ledger.lifetime.total for part in parts):
            whole.fold(parts)
