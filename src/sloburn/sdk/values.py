"""Read one setting from what a person wrote, as text from the environment or as an argument of any type.

Every reader takes an object, because a host may pass anything, and raises ValueError with the expectation when the
value makes no sense. Headers are never part of a message: they hold keys.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterable, Mapping
from typing import TypeVar
from urllib.parse import SplitResult, unquote, urlsplit

Choice = TypeVar("Choice")

_BOOLEANS = {"true": True, "1": True, "yes": True, "on": True, "false": False, "0": False, "no": False, "off": False}
_MOST_SECONDS = 86_400.0
_LEAST_SECONDS = 0.01
_MOST_BOUNDARIES = 50


def boolean(raw: object) -> bool:
    """Read true or false."""
    value = raw if isinstance(raw, bool) else _BOOLEANS.get(str(raw).strip().lower())
    if value is None:
        raise ValueError(f"{_shown(raw)} is not true or false")
    return value


def seconds(raw: object) -> float:
    """Read a time span in seconds, 10 ms to one day."""
    value = _number(raw)
    if not _LEAST_SECONDS <= value <= _MOST_SECONDS:
        raise ValueError(f"{_shown(raw)} is not between {_LEAST_SECONDS:g} and {_MOST_SECONDS:g} seconds")
    return value


def milliseconds(raw: object) -> float:
    """Read a time span in milliseconds.

    Returns:
        Seconds.
    """
    return seconds(_number(raw) / 1e3)


def timeout(raw: object) -> float:
    """Read ``OTEL_EXPORTER_OTLP_TIMEOUT``.

    The specification counts milliseconds, OpenTelemetry Python counts seconds, and deployments hold both: nobody means
    10 ms or 10,000 s.

    Returns:
        Seconds.
    """
    value = _number(raw)
    return seconds(value / 1e3 if value >= 100 else value)


def ratio(raw: object) -> float:
    """Read a share, 0 to 1."""
    value = _number(raw)
    if not 0 <= value <= 1:
        raise ValueError(f"{_shown(raw)} is not between 0 and 1")
    return value


def count(raw: object) -> int:
    """Read a whole number above zero."""
    value = _number(raw)
    if value != int(value) or not 1 <= value <= 10_000_000:
        raise ValueError(f"{_shown(raw)} is not a whole number between 1 and 10000000")
    return int(value)


def limit(raw: object) -> int:
    """Read a whole number, zero included."""
    value = _number(raw)
    if value != int(value) or not 0 <= value <= 10_000_000:
        raise ValueError(f"{_shown(raw)} is not a whole number between 0 and 10000000")
    return int(value)


def text(raw: object) -> str:
    """Read text that is not empty."""
    if not isinstance(raw, str) or not raw.strip():
        raise ValueError(f"{_shown(raw)} is not text")
    return raw.strip()


def level(raw: object) -> str:
    """Read the name of a log level of the standard library."""
    name = str(raw).strip().upper()
    if not isinstance(raw, str) or name not in logging.getLevelNamesMapping():
        raise ValueError(f"{_shown(raw)} is not a log level such as INFO")
    return name


def one_of(choices: Mapping[str, Choice]) -> Callable[[object], Choice]:
    """Return a reader that knows only these names."""

    def read(raw: object) -> Choice:
        name = raw.strip().lower() if isinstance(raw, str) else ""
        if name not in choices:
            raise ValueError(f"{_shown(raw)} is not one of {', '.join(choices)}")
        return choices[name]

    return read


def http_url(raw: object) -> str:
    """Read an address with scheme and host; a bare ``host:port`` is taken as ``http``."""
    address = text(raw)
    address = address if "://" in address else f"http://{address}"
    parts = split_url(address)
    if parts is None or parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("is not an address such as http://localhost:4318")
    if parts.port == 0:
        raise ValueError("has no usable port")
    return address


def split_url(address: str) -> SplitResult | None:
    """Split an address; None when it is none.

    What `urllib` says then quotes the address, and with it a password.
    """
    try:
        parts = urlsplit(address)
        _ = parts.port
    except ValueError:
        return None
    return parts


def pairs(raw: object) -> tuple[tuple[str, str], ...]:
    """Read ``key=value,key=value`` with URL-encoded values, or a mapping. Messages never show a value."""
    if isinstance(raw, Mapping):
        return tuple((str(key), str(value)) for key, value in raw.items() if value is not None)
    if not isinstance(raw, str):
        raise ValueError("is neither a mapping nor text such as key=value,key=value")
    parts = [part.partition("=") for part in raw.split(",") if part.strip()]
    if not all(key.strip() and equals for key, equals, _ in parts):
        raise ValueError("is not text such as key=value,key=value")
    return tuple((unquote(key.strip()), unquote(value.strip())) for key, _, value in parts)


def headers(raw: object) -> tuple[tuple[str, str], ...]:
    """Read request headers; names are lowered, and what could split a request is refused."""
    read = tuple((name.lower(), value) for name, value in pairs(raw))
    for name, value in read:
        if not name.isascii() or not value.isprintable() or not name.replace("-", "").replace("_", "").isalnum():
            raise ValueError("holds a name or value that cannot be a header")
    return read


def paths(raw: object) -> frozenset[str]:
    """Read request paths: ``/health,/metrics`` or any iterable of them."""
    parts = raw.split(",") if isinstance(raw, str) else raw
    if not isinstance(parts, Iterable):
        raise ValueError(f"{_shown(raw)} is not a list of paths such as /health,/metrics")
    return frozenset("/" + str(part).strip().strip("/") for part in parts if str(part).strip())


def names(raw: object) -> frozenset[str]:
    """Read names: ``httpx,redis`` or any iterable of them."""
    parts = raw.split(",") if isinstance(raw, str) else raw
    if not isinstance(parts, Iterable):
        raise ValueError(f"{_shown(raw)} is not a list of names")
    return frozenset(str(part).strip().lower() for part in parts if str(part).strip())


def header_name(raw: object) -> str:
    """Read the name of a request header, in lower case; ``none`` gives an empty one."""
    name = text(raw).lower()
    if name in ("none", "off"):
        return ""
    if not name.isascii() or not name.replace("-", "").replace("_", "").isalnum():
        raise ValueError(f"{_shown(raw)} is not the name of a header")
    return name


def boundaries(raw: object) -> tuple[float, ...]:
    """Read bucket boundaries in seconds: ``0.2,0.4`` or any iterable of numbers."""
    parts = raw.split(",") if isinstance(raw, str) else raw
    if not isinstance(parts, Iterable):
        raise ValueError(f"{_shown(raw)} is not a list of seconds such as 0.2,0.4")
    read = tuple(sorted({_number(part) for part in parts if str(part).strip()}))
    if any(bound <= 0 for bound in read) or len(read) > _MOST_BOUNDARIES:
        raise ValueError(f"does not hold up to {_MOST_BOUNDARIES} numbers of seconds above zero")
    return read


def _number(raw: object) -> float:
    if isinstance(raw, bool) or not isinstance(raw, (int, float, str)):
        raise ValueError(f"{_shown(raw)} is not a number")
    try:
        value = float(raw)
    except (ValueError, OverflowError):
        value = math.nan
    if not math.isfinite(value):
        raise ValueError(f"{_shown(raw)} is not a number")
    return value


def _shown(raw: object) -> str:
    """Show a value in a message: text and numbers short, anything else by its type, as its repr may fail."""
    return repr(raw)[:60] if isinstance(raw, (str, int, float)) else f"a {type(raw).__name__}"
