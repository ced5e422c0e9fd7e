"""Every error has its answer, and only transient ones invite a retry."""

from __future__ import annotations

import pytest

from sloburn.errors import (
    BodyTooLarge,
    ConfigError,
    MalformedBody,
    Overloaded,
    StorageCorrupt,
    StorageError,
    TelemetryError,
)
from sloburn.receiver.answers import NOT_FOUND, UNFORESEEN, Refused, answer_to, explanation


@pytest.mark.parametrize(
    ("error", "status", "code", "retry_after"),
    [
        (MalformedBody("x"), 400, "INVALID_ARGUMENT", None),
        (BodyTooLarge("x"), 413, "RESOURCE_EXHAUSTED", None),
        (Overloaded("x"), 429, "UNAVAILABLE", 1),
        (StorageError("x"), 503, "UNAVAILABLE", 5),
        (StorageCorrupt("x"), 503, "UNAVAILABLE", 5),
        (Refused(NOT_FOUND, "x"), 404, "NOT_FOUND", None),
        (TelemetryError("x"), 503, "UNAVAILABLE", 5),
        (ConfigError("x"), 503, "UNAVAILABLE", 5),
        (RuntimeError("x"), 503, "UNAVAILABLE", 5),
        (MemoryError(), 503, "UNAVAILABLE", 5),
    ],
    ids=lambda case: type(case).__name__ if isinstance(case, Exception) else str(case),
)
def test_an_error_has_its_answer(error: Exception, status: int, code: str, retry_after: int | None) -> None:
    """The map holds for every error that a request can end with; whatever it does not name is 503."""
    answer = answer_to(error)
    assert (answer.http_status, answer.code.name, answer.retry_after_seconds) == (status, code, retry_after)


def test_what_nobody_foresaw_is_not_told_to_the_sender() -> None:
    """An unforeseen error's text stays in the log; a foreseen one explains itself."""
    assert explanation(RuntimeError("/var/lib/secret")) == "the processor could not take the request; its log says why"
    assert explanation(StorageError("the disk is full")) == "the disk is full"
    assert answer_to(RuntimeError()) is UNFORESEEN
