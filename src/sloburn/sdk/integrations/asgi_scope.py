"""What an ASGI scope says about a request, in OpenTelemetry's stable words.

https://opentelemetry.io/docs/specs/semconv/http/http-spans/#http-server-span
"""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable, Iterable, Mapping, MutableMapping
from typing import Any
from urllib.parse import urlsplit

# What ASGI hands over: its keys are strings and its values are of any type.
Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

KNOWN_METHODS = frozenset({"CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "QUERY", "TRACE"})
_SECRET_PARAMETERS = frozenset({"AWSAccessKeyId", "Signature", "sig", "X-Goog-Signature", "X-Amz-Signature"}) | {
    "X-Amz-Credential",
    "X-Amz-Security-Token",
}
_ADDRESS = {side: f"{side}.address" for side in ("server", "client")}
_PORT = {side: f"{side}.port" for side in ("server", "client")}
_DEFAULT_PORTS = {"http": 80, "https": 443, "ws": 80, "wss": 443}


def wanted_headers(names: Iterable[str]) -> frozenset[bytes]:
    """Return the names of the headers that a server span needs, together with others."""
    return frozenset({b"host", b"user-agent"} | {name.encode() for name in names if name})


def read_headers(scope: Scope, wanted: frozenset[bytes]) -> dict[str, str]:
    """Read the wanted headers in one pass; repeated ones are joined by commas."""
    found: dict[str, str] = {}
    for name, value in scope.get("headers") or ():
        if name in wanted:
            key, text = name.decode("latin-1"), value.decode("latin-1")
            found[key] = f"{found[key]},{text}" if key in found else text
    return found


def method_of(scope: Scope) -> str:
    """Return the request's method, ``_OTHER`` for one that is not known: it is a label, so it must be bounded."""
    method = scope.get("method", "GET")
    return method if method in KNOWN_METHODS else "_OTHER"


def span_attributes(scope: Scope, headers: Mapping[str, str], method: str) -> dict[str, str | int]:
    """Return the attributes that are known when a request begins."""
    scheme = scope.get("scheme", "http")
    attributes: dict[str, str | int] = {
        "http.request.method": method,
        "url.scheme": scheme,
        "url.path": scope.get("path") or "/",
    }
    host = headers.get("host", "")
    _put(attributes, "server", _server_of(host, scheme) if host else _server_by_scope(scope, scheme))
    _put(attributes, "client", scope.get("client"))
    if method == "_OTHER":
        attributes["http.request.method_original"] = scope.get("method", "")
    if scope.get("http_version"):
        attributes["network.protocol.version"] = scope["http_version"]
    if scope.get("query_string"):
        attributes["url.query"] = without_secrets(scope["query_string"].decode("latin-1"))
    if headers.get("user-agent"):
        attributes["user_agent.original"] = headers["user-agent"]
    return attributes


def _put(attributes: dict[str, str | int], side: str, place: tuple[str | None, int | None] | None) -> None:
    """Add address and port of one side, as far as they are known."""
    if not place:
        return
    address, port = place[0], place[1]
    if address is not None:
        attributes[_ADDRESS[side]] = address
    if port is not None:
        attributes[_PORT[side]] = port


def without_secrets(query: str) -> str:
    """Return a query string in which the values of signatures and credentials are replaced, and nothing else."""
    if not any(name in query for name in _SECRET_PARAMETERS):
        return query
    pairs = (part.partition("=") for part in query.split("&"))
    return "&".join(
        f"{name}=REDACTED" if name in _SECRET_PARAMETERS else name + equals + value for name, equals, value in pairs
    )


@functools.lru_cache(maxsize=256)
def _server_of(authority: str, scheme: str) -> tuple[str | None, int | None]:
    """Read a host header."""
    try:
        parts = urlsplit(f"//{authority}")
        return parts.hostname, parts.port or _DEFAULT_PORTS.get(scheme)
    except ValueError:
        # A host header that is not one: the request is served, the span just does not say where.
        return None, None


def _server_by_scope(scope: Scope, scheme: str) -> tuple[str | None, int | None]:
    address, port = scope.get("server") or (None, None)
    return address, port or _DEFAULT_PORTS.get(scheme)


def route_of(scope: Scope) -> str | None:
    """Return the template of the route that a Starlette or FastAPI router has chosen, mounts and prefixes included.

    Returns:
        For instance ``/api/items/{item_id}``; None when nothing matched.
    """
    template = _own_template(scope)
    if template is None:
        return None
    outer, inner = scope.get("app_root_path", scope.get("root_path", "")), scope.get("root_path", "")
    return _as_template(inner.removeprefix(outer), scope) + template if inner != outer else template


def _own_template(scope: Scope) -> str | None:
    """Return the template of the innermost route, without mounts."""
    route = scope.get("route")
    # FastAPI puts the route of an included router together with its prefix under these two keys of the scope.
    context = (scope.get("fastapi") or {}).get("effective_route_context")
    if context is not None and (route is None or getattr(context, "original_route", None) is route):
        route = getattr(context, "starlette_route", None) or context
    if route is None:
        route = _route_with_endpoint(scope)
    if route is None:
        return None
    if hasattr(route, "routes") and not hasattr(route, "methods"):
        return "/{path}"
    template = getattr(route, "path", None)
    return template if isinstance(template, str) else None


def _route_with_endpoint(scope: Scope) -> object | None:
    """Find a plain Starlette route in a FastAPI application, which names only its endpoint in the scope."""
    endpoint = scope.get("endpoint")
    if endpoint is None:
        return None
    routes = getattr(scope.get("router") or scope.get("app"), "routes", ())
    return next(
        (route for route in routes if endpoint in (getattr(route, "endpoint", None), getattr(route, "app", None))), None
    )


def _as_template(prefix: str, scope: Scope) -> str:
    """Put the names of path parameters back into the path of a mount, so that the label stays bounded."""
    names = {str(value): name for name, value in (scope.get("path_params") or {}).items()}
    return "/".join(f"{{{names[part]}}}" if part in names else part for part in prefix.split("/"))
