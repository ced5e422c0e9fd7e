"""Where the story plays: the pieces, where they listen, how they are started, and how the story waits for something."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from examples.shop.demo.interrupt import Found, Interrupt, TooLate
from examples.shop.demo.ports import HOST, Ports
from examples.shop.demo.processes import Crew
from examples.shop.demo.processor import Processor, SloView
from examples.shop.demo.terminal import Terminal
from examples.shop.requests_log import Request, read_log
from sloburn.clock import monotonic
from sloburn.slo.model import Slo

ROOT = Path(__file__).resolve().parents[3]
SLOS = ROOT / "examples" / "shop" / "slos.yaml"

PROCESSOR, SHOP, WORKER, LOAD = "processor", "shop", "worker", "load"
EXPORT_INTERVAL_SECONDS = "1"
PATIENCE_SECONDS = 30.0  # beyond what an act needs by nature


class StoryFailed(Exception):
    """Something that the story promises was not observed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """What every act of the story needs.

    Args:
        terminal: Where it is told.
        interrupt: How it ends early.
        crew: Its processes.
        ports: Where they listen.
        folder: Logs, data, broker: everything that the demo writes.
        slo: The promise that will be broken, on the demo's clock.
        scale: How many times faster than in production the windows run.
    """

    terminal: Terminal
    interrupt: Interrupt
    crew: Crew
    ports: Ports
    folder: Path
    slo: Slo
    scale: int

    @property
    def page_url(self) -> str:
        """Address of the status page."""
        return f"http://{HOST}:{self.ports.page}/"

    @property
    def shop_url(self) -> str:
        """Address of the shop."""
        return f"http://{HOST}:{self.ports.shop}"

    @property
    def processor(self) -> Processor:
        """The processor's API."""
        return Processor(f"http://{HOST}:{self.ports.page}")

    @property
    def requests_path(self) -> Path:
        """The load generator's record."""
        return self.folder / "requests.jsonl"

    def requests(self) -> list[Request]:
        """Return every request that has ended."""
        return read_log(self.requests_path)

    def view(self) -> SloView | None:
        """Return what the processor knows of the promise; None if it did not answer."""
        return self.processor.slos().get(self.slo.name)

    def start_services(self) -> None:
        """Start the processor, the shop and its worker."""
        self.crew.start(PROCESSOR, processor_command(self.ports, self.folder / "data", self.scale))
        self.crew.start(SHOP, shop_command(self.ports), self._telemetry("shop"))
        self.crew.start(WORKER, worker_command(), self._telemetry("shop-worker"))

    def start_load(self, path: Path | None = None) -> None:
        """Start the customers."""
        self.crew.start(LOAD, load_command(self.shop_url, path or self.requests_path))

    def close(self) -> None:
        """Stop everything, the processor last: it takes what the others still have to say."""
        self.crew.stop(LOAD, SHOP, WORKER)
        self.crew.stop()

    def wait_for(
        self,
        look: Callable[[], Found | None],
        seconds: float,
        what: str,
        *,
        every_seconds: float = float("inf"),
        tell: Callable[[], None] = lambda: None,
    ) -> Found:
        """Wait until there is something to see, and say from time to time how it goes.

        Args:
            look: Returns it, or None as long as there is nothing.
            seconds: The longest wait.
            what: For the message, such as ``the page alert fired``.
            every_seconds: How often to tell.
            tell: Says how it goes.

        Raises:
            StoryFailed: There was nothing in time.
            ChildDied: A process ended meanwhile.
            Interrupted: The user wants to end.
        """
        due = monotonic() + every_seconds

        def look_and_tell() -> Found | None:
            nonlocal due
            self.crew.check()
            if monotonic() >= due:
                due += every_seconds
                tell()
            return look()

        try:
            return self.interrupt.wait_for(look_and_tell, seconds)
        except TooLate:
            raise StoryFailed(f"it was not observed within {seconds:.0f} s that {what}") from None

    def linger(self, seconds: float) -> None:
        """Let time pass while everything runs.

        Raises:
            ChildDied: A process ended meanwhile.
            Interrupted: The user wants to end.
        """
        self.interrupt.pause(seconds)
        self.crew.check()

    def _telemetry(self, service: str) -> dict[str, str]:
        return {
            "OTEL_SERVICE_NAME": service,
            "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://{HOST}:{self.ports.otlp_http}",
            "SLOBURN_EXPORT_INTERVAL": EXPORT_INTERVAL_SECONDS,
            "SHOP_BROKER_DIR": str(self.folder / "broker"),
        }


def inherited(environment: Mapping[str, str]) -> dict[str, str]:
    """Return what children inherit: no settings of the user's own, and no proxy between local processes."""
    kept = {name: value for name, value in environment.items() if not name.startswith(("OTEL_", "SLOBURN_"))}
    return kept | {"PYTHONUNBUFFERED": "1", "NO_PROXY": f"{HOST},localhost", "no_proxy": f"{HOST},localhost"}


def processor_command(ports: Ports, data: Path, scale: int) -> list[str]:
    """Return what starts the processor."""
    return [
        *(sys.executable, "-m", "sloburn.cli", "serve"),
        *("--slos", str(SLOS), "--data", str(data), "--time-scale", str(scale)),
        *("--otlp-http", f"{HOST}:{ports.otlp_http}", "--otlp-grpc", f"{HOST}:{ports.otlp_grpc}"),
        *("--listen", f"{HOST}:{ports.page}"),
    ]


def shop_command(ports: Ports) -> list[str]:
    """Return what starts the shop."""
    return [
        *(sys.executable, "-m", "uvicorn", "examples.shop.app:app"),
        *("--host", HOST, "--port", str(ports.shop), "--no-access-log"),
    ]


def worker_command() -> list[str]:
    """Return what starts the worker: one forked child, as in production, and none of the chatter between workers."""
    return [
        *(sys.executable, "-m", "celery", "-A", "examples.shop.tasks", "worker"),
        *("--pool", "prefork", "--concurrency", "1", "--loglevel", "INFO"),
        *("--without-gossip", "--without-mingle", "--without-heartbeat"),
    ]


def load_command(url: str, log: Path) -> list[str]:
    """Return what starts the customers."""
    return [sys.executable, "-m", "examples.shop.load", "--url", url, "--log", str(log)]
