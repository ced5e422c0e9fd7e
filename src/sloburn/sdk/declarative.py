"""OpenTelemetry's declarative configuration (``OTEL_CONFIG_FILE``), as far as this SDK has what it asks for.

The document is turned into the variables that say the same. As its specification wants, it replaces all other
``OTEL_*`` variables; ``SLOBURN_*`` variables and arguments still win. What it asks for and we have not is named, key by
key. Upstream's own reader (opentelemetry-configuration) is alpha and configures upstream's exporters.
https://opentelemetry.io/docs/specs/otel/configuration/data-model/
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote

from sloburn.errors import ConfigError
from sloburn.sdk.documents import read_documents

VARIABLE = "OTEL_CONFIG_FILE"
# They do not configure the SDK but name what it is run by; and they are known before any file is read.
_STAYING = ("OTEL_SEMCONV_STABILITY_OPT_IN", "OTEL_PYTHON_DISABLED_INSTRUMENTATIONS")
_REFERENCE = re.compile(r"\$\$|\$\{(?:env:)?([A-Za-z_][A-Za-z0-9_]*)(?::-([^}\n]*))?\}")
_PROTOCOLS = {"otlp_http": "http/protobuf", "otlp_grpc": "grpc"}
_SAMPLERS = {"always_on": "always_on", "always_off": "always_off", "trace_id_ratio_based": "traceidratio"}
_ATTRIBUTE_LIMITS = ("attribute_value_length_limit", "attribute_count_limit")

Table = dict[str, object]


def declared(environ: Mapping[str, str]) -> tuple[Mapping[str, str], tuple[str, ...]]:
    """Apply the file that ``OTEL_CONFIG_FILE`` names, if it names one.

    Args:
        environ: The environment variables.

    Returns:
        The variables to go on with, and one sentence for everything in the file that has no effect.
    """
    name = environ.get(VARIABLE)
    if not name:
        return environ, ()
    try:
        documents = read_documents(Path(name))
    except ConfigError as error:
        return environ, (f"{VARIABLE}: {error}",)
    if len(documents) != 1 or not isinstance(documents[0], dict):
        return environ, (f"{VARIABLE}: {name} is not one mapping",)
    reader = _Reader(name)
    reader.read(_substitute(documents[0], environ))
    others = {key: value for key, value in environ.items() if not key.startswith("OTEL_") or key in _STAYING}
    return others | reader.variables, tuple(reader.problems)


def _substitute(value: object, environ: Mapping[str, str]) -> Table:
    """Replace ``${NAME}`` and ``${NAME:-default}`` in all values; ``$$`` is a dollar."""

    def replace(found: re.Match[str]) -> str:
        return "$" if found[0] == "$$" else environ.get(found[1]) or found[2] or ""

    def walk(node: object) -> object:
        if isinstance(node, str):
            return _REFERENCE.sub(replace, node)
        if isinstance(node, list):
            return [walk(item) for item in node]
        return {str(key): walk(item) for key, item in node.items()} if isinstance(node, dict) else node

    read = walk(value)
    return read if isinstance(read, dict) else {}


class _Reader:
    """Collects variables and what has no effect.

    Args:
        file: Its name, for messages.
    """

    def __init__(self, file: str) -> None:
        self._file = file
        self.variables: dict[str, str] = {}
        self.problems: list[str] = []

    def read(self, document: Table) -> None:
        """Read the whole document."""
        if str(document.pop("file_format", "")).partition(".")[0] not in ("1", "0"):
            self._refuse("file_format", "is not a version that is known here, such as 1.0")
        self._put("OTEL_SDK_DISABLED", document.pop("disabled", None))
        self._put("SLOBURN_LOG_LEVEL", document.pop("log_level", None))
        self._resource(self._table(document, "resource"))
        self._limits(document, "attribute_limits", dict.fromkeys(_ATTRIBUTE_LIMITS, ""))
        self._propagator(self._table(document, "propagator"))
        self._traces(document.pop("tracer_provider", None))
        self._metrics(document.pop("meter_provider", None))
        self._logs(document.pop("logger_provider", None))
        self._leftovers(document, "")

    def _resource(self, table: Table) -> None:
        pairs = str(table.pop("attributes_list", None) or "")
        items = table.pop("attributes", None)
        if isinstance(items, list):
            named = [item for item in items if isinstance(item, dict) and item.get("value") is not None]
            pairs = ",".join([pairs, *(f"{item.get('name')}={quote(str(item['value']))}" for item in named)]).strip(",")
        self._put("OTEL_RESOURCE_ATTRIBUTES", pairs)
        self._leftovers(table, "resource")

    def _limits(self, provider: Table, path: str, prefixes: Mapping[str, str]) -> None:
        """Read a table of limits: those of attributes bear the item's name in their variable, the others their own."""
        table = self._table(provider, path.rpartition(".")[2])
        for key, prefix in prefixes.items():
            self._put(f"OTEL_{prefix}{key.upper()}", table.pop(key, None))
        self._leftovers(table, path)

    def _propagator(self, table: Table) -> None:
        composite = table.pop("composite", None)
        entries = composite if isinstance(composite, list) else []
        names = [str(next(iter(entry), "")) for entry in entries if isinstance(entry, dict)]
        names += str(table.pop("composite_list", None) or "").replace(" ", "").split(",")
        unknown = sorted(set(names) - {"tracecontext", "baggage", ""})
        if unknown:
            self._refuse("propagator.composite", f"{', '.join(unknown)}: set OTEL_PROPAGATORS before the start instead")
        self._leftovers(table, "propagator")

    def _traces(self, provider: object) -> None:
        table = self._provider(provider, "TRACES")
        self._sampler(table.pop("sampler", None))
        others = dict.fromkeys(("event_attribute_count_limit", "link_attribute_count_limit"), "")
        counts = dict.fromkeys((*_ATTRIBUTE_LIMITS, "event_count_limit", "link_count_limit"), "SPAN_")
        self._limits(table, "tracer_provider.limits", others | counts)
        self._batch(table, "tracer_provider", "TRACES", "OTEL_BSP")

    def _logs(self, provider: object) -> None:
        table = self._provider(provider, "LOGS")
        self._limits(table, "logger_provider.limits", dict.fromkeys(_ATTRIBUTE_LIMITS, "LOGRECORD_"))
        # There is one queue length for spans and log records, and it is the spans'.
        self._batch(table, "logger_provider", "LOGS", "OTEL_BLRP")

    def _metrics(self, provider: object) -> None:
        table = self._provider(provider, "METRICS")
        path = "meter_provider.readers"
        self._put("OTEL_METRICS_EXEMPLAR_FILTER", table.pop("exemplar_filter", None))
        periodic = self._only(table, "readers", "periodic", path)
        if periodic:
            self._put("OTEL_METRIC_EXPORT_INTERVAL", periodic.pop("interval", None))
            periodic.pop("timeout", None)
            self._exporter(periodic, "METRICS", f"{path}.periodic")
        self._leftovers(table, "meter_provider")

    def _provider(self, provider: object, signal: str) -> Table:
        """A provider that is not there sends nothing (data model, "null and absent")."""
        if not isinstance(provider, dict):
            self._put(f"OTEL_{signal}_EXPORTER", "none")
            return {}
        return provider

    def _batch(self, table: Table, path: str, signal: str, prefix: str) -> None:
        batch = self._only(table, "processors", "batch", f"{path}.processors")
        if batch:
            self._put(f"{prefix}_SCHEDULE_DELAY", batch.pop("schedule_delay", None))
            self._put(f"{prefix}_MAX_QUEUE_SIZE", batch.pop("max_queue_size", None))
            self._put(f"{prefix}_MAX_EXPORT_BATCH_SIZE", batch.pop("max_export_batch_size", None))
            batch.pop("export_timeout", None)
            self._exporter(batch, signal, f"{path}.processors.batch")
        self._leftovers(table, path)

    def _only(self, table: Table, key: str, wanted: str, path: str) -> Table:
        """Return the first entry of the wanted kind; there is one pipeline for each signal."""
        entries = table.pop(key, None)
        listed = [entry for entry in entries if isinstance(entry, dict)] if isinstance(entries, list) else []
        matching = [entry[wanted] for entry in listed if isinstance(entry.get(wanted), dict)]
        others = sorted({str(kind) for entry in listed for kind in entry} - {wanted})
        if others or len(matching) > 1:
            self._refuse(path, f"only the first {wanted} entry is used (there is also {', '.join(others) or wanted})")
        return matching[0] if matching else {}

    def _exporter(self, table: Table, signal: str, path: str) -> None:
        exporters = self._table(table, "exporter")
        kind = next((name for name in _PROTOCOLS if name in exporters), None)
        if kind is None:
            self._refuse(f"{path}.exporter", f"{', '.join(exporters) or 'nothing'} is not otlp_http or otlp_grpc")
            self._put(f"OTEL_{signal}_EXPORTER", "none")
            return
        prefix, options = f"OTEL_EXPORTER_OTLP_{signal}", self._table(exporters, kind)
        self._put(f"{prefix}_PROTOCOL", _PROTOCOLS[kind])
        for key in ("endpoint", "compression", "timeout"):
            self._put(f"{prefix}_{key.upper()}", options.pop(key, None))
        self._headers(options, prefix)
        tls = self._table(options, "tls")
        for key, suffix in (
            ("ca_file", "CERTIFICATE"),
            ("cert_file", "CLIENT_CERTIFICATE"),
            ("key_file", "CLIENT_KEY"),
        ):
            self._put(f"{prefix}_{suffix}", tls.pop(key, None))
        self._leftovers(tls, f"{path}.exporter.{kind}.tls")
        if options.get("encoding") == "protobuf":
            del options["encoding"]
        self._leftovers(options, f"{path}.exporter.{kind}")
        self._leftovers(table, path)

    def _headers(self, options: Table, prefix: str) -> None:
        pairs = [str(options.pop("headers_list", None) or "")]
        headers = options.pop("headers", None)
        items = [item for item in headers if isinstance(item, dict)] if isinstance(headers, list) else []
        pairs += [f"{item.get('name')}={quote(str(item['value']))}" for item in items if item.get("value") is not None]
        self._put(f"{prefix}_HEADERS", ",".join(filter(None, pairs)))

    def _sampler(self, sampler: object) -> None:
        if not isinstance(sampler, dict) or not sampler:
            return
        parent = sampler.get("parent_based")
        is_parent_based = "parent_based" in sampler
        root = parent.get("root") if isinstance(parent, dict) else sampler
        name, options = next(iter(root.items())) if isinstance(root, dict) and root else ("always_on", None)
        others = isinstance(parent, dict) and set(parent) - {"root"}
        if name not in _SAMPLERS or others:
            self._refuse("tracer_provider.sampler", "is not one of always_on, always_off, trace_id_ratio_based")
            return
        self._put("OTEL_TRACES_SAMPLER", f"{'parentbased_' if is_parent_based else ''}{_SAMPLERS[str(name)]}")
        self._put("OTEL_TRACES_SAMPLER_ARG", options.get("ratio") if isinstance(options, dict) else None)

    def _table(self, table: Table, key: str) -> Table:
        value = table.pop(key, None)
        return value if isinstance(value, dict) else {}

    def _put(self, name: str, value: object) -> None:
        if value is not None and value != "":
            self.variables[name] = str(value).lower() if isinstance(value, bool) else str(value)

    def _leftovers(self, table: Table, path: str) -> None:
        for key, value in table.items():
            if value not in (None, {}, []):
                self._refuse(f"{path}.{key}".lstrip("."), "is not supported and has no effect")

    def _refuse(self, path: str, reason: str) -> None:
        self.problems.append(f"{self._file}: {path}: {reason}")
