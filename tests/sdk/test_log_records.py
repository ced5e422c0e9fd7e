"""What the host's handlers show has no secrets, and their formatters find what they look for."""

from __future__ import annotations

import importlib
import json
import logging
from collections.abc import Iterable
from typing import Any

import pytest
from uvicorn.logging import AccessFormatter

from sloburn.sdk.log_events import EventFinisher, Sinks
from sloburn.sdk.log_records import RedactingFilter, event_of

_ACCESS = '%s - "%s %s HTTP/%s" %d'
_REQUEST = ("127.0.0.1:5", "GET", "/pay?token=abc123&x=1", "1.1", 200)


def filtered(message: object, arguments: object, logger: str = "shop") -> logging.LogRecord:
    """Return a record that went through the filter of a host's handler."""
    made: Any = arguments
    record = logging.LogRecord(logger, logging.INFO, "a.py", 1, message, made, None)
    assert RedactingFilter(EventFinisher(Sinks(service_name="shop"))).filter(record)
    return record


def test_access_line_of_the_host_is_written() -> None:
    """A formatter that takes the request's parts from the arguments finds all five, the path without its secret."""
    record = filtered(_ACCESS, _REQUEST, "uvicorn.access")
    look = AccessFormatter("%(client_addr)s %(request_line)s %(status_code)s", use_colors=False)
    assert look.format(record) == "127.0.0.1:5 GET /pay?token=[redacted]&x=1 HTTP/1.1 200 OK"


def test_access_fields_are_exported() -> None:
    """The record that our handler gets after the host's has the request's fields, the path without its secret."""
    event = event_of(filtered(_ACCESS, _REQUEST, "uvicorn.access"))
    assert (event["url.path"], event["http.response.status_code"]) == ("/pay?token=[redacted]&x=1", 200)
    assert event["event"] == '127.0.0.1:5 - "GET /pay?token=[redacted]&x=1 HTTP/1.1" 200'


def test_atoms_of_gunicorn_stay_what_they_are() -> None:
    """Arguments that are a mapping keep their type, which knows a text for what is absent; the host's object stays."""
    SafeAtoms = importlib.import_module("gunicorn.glogging").SafeAtoms
    atoms = SafeAtoms({"r": "GET /pay?token=abc123 HTTP/1.1", "s": "200", "{authorization}i": "Basic abc123"})
    record = filtered('"%(r)s" %(s)s %(u)s', (atoms,))
    assert record.getMessage() == '"GET /pay?token=[redacted] HTTP/1.1" 200 -'
    assert isinstance(record.args, SafeAtoms)
    assert "abc123" not in str(record.args)
    assert "abc123" in str(atoms)


class _Link:
    """Something whose text holds a secret."""

    def __str__(self) -> str:
        return "/pay?token=abc123"


class _Uncopied(dict[str, object]):
    """A mapping that cannot be copied."""

    def __copy__(self) -> _Uncopied:
        raise TypeError


class _Undecided(ValueError):
    """An exception, or whatever else is given, that is neither true nor false."""

    def __bool__(self) -> bool:
        raise ArithmeticError


class _Empty(ValueError):
    """An exception that counts what it holds."""

    def __len__(self) -> int:
        return 0


@pytest.mark.parametrize("error", [_Undecided("no"), _Empty("no")], ids=["undecided", "empty"])
def test_truth_of_an_exception_costs_no_line(error: Exception) -> None:
    """An exception is written, as what was logged and as what caused it, whatever it says about its truth."""
    caused = KeyError("late")
    caused.__cause__ = error
    finisher = EventFinisher(Sinks(service_name="shop"))
    for given in (error, caused):
        line = json.loads(finisher.finish({"event": "failed", "level": "error", "logger": "shop", "exc_info": given}))
        assert (line["event"], line["exception.message"]) == ("failed", str(given))
    assert [cause["exception.message"] for cause in line["exception.causes"]] == ["no"]


def test_undecided_exc_info_stands_for_what_is_handled() -> None:
    """What is no exception and cannot be asked whether one is wanted leaves its line with the one that is handled."""
    finisher = EventFinisher(Sinks(service_name="shop"))

    class Undecided:
        __bool__ = _Undecided.__bool__

    event = {"event": "failed", "level": "error", "logger": "shop"}
    assert json.loads(finisher.finish({**event, "exc_info": Undecided()}))["event"] == "failed"
    try:
        raise KeyError("handled")
    except KeyError:
        line = json.loads(finisher.finish({**event, "exc_info": Undecided()}))
    assert (line["event"], line["exception.type"]) == ("failed", "KeyError")


@pytest.mark.parametrize(
    ("message", "arguments"),
    [
        ("password=%s", ("abc123",)),
        ("%s %s", ("to", _Link())),
        ("token=abc123 %s", ("to",)),
        ("password=%(t)d", ({"t": 123},)),
        ("to %(t)s", (_Uncopied(t="token=abc123"),)),
    ],
    ids=["name in the message", "object", "message", "number", "uncopied"],
)
def test_secrets_that_arguments_alone_do_not_show(message: str, arguments: Iterable[object]) -> None:
    """Where clean arguments would still make a message with a secret, the message is replaced as a whole."""
    record = filtered(message, arguments)
    assert "123" not in record.getMessage()
    assert "[redacted]" in record.getMessage()
    assert record.args == ()
