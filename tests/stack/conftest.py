"""The real stack for all tests of this folder: built, started on free ports, and stopped by its own ids.

An ordinary run of the tests passes this folder over: `make test-stack`, or its path on pytest's command line, runs it.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from collector.stack.build import build_missing
from collector.stack.debian import fetch_missing
from collector.stack.lifecycle import Stack
from collector.stack.places import data_folder
from collector.stack.ports import free_ports

from tests.stack.backends import Backends, wait_for
from tests.stack.drill import SLOS as DRILL_SLOS
from tests.stack.drill import outage_seconds
from tests.stack.guard import guarded_folder, sweep
from tests.stack.optional import require
from tests.stack.shop import AVAILABILITY, Shop
from tests.stack.shop import SLOS as SHOP_SLOS

HERE = Path(__file__).parent
TAIL_LINES = 15
# Each look has its own, shorter limit, and says what it waited for; this one is for what hangs without a word.
HANGING_SECONDS = 1800 + 10 * outage_seconds()


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Pass this folder over unless the call names it."""
    named = any(path == HERE or HERE in path.parents for path in _named(config))
    return None if named else True


def _named(config: pytest.Config) -> list[Path]:
    return [(config.invocation_params.dir / argument.split("::")[0]).resolve() for argument in config.args]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give tests of real servers the time that a busy machine needs."""
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.timeout(HANGING_SECONDS))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """Show the end of every server's log beside a failure: one of them explains it."""
    report = yield
    stack = getattr(item, "funcargs", {}).get("stack")
    if report.failed and isinstance(stack, Stack):  # type: ignore[attr-defined]
        for log in sorted(stack.data.glob("logs/*.log")):
            report.sections.append((log.stem, stack.log_tail(log.stem, TAIL_LINES)))  # type: ignore[attr-defined]
    return report


Report = Callable[[str], None]
_FIGURES = pytest.StashKey[list[str]]()


@pytest.fixture(scope="session")
def report(pytestconfig: pytest.Config) -> Report:
    """Take a figure for the end of the run."""
    return pytestconfig.stash.setdefault(_FIGURES, []).append


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Print the figures that tests found."""
    for line in config.stash.get(_FIGURES, []):
        terminalreporter.write_line(f"figure: {line}")


@pytest.fixture(scope="session")
def complaints() -> list[str]:
    """What could not be fetched from Debian, after all attempts, and why."""
    if os.environ.get("SLOBURN_STACK_REUSE"):
        return []
    return fetch_missing(print)


@pytest.fixture(scope="session")
def stack(complaints: list[str]) -> Iterator[Stack]:
    """The whole stack, ready; with $SLOBURN_STACK_REUSE, the one that `make stack-up` started."""
    if os.environ.get("SLOBURN_STACK_REUSE"):
        yield Stack(data_folder(), print)
        return
    build_missing(print)
    print(*complaints, sep="\n")
    sweep(Path(tempfile.gettempdir()))
    with guarded_folder() as folder:
        found = Stack(folder, print)
        found.up(free_ports(), [str(SHOP_SLOS), str(DRILL_SLOS)])
        yield found


@pytest.fixture(scope="session")
def backends(stack: Stack) -> Iterator[Backends]:
    """What tests ask the servers."""
    assert stack.state is not None
    found = Backends(stack.state.ports)
    yield found
    found.close()


@pytest.fixture(scope="session")
def shop(stack: Stack, backends: Backends, complaints: list[str]) -> Iterator[Shop]:
    """The shop, web service and worker, which sends all that it tells to the stack's Collector."""
    require(stack, "postgresql", complaints)
    counted = wait_for(lambda: backends.slo(AVAILABILITY), "sloburn answers")
    with Shop(stack, counted=counted["good"] + counted["bad"]) as found:
        yield found


@pytest.fixture(scope="session")
def slow_payment(shop: Shop) -> str:
    """The trace of one payment that takes longer than promised, so that sampling keeps it."""
    return shop.pay_slowly()
