"""Promises that are changed while the stack runs: Prometheus and sloburn learn of them by the next `up`."""

from __future__ import annotations

from pathlib import Path

from collector.stack.lifecycle import Stack

from tests.stack.backends import Backends, wait_for

MORE = Path(__file__).with_name("promises-slos.yaml")


def rules_of(backends: Backends, slo: str) -> int:
    """Return how many rules of an SLO Prometheus runs."""
    groups = backends.answer("prometheus", "/api/v1/rules")["data"]["groups"]
    return sum(rule.get("labels", {}).get("slo") == slo for group in groups for rule in group["rules"])


def test_running_servers_learn_of_other_promises(stack: Stack, backends: Backends) -> None:
    """A promise more is counted and has rules at once, no server but sloburn is started anew; then it goes again."""
    before = stack.state
    assert before is not None
    try:
        stack.up(before.ports, [*before.slos, str(MORE)], before.options)
        pids = {standing.service.name: standing.pid for standing in stack.standings() if standing.pid}

        assert {name for name, pid in pids.items() if pid != before.running[name].pid} == {"sloburn"}
        wait_for(lambda: rules_of(backends, "added-later"), "rules of the new promise")
        assert backends.slo("added-later")
    finally:
        stack.up(before.ports, before.slos, before.options)
    wait_for(lambda: not rules_of(backends, "added-later"), "Prometheus forgets the rules of the promise")
