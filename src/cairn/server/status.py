"""`/health`, `/ready`, `/metrics` and `/docs`, and the script of 3D pages."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import FileResponse, Response

from cairn import __version__
from cairn.server.metrics import CONTENT_TYPE
from cairn.server.problems import Problem, problems
from cairn.server.state import server_of

STATIC = Path(__file__).parent / "static"
SCENE_SCRIPT = Path(__file__).parents[1] / "visualization" / "scene3d.js"

router = APIRouter(tags=["status"])


@router.get("/health", summary="Whether the server runs")
async def health() -> dict[str, Any]:
    """Answers as long as the process runs."""
    return {"status": "ok", "version": __version__}


@router.get("/ready", summary="Whether the server can detect", responses=problems(503))
async def ready(request: Request) -> dict[str, Any]:
    """Answers 200 once a worker runs."""
    server = server_of(request)
    if not server.pool.ready:
        raise Problem(503, "no worker runs yet: they are being started", {"Retry-After": "1"})
    return {"status": "ready", "workers": server.pool.ready}


@router.get("/metrics", summary="Metrics for Prometheus", response_class=Response, responses=problems(401))
async def metrics(request: Request) -> Response:
    """Returns all metrics."""
    server = server_of(request)
    server.metrics.queue.set(len(server.batches))
    server.metrics.workers.set(server.pool.ready)
    for state, number in server.jobs.counts().items():
        server.metrics.jobs.labels(state).set(number)
    server.metrics.streams.set(server.streams)
    server.metrics.restarts.set(server.pool.restarts)
    return Response(server.metrics.text(), media_type=CONTENT_TYPE)


@router.get("/scene3d.js", include_in_schema=False)
async def scene_script() -> FileResponse:
    """Returns the script of Cairn's 3D pages, which the app draws their scenes with."""
    return FileResponse(SCENE_SCRIPT, media_type="text/javascript")


@router.get("/docs", include_in_schema=False)
async def docs() -> FileResponse:
    """Returns the page of Swagger UI, which comes with Cairn and loads nothing from elsewhere."""
    return FileResponse(STATIC / "swagger" / "index.html")
