"""What is uploaded to `/v1/projects`: images, videos and labels. Each counts among the uploads of the server."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request

from cairn.server.body import BodyLimits, FormFile, declared_bytes, drain, plain_stem, read_files, upload
from cairn.server.labeling import Labeling
from cairn.server.problems import Problem, problems
from cairn.server.project import Project
from cairn.server.project_api import image_body, labeling_of
from cairn.server.state import server_of

MAX_FRAMES = 300

SUFFIXES = (".json", ".jsonl", ".csv", ".xml")
"""Label files that stand alone. Others name further files, which would be files of the server."""

IMAGES = upload("image", {"type": "array", "items": {"type": "string", "format": "binary"}})
VIDEO = upload("video", {"type": "string", "format": "binary"})
LABELS = upload("labels", {"type": "string", "format": "binary"})

ERRORS = problems(400, 401, 404, 408, 413, 415, 422, 429, 503, 504, 507)

router = APIRouter(prefix="/v1", tags=["label"])

Frames = Annotated[int, Query(ge=1, le=MAX_FRAMES, description="Number of frames to take, evenly spaced.")]
Keypoints = Annotated[
    Literal["project", "labels"],
    Query(description="Keypoints of the project, matched by name; or of the labels, for a project without any."),
]


@router.post(
    "/projects/{project}/images", summary="Add images", status_code=201, openapi_extra=IMAGES, responses=ERRORS
)
async def add_images(request: Request, project: str) -> dict[str, Any]:
    """Takes a multipart form with images. Returns those that were added, and why others were not."""
    labeling = labeling_of(request)
    limits = labeling.settings.limits
    found = _own(labeling, project)
    body = BodyLimits(limits.images, limits.image_bytes, limits.stall_seconds, limits.body_seconds)
    added, errors = [], []
    async with _uploaded(request, body) as files:
        for file in files:
            try:
                added.append(await labeling.add_image(found, file.name, bytes(file.data)))
            except Problem as problem:
                if problem.status != 422:
                    raise
                errors.append({"name": file.name, "detail": f"{file.name} {problem}"})
    if not added:
        raise Problem(422, errors[0]["detail"], errors=errors)
    return {"added": [image_body(found, labeling, image) for image in added], "errors": errors}


@router.post(
    "/projects/{project}/videos",
    summary="Add frames of a video",
    status_code=201,
    openapi_extra=VIDEO,
    responses=ERRORS,
)
async def add_video(request: Request, project: str, frames: Frames = 50) -> dict[str, Any]:
    """Takes a multipart form with a video. Returns the frames that were added."""
    labeling = labeling_of(request)
    limits = labeling.settings.limits
    found = _own(labeling, project)
    body = BodyLimits(1, limits.video_bytes, limits.stall_seconds)
    with labeling.scratch.place() as folder:
        target = folder / "video"
        async with _uploaded(request, body, target) as (file,):
            added = await labeling.add_video(found, file.name, target, frames)
    return {"added": [image_body(found, labeling, image) for image in added], "errors": []}


@router.post(
    "/projects/{project}/labels", summary="Import labels", status_code=201, openapi_extra=LABELS, responses=ERRORS
)
async def add_labels(request: Request, project: str, keypoints: Keypoints = "project") -> dict[str, Any]:
    """Takes a multipart form with a label file, such as COCO: labels of the images that the project has, by name.

    Images that have labels keep them. Returns the numbers of `images` and `instances` that were imported, the images
    that were `skipped` with the reason, and `notes` about what the project cannot hold.
    """
    labeling = labeling_of(request)
    limits = labeling.settings.limits
    found = labeling.projects.get(project)
    body = BodyLimits(1, limits.label_bytes, limits.stall_seconds, limits.body_seconds)
    with labeling.scratch.place() as folder:
        target = folder / "upload"
        async with _uploaded(request, body, target) as (file,):
            suffix = Path(file.name).suffix.lower()
            if suffix not in SUFFIXES:
                raise Problem(422, f"{file.name} is not a label file that stands alone: expected {', '.join(SUFFIXES)}")
            named = target.rename(folder / f"{plain_stem(file.name, 'labels')}{suffix}")
            return await labeling.add_labels(found, named, keypoints == "labels")


def _own(labeling: Labeling, project: str) -> Project:
    """Returns a project that takes images."""
    found = labeling.projects.get(project)
    if found.source is not None:
        raise Problem(422, f"{found.name} is a folder of images: add them there, and start the server again")
    return found


@asynccontextmanager
async def _uploaded(request: Request, limits: BodyLimits, target: Path | None = None) -> AsyncIterator[list[FormFile]]:
    """Yields the files of a form. They count among the uploads of the server until they are dealt with."""
    server = server_of(request)
    try:
        server.check_disk(min(declared_bytes(request), limits.files * limits.bytes))
        with server.uploading(0 if target else declared_bytes(request) or 2 * limits.bytes):
            files = await read_files(request, limits, target)
            yield files
    except Problem as problem:
        if problem.status != 408:
            await drain(request)
        raise
