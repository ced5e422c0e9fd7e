"""Logs and sampled spans through kills, checkpoints, failed writes and repeats, against an oracle."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pytest
from google.protobuf.message import Message
from hypothesis import given, settings
from hypothesis import strategies as st

from sloburn.duration import SECOND
from sloburn.otlp.anyvalue import any_value
from sloburn.otlp.decode import decode
from sloburn.otlp.signal import Encoding, Signal
from sloburn.server.recovery import restore
from sloburn.sli.commit import Commit
from sloburn.sli.engine import Engine
from sloburn.slo.budget import Count
from sloburn.spec import parse_slos
from tests.server.hasty import HastyStore
from tests.sli.harness import NOW
from tests.telemetry import LogSpec, SpanSpec, log_request, trace_request

SLOS = parse_slos(
    """
version: sloburn/v1
slos:
  - {name: lines, service: shop, objective: 99, period: 30d, indicator: {logs: {}, bad: {severity: error}}}
  - {name: spans, service: shop, objective: 99, period: 30d, indicator: {spans: {}, bad: {status: error}}}
""",
    "slos.yaml",
)
WEIGHTS = {"": 1, "ot=th:8": 2, "ot=th:e": 8}


class Life:
    """A processor without its servers."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.start()

    def start(self) -> None:
        """Begin, or begin again where the store is."""
        self.store = HastyStore(self._folder, NOW)
        self.engine = Engine(SLOS, any_value, epoch=self.store.epoch)
        self.scribe, _ = restore(self.engine, self.store)

    def kill(self) -> None:
        """End without a word and start again."""
        self.store.close()
        self.start()

    def checkpoint(self) -> None:
        """Write a checkpoint."""
        checkpoint = self.scribe.checkpoint(NOW)
        self.store.checkpoint(checkpoint, NOW)
        self.scribe.kept(checkpoint)

    def send(self, signal: Signal, request: Message, *, fails: bool) -> None:
        """Send a request; one whose write fails changes nothing."""
        commit = Commit()
        message = decode(signal, Encoding.PROTOBUF, request.SerializeToString())
        prepare = self.engine.prepare_logs if signal is Signal.LOGS else self.engine.prepare_traces
        prepare(message, NOW, commit)  # type: ignore[arg-type]
        row = self.scribe.write(commit)
        if fails:
            return
        if not commit.is_empty:
            self.store.append(NOW, *row)
            self.scribe.written()
        self.engine.apply(commit)

    def counts(self) -> dict[str, Count]:
        """Return all events ever counted, by SLO."""
        return {status.slo.name: status.lifetime for status in self.engine.tick(NOW).statuses}


@dataclass(frozen=True)
class Step:
    """Something that happens: a request of lines or of spans, or what is done to the processor."""

    kind: str = ""
    lines: tuple[tuple[int, bool], ...] = ()
    spans: tuple[int, ...] = ()
    fails: bool = False


lines = st.lists(st.tuples(st.integers(0, 2), st.booleans()), min_size=1, max_size=5).map(tuple)
spans = st.lists(st.integers(1, 12), min_size=1, max_size=5).map(tuple)
steps = st.lists(
    st.one_of(
        st.builds(Step, lines=lines, fails=st.booleans()),
        st.builds(Step, spans=spans, fails=st.booleans()),
        st.builds(Step, kind=st.sampled_from(["kill", "checkpoint"])),
    ),
    min_size=3,
    max_size=15,
)
looks = st.lists(st.tuples(st.booleans(), st.sampled_from(sorted(WEIGHTS)), st.booleans()), min_size=13, max_size=13)


@settings(max_examples=25, deadline=None)
@given(steps=steps, looks=looks)
def test_lives_equal_the_oracle(
    steps: list[Step], looks: list[tuple[bool, str, bool]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Each span counts once with its weight, and of equal lines as many as one request ever held."""
    life = Life(tmp_path_factory.mktemp("life"))
    most: Counter[tuple[int, bool]] = Counter()
    seen: set[int] = set()
    for step in steps:
        if step.kind:
            getattr(life, step.kind)()
        elif step.lines:
            records = [LogSpec(time=NOW - age * SECOND, severity=17 if bad else 9) for age, bad in step.lines]
            life.send(Signal.LOGS, log_request(records), fails=step.fails)
            most |= Counter() if step.fails else Counter(step.lines)
        else:
            life.send(Signal.TRACES, trace_request([_span(number, looks) for number in step.spans]), fails=step.fails)
            seen.update(() if step.fails else step.spans)
    expected = {"lines": _line_count(most), "spans": _span_count(seen, looks)}
    assert life.counts() == expected
    life.kill()
    assert life.counts() == expected
    life.store.close()


def _line_count(most: Counter[tuple[int, bool]]) -> Count:
    bad = sum(count for (_, is_bad), count in most.items() if is_bad)
    return Count(most.total() - bad, bad)


def _span_count(seen: set[int], looks: list[tuple[bool, str, bool]]) -> Count:
    good = bad = 0
    for number in seen:
        is_bad, state, is_kept = looks[number]
        weight = 0 if is_kept else WEIGHTS[state]
        good, bad = good + weight * (not is_bad), bad + weight * is_bad
    return Count(good, bad)


def _span(number: int, looks: list[tuple[bool, str, bool]]) -> SpanSpec:
    is_bad, state, is_kept = looks[number]
    values = {"sloburn.sampling": "kept"} if is_kept else {}
    return SpanSpec(number=number, end=NOW, error=is_bad, state=state, values=values)
