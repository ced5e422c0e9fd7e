"""OTLP over HTTP with binary protobuf, on the standard library's client.

Upstream's exporter pulls in `requests` (60 ms of start), retries inside a blocking call and logs each attempt; this one
makes one attempt in bounded time and leaves the rest to the worker.
https://opentelemetry.io/docs/specs/otlp/#otlphttp
"""

from __future__ import annotations

import codecs
import functools
import http.client
import io
import socket
import ssl
import time
from base64 import b64encode
from email.utils import parsedate_to_datetime
from importlib.metadata import version
from typing import Any
from urllib.parse import unquote, urlsplit

from sloburn.sdk.config import Target
from sloburn.sdk.exporters.answers import judge_answer
from sloburn.sdk.exporters.sender import Outcome, compress, in_words

_RETRYABLE = frozenset({429, 502, 503, 504})
_LONGEST_ANSWER_BYTES = 65_536


class HttpSender:
    """Keeps one connection to one address and sends one request at a time.

    Args:
        target: Where requests go.
    """

    def __init__(self, *, target: Target) -> None:
        parts = urlsplit(target.url)
        self._target = target
        self._is_secure = parts.scheme == "https"
        self._host = parts.hostname or "localhost"
        self._port = parts.port or (443 if self._is_secure else 80)
        self._path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        self._proxy = urlsplit(target.proxy) if target.proxy else None
        self._headers = self._make_headers()
        self._connection: http.client.HTTPConnection | None = None
        # The first look-up of a name imports this codec. Here and not in the worker: a child that is forked while
        # another thread imports waits for that module's lock for ever.
        codecs.lookup("idna")

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
        deadline = time.monotonic() + timeout_seconds
        connection = self._connect(timeout_seconds)
        connection.request("POST", self._request_target(), body=body, headers=self._headers)
        connection.response_class = functools.partial(_BoundedResponse, deadline=deadline)  # type: ignore[assignment]
        response = connection.getresponse()
        answer = response.read(_LONGEST_ANSWER_BYTES)
        if response.will_close or not response.isclosed():
            self.close()
        return _judge(response, answer)

    def _request_target(self) -> str:
        """A proxy of plain requests wants the whole address (RFC 9112, 3.2.2)."""
        return self._target.url if self._proxy and not self._is_secure else self._path

    def _connect(self, timeout_seconds: float) -> http.client.HTTPConnection:
        connection = self._connection
        if connection is None:
            connection = self._connection = self._make_connection(timeout_seconds)
        connection.timeout = timeout_seconds
        if connection.sock is not None:
            connection.sock.settimeout(timeout_seconds)
        return connection

    def _make_connection(self, timeout_seconds: float) -> http.client.HTTPConnection:
        host, port = self._host, self._port
        if self._proxy is not None:
            host, port = self._proxy.hostname or "", self._proxy.port or 80
        if not self._is_secure:
            return http.client.HTTPConnection(host, port, timeout=timeout_seconds)
        connection = http.client.HTTPSConnection(host, port, timeout=timeout_seconds, context=self._make_context())
        if self._proxy is not None:
            connection.set_tunnel(self._host, self._port, headers=self._proxy_login())
        return connection

    def _make_context(self) -> ssl.SSLContext:
        target = self._target
        try:
            context = ssl.create_default_context(cafile=target.ca_file)
            if target.client_certificate_file:
                context.load_cert_chain(target.client_certificate_file, target.client_key_file)
        except OSError as error:
            files = filter(None, (target.ca_file, target.client_certificate_file, target.client_key_file))
            raise ValueError(f"cannot read certificates ({', '.join(files)}): {error.strerror or error}") from error
        return context

    def _make_headers(self) -> dict[str, str]:
        headers = {"content-type": "application/x-protobuf", "user-agent": _user_agent()}
        if self._target.compression != "none":
            headers["content-encoding"] = self._target.compression
        if not self._is_secure:
            headers |= self._proxy_login()
        return headers | dict(self._target.headers)

    def _proxy_login(self) -> dict[str, str]:
        login = self._proxy.netloc.rpartition("@")[0] if self._proxy else ""
        return {"proxy-authorization": f"Basic {b64encode(unquote(login).encode()).decode()}"} if login else {}


@functools.cache
def _user_agent() -> str:
    return f"sloburn/{version('sloburn')}"


class _BoundedResponse(http.client.HTTPResponse):
    """An answer that is there as a whole by a deadline.

    A socket's own timeout begins anew with every byte: a receiver that sends one now and then would keep us for hours.

    Args:
        sock: Where it comes from.
        deadline: Until when it may come, on the monotonic clock.
        options: The client's.
    """

    def __init__(self, sock: socket.socket, *options: Any, deadline: float, **more: Any) -> None:  # noqa: ANN401 - passed on
        super().__init__(sock, *options, **more)
        self.fp.close()
        self.fp = io.BufferedReader(_Arriving(sock, deadline))


class _Arriving(io.RawIOBase):
    """Reads from a socket until a deadline.

    Args:
        sock: The socket; like a file of its own this keeps it open.
        deadline: On the monotonic clock.
    """

    def __init__(self, sock: socket.socket, deadline: float) -> None:
        super().__init__()
        self._sock = sock
        self._file = sock.makefile("rb", buffering=0)
        self._deadline = deadline

    def readable(self) -> bool:
        """Tell that it can be read."""
        return True

    def readinto(self, buffer: Any) -> int | None:  # noqa: ANN401 - typeshed's name for it is no module
        """Read what is there, or wait for it."""
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        self._sock.settimeout(left)
        return self._file.readinto(buffer)

    def close(self) -> None:
        """Let go of the socket."""
        self._file.close()
        super().close()


def _judge(response: http.client.HTTPResponse, answer: bytes) -> Outcome:
    if 200 <= response.status < 300:
        return _judge_answer(response.getheader("content-type") or "", answer)
    reason = in_words(f"HTTP {response.status} {response.reason}")
    if response.status in _RETRYABLE:
        return Outcome(verdict="retry", reason=reason, retry_after_seconds=_wait(response.getheader("retry-after")))
    return Outcome(verdict="refused", reason=reason)


def _judge_answer(content_type: str, answer: bytes) -> Outcome:
    """Believe a success only when it looks like one of an OTLP receiver.

    A page of a proxy or of a wrong port says that nothing was taken: it is tried again.
    """
    if content_type.startswith("text/html"):
        return Outcome(verdict="retry", reason="a web page answers, not an OTLP receiver")
    return judge_answer(answer, content_type)


def _wait(retry_after: str | None) -> float | None:
    """Read how long to wait, in seconds or until a date (RFC 9110, 10.2.3)."""
    if not retry_after:
        return None
    if retry_after.strip().isdigit():
        return float(retry_after)
    try:
        return max(0.0, parsedate_to_datetime(retry_after).timestamp() - time.time())
    except (ValueError, OverflowError):
        return None


def _in_words(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, http.client.RemoteDisconnected):
        return "the connection was closed without an answer"
    if isinstance(error, http.client.HTTPException):
        # Its text is what was received: it may be of any length, and binary.
        return f"the answer is not HTTP ({type(error).__name__})"
    if isinstance(error, OSError) and error.strerror:
        return in_words(error.strerror.lower())
    return in_words(str(error), type(error).__name__)
