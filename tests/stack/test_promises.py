"""Promises that are changed while the stack runs: Prometheus and sloburn learn of them, other documents by an `up`."""

from __future__ import annotations

from pathlib import Path

from collector.stack.lifecycle import Stack

from tests.stack.backends import Backends, wait_for

MORE = Path(__file__).with_name("promises-slos.yaml")


def rules_of(backends: Backends, slo: str) -> int:
    """Return how many rules of an SLO Prometheus runs."""
    groups = backends.get("prometheus", "/api/v1/rules").get("data", {}).get("groups", ())
    return sum(rule.get("labels", {}).get("slo") == slo for group in groups for rule in group["rules"])


def test_running_servers_learn_of_other_promises(stack: Stack, backends: Backends, tmp_path: Path) -> None:
    """A promise more is counted and has rules at once, and no server but sloburn is started anew.

    Another name for it in the same document needs no call at all. Then it goes again.
    """
    before, more = stack.state, tmp_path / "slos.yaml"
    assert before is not None
    more.write_text(MORE.read_text())
    try:
        stack.up(before.ports, [*before.slos, str(more)], before.options)
        pids = {standing.service.name: standing.pid for standing in stack.standings() if standing.pid}

        assert {name for name, pid in pids.items() if pid != before.running[name].pid} == {"sloburn"}
        wait_for(lambda: rules_of(backends, "added-later"), "rules of the new promise")
        wait_for(lambda: backends.slo("added-later"), "sloburn counts for the new promise")

        more.write_text(MORE.read_text().replace("added-later", "renamed"))
        wait_for(lambda: rules_of(backends, "renamed"), "rules of the promise under its new name")
        wait_for(lambda: backends.slo("renamed"), "sloburn counts under the new name")
    finally:
        stack.up(before.ports, before.slos, before.options)
    wait_for(lambda: not rules_of(backends, "renamed"), "Prometheus forgets the rules of the promise")
