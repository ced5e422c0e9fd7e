"""The status page: a snapshot in, HTML out. Every view is a whole document or only its live part."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from jinja2 import Environment, PackageLoader, StrictUndefined

from sloburn.duration import MILLISECOND
from sloburn.outputs.assets import Asset
from sloburn.outputs.detail import detail_of
from sloburn.outputs.exposition import installed_version
from sloburn.outputs.rows import Row, list_rows
from sloburn.outputs.standing import Standing, Summary, summarize
from sloburn.outputs.wording import clean, clip, clock_text, iso_text, window_text
from sloburn.sli.leads import lead_note
from sloburn.sli.status import SloStatus, Snapshot

_MOST_LEADS = 3
_NAME_LIMIT = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class PageSettings:
    """What the pages must know beside the snapshot.

    Args:
        otlp_endpoint: Where services send their telemetry; shown to those who have not sent any yet.
        trace_url: Address of a trace in a trace viewer, with ``{trace_id}`` in it; empty if there is none.
        heartbeat_seconds: Longest silence of a stream.
        max_streams: How many streams may be open at once; the next one is sent away.
    """

    otlp_endpoint: str = "http://127.0.0.1:4318"
    trace_url: str = ""
    heartbeat_seconds: float = 2.0
    max_streams: int = 100


class Pages:
    """Renders the page's views.

    Args:
        assets: The static files, for their addresses.
        settings: What to show beside the snapshot.
    """

    def __init__(self, assets: Mapping[str, Asset], settings: PageSettings) -> None:
        self._settings = settings
        self._environment = Environment(
            loader=PackageLoader("sloburn.outputs"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._environment.filters.update(
            iso=iso_text, clock=clock_text, window=window_text, ms=lambda at: at // MILLISECOND
        )
        self._environment.globals.update(
            asset=lambda name: assets[name].href, settings=settings, version=installed_version()
        )

    def overview(self, snapshot: Snapshot, *, part: bool = False) -> bytes:
        """Render the list of all SLOs.

        Args:
            snapshot: What to show.
            part: Only what changes while the page is open.
        """
        return self._list(snapshot, list_rows(snapshot), part=part, title="")

    def group_overview(self, snapshot: Snapshot, name: str, *, part: bool = False) -> bytes:
        """Render the groups of one SLO as a list."""
        rows = tuple(row for row in list_rows(snapshot) if row.name == name)
        return self._list(snapshot, rows, part=part, title=name)

    def detail(self, snapshot: Snapshot, status: SloStatus, *, part: bool = False) -> bytes:
        """Render one SLO or group."""
        return self._render("detail.html", snapshot, part=part, slo=detail_of(snapshot, status))

    def trouble(self, title: str, text: str, *, reload_seconds: int = 0) -> bytes:
        """Render a page that names what is wrong and what to do next.

        Args:
            title: What is wrong.
            text: The next step.
            reload_seconds: When the browser tries again; 0 for never.
        """
        template = self._environment.get_template("trouble.html")
        return clean(template.render(title=title, text=text, reload_seconds=reload_seconds)).encode()

    def trace_href(self, trace_id: str) -> str:
        """Return the address of a trace; empty without a trace viewer."""
        return self._settings.trace_url.replace("{trace_id}", quote(clean(trace_id), safe=""))

    def _list(self, snapshot: Snapshot, rows: Sequence[Row], *, part: bool, title: str) -> bytes:
        windows = {row.burn_window for row in rows}
        window = windows.pop() if len(windows) == 1 else ""
        return self._render("overview.html", snapshot, part=part, rows=rows, title=title, burn_window=window)

    def _render(self, name: str, snapshot: Snapshot, *, part: bool, **values: Any) -> bytes:  # noqa: ANN401  what templates take
        template = self._environment.get_template(f"live/{name}" if part else name)
        summary = summarize(snapshot)
        values |= {"at": snapshot.at_unix_nano, "time_scale": snapshot.time_scale, "summary": summary}
        values["notices"] = snapshot.notices
        values["leads"] = lead_lines(snapshot)
        html = template.render(values | {"mood": mood(summary), "trace_href": self.trace_href})
        return clean(html).encode()


def lead_lines(snapshot: Snapshot) -> tuple[str, ...]:
    """Say whose clocks are ahead, those that are most first; only so many have room above a page."""
    leads = sorted(snapshot.clock_leads.items(), key=lambda one: (-one[1], one[0]))
    told = [lead_note(clip(service, _NAME_LIMIT), lead_ns) for service, lead_ns in leads[:_MOST_LEADS]]
    more = len(leads) - len(told)
    return (*told, f"and of {more} more, see /metrics") if more else tuple(told)


def mood(summary: Summary) -> Standing:
    """Return the one word for all SLOs: the most urgent there is."""
    if not summary.slos:
        return Standing.NO_TRAFFIC
    found = (
        (summary.pages, Standing.PAGE),
        (summary.exhausted, Standing.EXHAUSTED),
        (summary.burning or summary.tickets, Standing.TICKET),
        (summary.silent, Standing.NO_DATA),
    )
    return next((standing for count, standing in found if count), Standing.OK)
