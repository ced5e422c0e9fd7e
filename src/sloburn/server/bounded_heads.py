"""HTTP/1.1 whose request lines, headers and trailers have a limit: the parser keeps what has no end in memory."""

from __future__ import annotations

from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

MAX_HEAD_BYTES = 64 * 1024
"""How many bytes may come, beyond the piece in which they begin, before a head or the trailers end."""

_TOO_LARGE = (
    b"HTTP/1.1 431 Request Header Fields Too Large\r\n"
    b"content-length: 0\r\n"
    b"connection: close\r\n"
    b"\r\n"
)  # RFC 6585, section 5


class BoundedHeads(HttpToolsProtocol):
    """A connection that is closed when a head or trailers go on for too long (RFC 9110, section 5.4)."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - as uvicorn calls it
        super().__init__(*args, **kwargs)
        self._unfinished = 0

    def data_received(self, data: bytes) -> None:
        """Take what came; no part of it was a body, and nothing ended in it, if `_unfinished` grew."""
        self._unfinished += len(data)
        super().data_received(data)
        if self._unfinished > MAX_HEAD_BYTES and not self.transport.is_closing():
            self._refuse()

    def on_body(self, body: bytes) -> None:
        """Take a piece of a body."""
        self._unfinished = 0
        super().on_body(body)

    def on_headers_complete(self) -> None:
        """Take the end of a head."""
        self._unfinished = 0
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """Take the end of a request."""
        self._unfinished = 0
        super().on_message_complete()

    def _refuse(self) -> None:
        self.logger.warning("A request's head was larger than %d KiB.", MAX_HEAD_BYTES // 1024)
        if getattr(self.cycle, "response_complete", True):  # else it would stand inside an answer
            self.transport.write(_TOO_LARGE)
        self.transport.close()
