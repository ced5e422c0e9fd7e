"""The three signals of OTLP, its two encodings, and how a body may be compressed."""

from __future__ import annotations

from enum import StrEnum


class Signal(StrEnum):
    """What a request carries; the value is the last part of its HTTP path (opentelemetry-proto, OTLP/HTTP request)."""

    TRACES = "traces"
    METRICS = "metrics"
    LOGS = "logs"


class Encoding(StrEnum):
    """How a request is written; the value is its HTTP content type."""

    PROTOBUF = "application/x-protobuf"
    JSON = "application/json"


class Compression(StrEnum):
    """How a body is compressed; the value is its HTTP content coding."""

    NONE = "identity"
    GZIP = "gzip"
    ZSTD = "zstd"
