"""``python -m collector.stack``: build, start, look at and stop the stack."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from time import monotonic

from collector.stack.build import build_missing
from collector.stack.debian import fetch_missing
from collector.stack.follow import Follower
from collector.stack.lifecycle import Stack
from collector.stack.lock import locked
from collector.stack.places import CACHE_VARIABLE, DATA_VARIABLE, ROOT, StackError, cache_folder, data_folder
from collector.stack.ports import PREFIX, choose_ports, free_ports
from collector.stack.prepare import check_promises
from collector.stack.state import State

_EPILOG = f"""\
environment:
  {CACHE_VARIABLE}          where built programs are kept (now {cache_folder()})
  {DATA_VARIABLE}           where data, logs and the record of what runs are kept (now {data_folder()})
  {PREFIX}<NAME>  another port for a listener, for instance {PREFIX}PROMETHEUS=19090
"""
_SLOS = ROOT / "examples" / "shop" / "slos.yaml"


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what the command line says; 1 when something is in the way."""
    given = _parser().parse_args(arguments)
    try:
        with _alone() if given.command in _CHANGING else nullcontext():
            return int(_COMMANDS[given.command](given))
    except StackError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def _alone() -> AbstractContextManager[None]:
    return locked(data_folder(), "another command works on this stack", _say)


def _build(_given: argparse.Namespace) -> int:
    began = monotonic()
    built = build_missing(_say)
    for advice in fetch_missing(_say):
        _say(advice)
    what = f"built {', '.join(built)}" if built else "everything was built before"
    _say(f"{what} ({monotonic() - began:.0f} s); programs are in {cache_folder()}")
    return 0


def _up(given: argparse.Namespace) -> int:
    slos = [str(Path(path).absolute()) for path in given.slos or [_SLOS]]
    check_promises(slos)
    _build(given)
    began, stack = monotonic(), Stack(data_folder(), _say)
    options = [str(Path(path).absolute()) for path in given.option or []]
    notes = stack.up(free_ports() if given.free_ports else choose_ports(os.environ), slos, options)
    _show(stack)
    for note in notes:
        _say(note)
    _say(f"up within {monotonic() - began:.0f} s; data and logs are in {stack.data}")
    return 0


def _status(given: argparse.Namespace) -> int:
    stack = Stack(data_folder(), _say)
    if stack.state is None:
        _say("nothing runs: start it with `make stack-up`")
        return 1
    if given.json:
        print(json.dumps(_document(stack, stack.state), indent=2))
    else:
        _show(stack)
    return int(any(standing.word in ("down", "not ready") for standing in stack.standings()))


def _down(_given: argparse.Namespace) -> int:
    stopped = Stack(data_folder(), _say).down()
    _say(f"stopped {', '.join(stopped)}" if stopped else "nothing ran")
    return 0


def _one(given: argparse.Namespace) -> int:
    stack = Stack(data_folder(), _say)
    {"start": stack.start, "stop": stack.stop, "kill": stack.kill}[given.command](*given.names)
    return 0


def _follow(_given: argparse.Namespace) -> int:
    Follower(data_folder(), _say).run()
    return 0


def _show(stack: Stack) -> None:
    for standing in stack.standings():
        pid = f"pid {standing.pid}" if standing.pid else ""
        _say(f"  {standing.service.name:<20} {standing.word:<14} {pid:<12} {standing.service.shown}".rstrip())


def _document(stack: Stack, state: State) -> dict[str, object]:
    rows = {
        standing.service.name: {"state": standing.word, "pid": standing.pid, "address": standing.service.shown}
        for standing in stack.standings()
    }
    return {"data": str(stack.data), "ports": dict(state.ports), "services": rows}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m collector.stack",
        description="Run the whole stack here: Collector, Prometheus, Alertmanager, Jaeger, Loki, exporters, sloburn.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    commands.add_parser("build", help="build or fetch what is missing")
    up = commands.add_parser("up", help="build what is missing, start what does not run, wait until all is ready")
    up.add_argument("--slos", nargs="+", metavar="PATH", help="SLO documents (default: those of the shop)")
    up.add_argument("--option", nargs="+", metavar="FILE", help="parts for the Collector, see collector/options/")
    up.add_argument("--free-ports", action="store_true", help="take free ports instead of the usual ones")
    status = commands.add_parser("status", help="say how every server stands, and where it is")
    status.add_argument("--json", action="store_true", help="for machines")
    commands.add_parser("down", help="stop everything")
    commands.add_parser("follow", help="give Prometheus the rules of SLO documents that change: `up` starts it")
    for name, text in {
        "start": "start servers",
        "stop": "stop servers",
        "kill": "kill servers as a crash would",
    }.items():
        commands.add_parser(name, help=text).add_argument("names", nargs="+", metavar="NAME")
    return parser


def _say(line: str) -> None:
    print(line, flush=True)


_COMMANDS = {
    "build": _build,
    "up": _up,
    "status": _status,
    "down": _down,
    "follow": _follow,
    **dict.fromkeys(("start", "stop", "kill"), _one),
}
_CHANGING = ("up", "down", "start", "stop", "kill")

if __name__ == "__main__":
    sys.exit(main())
