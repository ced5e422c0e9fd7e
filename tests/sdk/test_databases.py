"""Databases: one client span for each statement when contrib's package for the driver is there, nothing when not."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from tempfile import mkdtemp

import pytest

from tests.sdk.collector import Collector, SeenSpan
from tests.sdk.processes import PATIENCE_SECONDS, free_port, succeed, wait_until

_CLIENT = 3
_INIT = "import sys\nfrom sloburn import init_telemetry\ntelemetry = init_telemetry(endpoint=sys.argv[1])\n"
_CALLS = {
    "sqlalchemy": """
import sqlalchemy
with sqlalchemy.create_engine("sqlite://").connect() as connection:
    assert connection.execute(sqlalchemy.text("SELECT 1")).scalar() == 1
""",
    "psycopg": """
import psycopg
with psycopg.connect(sys.argv[2]) as connection:
    assert connection.execute("SELECT 1").fetchone() == (1,)
""",
    "asyncpg": """
import asyncio, asyncpg
async def main():
    connection = await asyncpg.connect(sys.argv[2])
    assert await connection.fetchval("SELECT 1") == 1
    await connection.close()
asyncio.run(main())
""",
}
_POSTGRES = ("psycopg", "asyncpg")


@pytest.fixture(scope="module")
def postgres() -> Iterator[str]:
    """A PostgreSQL of our own on a free port; yields its address."""
    programs = {name: _program(name) for name in ("initdb", "postgres")}
    folder, port = Path(mkdtemp(prefix="sloburn-postgres-")), free_port()
    # PostgreSQL refuses to run as root.
    user = "postgres" if os.geteuid() == 0 else None
    if user is not None:
        shutil.chown(folder, user)
    call = [programs["initdb"], "-D", str(folder), "-U", "sloburn", "-A", "trust", "--no-sync"]
    subprocess.run(call, check=True, capture_output=True, user=user, cwd="/", timeout=PATIENCE_SECONDS)
    options = ["-D", str(folder), "-p", str(port), "-h", "127.0.0.1", "-k", str(folder), "-F"]
    try:
        with subprocess.Popen(
            [programs["postgres"], *options], stderr=subprocess.DEVNULL, user=user, cwd="/"
        ) as server:
            try:
                wait_until(lambda: _is_ready(folder / "postmaster.pid"))
                yield f"postgresql://sloburn@127.0.0.1:{port}/postgres"
            finally:
                server.terminate()
                server.wait(timeout=PATIENCE_SECONDS)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _is_ready(file: Path) -> bool:
    """PostgreSQL writes its state into the last line of its pid file."""
    return file.exists() and file.read_text().rstrip().endswith("ready")


def _program(name: str) -> str:
    versions = sorted(map(str, Path("/usr/lib/postgresql").glob(f"*/bin/{name}")))
    found = versions[-1] if versions else shutil.which(name)
    if found is None or (os.geteuid() == 0 and "postgres" not in {user.pw_name for user in pwd.getpwall()}):
        pytest.skip(f"needs {name}: apt-get install postgresql")
    return found


def spans_of(name: str, request: pytest.FixtureRequest, before: str = "") -> list[SeenSpan]:
    """Run one statement by a driver in a process of its own and return the spans that it left."""
    pytest.importorskip(name, reason=f"pip install {name}")
    address = request.getfixturevalue("postgres") if name in _POSTGRES else ""
    with Collector() as collector:
        path = {"PYTHONPATH": os.environ.get("PYTHONPATH", "")}
        succeed(before + _INIT + _CALLS[name], collector.endpoint, address, extra=path)
        return collector.arrivals.spans


@pytest.mark.parametrize("name", _CALLS)
def test_statement_leaves_a_client_span(name: str, request: pytest.FixtureRequest) -> None:
    """A statement leaves one client span; SQLAlchemy's connecting is one of its own."""
    package = f"opentelemetry-instrumentation-{name}"
    pytest.importorskip(f"opentelemetry.instrumentation.{name}", reason=f"pip install {package}")
    spans = [span for span in spans_of(name, request) if span.name != "connect"]
    assert [(span.name, span.kind) for span in spans] == [("SELECT", _CLIENT)]
    assert "SELECT 1" in span_text(spans[0])


def span_text(span: SeenSpan) -> str:
    """Return the statement, under its old name or its new one."""
    return str(span.attributes.get("db.statement") or span.attributes.get("db.query.text"))


@pytest.mark.parametrize("name", _CALLS)
def test_without_contrib_nothing(name: str, request: pytest.FixtureRequest) -> None:
    """Without contrib's package the driver works as ever and leaves no span."""
    hide = f"import sys\nsys.modules['opentelemetry.instrumentation.{name}'] = None\n"
    assert spans_of(name, request, hide) == []
