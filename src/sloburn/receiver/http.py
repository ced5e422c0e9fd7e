"""OTLP over HTTP (opentelemetry-proto, docs/specification.md, "OTLP/HTTP").

Errors are answered as ``google.rpc.Status`` in the encoding of the request; a request whose encoding is unknown is
answered in JSON, which a person can read.
"""

from __future__ import annotations

import asyncio
from functools import partial

from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

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


def otlp_http_app(intake: Intake, *, limits: Limits, tally: Tally, auth: Auth | None = None) -> Starlette:
    """Return the application that serves ``/v1/traces``, ``/v1/metrics`` and ``/v1/logs``.

    Args:
        intake: Takes the requests.
        limits: Bounds.
        tally: Counts what was answered.
        auth: Whom to let in; None for everybody.
    """
    receiver = _HttpReceiver(Admission(intake, wire=Wire.HTTP, limits=limits, tally=tally), auth)
    app = Starlette(
        routes=[Route(path, partial(receiver.export, signal), methods=["POST"]) for path, signal in PATHS.items()],
        exception_handlers={404: receiver.not_found, 405: receiver.not_post},
    )
    app.router.redirect_slashes = False  # a redirected POST is a puzzle; a 404 that names the paths is not
    return app


class _HttpReceiver:
    """Reads requests and writes answers."""

    def __init__(self, admission: Admission, auth: Auth | None) -> None:
        self._admission = admission
        self._auth = auth

    async def export(self, signal: Signal, request: Request) -> Response:
        """Answer one export request; whatever happens, no exception gets past this."""
        try:
            response = _taken(signal, _encoding(request), await self._take(signal, request))
        except ClientDisconnect:
            response = Response(status_code=_GONE)
        except Exception as error:
            response = self._failed(request, error)
        self._admission.count(signal, str(response.status_code))
        return response

    async def not_found(self, request: Request, _: Exception) -> Response:
        """Answer a request for a path that does not exist."""
        message = f"there is no {request.url.path} here: send OTLP to {', '.join(PATHS)}"
        return self._unrouted(request, Refused(NOT_FOUND, message))

    async def not_post(self, request: Request, _: Exception) -> Response:
        """Answer another method than POST."""
        message = f"{request.url.path} takes OTLP by POST, not {request.method}: send {' or '.join(Encoding)}"
        return self._unrouted(request, Refused(NOT_POST, message))

    async def _take(self, signal: Signal, request: Request) -> Receipt:
        """Check what surrounds the body, read it, and hand it over."""
        if self._auth and not self._auth.allows(request.headers.get("authorization")):
            raise Refused(NO_TOKEN, "expected the header Authorization: Bearer with this receiver's token")
        encoding, compression = _encoding(request), _compression(request)
        with self._admission.pending.hold(request.client.host if request.client else "") as hold:
            body = await self._read(request, hold)
            return await self._admission.take(signal, encoding, body, compression=compression, hold=hold)

    async def _read(self, request: Request, hold: Hold) -> bytes:
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

    async def _read_chunks(self, request: Request, hold: Hold) -> bytes:
        """Return the body as its chunks arrive."""
        chunks, size = [], 0
        async for chunk in request.stream():
            size += len(chunk)
            self._admission.check_size(size)
            hold.grow(len(chunk))
            chunks.append(chunk)
        return b"".join(chunks)

    def _unrouted(self, request: Request, error: Refused) -> Response:
        """Answer a request that reached no signal."""
        response = self._failed(request, error)
        self._admission.count(PATHS.get(request.url.path), str(response.status_code))
        return response

    def _failed(self, request: Request, error: Exception) -> Response:
        """Return the answer to an error, in the encoding of the request if that is known."""
        answer = self._admission.answer(error)
        encoding = _known_encoding(request) or Encoding.JSON
        body = wire_answer.status(
            encoding,
            answer.code,
            explanation(error),
            answer.retry_after_seconds,
            is_bad_data=isinstance(error, MalformedBody),
        )
        response = Response(body, answer.http_status, dict(answer.headers), encoding.value)
        if answer.retry_after_seconds is not None:
            response.headers["Retry-After"] = str(answer.retry_after_seconds)
        return response


def _taken(signal: Signal, encoding: Encoding, receipt: Receipt) -> Response:
    """Return the answer to a request that was taken."""
    return Response(
        wire_answer.accepted(signal, encoding, receipt.rejected, receipt.message), media_type=encoding.value
    )


def _known_encoding(request: Request) -> Encoding | None:
    """Return the encoding that Content-Type names, whatever its parameters; None if it is not one of OTLP's."""
    named = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    return next((encoding for encoding in Encoding if encoding == named), None)


def _encoding(request: Request) -> Encoding:
    """Return the encoding of a request or refuse it."""
    encoding = _known_encoding(request)
    if encoding is None:
        found = request.headers.get("content-type", "none")
        raise Refused(WRONG_TYPE, f"Content-Type: expected {' or '.join(Encoding)}, found {found}")
    return encoding


def _compression(request: Request) -> Compression:
    """Return how the body is compressed; refuse what cannot be inflated."""
    named = request.headers.get("content-encoding", "").strip().lower() or Compression.NONE
    found = next((compression for compression in Compression if compression == named), None)
    if found is None:
        expected = ", ".join(sorted(Compression))
        raise Refused(WRONG_ENCODING, f"Content-Encoding: expected one of {expected}, found {named}")
    return found
