"""A FastAPI service with everything that a route can be; telemetry starts before the application exists."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

from fastapi import APIRouter, BackgroundTasks, FastAPI, HTTPException
from fastapi.responses import StreamingResponse
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route
from starlette.websockets import WebSocket

from sloburn import get_logger, init_telemetry

telemetry = init_telemetry(service_name="web")

log = get_logger("web")


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Tell that this process serves: its server has installed its signal handlers before."""
    if folder := os.environ.get("READY_FOLDER"):
        Path(folder, str(os.getpid())).touch()
    yield


app = FastAPI(lifespan=lifespan)
router = APIRouter(prefix="/api")


@router.get("/items/{item_id}")
def read_item(item_id: int) -> dict[str, int]:
    """Return an item and log twice."""
    log.info("item read", item_id=item_id, nested={"tags": ["a", "b"]})
    logging.getLogger("stdlib").warning("item %d read", item_id)
    return {"item_id": item_id}


@app.get("/boom")
async def boom() -> None:
    """Fail."""
    raise RuntimeError("kaput")


@app.get("/teapot")
async def teapot() -> None:
    """Answer with a server error on purpose."""
    raise HTTPException(503, "no tea")


@app.get("/stream")
async def stream() -> StreamingResponse:
    """Answer in two parts."""

    def parts() -> Iterator[str]:
        yield "a"
        yield "b"

    return StreamingResponse(parts())


@app.get("/background")
async def background(tasks: BackgroundTasks) -> str:
    """Answer and work on."""
    tasks.add_task(log.info, "after the response")
    return "ok"


@app.get("/slow")
async def slow() -> str:
    """Answer after a while."""
    log.info("slow begins")
    await asyncio.sleep(0.5)
    return "ok"


@app.get("/health")
async def health() -> str:
    """Answer the orchestrator."""
    return "ok"


@app.websocket("/socket/{room}")
async def socket(websocket: WebSocket) -> None:
    """Greet and leave."""
    await websocket.accept()
    await websocket.close()


async def plain(request: Request) -> PlainTextResponse:
    """Answer without FastAPI."""
    return PlainTextResponse("ok")


app.include_router(router)
app.router.routes.append(Mount("/sub/{tenant}", routes=[Route("/leaf/{leaf_id}", plain)]))
