"""What may be written through the API, and by whom: everything else of it only reads."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sloburn.errors import StorageError
from sloburn.outputs.annotating import annotation_document, read_annotation
from sloburn.outputs.board import Board
from sloburn.outputs.stream import compact
from sloburn.slo.annotation import Annotation, Kind

ANNOTATIONS = "/api/v1/annotations"
MAX_BODY_BYTES = 16 * 1024

_HEADERS = {"Cache-Control": "no-cache"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """Takes what people write.

    Args:
        annotate: Keeps an annotation durably, and returns what is kept.
        allows: Whether an ``Authorization`` header may write.
        now: Tells the time, nanoseconds since the epoch.
    """

    annotate: Callable[[Annotation], Awaitable[Annotation]]
    allows: Callable[[str | None], bool]
    now: Callable[[], int]


class Writing:
    """The routes that write, and those that list what was written.

    Args:
        board: Where the snapshots hang.
        desk: Takes what is written; None where nothing may be.
    """

    def __init__(self, board: Board, desk: Desk | None) -> None:
        self._board = board
        self._desk = desk

    def routes(self) -> list[Route]:
        """Return the routes."""
        return [Route(ANNOTATIONS, self.listed), Route(ANNOTATIONS, self.annotate, methods=["POST"])]

    async def listed(self, _: Request) -> Response:
        """Answer with all annotations, newest first."""
        if self._board.latest is None:
            raise HTTPException(503, "The processor is starting.", headers={"Retry-After": "1"})
        found = self._board.latest.annotations
        shown = [annotation_document(one) for one in reversed(found) if one.kind is not Kind.FIRST]
        return _json({"annotations": shown})

    async def annotate(self, request: Request) -> Response:
        """Keep an annotation; the answer comes when it is durable."""
        desk = self._admitted(request)
        try:
            wanted = read_annotation(await _body(request), desk.now())
        except ValueError as error:
            raise HTTPException(400, str(error)) from None
        try:
            kept = await desk.annotate(wanted)
        except StorageError as error:
            raise HTTPException(503, str(error), headers={"Retry-After": "5"}) from None
        return _json(annotation_document(kept), 201)

    def _admitted(self, request: Request) -> Desk:
        if self._desk is None:
            raise HTTPException(403, "Nothing can be written here.")
        if not self._desk.allows(request.headers.get("authorization")):
            raise HTTPException(401, "A bearer token is needed.", headers={"WWW-Authenticate": "Bearer"})
        # A form of a foreign page can be posted without asking; JSON cannot (Fetch standard, CORS-safelisted types).
        if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
            raise HTTPException(415, "Expected Content-Type: application/json.")
        return self._desk


async def _body(request: Request) -> bytes:
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > MAX_BODY_BYTES:
            raise HTTPException(413, f"Expected at most {MAX_BODY_BYTES} bytes.")
    return body


def _json(document: object, status: int = 200) -> Response:
    return Response(compact(document), status, _HEADERS, "application/json")
