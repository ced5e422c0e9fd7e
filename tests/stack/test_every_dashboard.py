"""Every query of the committed dashboards, asked of the real servers: what Grafana would send them."""

from __future__ import annotations

import json
import time

import pytest

from tests.rules.boards import Asked, every_query
from tests.stack.backends import Backends, wait_for
from tests.stack.conftest import Report


def ask(backends: Backends, asked: Asked) -> int | None:
    """Return how many series, streams or traces a server answers, None while it cannot; fail where it refuses."""
    if asked.kind == "jaeger":
        tags = dict(pair.split("=", 1) for pair in asked.tags.split())
        query = {"service": asked.text, "lookback": "1h", "limit": "20", **({"tags": json.dumps(tags)} if tags else {})}
        answer = backends.answer("jaeger", "/api/traces", **query)
        return None if answer is None else len(answer["data"])
    now = time.time()
    path = {"prometheus": "/api/v1/query_range", "loki": "/loki/api/v1/query_range"}[asked.kind]
    answer = backends.answer(asked.kind, path, query=asked.text, start=now - 1800, end=now, step="30")
    return None if answer is None else len(answer["data"]["result"])


@pytest.mark.parametrize("kind", ["prometheus", "loki", "jaeger"])
@pytest.mark.usefixtures("slow_payment")
def test_every_query_is_answered(backends: Backends, report: Report, kind: str) -> None:
    """No server refuses a query of a dashboard, and each has something to show of the shop."""
    every = [asked for asked in every_query("shop") if asked.kind == kind]

    def shown() -> list[Asked]:
        found = [ask(backends, asked) for asked in every]
        return [] if None in found else [asked for asked, count in zip(every, found, strict=True) if count]

    assert every
    answered = wait_for(shown, f"{kind} shows something")
    report(f"{len(every)} queries of dashboards asked of {kind}, {len(answered)} with something to show")
