"""The web application: which address shows what."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from sloburn.outputs import api, stream
from sloburn.outputs.assets import load_assets
from sloburn.outputs.board import Board
from sloburn.outputs.desk import Desk, Writing
from sloburn.outputs.detail import find_status
from sloburn.outputs.exposition import TallySample, render_metrics
from sloburn.outputs.headers import SECURITY_HEADERS, SecurityHeaders
from sloburn.outputs.pages import Pages, PageSettings
from sloburn.sli.status import Snapshot

Tallies = Callable[[], Iterable[TallySample]]
_MOST_CACHED = 256
_FRESH = {"Cache-Control": "no-cache"}
_FOREVER = {"Cache-Control": "public, max-age=31536000, immutable"}


def page_app(
    board: Board, *, tallies: Tallies = tuple, settings: PageSettings | None = None, desk: Desk | None = None
) -> Starlette:
    """Build the application that serves page, API, stream, exposition and health.

    Args:
        board: Where the engine hangs its snapshots.
        tallies: What else `/metrics` shows; called at each scrape.
        settings: What the pages must know beside the snapshot.
        desk: Takes what is written through the API; None where it only reads.
    """
    site = _Site(board, tallies, settings or PageSettings())
    return Starlette(
        routes=[*site.routes(), *Writing(board, desk).routes()],
        middleware=[Middleware(SecurityHeaders), Middleware(GZipMiddleware, compresslevel=5)],
        exception_handlers={HTTPException: site.failed, Exception: site.failed},
    )


class _OnePerSnapshot:
    """Remembers what was made of the latest snapshot, so that a hundred readers cost one rendering."""

    def __init__(self) -> None:
        self._snapshot: Snapshot | None = None
        self._made: dict[str, bytes] = {}

    def get(self, snapshot: Snapshot, key: str, make: Callable[[Snapshot], bytes]) -> bytes:
        if snapshot is not self._snapshot or len(self._made) >= _MOST_CACHED:
            self._snapshot, self._made = snapshot, {}
        if key not in self._made:
            self._made[key] = make(snapshot)
        return self._made[key]


class _Site:
    def __init__(self, board: Board, tallies: Tallies, settings: PageSettings) -> None:
        self._board = board
        self._tallies = tallies
        self._settings = settings
        self._assets = load_assets()
        self._pages = Pages(self._assets, settings)
        self._made = _OnePerSnapshot()

    def routes(self) -> list[Route]:
        return [
            Route("/", self.overview),
            Route("/slos/{name}", self.slo),
            Route("/static/{name}", self.static),
            Route("/api/v1/status", self.api_status),
            Route("/api/v1/slos", self.api_slos),
            Route("/api/v1/slos/{name}", self.api_slo),
            Route("/api/v1/stream", self.api_stream),
            Route("/metrics", self.metrics),
            Route("/healthz", self.alive),
            Route("/readyz", self.ready),
        ]

    async def overview(self, request: Request) -> Response:
        snapshot, part = self._snapshot(), _wants_part(request)
        return _html(self._made.get(snapshot, f"/ {part}", lambda latest: self._pages.overview(latest, part=part)))

    async def slo(self, request: Request) -> Response:
        snapshot, part = self._snapshot(), _wants_part(request)
        name, group = request.path_params["name"], request.query_params.get("group", "")
        make = self._slo_page(snapshot, name, group, part=part)
        return _html(self._made.get(snapshot, f"/slos/{name} {part} {group}", make))

    def _slo_page(self, snapshot: Snapshot, name: str, group: str, *, part: bool) -> Callable[[Snapshot], bytes]:
        status = find_status(snapshot, name, group)
        if status is not None:
            return lambda latest: self._pages.detail(latest, status, part=part)
        if not any(status.slo.name == name for status in snapshot.statuses):
            raise HTTPException(404, f"There is no SLO named {name!r}.")
        if group:
            raise HTTPException(404, f"SLO {name!r} has no group {group!r}.")
        return lambda latest: self._pages.group_overview(latest, name, part=part)

    async def static(self, request: Request) -> Response:
        asset = self._assets.get(request.path_params["name"])
        if asset is None:
            raise HTTPException(404, "There is no such file.")
        pinned = request.query_params.get("v") == asset.digest
        return Response(asset.body, media_type=asset.media_type, headers=_FOREVER if pinned else _FRESH)

    async def api_status(self, _: Request) -> Response:
        return self._json("status", api.status_document)

    async def api_slos(self, _: Request) -> Response:
        return self._json("slos", api.slos_document)

    async def api_slo(self, request: Request) -> Response:
        name = request.path_params["name"]
        document = api.named_document(self._snapshot(), name)
        if document is None:
            raise HTTPException(404, f"There is no SLO named {name!r}.")
        return _json(stream.compact(document))

    async def api_stream(self, request: Request) -> Response:
        if self._board.readers >= self._settings.max_streams:
            self._board.refused += 1
            raise HTTPException(503, "Too many streams are open.", headers={"Retry-After": "5"})
        headers = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}
        if request.method == "HEAD":
            return Response(media_type="text/event-stream", headers=headers)
        brief = request.query_params.get("view") == "summary"
        write = self._write_summary if brief else self._write_status
        body = stream.events(self._board, write, self._settings.heartbeat_seconds)
        return StreamingResponse(body, media_type="text/event-stream", headers=headers)

    def _write_status(self, snapshot: Snapshot) -> bytes:
        return self._made.get(snapshot, "status", lambda latest: stream.compact(api.status_document(latest)))

    def _write_summary(self, snapshot: Snapshot) -> bytes:
        return self._made.get(snapshot, "summary", lambda latest: stream.compact(api.summary_document(latest)))

    async def metrics(self, request: Request) -> Response:
        accept = request.headers.get("accept", "")
        content_type, body = render_metrics(self._board.latest, self._tallies(), accept=accept)
        return Response(body, headers={"Content-Type": content_type, "Vary": "Accept"} | _FRESH)

    async def alive(self, _: Request) -> Response:
        return _json(b'{"status":"alive"}')

    async def ready(self, _: Request) -> Response:
        if self._board.latest is None:
            return _json(b'{"status":"starting","detail":"the engine has not evaluated yet"}', 503)
        return _json(b'{"status":"ready"}')

    async def failed(self, request: Request, error: Exception) -> Response:
        known = error if isinstance(error, HTTPException) else HTTPException(500, "Something is wrong inside sloburn.")
        # What nobody foresaw is answered outside of the middleware, so the headers are put on here.
        headers = SECURITY_HEADERS | _FRESH | dict(known.headers or {})
        if request.url.path.startswith("/api/"):
            return _json(stream.compact({"error": known.detail}), known.status_code, headers)
        reload_seconds = 1 if known.status_code == 503 else 0
        body = self._pages.trouble(known.detail, _next_step(known.status_code), reload_seconds=reload_seconds)
        return Response(body, known.status_code, headers, "text/html; charset=utf-8")

    def _snapshot(self) -> Snapshot:
        if self._board.latest is None:
            raise HTTPException(503, "The processor is starting.", headers={"Retry-After": "1"})
        return self._board.latest

    def _json(self, key: str, make: Callable[[Snapshot], api.Document]) -> Response:
        return _json(self._made.get(self._snapshot(), key, lambda latest: stream.compact(make(latest))))


def _wants_part(request: Request) -> bool:
    return request.query_params.get("part") == "live"


def _next_step(status: int) -> str:
    if status == 503:
        return "It is reading its ledger; this page comes back by itself as soon as the first evaluation is done."
    if status == 500:
        return "The processor's log says what. The other views and the alerts go on."
    return "All SLOs are listed on the first page."


def _html(body: bytes) -> Response:
    return Response(body, media_type="text/html; charset=utf-8", headers=_FRESH)


def _json(body: bytes, status: int = 200, headers: dict[str, str] = _FRESH) -> Response:
    return Response(body, status, headers, "application/json")
