"""`POST /v1/detect` and `GET /v1/models`."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response
from starlette.requests import ClientDisconnect

from cairn.inference.zoo import DEFAULT_MODEL
from cairn.server.batching import ImageProblem
from cairn.server.body import BodyLimits, FormFile, declared_bytes, drain, read_files, upload
from cairn.server.problems import Problem, problems
from cairn.server.protocol import AUTO
from cairn.server.state import Server, server_of

T = TypeVar("T")

Format = Literal["json", "openpose", "coco"]

ModelName = Annotated[str, Query(max_length=200, description="Name of a model, as GET /v1/models lists them.")]
Refine = Annotated[
    str,
    Query(
        max_length=200,
        description="Predict the keypoints of each instance again in a crop: true, false, the name of a model, or "
        "auto, as cairn detect does: with the refiner of a run, and with that of models of people in single images.",
    ),
]
MinConfidence = Annotated[float, Query(ge=0, le=1, description="Minimum keypoint confidence to keep.")]
OutputFormat = Annotated[Format, Query(alias="format", description="The content of the file of this format.")]

UPLOAD = upload("image", {"type": "array", "items": {"type": "string", "format": "binary"}})

router = APIRouter(prefix="/v1", tags=["detect"])


@router.get("/models", summary="List the models", responses=problems(401, 503))
async def models(request: Request) -> dict[str, Any]:
    """Returns the bundled models, and those of the folder of models."""
    found = await server_of(request).catalog.models()
    return {"default": DEFAULT_MODEL, "models": [model.to_dict() for model in found]}


@router.post(
    "/detect",
    summary="Detect keypoints in images",
    openapi_extra=UPLOAD,
    responses={
        200: {"content": {"application/json": {}}, "description": "One object for one image, a list for several"},
        **problems(400, 401, 404, 408, 413, 415, 422, 429, 503, 504),
    },
)
async def detect(
    request: Request,
    model: ModelName = DEFAULT_MODEL,
    refine: Refine = AUTO,
    min_confidence: MinConfidence = 0.0,
    format: OutputFormat = "json",
) -> Response:
    """Returns the content of Cairn's files: one object for one image, a list for several.

    With format coco, it is one object for all images: `images`, as in cairn.coco-images.json, and `annotations`, as in
    cairn.coco.json. An image that cannot be read fails the request; `errors` then has all of them.
    """
    server = server_of(request)
    files = await _images(request, server)
    key = await server.catalog.key(model, refine, of_images=True)
    options = {"min_confidence": min_confidence, "format": format, "frame": None, "seconds": None}
    ids = _image_ids(files)
    images = [
        ({**options, "name": file.name, "id": number}, bytes(file.data))
        for file, number in zip(files, ids, strict=True)
    ]
    results = await while_connected(request, server.batches.detect(key, images))
    return Response(_body(files, results, format), media_type="application/json")


async def while_connected(request: Request, work: Awaitable[T]) -> T:
    """Returns the result of work, which is canceled where the client leaves. Raises ClientDisconnect then."""

    async def left() -> None:
        while (await request.receive())["type"] != "http.disconnect":
            pass

    task, watch = asyncio.ensure_future(work), asyncio.ensure_future(left())
    try:
        await asyncio.wait((task, watch), return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            return task.result()
        raise ClientDisconnect
    finally:
        task.cancel()
        watch.cancel()


async def _images(request: Request, server: Server) -> list[FormFile]:
    """Returns the images of a request; a full queue refuses them before they are kept."""
    limits = server.settings.limits
    try:
        server.batches.check_room()
        with server.uploading(declared_bytes(request) or 2 * limits.image_bytes):
            return await read_files(
                request,
                BodyLimits(limits.images, limits.image_bytes, limits.stall_seconds, limits.body_seconds),
            )
    except Problem as problem:
        if problem.status != 408:
            await drain(request)
        raise


def _image_ids(files: list[FormFile]) -> list[int]:
    """Returns the COCO IDs that the files would get."""
    from cairn.results.coco import image_ids

    names = [Path(file.name) for file in files]
    ids = image_ids(names) if len(set(names)) == len(names) else {}
    return [ids.get(name, number) for number, name in enumerate(names, start=1)]


def _body(files: list[FormFile], results: list[bytes | ImageProblem], format: str) -> bytes:
    broken = [(i, each) for i, each in enumerate(results) if isinstance(each, ImageProblem)]
    if broken:
        lines = [f"{files[i].name} {line}" for i, line in broken]
        more = "" if len(lines) == 1 else f"; and {len(lines) - 1} more images"
        errors = [{"image": i, "detail": line} for (i, _), line in zip(broken, lines, strict=True)]
        raise Problem(422, lines[0] + more, errors=errors)
    parts = [each for each in results if isinstance(each, bytes)]
    if format == "coco":
        entries = [json.loads(part) for part in parts]
        rows = [row for entry in entries for row in entry["detections"]]
        return json.dumps({"images": [entry["image"] for entry in entries], "annotations": rows}).encode()
    return parts[0] if len(parts) == 1 else b"[" + b", ".join(parts) + b"]"
