"""The command line: ``sloburn COMMAND``.

Errors go to standard error, with exit status 1 (the input is wrong) or 2 (the call is wrong).
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from importlib import import_module
from importlib.metadata import version

from sloburn.errors import CallError, SloburnError

_DESCRIPTION = "Know within seconds whether your services keep their promises, and why not."
_EPILOG = """\
Begin here:
  sloburn validate slos.yaml            check an SLO document
  sloburn serve --slos slos.yaml        receive OTLP, compute burn, show the page on http://127.0.0.1:4321
  sloburn gate --min-budget 10%         ask it before a deploy: exit status 0 or 1
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
    _add_audit(commands)
    _add_doctor(commands)
    _add_probe(commands)
    _add_replay(commands)
    _add_gate(commands)
    _add_autopsy(commands)
    _add_annotate(commands)
    _add_rules(commands)
    _add_sampling(commands)
    _add_dashboards(commands)
    given = parser.parse_args(arguments)
    try:
        # Commands are imported when they are called: the SDK alone installs neither YAML nor a web server.
        run = import_module(f"sloburn.cli.{given.command}").run
    except ModuleNotFoundError as error:
        return _fail(f"`sloburn {given.command}` needs {error.name}: pip install 'sloburn[{given.extra}]'")
    try:
        return int(run(given))
    except SloburnError as error:
        return _fail(str(error), 2 if isinstance(error, CallError) else 1)
    except KeyboardInterrupt:
        return 130


def _fail(message: str, status: int = 1) -> int:
    print(message, file=sys.stderr)
    return status


_Commands = argparse._SubParsersAction  # argparse names this type nowhere else


def _add_serve(commands: _Commands[argparse.ArgumentParser]) -> None:
    text = "Receive OTLP, compute SLIs and error-budget burn, raise alerts, serve page, API and metrics."
    parser = commands.add_parser("serve", help="run the processor", description=text)
    parser.set_defaults(command="serve", extra="server")
    parser.add_argument("--slos", nargs="+", metavar="PATH", help="SLO documents, or folders of them")
    parser.add_argument(
        "--no-watch", dest="watch", action="store_const", const="false",
        help="do not read the SLO documents again when they change; SIGHUP does it always",
    )  # fmt: skip
    parser.add_argument("--data", metavar="DIR", help="folder of the store (default: sloburn-data)")
    parser.add_argument("--otlp-http", metavar="HOST:PORT", help="OTLP/HTTP (default: 127.0.0.1:4318)")
    parser.add_argument("--otlp-grpc", metavar="HOST:PORT", help="OTLP/gRPC (default: 127.0.0.1:4317)")
    parser.add_argument("--listen", metavar="HOST:PORT", help="page, API and /metrics (default: 127.0.0.1:4321)")
    parser.add_argument("--tls-certificate", metavar="FILE", help="receive OTLP over TLS with this certificate (PEM)")
    parser.add_argument("--tls-key", metavar="FILE", help="its key")
    parser.add_argument("--tls-client-authority", metavar="FILE", help="ask senders for certificates of this authority")
    parser.add_argument("--bearer-token-file", metavar="FILE", help="ask senders for the token in this file")
    parser.add_argument("--alertmanager", nargs="+", metavar="URL", help="tell these Alertmanagers of every alert")
    parser.add_argument("--page-url", metavar="URL", help="where people reach the page, for links in alerts")
    parser.add_argument("--trace-url", metavar="URL", help="a trace in your viewer, with {trace_id} in it")
    parser.add_argument("--max-body-bytes", metavar="N", help="largest request, inflated (default: 67108864)")
    parser.add_argument(
        "--dedupe-spans", metavar="N",
        help="counted spans that are remembered, 16 bytes each, so that a repeat counts once (default: 8000000)",
    )  # fmt: skip
    parser.add_argument("--time-scale", metavar="N", help="run every window N times faster: for demos and tests")
    parser.add_argument(
        "--config", metavar="FILE", help="all of these from a YAML file (keys: slos, data, otlp_http ...)"
    )


def _add_validate(commands: _Commands[argparse.ArgumentParser]) -> None:
    text = "Check SLO documents: every problem is listed with file, line and place."
    parser = commands.add_parser("validate", help="check SLO documents", description=text)
    parser.set_defaults(command="validate", extra="spec")
    parser.add_argument("paths", nargs="+", metavar="PATH", help="SLO documents, or folders of them")


def _add_audit(commands: _Commands[argparse.ArgumentParser]) -> None:
    text = (
        "Check what `get_audit_logger` wrote: every edit, removal and swap is found and named with its line. "
        "Lines that are missing at the end are found with --anchor only."
    )
    parser = commands.add_parser("audit", help="verify an audit trail", description=text)
    tasks = parser.add_subparsers(metavar="TASK", required=True)
    check = tasks.add_parser("verify", help="check a trail; exit status 1 when it is not intact")
    check.add_argument("--anchor", metavar="FILE", help="heads noted by `sloburn audit anchor`: a cut end is found")
    check.add_argument("--json", action="store_true", help="print the result as JSON")
    note = tasks.add_parser("anchor", help="print where every chain ends, to be kept elsewhere")
    for task, name in ((check, "verify"), (note, "anchor")):
        task.set_defaults(command="audit", extra="all", task=name)
        task.add_argument("paths", nargs="+", metavar="FILE", help="the trail; after a move its parts, oldest first")
        task.add_argument("--key-file", metavar="FILE", help="the chain's key, if it has one")


def _add_doctor(commands: _Commands[argparse.ArgumentParser]) -> None:
    text = "Explain why telemetry does not arrive: settings, packages, network, and a round trip of all three signals."
    parser = commands.add_parser("doctor", help="explain why telemetry does not arrive", description=text)
    parser.set_defaults(command="doctor", extra="all")
    parser.add_argument("--app", metavar="MODULE:NAME", help="import this application and examine what it starts")
    parser.add_argument("--endpoint", metavar="URL", help="examine this address instead of the one in force")
    parser.add_argument("--protocol", choices=["http/protobuf", "grpc"], help="speak this protocol to it")
    parser.add_argument("--timeout", type=float, default=5.0, metavar="S", help="longest wait for receivers, default 5")
    parser.add_argument("--wait", type=float, default=20.0, metavar="S", help="longest wait for the hops (default: 20)")
    parser.add_argument("--jaeger", metavar="URL", help="ask Jaeger for the span, for instance http://localhost:16686")
    parser.add_argument("--prometheus", metavar="URL", help="ask Prometheus for the metric")
    parser.add_argument("--loki", metavar="URL", help="ask Loki for the log line")
    parser.add_argument("--processor", metavar="URL", help="ask `sloburn serve`, for instance http://127.0.0.1:4321")
    parser.add_argument("--collector", metavar="URL", help="ask the Collector's own metrics about what is missing")
    parser.add_argument("--alertmanager", metavar="URL", help="ask Alertmanager whether it is ready")
    text = "ask all of them, where `make stack-up` has put them: DIR is its data folder (default: the usual one)"
    parser.add_argument("--stack", nargs="?", const="", metavar="DIR", help=text)
    parser.add_argument("--json", action="store_true", help="print what was found for machines")


def _add_probe(commands: _Commands[argparse.ArgumentParser]) -> None:
    text = "Ask a process how it is: exit status 0 when it is well, 1 when not. For probes of workers without HTTP."
    parser = commands.add_parser("probe", help="ask a process how it is", description=text)
    parser.set_defaults(command="probe", extra="all")
    parser.add_argument("--file", metavar="PATH", help="what health.write_file writes")
    parser.add_argument("--max-age", type=float, metavar="S", help="how old it may be; default: 3 intervals")
    parser.add_argument("--url", metavar="URL", help="what health.serve or health.mount answers")
    parser.add_argument("--timeout", type=float, default=2.0, metavar="S", help="longest wait (default: 2)")


def _add_replay(commands: _Commands[argparse.ArgumentParser]) -> None:
    text = """\
Run recorded OTLP through the engine on a virtual clock that the events drive, and tell what would have paged.

It reads what the Collector's file exporter writes, JSON lines or protobuf, plain, in gzip or in zstd. The same input
gives the same output, byte for byte. What cannot be read is named on standard error and passed over."""
    epilog = """\
examples:
  sloburn replay --slos slos.yaml traces.json
  sloburn replay --slos slos.yaml --at 2026-11-21T14:05:00Z --json traces.json metrics.json
  sloburn replay --slos slos.yaml --compare stricter.yaml traces.json       what would have paged with other rules?
"""
    raw = argparse.RawDescriptionHelpFormatter
    parser = commands.add_parser(
        "replay", help="what would have paged?", description=text, epilog=epilog, formatter_class=raw
    )
    parser.set_defaults(command="replay", extra="server")
    parser.add_argument("files", nargs="+", metavar="FILE", help="recordings; several are merged by event time")
    parser.add_argument(
        "--slos", action="append", required=True, metavar="PATH", help="SLO document, or a folder of them; repeatable"
    )
    parser.add_argument(
        "--compare", action="append", metavar="PATH", help="other SLO documents for the same telemetry; repeatable"
    )
    parser.add_argument(
        "--at", action="append", default=[], metavar="TIME", help="show the status then (ISO 8601); default: at the end"
    )
    parser.add_argument("--time-scale", type=int, default=1, metavar="N", help="run every window N times faster")
    parser.add_argument("--strict", action="store_true", help="end with status 1 at the first thing that is unreadable")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")


def _add_gate(commands: _Commands[argparse.ArgumentParser]) -> None:
    text = """\
Decide whether a deploy may go on, by the error budget that is left and the pace at which it burns.

It asks a running processor, or a Prometheus that scrapes one. Without --min-budget and --max-burn the gate is open
while budget is left. Groups of an SLO are judged one by one.

exit status: 0 open, 1 closed, 2 the call is wrong, 3 cannot tell (the reason goes to standard error)"""
    epilog = """\
examples:
  sloburn gate --min-budget 10%
  sloburn gate --slo checkout-availability --min-budget 25% --max-burn 6@1h --max-burn 1@6h
  sloburn gate --prometheus http://prometheus:9090 --min-budget 10% --json
"""
    raw = argparse.RawDescriptionHelpFormatter
    parser = commands.add_parser(
        "gate", help="may this deploy go on?", description=text, epilog=epilog, formatter_class=raw
    )
    parser.set_defaults(command="gate", extra="server")
    source = parser.add_mutually_exclusive_group()
    source.add_argument("--from", dest="processor", metavar="URL", help="processor (default: http://127.0.0.1:4321)")
    source.add_argument("--prometheus", metavar="URL", help="Prometheus that scrapes the processor")
    parser.add_argument("--slo", nargs="+", default=[], metavar="NAME", help="only these SLOs (default: all)")
    parser.add_argument("--min-budget", metavar="SHARE", help="least budget that must be left, for instance 10%%")
    parser.add_argument(
        "--max-burn", action="append", default=[], metavar="BURN@WINDOW", help="highest burn rate, for instance 6@1h"
    )
    parser.add_argument(
        "--no-data", choices=["ok", "fail"], default="fail", help="what an SLO without data means (default: fail)"
    )
    parser.add_argument("--timeout", type=float, default=5.0, metavar="S", help="longest wait for an answer, default 5")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")


def _add_autopsy(commands: _Commands[argparse.ArgumentParser]) -> None:
    text = """\
Say what the bad events of an SLO have in common: attribute values that are more common among bad events than among
good ones, the strongest first, with counts, lift and the ids of failing traces. Without SLO: of all that burn.

It asks a running processor, or looks into recorded OTLP.

exit status: 0 told, 1 the input is wrong, 2 the call is wrong, 3 cannot tell (the reason goes to standard error)"""
    epilog = """\
examples:
  sloburn autopsy
  sloburn autopsy checkout-availability --from http://127.0.0.1:4321 --json
  sloburn autopsy checkout-availability --slos slos.yaml --recorded traces.json --at 2026-11-21T14:05:00Z
"""
    raw = argparse.RawDescriptionHelpFormatter
    parser = commands.add_parser(
        "autopsy", help="what do the bad events have in common?", description=text, epilog=epilog, formatter_class=raw
    )
    parser.set_defaults(command="autopsy", extra="server")
    parser.add_argument("slo", nargs="?", metavar="SLO", help="name of an SLO (default: all that burn)")
    parser.add_argument("--group", default="", metavar="K=V", help="only this group, as the page's address has it")
    parser.add_argument("--from", dest="processor", metavar="URL", help="processor (default: http://127.0.0.1:4321)")
    parser.add_argument("--recorded", nargs="+", metavar="FILE", help="recorded OTLP instead of a processor")
    parser.add_argument("--slos", nargs="+", metavar="PATH", help="SLO documents that judge what was recorded")
    parser.add_argument("--at", metavar="TIME", help="look at the recording then (ISO 8601); default: at its end")
    parser.add_argument("--timeout", type=float, default=5.0, metavar="S", help="longest wait for an answer, default 5")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")


def _add_rules(commands: _Commands[argparse.ArgumentParser]) -> None:
    text = """\
Compile SLO documents to Prometheus rules: recordings of every window, and alerts under the labels of sloburn's own, so
that an Alertmanager takes both for one. What has no counterpart is refused, by name and with the reason.

Windows are sums of whole events, not means of ratios, and no data is neither good nor an end of an alert. The same
documents give the same bytes. Run the result in Prometheus, or in the ruler of Thanos or Mimir for more than one."""
    epilog = """\
examples:
  sloburn rules slos.yaml -o rules.yml
  sloburn rules slos.yaml --collector otel-collector.yaml       span_metrics as that file configures it
  sloburn rules slos.yaml --source sloburn                      from the exact counters of all processors
  sloburn rules slos.yaml --format prometheus-operator | kubectl apply -f -
"""
    raw = argparse.RawDescriptionHelpFormatter
    parser = commands.add_parser(
        "rules", help="compile SLOs to Prometheus rules", description=text, epilog=epilog, formatter_class=raw
    )
    parser.set_defaults(command="rules", extra="spec")
    parser.add_argument("paths", nargs="+", metavar="PATH", help="SLO documents, or folders of them")
    parser.add_argument("-o", "--output", metavar="FILE", help="where to write (default: standard output)")
    parser.add_argument("--format", choices=["prometheus", "prometheus-operator"], default="prometheus")
    parser.add_argument(
        "--source", choices=["collector", "sloburn"], default="collector", help="whose metrics hold the events"
    )
    parser.add_argument("--collector", metavar="FILE", help="read span_metrics' settings from this configuration")
    parser.add_argument(
        "--metric", action="append", default=[], metavar="INSTRUMENT=NAME", help="a metric's name in Prometheus"
    )
    parser.add_argument("--job-label", default="job", metavar="LABEL", help="label with the service (default: job)")
    parser.add_argument("--interval", default="30s", metavar="D", help="length of a step (default: 30s)")
    parser.add_argument(
        "--settle", default="10s", metavar="D", help="read a step so long after its end: scrape_timeout (default: 10s)"
    )
    parser.add_argument("--partial", action="store_true", help="leave out what is refused instead of writing nothing")


def _add_sampling(commands: _Commands[argparse.ArgumentParser]) -> None:
    text = """\
Compile SLO documents to tail-sampling policies of the Collector, so that each trace in which a span broke a promise is
kept: by the conditions, services and thresholds of the documents, judged as the processor judges. SLOs to which
no span is bad are passed over, and named; what has no counterpart is refused, by name and with the reason."""
    epilog = """\
examples:
  sloburn sampling slos.yaml --collector otel-collector.yaml -o sampling.yaml
  otelcol-contrib --config otel-collector.yaml --config sampling.yaml
"""
    raw = argparse.RawDescriptionHelpFormatter
    parser = commands.add_parser(
        "sampling", help="keep traces that broke a promise", description=text, epilog=epilog, formatter_class=raw
    )
    parser.set_defaults(command="sampling", extra="spec")
    parser.add_argument("paths", nargs="+", metavar="PATH", help="SLO documents, or folders of them")
    parser.add_argument(
        "--collector", required=True, metavar="FILE", help="the configuration to merge into: its policies are repeated"
    )
    parser.add_argument("-o", "--output", metavar="FILE", help="where to write (default: standard output)")
    parser.add_argument("--partial", action="store_true", help="leave out what is refused instead of writing nothing")


def _add_dashboards(commands: _Commands[argparse.ArgumentParser]) -> None:
    text = """Write Grafana dashboards: one of the SLOs, over what `sloburn rules` records, and one of any service."""
    parser = commands.add_parser("dashboards", help="write Grafana dashboards", description=text)
    parser.set_defaults(command="dashboards", extra="spec")
    parser.add_argument("paths", nargs="+", metavar="PATH", help="SLO documents, or folders of them")
    parser.add_argument("-o", "--output", required=True, metavar="DIR", help="folder for the dashboards")
    parser.add_argument("--collector", metavar="FILE", help="read span_metrics' settings from this configuration")


def _add_annotate(commands: _Commands[argparse.ArgumentParser]) -> None:
    text = """\
Tell a processor that something happened: it is drawn on the budget's chart, and an alert names the deploy that came
shortly before its burn. Who says the same again within a minute says it once.

exit status: 0 kept durably, 1 refused, 2 the call is wrong, 3 no answer (the reason goes to standard error)"""
    epilog = """\
examples:
  sloburn annotate "v1.2.3" --service shop
  sloburn annotate "summer sale begins" --kind note --at 2026-07-01T00:00:00Z --to https://sloburn.example
"""
    raw = argparse.RawDescriptionHelpFormatter
    parser = commands.add_parser(
        "annotate", help="draw a deploy on the chart", description=text, epilog=epilog, formatter_class=raw
    )
    parser.set_defaults(command="annotate", extra="server")
    parser.add_argument("text", metavar="TEXT", help="the version, or what happened, in one line")
    parser.add_argument("--service", default="", metavar="NAME", help="whom it concerns (default: everybody)")
    parser.add_argument("--kind", choices=["deploy", "note"], default="deploy", help="what it is (default: deploy)")
    parser.add_argument("--at", metavar="TIME", help="when (ISO 8601); default: now")
    address = "http://127.0.0.1:4321"
    parser.add_argument(
        "--to", dest="processor", default=address, metavar="URL", help=f"processor (default: {address})"
    )
    parser.add_argument("--token-file", metavar="FILE", help="the token that the processor asks for")
    parser.add_argument("--timeout", type=float, default=5.0, metavar="S", help="longest wait for an answer, default 5")
    parser.add_argument("--json", action="store_true", help="print what is kept as JSON")
