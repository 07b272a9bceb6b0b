"""The application: its routers, and the static files of the web app."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from fastapi import FastAPI
from fastapi.staticfiles import StaticFiles

from cairn import __version__
from cairn.files import ensure_writable_folder
from cairn.server import detection, problems, status, stream, videos
from cairn.server.security import Guard
from cairn.server.settings import ServerSettings
from cairn.server.state import Server

STATIC = Path(__file__).parent / "static"

ROUTERS = (detection.router, videos.router, stream.router, status.router)
"""All routers. A further one is a module with a `router`, and its entry here."""


def create_app(settings: ServerSettings) -> FastAPI:
    """Returns the application, which runs its workers from its start to its end.

    Raises:
        CairnError: The data folder cannot be used.
    """
    ensure_writable_folder(settings.data)
    server = Server(settings)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with server.running():
            yield

    app = FastAPI(title="Cairn", version=__version__, lifespan=lifespan, docs_url=None, redoc_url=None)
    app.state.server = server
    problems.install(app)
    for router in ROUTERS:
        app.include_router(router)
    app.mount("/", StaticFiles(directory=STATIC, html=True))
    app.add_middleware(Guard, settings=settings, metrics=server.metrics)
    return app
