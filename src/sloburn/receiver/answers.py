"""The one map from errors to answers: which HTTP status, which gRPC status, and whether the sender should retry.

Source: opentelemetry-proto, docs/specification.md, "Failures", "OTLP/gRPC Throttling" and "OTLP/HTTP Throttling". A
sender retries HTTP 429, 502, 503 and 504 only, and gRPC RESOURCE_EXHAUSTED only with a RetryInfo; overload is
UNAVAILABLE there. A 500 would make it drop its data, so what nobody foresaw is 503.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from sloburn.errors import BodyTooLarge, MalformedBody, Overloaded, SloburnError, StorageError, TelemetryError


class Code(IntEnum):
    """The codes of ``google.rpc.Code`` that are used here; gRPC has the same numbers."""

    OK = 0
    INVALID_ARGUMENT = 3
    NOT_FOUND = 5
    RESOURCE_EXHAUSTED = 8
    UNIMPLEMENTED = 12
    UNAVAILABLE = 14
    UNAUTHENTICATED = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """How a request that was not taken is answered.

    Args:
        http_status: Over HTTP.
        code: Over gRPC, and in the ``google.rpc.Status`` of both.
        retry_after_seconds: How long the sender should wait; None if it must not retry.
        headers: More HTTP headers.
    """

    http_status: int
    code: Code
    retry_after_seconds: int | None = None
    headers: tuple[tuple[str, str], ...] = ()


class Refused(TelemetryError):
    """A request is refused for what surrounds its body: path, method, headers or token. Never leaves the receiver."""

    def __init__(self, answer: Answer, message: str) -> None:
        super().__init__(message)
        self.answer = answer


NOT_FOUND = Answer(http_status=404, code=Code.NOT_FOUND)
NOT_POST = Answer(http_status=405, code=Code.UNIMPLEMENTED, headers=(("Allow", "POST"),))
WRONG_TYPE = Answer(
    http_status=415,
    code=Code.INVALID_ARGUMENT,
    headers=(("Accept-Post", "application/x-protobuf, application/json"),),
)
WRONG_ENCODING = Answer(
    http_status=415, code=Code.INVALID_ARGUMENT, headers=(("Accept-Encoding", "gzip, identity, zstd"),)
)
NO_TOKEN = Answer(http_status=401, code=Code.UNAUTHENTICATED, headers=(("WWW-Authenticate", "Bearer"),))
TOO_SLOW = Answer(http_status=503, code=Code.UNAVAILABLE, retry_after_seconds=1)
UNFORESEEN = Answer(http_status=503, code=Code.UNAVAILABLE, retry_after_seconds=5)

_ANSWERS: dict[type[SloburnError], Answer] = {
    MalformedBody: Answer(http_status=400, code=Code.INVALID_ARGUMENT),
    BodyTooLarge: Answer(http_status=413, code=Code.RESOURCE_EXHAUSTED),
    Overloaded: Answer(http_status=429, code=Code.UNAVAILABLE, retry_after_seconds=1),
    StorageError: Answer(http_status=503, code=Code.UNAVAILABLE, retry_after_seconds=5),
}


def answer_to(error: Exception) -> Answer:
    """Return the answer to an error; `UNFORESEEN` if it is none that a request may end with."""
    if isinstance(error, Refused):
        return error.answer
    return next((answer for kind, answer in _ANSWERS.items() if isinstance(error, kind)), UNFORESEEN)


def explanation(error: Exception) -> str:
    """Return what the sender is told: the error's own sentence, unless nobody foresaw it."""
    if answer_to(error) is UNFORESEEN:
        return "the processor could not take the request; its log says why"
    return str(error)
