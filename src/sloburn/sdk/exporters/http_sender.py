"""OTLP over HTTP with binary protobuf, on the standard library's client.

Upstream's exporter pulls in `requests` (60 ms of start), retries inside a blocking call and logs each attempt; this one
makes one attempt in bounded time and leaves the rest to the worker.
https://opentelemetry.io/docs/specs/otlp/#otlphttp
"""

from __future__ import annotations

import http.client
import ssl
import time
from importlib.metadata import version
from urllib.parse import urlsplit

from sloburn.sdk.config import Signal, Target
from sloburn.sdk.exporters.encoding import refused_items
from sloburn.sdk.exporters.sender import Outcome, compress

_RETRYABLE = frozenset({429, 502, 503, 504})
_LONGEST_ANSWER_BYTES = 65_536


class HttpSender:
    """Keeps one connection to one address and sends one request at a time.

    Args:
        signal: What the bodies hold.
        target: Where they go.
    """

    def __init__(self, *, signal: Signal, target: Target) -> None:
        parts = urlsplit(target.url)
        self._signal = signal
        self._target = target
        self._is_secure = parts.scheme == "https"
        self._host = parts.hostname or "localhost"
        self._port = parts.port or (443 if self._is_secure else 80)
        self._path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        self._headers = self._make_headers()
        self._connection: http.client.HTTPConnection | None = None

    def send(self, body: bytes, timeout_seconds: float) -> Outcome:
        """Send one request body; never raises."""
        deadline = time.monotonic() + timeout_seconds
        packed = compress(body, self._target.compression)
        was_open = self._connection is not None
        try:
            try:
                return self._attempt(packed, timeout_seconds)
            except (http.client.HTTPException, ConnectionError):
                self.close()
                # A kept connection may have been closed by the other side between two requests: one fresh attempt.
                if not was_open:
                    raise
                return self._attempt(packed, max(0.01, deadline - time.monotonic()))
        except Exception as error:
            self.close()
            return Outcome(verdict="retry", reason=_in_words(error))

    def forget_connection(self) -> None:
        """Drop the connection without touching its socket: it belongs to the parent process."""
        self._connection = None

    def close(self) -> None:
        """Close the connection."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _attempt(self, body: bytes, timeout_seconds: float) -> Outcome:
        connection = self._connect(timeout_seconds)
        connection.request("POST", self._path, body=body, headers=self._headers)
        response = connection.getresponse()
        answer = response.read(_LONGEST_ANSWER_BYTES)
        if response.will_close or not response.isclosed():
            self.close()
        return self._judge(response, answer)

    def _connect(self, timeout_seconds: float) -> http.client.HTTPConnection:
        connection = self._connection
        if connection is None:
            connection = self._connection = self._make_connection(timeout_seconds)
        connection.timeout = timeout_seconds
        if connection.sock is not None:
            connection.sock.settimeout(timeout_seconds)
        return connection

    def _make_connection(self, timeout_seconds: float) -> http.client.HTTPConnection:
        if not self._is_secure:
            return http.client.HTTPConnection(self._host, self._port, timeout=timeout_seconds)
        context = ssl.create_default_context(cafile=self._target.ca_file)
        if self._target.client_certificate_file:
            context.load_cert_chain(self._target.client_certificate_file, self._target.client_key_file)
        return http.client.HTTPSConnection(self._host, self._port, timeout=timeout_seconds, context=context)

    def _make_headers(self) -> dict[str, str]:
        headers = {"content-type": "application/x-protobuf", "user-agent": f"sloburn/{version('sloburn')}"}
        if self._target.compression != "none":
            headers["content-encoding"] = self._target.compression
        return headers | dict(self._target.headers)

    def _judge(self, response: http.client.HTTPResponse, answer: bytes) -> Outcome:
        if 200 <= response.status < 300:
            return Outcome(verdict="taken", refused_items=refused_items(self._signal, answer))
        reason = f"HTTP {response.status} {response.reason}".strip()
        if response.status in _RETRYABLE:
            return Outcome(verdict="retry", reason=reason, retry_after_seconds=_wait(response))
        return Outcome(verdict="refused", reason=reason)


def _wait(response: http.client.HTTPResponse) -> float | None:
    """Read Retry-After; only the form in seconds, the form with a date is not worth a clock comparison."""
    value = response.getheader("retry-after") or ""
    return float(value) if value.isdigit() else None


def _in_words(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    return str(error).strip() or type(error).__name__
