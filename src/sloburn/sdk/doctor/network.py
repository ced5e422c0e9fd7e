"""How far a target can be reached: name, port, TLS, protocol, path; the first that fails is the one to name.

Talks to a socket itself: an HTTP client says "bad status line" where the first bytes say which protocol is spoken.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from contextlib import closing
from http.client import responses
from urllib.parse import SplitResult, urlsplit

from sloburn.clock import monotonic
from sloburn.sdk.config import Target
from sloburn.sdk.doctor.finding import Finding, note, ok, problem
from sloburn.sdk.doctor.settings import place

_ABOUT = "network"
# A socket without any time left would not wait at all, which is another mode.
_LEAST_SECONDS = 0.05
_TLS_RECORDS = (b"\x15\x03", b"\x16\x03")
# A connection over HTTP/2 begins so, and the server's first frame is SETTINGS: type 4 after three bytes of length.
_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0])
_SETTINGS = 4

_STATUS_ADVICE = {
    400: "what listens there does not take OTLP: check the address",
    401: "it wants credentials: set them with OTEL_EXPORTER_OTLP_HEADERS or headers=",
    403: "it refuses these credentials: check OTEL_EXPORTER_OTLP_HEADERS",
    404: "there is no such path: OTEL_EXPORTER_OTLP_ENDPOINT is a base address without /v1/..., "
    "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT and its kind are whole ones",
    405: "what listens there takes no POST: check the address",
    415: "it takes no binary protobuf: check the address",
    429: "it is overloaded, which passes: sloburn waits and tries again",
    503: "it is overloaded or starting, which passes: sloburn waits and tries again",
}


def look_at_network(target: Target, timeout_seconds: float) -> Iterator[Finding]:
    """Yield what is in the way to a target, within a time; the last finding is ok when nothing is."""
    deadline = monotonic() + timeout_seconds
    parts = urlsplit(target.url)
    host = parts.hostname or "localhost"
    port = parts.port or {"https": 443, "http": 80}.get(parts.scheme, 80)
    if target.protocol == "grpc" and parts.port is None:
        port = 4317
    try:
        connection = socket.create_connection((host, port), timeout_seconds)
    except OSError as error:
        yield _unreachable(error, host, port)
        return
    with closing(connection):
        yield from _talk(connection, target, parts, deadline)


def _unreachable(error: OSError, host: str, port: int) -> Finding:
    where = f"{host}:{port}"
    if isinstance(error, socket.gaierror):
        return problem(_ABOUT, f"the name {host} cannot be resolved", "check the address, and the DNS of this machine")
    if isinstance(error, ConnectionRefusedError):
        advice = "start the Collector or `sloburn serve` there; inside a container, localhost is the container itself"
        return problem(_ABOUT, f"nobody listens on {where}", advice)
    if isinstance(error, TimeoutError):
        return problem(_ABOUT, f"{where} does not answer", "a firewall drops the packets, or the address is wrong")
    return problem(_ABOUT, f"{where} cannot be reached: {error.strerror or error}", "check the address")


def _talk(connection: socket.socket, target: Target, parts: SplitResult, deadline: float) -> Iterator[Finding]:
    talking: socket.socket = connection
    talking.settimeout(max(_LEAST_SECONDS, deadline - monotonic()))
    if parts.scheme == "https":
        try:
            talking = _secure(connection, target, parts.hostname or "localhost")
        except (OSError, ssl.SSLError) as error:
            yield _no_tls(error, place(target))
            return
        talking.settimeout(max(_LEAST_SECONDS, deadline - monotonic()))
    try:
        talking.sendall(_PREFACE if target.protocol == "grpc" else _request(target, parts))
        first = talking.recv(4096)
    except TimeoutError:
        yield problem(_ABOUT, f"{place(target)} takes the connection and never answers", "what listens there hangs")
    except OSError as error:
        text = f"{place(target)} closes the connection: {error.strerror or error}"
        yield problem(_ABOUT, text, "it speaks another protocol, or wants TLS")
    else:
        yield _judge(first, target)


def _secure(connection: socket.socket, target: Target, host: str) -> ssl.SSLSocket:
    context = ssl.create_default_context(cafile=target.ca_file)
    if target.protocol == "grpc":
        context.set_alpn_protocols(["h2"])
    if target.client_certificate_file:
        context.load_cert_chain(target.client_certificate_file, target.client_key_file)
    return context.wrap_socket(connection, server_hostname=host)


def _no_tls(error: OSError, where: str) -> Finding:
    if isinstance(error, ssl.SSLCertVerificationError):
        text = f"the certificate of {where} is not trusted: {error.verify_message}"
        return problem(_ABOUT, text, "set OTEL_EXPORTER_OTLP_CERTIFICATE to the file of its authority")
    if isinstance(error, ssl.SSLError) and error.reason in ("WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE"):
        return problem(_ABOUT, f"{where} speaks no TLS", "use http:// instead of https://")
    if isinstance(error, FileNotFoundError):
        return problem(_ABOUT, "a certificate file is not there", "check OTEL_EXPORTER_OTLP_CERTIFICATE and its kind")
    if isinstance(error, TimeoutError):
        return problem(_ABOUT, f"{where} does not answer to TLS", "it hangs, or speaks no TLS: try http://")
    return problem(_ABOUT, f"no TLS with {where}: {error.strerror or error}", "check scheme, port and certificates")


def _request(target: Target, parts: SplitResult) -> bytes:
    """Return a request without any telemetry: an empty message is a valid one."""
    headers = {
        "host": parts.netloc.rpartition("@")[2],
        "content-type": "application/x-protobuf",
        "content-length": "0",
        "connection": "close",
        **dict(target.headers),
    }
    lines = [f"POST {parts.path or '/'} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items()), "", ""]
    return "\r\n".join(lines).encode("latin-1")


def _judge(first: bytes, target: Target) -> Finding:
    where = place(target)
    if first[:2] in _TLS_RECORDS:
        return problem(_ABOUT, f"{where} speaks TLS", "use https:// instead of http://")
    is_settings = len(first) > 3 and first[3] == _SETTINGS and not first.startswith(b"HTTP/")
    if target.protocol == "grpc":
        return _judge_grpc(first, is_settings=is_settings, where=where)
    if is_settings:
        advice = "use OTLP's port for HTTP, usually 4318, or protocol grpc (OTEL_EXPORTER_OTLP_PROTOCOL=grpc)"
        return problem(_ABOUT, f"{where} speaks gRPC", advice)
    return _judge_http(first, where)


def _judge_grpc(first: bytes, *, is_settings: bool, where: str) -> Finding:
    if is_settings:
        return ok(_ABOUT, f"{where} speaks HTTP/2, as gRPC does")
    if first.startswith(b"HTTP/1"):
        advice = "use OTLP's port for gRPC, usually 4317, or protocol http/protobuf"
        return problem(_ABOUT, f"{where} speaks HTTP/1 and not gRPC", advice)
    return problem(_ABOUT, f"{where} does not speak gRPC", "it closed the connection: check port and TLS")


def _judge_http(first: bytes, where: str) -> Finding:
    words = first.split(None, 2)
    if not first.startswith(b"HTTP/") or len(words) < 2 or not words[1].isdigit():
        return problem(_ABOUT, f"{where} does not speak HTTP", "it closed the connection: check port and TLS")
    status = int(words[1])
    phrase = responses.get(status, "")
    text = f"{where} answers HTTP {status} {phrase}".rstrip()
    if 200 <= status < 300:
        return ok(_ABOUT, text)
    advice = _STATUS_ADVICE.get(status, "what listens there does not take OTLP: check the address")
    return note(_ABOUT, text, advice) if status in (429, 503) else problem(_ABOUT, text, advice)
