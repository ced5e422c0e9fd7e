"""Loki forgets each level when `loki.yaml` says: lines of long ago are given to it, and its compactor runs now."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import yaml
from collector.stack import state as states
from collector.stack.build import build_missing
from collector.stack.lifecycle import is_ready
from collector.stack.places import COLLECTOR
from collector.stack.ports import free_ports
from collector.stack.processes import start, stop
from collector.stack.services import services, url
from collector.stack.state import State, process_environment

from tests.stack.backends import Backends, wait_for
from tests.stack.guard import guarded_folder
from tests.telemetry import LogSpec, log_request

DAY_NS = 86_400 * 10**9
# Days of age, in the order of sending: a stream of its own for each, as Loki forgets whole chunks of a stream.
AGES = (100, 40, 1)
KEPT = {"INFO 1", "ERROR 1", "ERROR 40"}
_HEADERS = {"content-type": "application/x-protobuf"}


class OldLoki:
    """Loki with the committed configuration, but in a hurry, and willing to take lines of any age.

    Args:
        folder: Of its data.
    """

    def __init__(self, folder: Path) -> None:
        self.state = State(ports=free_ports())
        self._folder = folder
        self._service = next(one for one in services(folder, self.state.ports, ()) if one.name == "loki")
        (folder / "loki").mkdir()
        (folder / "loki.yaml").write_text(yaml.safe_dump(_in_a_hurry()))

    def start(self) -> None:
        """Start it, and wait until it is ready."""
        identity = start(
            [self._service.command[0], f"-config.file={self._folder / 'loki.yaml'}", "-config.expand-env=true"],
            log=self._folder / "loki.log",
            folder=self._folder / "loki",
            environment={**process_environment(), **self._service.environment},
        )
        self.state = self.state.with_process("loki", identity)
        states.save(self._folder, self.state)
        wait_for(lambda: is_ready(self._service), "Loki is ready")

    def restart(self, *without: str) -> None:
        """Stop it, so that what it has is in its store; start it without what it remembers in these folders."""
        assert stop(tuple(self.state.running.values()), 180) == [], "it was killed: what it had is not in its store"
        for name in without:
            shutil.rmtree(self._folder / "loki" / name)
        self.start()

    def chunks(self) -> int:
        """Return how many chunks are on its disk."""
        return sum(len(files) for _, _, files in os.walk(self._folder / "loki" / "chunks" / "fake"))

    def write(self, text: str, age_days: int) -> None:
        """Give it a line of that age and level."""
        moment = time.time_ns() - age_days * DAY_NS
        line = LogSpec(time=moment, body=f"{text} {age_days}", text=text)
        body = log_request([line], f"old-{age_days}").SerializeToString()
        address = url(self.state.ports, "loki", "/otlp/v1/logs")
        httpx.post(address, content=body, headers=_HEADERS, timeout=60, trust_env=False).raise_for_status()

    def lines(self) -> set[str]:
        """Return the lines that it has."""
        backends, found = Backends(self.state.ports), set[str]()
        for age in AGES:
            moment = time.time_ns() - age * DAY_NS
            span = {"start": moment - DAY_NS // 2, "end": moment + DAY_NS // 2}
            found |= set(backends.lines(f'{{service_name="old-{age}"}}', **span))
        backends.close()
        return found


def _in_a_hurry() -> dict[str, dict[str, object]]:
    settings: dict[str, dict[str, object]] = yaml.safe_load((COLLECTOR / "loki.yaml").read_text())
    settings["limits_config"]["reject_old_samples_max_age"] = "1y"
    settings["compactor"] |= {"compaction_interval": "1s", "retention_delete_delay": "1s"}
    return settings


@pytest.fixture
def loki() -> Iterator[OldLoki]:
    """Loki beside the stack."""
    build_missing(print)
    with guarded_folder() as folder:
        found = OldLoki(folder)
        found.start()
        yield found


def test_levels_are_forgotten_at_different_times(loki: OldLoki) -> None:
    """INFO of 40 days ago is deleted and ERROR is kept; ERROR of 100 days ago is deleted as well."""
    for age in AGES:
        loki.write("INFO", age)
        loki.write("ERROR", age)
    loki.restart("wal")  # a start hands the index over to the compactor
    wait_for(lambda: loki.chunks() == len(KEPT), "what is too old is gone from the store")
    loki.restart("wal", "tsdb-shipper-active", "tsdb-shipper-cache")  # queries remember the index of before for minutes

    looks: list[set[str]] = []  # a look may come before all days of the index are read

    def look() -> bool:
        looks.append(loki.lines())
        return looks[-1] >= KEPT

    wait_for(look, "the rest is found")
    assert looks[-1] == KEPT
