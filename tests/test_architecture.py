"""The house plan, held: who may import whom, who may import what, who reads the clock, and how long things are."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

PACKAGE = "sloburn"
SOURCE = Path(__file__).parent.parent / "src" / PACKAGE

# The layers, ground floor first. A name stands for itself and all that is below it; the longest name decides.
LAYERS: tuple[tuple[str, ...], ...] = (
    ("sloburn.errors", "sloburn.clock", "sloburn.duration"),
    # Beside the domain: the words of OTLP, types without a decoder behind them.
    ("sloburn.slo", "sloburn.otlp.messages", "sloburn.otlp.signal", "sloburn.otlp.span_status"),
    ("sloburn.otlp", "sloburn.sli", "sloburn.rules", "sloburn.spec"),
    (
        "sloburn.receiver",
        "sloburn.outputs",
        "sloburn.alerts",
        *(
            f"sloburn.server.{name}"
            for name in ("config", "records", "states", "recovery", "leftovers", "looks", "removed", "salvage")
        ),
        *(f"sloburn.server.{name}" for name in ("storage", "store_file", "schema", "wal", "quarantine")),
        "sloburn.sdk",
    ),
    (
        "sloburn",
        "sloburn.cli",
        "sloburn.server",
        "sloburn.sdk.doctor",
        "sloburn.sdk.entry",
        "sloburn.sdk.init",
        "sloburn.testing",
    ),
)

# Of one layer: who may import each other: the rooms of one house, and a front its house.
SAME_HOUSE = ("sloburn.slo", "sloburn.server", "sloburn.sdk")
FRONTS = {
    ("sloburn", "sloburn.sdk.init"),
    ("sloburn.cli", "sloburn.server"),
    ("sloburn.cli", "sloburn.sdk.doctor"),
    ("sloburn.testing", "sloburn.sdk.init"),
}

# The SDK lives in other people's processes: with the processor it shares the ground floor and nothing else.
SDK = "sloburn.sdk"
SDK_FRONTS = ("sloburn.cli.audit", "sloburn.cli.doctor", "sloburn.cli.probe", "sloburn.testing")

# Third parties by place; the longest name on the left decides.
THIRD_PARTIES: Mapping[str, tuple[str, ...]] = {
    "yaml": ("sloburn.spec", "sloburn.rules", "sloburn.sdk.documents"),
    "dateutil": ("sloburn.spec",),
    "httpx": ("sloburn.alerts",),
    "backports": ("sloburn.otlp.zstd",),
    "compression": ("sloburn.otlp.zstd",),  # of the standard library from Python 3.14 on
    "google.protobuf": ("sloburn.otlp", "sloburn.sdk.exporters"),
    "google.rpc": ("sloburn.otlp", "sloburn.receiver"),
    "opentelemetry.proto": ("sloburn.otlp", "sloburn.receiver", "sloburn.sdk.exporters"),
    "grpc": ("sloburn.receiver", "sloburn.server", "sloburn.sdk.exporters"),
    "httptools": ("sloburn.receiver", "sloburn.server"),
    "starlette": ("sloburn.receiver", "sloburn.outputs", "sloburn.server", "sloburn.sdk.integrations"),
    "uvicorn": ("sloburn.sdk.log_servers", "sloburn.receiver", "sloburn.outputs", "sloburn.server"),
    "jinja2": ("sloburn.outputs",),
    "prometheus_client": ("sloburn.outputs", "sloburn.server"),
    "opentelemetry": ("sloburn.sdk", "sloburn.testing"),
    "structlog": ("sloburn.sdk", "sloburn.testing"),
    "celery": ("sloburn.sdk.integrations",),
    "fastapi": ("sloburn.sdk.integrations",),
    "anyio": ("sloburn.sdk.integrations",),
    "psutil": ("sloburn.sdk.system",),
    "pytest": ("sloburn.testing",),
}

# The processor is handed its clock. The SDK times its host's requests and stamps its host's records itself.
READS_TIME = (
    "sloburn.clock",
    "sloburn.sdk.exemplars",
    "sloburn.sdk.exporters.http_sender",
    "sloburn.sdk.histograms",
    "sloburn.sdk.integrations",
    "sloburn.sdk.log_events",
)
READS_ENVIRONMENT = ("sloburn.cli.serve", "sloburn.sdk.environment")

CLOCKS = {
    *(f"time.{name}{unit}" for name in ("time", "monotonic", "perf_counter", "process_time") for unit in ("", "_ns")),
    *(f"time.{name}" for name in ("localtime", "gmtime", "ctime", "asctime", "clock_gettime", "clock_gettime_ns")),
    *(f"datetime.datetime.{name}" for name in ("now", "utcnow", "today")),
    "datetime.date.today",
}
ENVIRONMENT = {f"os.{name}" for name in ("environ", "environb", "getenv", "getenvb", "putenv", "unsetenv")}

LONGEST_MODULE = 400
LONGEST_FUNCTION = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Module:
    """A module as it is written.

    Args:
        name: Its dotted name; a package has the name of its folder.
        lines: How many lines it has.
        nodes: What it says.
    """

    name: str
    lines: int
    nodes: tuple[ast.AST, ...]


def read_package(folder: Path) -> dict[str, Module]:
    """Read every module of a package by name."""
    modules = (_read_module(path, folder.parent) for path in sorted(folder.rglob("*.py")))
    return {module.name: module for module in modules}


def _read_module(path: Path, root: Path) -> Module:
    text = path.read_text(encoding="utf-8")
    parts = path.relative_to(root).with_suffix("").parts
    name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
    return Module(name=name, lines=text.count("\n"), nodes=tuple(ast.walk(ast.parse(text, str(path)))))


def imports_of(module: Module, names: Mapping[str, Module]) -> Iterator[str]:
    """Yield the dotted name of every import, wherever in the module it stands: types and late imports count too."""
    for node in module.nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module.name}:{node.lineno}: a relative import"
            wholes = (f"{node.module}.{alias.name}" for alias in node.names)
            yield from (whole if whole in names or not _is_ours(whole) else str(node.module) for whole in wholes)
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith(("import_module", "__import__")):
            yield from (str(part.value) for part in node.args[:1] if isinstance(part, ast.Constant))


def violations(folder: Path) -> list[str]:
    """Return everything in a package that is against the plan, in words."""
    modules = read_package(folder)
    found = [*_cycles(modules)]
    for module in modules.values():
        _floor(module.name)  # fails for a module without a place
        for target in sorted(set(imports_of(module, modules))):
            found += _wrong_house(module.name, target) if _is_ours(target) else _wrong_place(module.name, target)
        found += [*_reads(module, CLOCKS, READS_TIME), *_reads(module, ENVIRONMENT, READS_ENVIRONMENT)]
        found += _too_long(module)
    return found


def _is_ours(name: str) -> bool:
    return name == PACKAGE or name.startswith(f"{PACKAGE}.")


def _is_within(name: str, parents: tuple[str, ...]) -> bool:
    return any(name == parent or name.startswith(f"{parent}.") for parent in parents)


def _floor(name: str) -> tuple[int, str]:
    """Return the layer of a module and the name in `LAYERS` that says so."""
    units = [(floor, unit) for floor, layer in enumerate(LAYERS) for unit in layer if _is_within(name, (unit,))]
    floor, unit = max(units, key=lambda found: len(found[1]))
    assert unit != PACKAGE or name == PACKAGE, f"{name} has no place in the house plan: give it one in LAYERS"
    return floor, unit


def _wrong_house(name: str, target: str) -> list[str]:
    (floor, unit), (other_floor, other) = _floor(name), _floor(target)
    if target == PACKAGE:
        return [f"{name} imports the façade"]
    if _is_within(name, (SDK,)) and other_floor > 0 and not _is_within(target, (SDK,)):
        return [f"{name} imports {target}: the SDK shares only the ground floor with the processor"]
    if _is_within(target, (SDK,)) and name != PACKAGE and not _is_within(name, (SDK, *SDK_FRONTS)):
        return [f"{name} imports {target}: the processor shares only the ground floor with the SDK"]
    if other_floor > floor:
        return [f"{name} (L{floor}) imports {target} (L{other_floor}): imports point downward"]
    same_house = unit == other or any(
        _is_within(unit, (house,)) and _is_within(other, (house,)) for house in SAME_HOUSE
    )
    if other_floor == floor and not same_house and (unit, other) not in FRONTS:
        return [f"{name} imports {target}: neighbours of one layer do not know each other"]
    return []


def _wrong_place(name: str, target: str) -> list[str]:
    if target.split(".", maxsplit=1)[0] in sys.stdlib_module_names:
        return []
    known = [party for party in THIRD_PARTIES if _is_within(target, (party,))]
    if known and _is_within(name, THIRD_PARTIES[max(known, key=len)]):
        return []
    return [f"{name} imports {target}: that third party has no place there"]


def _cycles(modules: Mapping[str, Module]) -> list[str]:
    graph = {
        name: {target for target in imports_of(module, modules) if target in modules} - {name}
        for name, module in modules.items()
    }
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return [f"a circle of imports: {' → '.join(reversed(error.args[1]))}"]
    return []


def _reads(module: Module, sources: set[str], allowed: tuple[str, ...]) -> list[str]:
    if _is_within(module.name, allowed):
        return []
    known = _bindings(module.nodes)
    used = {_dotted(node, known) for node in module.nodes if isinstance(node, ast.Name | ast.Attribute)}
    return [f"{module.name} reads {name}: it is to be handed in" for name in sorted(used & sources)]


def _bindings(nodes: Iterable[ast.AST]) -> dict[str, str]:
    """Return what the names that a module imports stand for."""
    bindings: dict[str, str] = {}
    for node in nodes:
        if isinstance(node, ast.Import):
            tops = (alias.name.split(".", maxsplit=1)[0] for alias in node.names if not alias.asname)
            bindings |= {top: top for top in tops}
            bindings |= {alias.asname: alias.name for alias in node.names if alias.asname}
        elif isinstance(node, ast.ImportFrom):
            bindings |= {alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names}
    return bindings


def _dotted(node: ast.expr, bindings: Mapping[str, str]) -> str:
    if isinstance(node, ast.Attribute):
        return f"{_dotted(node.value, bindings)}.{node.attr}"
    return bindings.get(node.id, "") if isinstance(node, ast.Name) else ""


def _too_long(module: Module) -> Iterator[str]:
    if module.lines > LONGEST_MODULE:
        yield f"{module.name} has {module.lines} lines: at most {LONGEST_MODULE}"
    for node in module.nodes:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            if lines > LONGEST_FUNCTION:
                yield f"{module.name}.{node.name} has {lines} lines: at most {LONGEST_FUNCTION}"


def test_house_plan() -> None:
    """Imports point downward and never in a circle, third parties stay in their places, and nothing is too long."""
    assert violations(SOURCE) == []


PLANTED = [
    ("slo/a.py", "import sloburn.spec.b", "sloburn.slo.a (L1) imports sloburn.spec.b (L2): imports point downward"),
    ("spec/a.py", "from sloburn.otlp import b", "neighbours of one layer do not know each other"),
    ("receiver/a.py", "def f():\n    import sloburn.outputs.b", "neighbours of one layer do not know each other"),
    ("server/storage.py", "from sloburn.server.app import f", "imports point downward"),
    ("sdk/a.py", "from sloburn.slo.model import Slo", "the SDK shares only the ground floor with the processor"),
    ("server/app.py", "from sloburn.sdk.config import C", "the processor shares only the ground floor with the SDK"),
    ("cli/a.py", "from sloburn import init_telemetry", "sloburn.cli.a imports the façade"),
    (
        "slo/a.py",
        "from importlib import import_module\nimport_module('sloburn.server.app')",
        "sloburn.slo.a (L1) imports sloburn.server.app (L4): imports point downward",
    ),
    ("slo/a.py", "import yaml", "sloburn.slo.a imports yaml: that third party has no place there"),
    ("sli/a.py", "from google.protobuf import message", "that third party has no place there"),
    ("sdk/a.py", "if True:\n    import fastapi", "that third party has no place there"),
    ("spec/a.py", "import numpy", "that third party has no place there"),
    ("sli/a.py", "from time import time_ns as now\nnow()", "sloburn.sli.a reads time.time_ns: it is to be handed in"),
    ("sli/a.py", "import datetime as d\nd.datetime.now()", "reads datetime.datetime.now"),
    ("server/app.py", "import os.path\nos.environ['A']", "sloburn.server.app reads os.environ"),
    ("sdk/config.py", "from os import getenv\ngetenv('A')", "sloburn.sdk.config reads os.getenv"),
    ("slo/a.py", "x = 1\n" * 401, "sloburn.slo.a has 401 lines: at most 400"),
    ("slo/a.py", "def f():\n" + "    x = 1\n" * 50, "sloburn.slo.a.f has 51 lines: at most 50"),
]


@pytest.mark.parametrize(("place", "text", "expected"), PLANTED, ids=lambda value: str(value)[:30])
def test_planted_violation_is_found(tmp_path: Path, place: str, text: str, expected: str) -> None:
    """A violation that is planted into a tree of its own is found: the checks above bite."""
    file = tmp_path / PACKAGE / place
    file.parent.mkdir(parents=True)
    file.write_text(text)

    (violation,) = violations(tmp_path / PACKAGE)

    assert expected in violation


def test_planted_circle_is_found(tmp_path: Path) -> None:
    """Two modules that need each other are found, even where one of them imports late."""
    folder = tmp_path / PACKAGE / "slo"
    folder.mkdir(parents=True)
    (folder / "a.py").write_text("import sloburn.slo.b")
    (folder / "b.py").write_text("def f():\n    from sloburn.slo.a import g")

    (violation,) = violations(tmp_path / PACKAGE)

    assert violation.startswith("a circle of imports: sloburn.slo.")


def test_module_without_a_place_is_found(tmp_path: Path) -> None:
    """A new module at the top is refused until the house plan names its layer."""
    folder = tmp_path / PACKAGE
    folder.mkdir()
    (folder / "utils.py").write_text("X = 1")

    with pytest.raises(AssertionError, match=r"sloburn.utils has no place in the house plan"):
        violations(folder)


def test_import_is_light() -> None:
    """`import sloburn` loads no protobuf, no web framework, no Celery and no gRPC, and starts no thread."""
    heavy = ["google.protobuf", "starlette", "fastapi", "celery", "grpc", "yaml", "requests", "sloburn.server"]
    code = (
        "import sys, threading; import sloburn; "
        f"print([name for name in {heavy} if name in sys.modules], threading.active_count())"
    )

    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert run.stdout.strip() == "[] 1"
