"""The application: its routers, and the static files of the web app."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.staticfiles import StaticFiles

from cairn import __version__
from cairn.files import ensure_writable_folder
from cairn.server import detection, problems, project_api, project_uploads, status, stream, training_api, videos
from cairn.server.labeling import Labeling
from cairn.server.security import Guard
from cairn.server.settings import ServerSettings
from cairn.server.state import Server
from cairn.server.trainings import Trainings

ROUTERS = (
    detection.router,
    videos.router,
    stream.router,
    project_api.router,
    project_uploads.router,
    training_api.router,
    status.router,
)
"""All routers. A further one is a module with a `router`, and its entry here."""


def create_app(settings: ServerSettings) -> FastAPI:
    """Returns the application, which runs its workers from its start to its end.

    Raises:
        CairnError: The data folder cannot be used.
    """
    ensure_writable_folder(settings.data)
    server = Server(settings)
    labeling = Labeling(settings, server.catalog)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with server.running():
            try:
                yield
            finally:
                await labeling.stop()

    app = FastAPI(title="Cairn", version=__version__, lifespan=lifespan, docs_url=None, redoc_url=None)
    app.state.server = server
    app.state.labeling = labeling
    app.state.trainings = Trainings(settings.data)
    app.openapi = partial(described, app)  # type: ignore[method-assign]
    problems.install(app)
    for router in ROUTERS:
        app.include_router(router)
    app.mount("/", StaticFiles(directory=status.STATIC, html=True))
    app.add_middleware(Guard, settings=settings, metrics=server.metrics)
    return app


def described(app: FastAPI) -> dict[str, Any]:
    """Returns the description of the API, OpenAPI 3.1: every error is a problem, those of validation, too."""
    if app.openapi_schema is None:
        schema = get_openapi(title=app.title, version=app.version, routes=app.routes)
        parts = schema.setdefault("components", {}).setdefault("schemas", {})
        for unused in ("HTTPValidationError", "ValidationError"):
            parts.pop(unused, None)
        parts["Problem"] = problems.ProblemBody.model_json_schema()
        for path in schema["paths"].values():
            for operation in path.values():
                if "422" in operation["responses"]:
                    operation["responses"] |= problems.described(422)
        app.openapi_schema = schema
    return app.openapi_schema
