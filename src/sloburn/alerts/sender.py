"""Keeps Alertmanagers told: at once when an alert changes, and again and again while it fires."""

from __future__ import annotations

import asyncio
import json
import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence

import httpx

from sloburn.alerts.alertmanager import PostableAlert, identities, postable_alerts
from sloburn.clock import monotonic
from sloburn.sli.status import Snapshot

log = logging.getLogger("sloburn.alerts")

PATH = "/api/v2/alerts"
REPEAT_SECONDS = 60.0  # Alertmanager's resolve_timeout is 5 min by default
RETRY_SECONDS = 5.0
TIMEOUT_SECONDS = 5.0


class AlertmanagerSender:
    """Sends to every Alertmanager of a cluster, as its documentation asks: they agree among themselves.

    Args:
        urls: Their addresses.
        page_url: Address of the status page, for links.
    """

    def __init__(self, urls: Sequence[str], page_url: str = "") -> None:
        self._urls = tuple(url.rstrip("/") for url in urls)
        self._page_url = page_url
        self._failing: set[str] = set()
        self.sent: Counter[tuple[str, str]] = Counter()

    async def run(self, following: Callable[[], Awaitable[Snapshot | None]]) -> None:
        """Follow snapshots.

        Args:
            following: Waits for the next one; None ends it.
        """
        if not self._urls:  # what nobody hears need not be put into words
            return
        tried: list[object] = []
        due = 0.0
        async with httpx.AsyncClient(timeout=TIMEOUT_SECONDS) as client:
            while (snapshot := await following()) is not None:
                found = identities(snapshot)
                if not found or (found == tried and monotonic() < due):
                    continue
                tried = found
                everybody_heard = await self._tell(client, postable_alerts(snapshot, self._page_url))
                due = monotonic() + (REPEAT_SECONDS if everybody_heard else RETRY_SECONDS)

    async def _tell(self, client: httpx.AsyncClient, alerts: list[PostableAlert]) -> bool:
        answers = await asyncio.gather(*(self._post(client, url, alerts) for url in self._urls))
        return all(answers)

    async def _post(self, client: httpx.AsyncClient, url: str, alerts: list[PostableAlert]) -> bool:
        try:
            # In ASCII: a sender's JSON can smuggle in half a surrogate pair, which UTF-8 cannot carry.
            body = json.dumps(alerts, allow_nan=False)
            answer = await client.post(url + PATH, content=body, headers={"Content-Type": "application/json"})
            trouble = "" if answer.is_success else f"{answer.status_code} {answer.text[:200]}"
        except httpx.HTTPError as error:
            trouble = f"{type(error).__name__}: {error}"
        self.sent[url, "failed" if trouble else "sent"] += len(alerts)
        self._report(url, trouble)
        return not trouble

    def _report(self, url: str, trouble: str) -> None:
        """Say once that an Alertmanager does not take alerts, and once that it does again."""
        if trouble and url not in self._failing:
            self._failing.add(url)
            log.error("Alertmanager %s takes no alerts: %s; sending goes on", url, trouble)
        elif not trouble and url in self._failing:
            self._failing.discard(url)
            log.warning("Alertmanager %s takes alerts again", url)
