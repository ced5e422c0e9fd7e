"""What is current while a request or a connection is served: its span and its correlation id."""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping
from contextvars import Token
from typing import Any

from opentelemetry import context, trace
from opentelemetry.trace import Span

from sloburn.sdk.integrations import request_id
from sloburn.sdk.log_context import REQUEST_ID


class Presence:
    """A span that is current, with the correlation id in baggage and in the log lines, until it is left.

    Args:
        span: The server's.
        parent: The context that the request came with.
        headers: The request's.
        id_header: Which of them holds the correlation id; empty where none is wanted.
    """

    def __init__(self, span: Span, parent: context.Context, headers: Mapping[str, str], id_header: str) -> None:
        self._span = span
        self._log_token: Token[Any] | None = None
        self.request_id = b""
        self.header = id_header.encode()
        current = trace.set_span_in_context(span, parent)
        if id_header:
            chosen = request_id.choose(headers.get(id_header), parent)
            current = request_id.into_context(chosen, current)
            self.request_id = chosen.encode()
            # The last that can fail: nothing is current before.
            self._log_token = request_id.into_logs(chosen)
        self.context = current
        self._token = context.attach(current)

    def ids(self) -> dict[str, str]:
        """Return what log lines about this request carry, for those that its server writes when it is over."""
        of = self._span.get_span_context()
        ids = {"trace_id": f"{of.trace_id:032x}", "span_id": f"{of.span_id:016x}"} if of.is_valid else {}
        return {**ids, REQUEST_ID: self.request_id.decode()} if self.request_id else ids

    def leave(self) -> None:
        """Put things back as they were before the request."""
        try:
            if self._log_token is not None:
                request_id.out_of_logs(self._log_token)
        finally:
            context.detach(self._token)


def with_header(message: MutableMapping[str, Any], presence: Presence) -> MutableMapping[str, Any]:
    """Return the first message of an answer with the correlation id, unless the application has put one there."""
    if not presence.request_id:
        return message
    headers = list(message.get("headers") or ())
    for key, _ in headers:
        # An application may write it in capitals; some servers fold the case later, some never.
        if key.lower() == presence.header:
            return message
    headers.append((presence.header, presence.request_id))
    return {**message, "headers": headers}
