"""Memory and time of the engine alone: dense and sparse series, evaluation and restart with 1,000 SLOs.

Prints figures beside the goals; asserts nothing.

Run: ``python -m bench.engine_scale [--only memory tick timed restart]``
"""

from __future__ import annotations

import argparse
import gc
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from zlib import crc32

from bench.ingest_servers import service_name, slo_document
from bench.payloads import SpanBody

from sloburn.duration import DAY, HOUR, MINUTE, SECOND
from sloburn.otlp.anyvalue import any_value
from sloburn.otlp.decode import decode
from sloburn.otlp.signal import Encoding, Signal
from sloburn.server.recovery import restore
from sloburn.server.storage import Store
from sloburn.sli.commit import Commit
from sloburn.sli.engine import Engine
from sloburn.sli.series import Series, SeriesKey
from sloburn.slo.model import Slo
from sloburn.spec import load_slos

PERIOD = 30 * DAY

# Every so many nanoseconds so many good and bad events, in so many groups of ten SLOs.
MEMORY = {
    "dense series, 10 events/s, 1 in 50 bad": (5 * SECOND, 49, 1, 6),
    "dense series, 1,000 events/s, 1 % bad": (5 * SECOND, 4_950, 50, 6),
    "dense series, 20,000 events/s, half of them bad": (5 * SECOND, 50_000, 50_000, 6),
    "sparse group, an event every hour": (HOUR, 1, 0, 200),
    "sparse group, an event every hour, a quarter bad": (HOUR, 3, 1, 200),
    "sparse group, an event every 10 minutes": (10 * MINUTE, 1, 0, 200),
}


def slos_of(text: str) -> tuple[Slo, ...]:
    """Read an SLO document."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "slos.yaml")
        path.write_text(text)
        return tuple(load_slos([path]))


def rss_mib() -> float:
    """Return resident memory of this process."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 / 2**20


def fill(series: Series, now: int, every_ns: int, good: int, bad: int) -> None:
    """Give a series what events in every so many nanoseconds would leave in its rings."""
    phase = crc32(repr(series.key).encode()) % every_ns
    for ring in series.ledger.rings:
        step = max(ring.tier.slice_ns, every_ns)
        scale = max(1, ring.tier.slice_ns // every_ns)
        for at in range(now - ring.tier.reach_ns + phase, now, step):
            ring.add(at // ring.tier.slice_ns, good * scale, bad * scale)
    series.ledger.good = series.ledger.bad = 1
    series.ledger.first_unix_nano, series.ledger.last_unix_nano = now - PERIOD, now


def memory() -> None:
    """Measure what series take, each case in a process of its own: memory that was freed would blur it."""
    for name in MEMORY:
        subprocess.run([sys.executable, "-m", "bench.engine_scale", "--memory-of", name], check=True)


def memory_of(name: str) -> None:
    """Measure one case."""
    every, good, bad, groups = MEMORY[name]
    text = slo_document(each=10).replace("    indicator:", "    group_by: [tenant]\n    indicator:")
    engine, now = Engine(slos_of(text), any_value, epoch=0), time.time_ns()
    gc.collect()
    before = rss_mib()
    for slo, generation in engine.generations():
        for number in range(groups):
            series = engine.open(SeriesKey(slo, generation, (("tenant", f"tenant-{number}"),)))
            if series is not None:
                fill(series, now, every, good, bad)
    engine.tick(now)
    engine.mark_clean()  # as after a checkpoint
    gc.collect()
    each = (rss_mib() - before) * 2**20 / len(engine.series)
    goal = "140 KB" if every < MINUTE else "30 KB, which is 300 MB for 10,000"
    print(f"{name:52} {each / 1000:6.1f} KB each (goal {goal})", flush=True)


def tick() -> None:
    """Measure an evaluation of 1,000 SLOs: everything changed, nothing changed, only time went on."""
    for services, each in ((1, 1000), (100, 10)):
        engine = Engine(slos_of(slo_document(services, each)), any_value, epoch=0)
        bodies = [SpanBody(service=service_name(number)) for number in range(services)]
        now = time.time_ns() // (5 * SECOND) * 5 * SECOND
        found: dict[str, list[float]] = {"all changed": [], "nothing changed": [], "time went on": []}
        for number in range(40):
            at = now + number * 5 * SECOND
            for body in bodies:
                _take(engine, body.fresh(at + SECOND), at + SECOND)
            for name, seconds in (("all changed", 1), ("nothing changed", 2), ("time went on", 5)):
                found[name].append(_timed(partial(engine.tick, at + seconds * SECOND)))
        for name, times in found.items():
            times = sorted(times[5:])
            middle, worst = times[len(times) // 2] * 1e3, times[-1] * 1e3
            which = f"{services:3} services, {name:16}"
            print(f"tick over 1,000 SLOs of {which}: {middle:5.1f} ms, worst {worst:5.1f} (goal 50)")


PLAIN = "service: checkout, indicator: {{spans: {{}}, bad: {{http.response.status_code: {{gte: {code}}}}}}}"
KINDS = {
    "events": PLAIN,
    "slices of a minute": PLAIN + ", slices: {{length: 1m, target: 95%}}",
    "freshness": "service: checkout, indicator: {{freshness: {{of: {{spans: {{}}}}, within: {minutes}m}}}}",
    "journeys of three": "indicator: {{journey: {{members: [s-{a}, s-{b}, s-{c}]}}}}",
    "weighted, of three": "indicator: {{weighted: {{members: {{s-{a}: 1, s-{b}: 2, s-{c}: 3}}}}}}",
}
MEMBERS = 100


def timed() -> None:
    """Measure judging and evaluating 1,000 SLOs of each kind, a request and a second after another."""
    for kind, form in KINDS.items():
        lines = ["version: sloburn/v1", "slos:"]
        for n in range(1000):
            text = (form if n >= MEMBERS or "members" not in form else PLAIN).format(
                code=400 + n % 200, minutes=5 + n % 50, a=n % MEMBERS, b=(n + 1) % MEMBERS, c=(n + 7) % MEMBERS
            )
            lines.append(f"  - {{name: s-{n}, objective: 99.9, period: 30d, {text}}}")
        now = time.time_ns()
        engine, body, times = Engine(slos_of("\n".join(lines)), any_value, epoch=0), SpanBody(), []
        for _ in range(200):
            now += SECOND
            _take(engine, body.fresh(now), now)
            times.append(_timed(partial(_look, engine, now)))
        times = sorted(times[10:])
        middle, most, worst = (times[int(len(times) * share)] * 1e3 for share in (0.5, 0.95, 0.999))
        print(f"look at 1,000 SLOs, {kind:18}: {middle:5.1f} ms, 95 % below {most:5.1f}, worst {worst:5.1f} (goal 50)")


def _look(engine: Engine, now: int) -> None:
    engine.apply(engine.judge(now))
    engine.tick(now)


def _take(engine: Engine, body: bytes, now: int) -> None:
    commit = Commit()
    engine.prepare_traces(decode(Signal.TRACES, Encoding.PROTOBUF, body), now, commit)
    engine.apply(commit)


def _timed(work: Callable[[], object]) -> float:
    began = time.process_time()  # of this process alone: others may use the machine
    work()
    return time.process_time() - began


def restart() -> None:
    """Measure how long a start takes with 30 dense days of 1,000 SLOs, and one minute of commits after a checkpoint."""
    text = slo_document(each=1000)
    now = time.time_ns()
    with tempfile.TemporaryDirectory(prefix="sloburn-bench-") as name:
        folder = Path(name)
        store = Store(folder, now - PERIOD)
        engine = Engine(slos_of(text), any_value, epoch=store.epoch)
        scribe, _ = restore(engine, store)
        for series in engine.series.values():
            fill(series, now, 5 * SECOND, 495, 5)
        checkpoint = scribe.checkpoint(now)
        store.checkpoint(checkpoint, now)
        scribe.kept(checkpoint)
        body = SpanBody()
        for _ in range(600):
            commit = Commit()
            engine.prepare_traces(decode(Signal.TRACES, Encoding.PROTOBUF, body.fresh(now)), now, commit)
            store.append(now, *scribe.write(commit))
            scribe.written()
            engine.apply(commit)
        store.close()
        size = sum(path.stat().st_size for path in folder.iterdir()) / 2**20
        began = time.process_time()
        slos = slos_of(text)
        read = time.process_time()
        store = Store(folder, now)
        again = Engine(slos, any_value, epoch=store.epoch)
        _, applied = restore(again, store)
        restored = time.process_time()
        again.tick(now)
        ready = time.process_time()
        store.close()
    parts = f"documents {read - began:.2f}, store {restored - read:.2f}, first evaluation {ready - restored:.2f}"
    print(f"restart, 1,000 SLOs, 30 dense days in {size:.0f} MiB, {applied} commits after the checkpoint:")
    print(f"  {ready - began:.2f} s of processor time (goal 5): {parts}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parts = {"memory": memory, "tick": tick, "timed": timed, "restart": restart}
    parser.add_argument("--only", nargs="*", choices=list(parts), default=list(parts))
    parser.add_argument("--memory-of", choices=list(MEMORY), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.memory_of:
        memory_of(options.memory_of)
        return
    for name in options.only:
        parts[name]()


if __name__ == "__main__":
    main()
