"""Recorded telemetry, read back: what the Collector's file exporter writes.

JSON is one request a line (opentelemetry-specification, "OpenTelemetry Protocol File Exporter"); protobuf is one
request after four bytes, big endian, that say how long it is (opentelemetry-collector-contrib, exporter/fileexporter).
Either may be in one gzip or zstd file. With its own ``compression: zstd`` the exporter compresses each request by
itself, JSON too, and puts its length before it. A flaw is an item of its own: what follows it is read on, where that is
possible.
"""

from __future__ import annotations

import gzip
import json
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path
from typing import BinaryIO, cast

from sloburn.duration import MINUTE
from sloburn.errors import MalformedBody, TelemetryError
from sloburn.otlp.decode import decode
from sloburn.otlp.messages import LogsRequest, MetricsRequest, Request, TraceRequest
from sloburn.otlp.signal import Encoding, Signal
from sloburn.otlp.zstd import MAGIC as ZSTD_MAGIC
from sloburn.otlp.zstd import ZstdError, open_zstd, unzstd

MAX_MESSAGE_BYTES = 128 * 1024 * 1024  # more would make the first byte of a length look like white space

_PREFIX_BYTES = 4
_GZIP = b"\x1f\x8b"
_KEYS = {"resourceSpans": Signal.TRACES, "resourceMetrics": Signal.METRICS, "resourceLogs": Signal.LOGS}
_FIRST_KEY = re.compile(rb'\s*\{\s*"(resourceSpans|resourceMetrics|resourceLogs)"\s*:')
_OUTLIER_NS = 5 * MINUTE


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """One request of a recording.

    Args:
        signal: What it carries.
        request: The request.
        at_unix_nano: The newest event in it; 0 if it holds none with a time.
        place: File and line, or file and byte.
    """

    signal: Signal
    request: Request
    at_unix_nano: int
    place: str


@dataclass(frozen=True, slots=True)
class Flaw:
    """Something in a recording that cannot be read: where, and why."""

    place: str
    reason: str

    def __str__(self) -> str:
        return f"{self.place}: {self.reason}"


def read_recording(path: Path) -> Iterator[Recorded | Flaw]:
    """Yield what a file holds, in its order.

    Raises:
        OSError: The file cannot be opened.
    """
    with path.open("rb") as plain:
        try:
            yield from _read(_plain(plain), str(path))
        except (EOFError, zlib.error, gzip.BadGzipFile, ZstdError) as error:
            yield Flaw(str(path), f"the compressed file is damaged: {error}")


def _plain(file: BufferedReader) -> BinaryIO:
    """Return a file as it was before it was compressed as a whole."""
    head = file.peek(_PREFIX_BYTES)[:_PREFIX_BYTES]
    if head == ZSTD_MAGIC:
        return open_zstd(file)
    return cast(BinaryIO, gzip.GzipFile(fileobj=file)) if head.startswith(_GZIP) else file


def _read(stream: BinaryIO, name: str) -> Iterator[Recorded | Flaw]:
    first = stream.read(1)
    while first.isspace():
        first = stream.read(1)
    if first in (b"{", b"["):
        yield from _read_lines(stream, name, first)
    elif first:
        yield from _read_messages(stream, name, first)


def _read_lines(stream: BinaryIO, name: str, first: bytes) -> Iterator[Recorded | Flaw]:
    for number, line in enumerate(stream, 1):
        body = (first + line if number == 1 else line).strip()
        if body:
            yield _from_json(body, f"{name}:{number}")


def _from_json(body: bytes, place: str) -> Recorded | Flaw:
    found = _FIRST_KEY.match(body)
    try:
        signal = _KEYS[found[1].decode()] if found else _signal_of_json(body)
        return _recorded(signal, decode(signal, Encoding.JSON, body), place)
    except json.JSONDecodeError as error:
        return Flaw(place, f"this is no JSON: {error.msg} in column {error.colno}")
    except (MalformedBody, ValueError, RecursionError) as error:
        return Flaw(place, str(error))


def _signal_of_json(body: bytes) -> Signal:
    document = json.loads(body)
    keys = [key for key in _KEYS if isinstance(document, dict) and key in document]
    if len(keys) != 1:
        raise ValueError(f"expected an object with one of {', '.join(_KEYS)}")
    return _KEYS[keys[0]]


def _read_messages(stream: BinaryIO, name: str, first: bytes) -> Iterator[Recorded | Flaw]:
    at, signal = 0, Signal.TRACES
    prefix = first + stream.read(_PREFIX_BYTES - 1)
    while prefix:
        length = int.from_bytes(prefix, "big")
        if len(prefix) < _PREFIX_BYTES or length > MAX_MESSAGE_BYTES:
            yield Flaw(f"{name}@{at}", "no length of a message is here; the rest of the file cannot be read")
            return
        body = stream.read(length)
        if len(body) < length:
            yield Flaw(f"{name}@{at}", f"the file ends after {len(body)} of {length} bytes of a message")
            return
        item = _from_message(body, f"{name}@{at}", signal)
        signal = item.signal if isinstance(item, Recorded) else signal
        yield item
        at += _PREFIX_BYTES + length
        prefix = stream.read(_PREFIX_BYTES)


def _from_message(body: bytes, place: str, likely: Signal) -> Recorded | Flaw:
    """Read a message; one that the exporter compressed may be JSON inside."""
    if not body.startswith(ZSTD_MAGIC):
        return _from_protobuf(body, place, likely)
    try:
        body = unzstd(body, MAX_MESSAGE_BYTES, lambda _: None)
    except TelemetryError as error:
        return Flaw(place, str(error))
    return _from_json(body, place) if body.lstrip().startswith(b"{") else _from_protobuf(body, place, likely)


def _from_protobuf(body: bytes, place: str, likely: Signal) -> Recorded | Flaw:
    """Find out which request a message is: nothing in it says so, but only the right one has events with times."""
    reason, empty = "", None
    for signal in (likely, *(signal for signal in Signal if signal is not likely)):
        try:
            item = _recorded(signal, decode(signal, Encoding.PROTOBUF, body), place)
        except MalformedBody as error:
            reason = reason or str(error)
            continue
        if item.at_unix_nano:
            return item
        empty = empty or item
    return empty if empty and not body else Flaw(place, reason or "the message holds no event with a time")


def _recorded(signal: Signal, request: Request, place: str) -> Recorded:
    return Recorded(signal=signal, request=request, at_unix_nano=_newest(signal, request), place=place)


def _newest(signal: Signal, request: Request) -> int:
    """Return the newest event's time; one far ahead of most others is a wrong clock and passed over."""
    times = sorted(_times(signal, request))
    if not times:
        return 0
    limit = times[len(times) // 2] + _OUTLIER_NS
    return next(at for at in reversed(times) if at <= limit)


def _times(signal: Signal, request: Request) -> Iterator[int]:
    found = {Signal.TRACES: _span_times, Signal.METRICS: _point_times, Signal.LOGS: _log_times}[signal]
    return (at for at in found(request) if at)  # type: ignore[operator]


def _span_times(request: TraceRequest) -> Iterator[int]:
    for part in request.resource_spans:
        for scope in part.scope_spans:
            yield from (span.end_time_unix_nano for span in scope.spans)


def _point_times(request: MetricsRequest) -> Iterator[int]:
    for part in request.resource_metrics:
        for scope in part.scope_metrics:
            for metric in scope.metrics:
                kind = metric.WhichOneof("data")
                if kind is not None:
                    yield from (point.time_unix_nano for point in getattr(metric, kind).data_points)


def _log_times(request: LogsRequest) -> Iterator[int]:
    for part in request.resource_logs:
        for scope in part.scope_logs:
            yield from (record.time_unix_nano or record.observed_time_unix_nano for record in scope.log_records)
