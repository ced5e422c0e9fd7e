"""Process, host and interpreter as metrics, seen by psutil, under OpenTelemetry's names.

https://opentelemetry.io/docs/specs/semconv/system/
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterable

from opentelemetry.metrics import CallbackOptions, Meter, Observation

from sloburn.clock import SystemClock
from sloburn.errors import ConfigError

try:
    import psutil
except ImportError as error:
    raise ConfigError("system metrics need psutil: pip install 'sloburn[system]'") from error

Observe = Callable[[], Iterable[Observation]]
_CPU_MODES = ("user", "system", "idle", "nice", "iowait", "irq", "softirq", "steal")
_MEMORY_STATES = ("used", "free", "cached", "buffers")


def measure_system(meter: Meter) -> None:
    """Measure this process and its host.

    What one call of psutil tells is asked once per collection and instrument. Values that this system does not have,
    such as file descriptors on Windows, are left out.

    Args:
        meter: Where the instruments are created.
    """
    _measure_process(meter)
    _measure_host(meter)
    _measure_interpreter(meter)


def _measure_process(meter: Meter) -> None:
    counter, sum_ = meter.create_observable_counter, meter.create_observable_up_down_counter
    counter("process.cpu.time", [_asked(_process_cpu)], "s", "CPU time of this process.")
    counter("process.context_switches", [_asked(_context_switches)], "{context_switch}", "Context switches.")
    sum_("process.memory.usage", [_asked(_resident)], "By", "Physical memory of this process.")
    sum_("process.memory.virtual", [_asked(_virtual)], "By", "Committed virtual memory of this process.")
    sum_("process.thread.count", [_asked(_threads)], "{thread}", "Threads of this process.")
    sum_("process.unix.file_descriptor.count", [_asked(_descriptors)], "{file_descriptor}", "Open file descriptors.")
    meter.create_observable_gauge("process.uptime", [_asked(_uptime)], "s", "How long this process has been running.")


def _measure_host(meter: Meter) -> None:
    counter = meter.create_observable_counter
    counter("system.cpu.time", [_asked(_host_cpu)], "s", "CPU time of this host, all CPUs together.")
    counter("system.network.io", [_asked(_network)], "By", "Bytes over the network.")
    counter("system.disk.io", [_asked(_disk)], "By", "Bytes to and from disks.")
    meter.create_observable_up_down_counter("system.memory.usage", [_asked(_memory)], "By", "Memory of this host.")
    gauge = meter.create_observable_gauge
    gauge("system.memory.utilization", [_asked(_memory_utilization)], "1", "Share of this host's memory.")


def _measure_interpreter(meter: Meter) -> None:
    counter = meter.create_observable_counter
    counter("cpython.gc.collections", [_asked(lambda: _garbage("collections"))], "{collection}", "Garbage collections.")
    counter("cpython.gc.collected_objects", [_asked(lambda: _garbage("collected"))], "{object}", "Objects collected.")


def _asked(observe: Observe) -> Callable[[CallbackOptions], Iterable[Observation]]:
    """Return a callback; what psutil cannot or may not see here is not reported."""

    def ask(options: CallbackOptions) -> Iterable[Observation]:  # noqa: ARG001 - the API's signature
        try:
            return list(observe())
        except (psutil.Error, OSError, AttributeError):
            return []

    return ask


def _process_cpu() -> Iterable[Observation]:
    times = psutil.Process().cpu_times()
    return [Observation(times.user, {"cpu.mode": "user"}), Observation(times.system, {"cpu.mode": "system"})]


def _context_switches() -> Iterable[Observation]:
    switches = psutil.Process().num_ctx_switches()
    for kind in ("voluntary", "involuntary"):
        yield Observation(getattr(switches, kind), {"process.context_switch.type": kind})


def _resident() -> Iterable[Observation]:
    return [Observation(psutil.Process().memory_info().rss)]


def _virtual() -> Iterable[Observation]:
    return [Observation(psutil.Process().memory_info().vms)]


def _threads() -> Iterable[Observation]:
    return [Observation(psutil.Process().num_threads())]


def _descriptors() -> Iterable[Observation]:
    return [Observation(psutil.Process().num_fds())]


def _uptime() -> Iterable[Observation]:
    return [Observation(max(0.0, SystemClock().now_unix_nano() / 1e9 - psutil.Process().create_time()))]


def _host_cpu() -> Iterable[Observation]:
    times = psutil.cpu_times()
    found = {mode: getattr(times, mode) for mode in _CPU_MODES if hasattr(times, mode)}
    return [Observation(seconds, {"cpu.mode": mode}) for mode, seconds in found.items()]


def _network() -> Iterable[Observation]:
    moved = psutil.net_io_counters()
    if moved is not None:
        yield Observation(moved.bytes_recv, {"network.io.direction": "receive"})
        yield Observation(moved.bytes_sent, {"network.io.direction": "transmit"})


def _disk() -> Iterable[Observation]:
    moved = psutil.disk_io_counters()
    if moved is not None:
        yield Observation(moved.read_bytes, {"disk.io.direction": "read"})
        yield Observation(moved.write_bytes, {"disk.io.direction": "write"})


def _memory_by_state() -> dict[str, int]:
    memory = psutil.virtual_memory()
    return {state: getattr(memory, state) for state in _MEMORY_STATES if hasattr(memory, state)}


def _memory() -> Iterable[Observation]:
    return [Observation(size, {"system.memory.state": state}) for state, size in _memory_by_state().items()]


def _memory_utilization() -> Iterable[Observation]:
    total = psutil.virtual_memory().total
    return [Observation(size / total, {"system.memory.state": state}) for state, size in _memory_by_state().items()]


def _garbage(what: str) -> Iterable[Observation]:
    for generation, counts in enumerate(gc.get_stats()):
        yield Observation(counts[what], {"cpython.gc.generation": generation})
