"""OTLP over HTTP (opentelemetry-proto, docs/specification.md, "OTLP/HTTP").

Errors are answered as ``google.rpc.Status`` in the encoding of the request; a request whose encoding is unknown is
answered in JSON, which a person can read.

Three paths and one method need no router: an ASGI application by hand takes a sixth of the time off each request.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from starlette.types import ASGIApp, Receive, Scope, Send

from sloburn.errors import MalformedBody
from sloburn.otlp import answer as wire_answer
from sloburn.otlp.signal import Compression, Encoding, Signal
from sloburn.receiver.admission import Admission
from sloburn.receiver.answers import (
    NO_TOKEN,
    NOT_FOUND,
    NOT_POST,
    TOO_SLOW,
    WRONG_ENCODING,
    WRONG_TYPE,
    Refused,
    explanation,
)
from sloburn.receiver.auth import Auth
from sloburn.receiver.intake import Intake, Receipt
from sloburn.receiver.limits import Hold, Limits
from sloburn.receiver.tally import Tally, Wire

PATHS = {f"/v1/{signal}": signal for signal in Signal}

_GONE = 499  # nginx's number for a client that went away; nobody receives it


def otlp_http_app(intake: Intake, *, limits: Limits, tally: Tally, auth: Auth | None = None) -> ASGIApp:
    """Return the application that serves ``/v1/traces``, ``/v1/metrics`` and ``/v1/logs``.

    Args:
        intake: Takes the requests.
        limits: Bounds.
        tally: Counts what was answered.
        auth: Whom to let in; None for everybody.
    """
    receiver = _HttpReceiver(Admission(intake, wire=Wire.HTTP, limits=limits, tally=tally), auth)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":  # a server that asks for more takes silence for "not supported"
            await (await receiver.answer(_Request(scope, receive))).send(send)

    return app


class _ClientGone(Exception):
    """The sender went away before its body was here."""


class _Request:
    """What is asked of one request.

    Args:
        scope: Of ASGI.
        receive: Of ASGI.
    """

    __slots__ = ("headers", "method", "path", "receive", "sender")

    def __init__(self, scope: Scope, receive: Receive) -> None:
        self.method: str = scope["method"]
        self.path: str = scope["path"]
        # ASGI: names are in lower case. The first of several counts.
        self.headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in reversed(scope["headers"])}
        client = scope.get("client")
        self.sender: str = client[0] if client else ""
        self.receive = receive


@dataclass(frozen=True, slots=True, kw_only=True)
class _Response:
    """An answer; the type and length of its body are told beside the headers."""

    status: int
    body: bytes = b""
    content_type: str = ""
    headers: tuple[tuple[str, str], ...] = ()

    async def send(self, send: Send) -> None:
        headers = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in self.headers]
        headers.append((b"content-length", str(len(self.body)).encode()))
        if self.content_type:
            headers.append((b"content-type", self.content_type.encode()))
        await send({"type": "http.response.start", "status": self.status, "headers": headers})
        await send({"type": "http.response.body", "body": self.body})


class _HttpReceiver:
    """Reads requests and writes answers."""

    def __init__(self, admission: Admission, auth: Auth | None) -> None:
        self._admission = admission
        self._auth = auth

    async def answer(self, request: _Request) -> _Response:
        """Answer one request; whatever happens, no exception gets past this."""
        signal = PATHS.get(request.path)
        try:
            response = await self._take(_routed(signal, request), request)
        except _ClientGone:
            response = _Response(status=_GONE)
        except Exception as error:
            response = self._failed(request, error)
        self._admission.count(signal, str(response.status))
        return response

    async def _take(self, signal: Signal, request: _Request) -> _Response:
        """Check what surrounds the body, read it, hand it over, and tell what became of it."""
        if self._auth and not self._auth.allows(request.headers.get("authorization")):
            raise Refused(NO_TOKEN, "expected the header Authorization: Bearer with this receiver's token")
        encoding, compression = _encoding(request), _compression(request)
        with self._admission.pending.hold(request.sender) as hold:
            body = await self._read(request, hold)
            receipt = await self._admission.take(signal, encoding, body, compression=compression, hold=hold)
        return _taken(signal, encoding, receipt)

    async def _read(self, request: _Request, hold: Hold) -> bytes:
        """Return the body; stop at the limit instead of reading on."""
        announced = request.headers.get("content-length", "")
        expected = int(announced) if announced.isdecimal() else 0
        self._admission.check_size(expected)
        hold.expect(expected)
        seconds = self._admission.limits.read_seconds
        try:
            async with asyncio.timeout(seconds):
                return await self._read_chunks(request, hold)
        except TimeoutError:
            raise Refused(TOO_SLOW, f"the body did not arrive within {seconds:g} s") from None

    async def _read_chunks(self, request: _Request, hold: Hold) -> bytes:
        """Return the body as its chunks arrive."""
        chunks: list[bytes] = []
        size, more = 0, True
        while more:
            message = await request.receive()
            if message["type"] == "http.disconnect":
                raise _ClientGone
            chunk, more = message.get("body", b""), message.get("more_body", False)
            size += len(chunk)
            self._admission.check_size(size)
            hold.grow(len(chunk))
            chunks.append(chunk)
        return b"".join(chunks)

    def _failed(self, request: _Request, error: Exception) -> _Response:
        """Return the answer to an error, in the encoding of the request if that is known."""
        answer = self._admission.answer(error)
        encoding = _known_encoding(request) or Encoding.JSON
        wait = answer.retry_after_seconds
        is_bad_data = isinstance(error, MalformedBody)
        body = wire_answer.status(encoding, answer.code, explanation(error), wait, is_bad_data=is_bad_data)
        retry = () if wait is None else (("Retry-After", str(wait)),)
        return _Response(
            status=answer.http_status, body=body, content_type=encoding.value, headers=(*answer.headers, *retry)
        )


def _routed(signal: Signal | None, request: _Request) -> Signal:
    """Return the signal of a request's path; refuse other paths, and other methods than POST."""
    if signal is None:
        raise Refused(NOT_FOUND, f"there is no {request.path} here: send OTLP to {', '.join(PATHS)}")
    if request.method != "POST":
        message = f"{request.path} takes OTLP by POST, not {request.method}: send {' or '.join(Encoding)}"
        raise Refused(NOT_POST, message)
    return signal


def _taken(signal: Signal, encoding: Encoding, receipt: Receipt) -> _Response:
    """Return the answer to a request that was taken."""
    body = wire_answer.accepted(signal, encoding, receipt.rejected, receipt.message)
    return _Response(status=200, body=body, content_type=encoding.value)


def _known_encoding(request: _Request) -> Encoding | None:
    """Return the encoding that Content-Type names, whatever its parameters; None if it is not one of OTLP's."""
    named = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    return next((encoding for encoding in Encoding if encoding == named), None)


def _encoding(request: _Request) -> Encoding:
    """Return the encoding of a request or refuse it."""
    encoding = _known_encoding(request)
    if encoding is None:
        found = request.headers.get("content-type", "none")
        raise Refused(WRONG_TYPE, f"Content-Type: expected {' or '.join(Encoding)}, found {found}")
    return encoding


def _compression(request: _Request) -> Compression:
    """Return how the body is compressed; refuse what cannot be inflated."""
    named = request.headers.get("content-encoding", "").strip().lower() or Compression.NONE
    found = next((compression for compression in Compression if compression == named), None)
    if found is None:
        expected = ", ".join(sorted(Compression))
        raise Refused(WRONG_ENCODING, f"Content-Encoding: expected one of {expected}, found {named}")
    return found
