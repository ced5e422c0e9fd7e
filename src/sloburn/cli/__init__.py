"""The command line: ``sloburn COMMAND``.

Errors go to standard error, with exit status 1 (the input is wrong) or 2 (the call is wrong).
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from importlib import import_module
from importlib.metadata import version

from sloburn.errors import SloburnError

_DESCRIPTION = "Know within seconds whether your services keep their promises, and why not."
_EPILOG = """\
Begin here:
  sloburn validate slos.yaml            check an SLO document
  sloburn serve --slos slos.yaml        receive OTLP, compute burn, show the page on http://127.0.0.1:4321
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit status."""
    parser = argparse.ArgumentParser(
        prog="sloburn", description=_DESCRIPTION, epilog=_EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--version", action="version", version=f"sloburn {version('sloburn')}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    _add_serve(commands)
    _add_validate(commands)
    given = parser.parse_args(arguments)
    try:
        # Commands are imported when they are called: the SDK alone installs neither YAML nor a web server.
        run = import_module(f"sloburn.cli.{given.command}").run
    except ModuleNotFoundError as error:
        return _fail(f"`sloburn {given.command}` needs {error.name}: pip install 'sloburn[{given.extra}]'")
    try:
        return int(run(given))
    except SloburnError as error:
        return _fail(str(error))
    except KeyboardInterrupt:
        return 130


def _fail(message: str) -> int:
    print(message, file=sys.stderr)
    return 1


_Commands = argparse._SubParsersAction  # argparse names this type nowhere else


def _add_serve(commands: _Commands[argparse.ArgumentParser]) -> None:
    text = "Receive OTLP, compute SLIs and error-budget burn, raise alerts, serve page, API and metrics."
    parser = commands.add_parser("serve", help="run the processor", description=text)
    parser.set_defaults(command="serve", extra="server")
    parser.add_argument("--slos", nargs="+", metavar="PATH", help="SLO documents, or folders of them")
    parser.add_argument("--data", metavar="DIR", help="folder of the store (default: sloburn-data)")
    parser.add_argument("--otlp-http", metavar="HOST:PORT", help="OTLP/HTTP (default: 127.0.0.1:4318)")
    parser.add_argument("--otlp-grpc", metavar="HOST:PORT", help="OTLP/gRPC (default: 127.0.0.1:4317)")
    parser.add_argument("--listen", metavar="HOST:PORT", help="page, API and /metrics (default: 127.0.0.1:4321)")
    parser.add_argument("--max-body-bytes", metavar="N", help="largest request, inflated (default: 67108864)")
    parser.add_argument("--time-scale", metavar="N", help="run every window N times faster: for demos and tests")
    parser.add_argument(
        "--config", metavar="FILE", help="all of these from a YAML file (keys: slos, data, otlp_http ...)"
    )


def _add_validate(commands: _Commands[argparse.ArgumentParser]) -> None:
    text = "Check SLO documents: every problem is listed with file, line and place."
    parser = commands.add_parser("validate", help="check SLO documents", description=text)
    parser.set_defaults(command="validate", extra="spec")
    parser.add_argument("paths", nargs="+", metavar="PATH", help="SLO documents, or folders of them")
