"""`/v1/projects`: label projects, their images, labels and suggestions; and `/v1/skeletons`."""

from __future__ import annotations

import asyncio
import secrets
from mimetypes import guess_type
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.responses import FileResponse, JSONResponse, Response
from pydantic import BaseModel, ConfigDict, Field

from cairn.inference.zoo import DEFAULT_MODEL
from cairn.server.body import BodyLimits, drain, read_files
from cairn.server.label_store import ImageLabels
from cairn.server.labeling import Labeling
from cairn.server.problems import Problem, problems
from cairn.server.projects import SHOWN, Project, ProjectImage
from cairn.structures.skeleton import Skeleton, load_skeleton, skeleton_names

MAX_JOINTS, MAX_FRAMES = 200, 300

KEPT = {"Cache-Control": "private, max-age=86400, immutable"}
"""Header of images, which never change."""

router = APIRouter(prefix="/v1", tags=["label"])

Frames = Annotated[int, Query(ge=1, le=MAX_FRAMES, description="Number of frames to take, evenly spaced.")]


class ProjectRequest(BaseModel):
    """A new project.

    Attributes:
        name: Its name.
        skeleton: Name of a built-in skeleton, or a table as in skeleton files: name, joints, limbs, flip_pairs.
    """

    model_config = ConfigDict(extra="forbid")

    name: Annotated[str, Field(min_length=1, max_length=100)]
    skeleton: str | dict[str, Any] = "coco17"


class SuggestRequest(BaseModel):
    """A pass of suggestions.

    Attributes:
        model: Name of the model.
    """

    model_config = ConfigDict(extra="forbid")

    model: Annotated[str, Field(max_length=200)] = DEFAULT_MODEL


@router.get("/skeletons", summary="List the built-in skeletons", responses=problems(401))
def skeletons() -> dict[str, Any]:
    """Returns the tables of the built-in skeletons."""
    return {"skeletons": [load_skeleton(name).to_dict() for name in skeleton_names()]}


@router.get("/projects", summary="List the label projects", responses=problems(401))
def list_projects(request: Request) -> dict[str, Any]:
    """Returns a summary of each project."""
    return {"projects": [project.summary() for project in labeling_of(request).projects.all()]}


@router.post("/projects", summary="Create a label project", status_code=201, responses=problems(401, 422, 507))
def create_project(request: Request, body: ProjectRequest) -> dict[str, Any]:
    """Returns the summary of the project, which has no images yet."""
    return labeling_of(request).projects.create(body.name, _skeleton(body.skeleton)).summary()


@router.get("/projects/{project}", summary="Get a project", responses=problems(401, 404))
def get_project(request: Request, project: str) -> dict[str, Any]:
    """Returns the images with their states, in the order in which labeling them helps most."""
    labeling = labeling_of(request)
    found = labeling.projects.get(project)
    suggestions = labeling.suggestions(found)
    images = [_image(found, labeling, found.images[i]) for i in suggestions.order()]
    return {**found.summary(), "suggestions": suggestions.state(), "ordered": images}


@router.post(
    "/projects/{project}/images",
    summary="Add images",
    status_code=201,
    responses=problems(400, 401, 404, 408, 413, 415, 422, 507),
)
async def add_images(request: Request, project: str) -> dict[str, Any]:
    """Takes a multipart form with images. Returns those that were added, and why others were not."""
    labeling = labeling_of(request)
    limits = labeling.settings.limits
    found = _own(labeling, project)
    body = BodyLimits(limits.images, limits.image_bytes, limits.stall_seconds, limits.body_seconds)
    added, errors = [], []
    for file in await _files(request, body):
        try:
            added.append(await labeling.add_image(found, file.name, bytes(file.data)))
        except Problem as problem:
            if problem.status != 422:
                raise
            errors.append({"name": file.name, "detail": f"{file.name} {problem}"})
    if not added:
        raise Problem(422, errors[0]["detail"], errors=errors)
    return {"added": [_image(found, labeling, image) for image in added], "errors": errors}


@router.post(
    "/projects/{project}/videos",
    summary="Add frames of a video",
    status_code=201,
    responses=problems(400, 401, 404, 408, 413, 415, 422, 507),
)
async def add_video(request: Request, project: str, frames: Frames = 50) -> dict[str, Any]:
    """Takes a multipart form with a video. Returns the frames that were added."""
    labeling = labeling_of(request)
    limits = labeling.settings.limits
    found = _own(labeling, project)
    target = found.folder / f".upload-{secrets.token_hex(8)}"
    try:
        body = BodyLimits(1, limits.video_bytes, limits.stall_seconds)
        file = (await _files(request, body, target))[0]
        added = await labeling.add_video(found, file.name, target, frames)
    finally:
        await asyncio.to_thread(target.unlink, missing_ok=True)
    return {"added": [_image(found, labeling, image) for image in added], "errors": []}


@router.get("/projects/{project}/images/{image}/file", summary="Get an image", responses=problems(401, 404, 422))
async def image_file(request: Request, project: str, image: int) -> Response:
    """Returns the image as browsers show it."""
    labeling = labeling_of(request)
    found = labeling.projects.get(project)
    entry = found.image(image)
    path = found.image_folder / entry.file
    if path.suffix.lower() not in SHOWN:
        return Response(await labeling.shown(found, entry), media_type="image/png", headers=KEPT)
    if not path.is_file():
        raise Problem(404, f"{entry.name} is gone from the folder of the project")
    return FileResponse(path, media_type=guess_type(path.name)[0], headers=KEPT)


@router.get("/projects/{project}/images/{image}/labels", summary="Get the labels of an image")
def get_labels(request: Request, project: str, image: int) -> ImageLabels:
    """Returns the current version."""
    found = labeling_of(request).projects.get(project)
    return found.labels.get(found.image(image).id)


@router.put(
    "/projects/{project}/images/{image}/labels",
    summary="Save the labels of an image",
    responses=problems(401, 404, 409, 422, 507),
)
def put_labels(request: Request, project: str, image: int, labels: ImageLabels) -> ImageLabels:
    """Saves the version that follows `revision`; 409 with the current one where that was changed elsewhere."""
    found = labeling_of(request).projects.get(project)
    entry = found.image(image)
    saved = found.labels.save(entry.id, labels, entry.size)
    found.write_coco()
    return saved


@router.get("/projects/{project}/images/{image}/history", summary="Get all versions of the labels of an image")
def get_history(request: Request, project: str, image: int) -> dict[str, Any]:
    """Returns the versions, the last one first."""
    found = labeling_of(request).projects.get(project)
    return {"versions": found.labels.history(found.image(image).id)}


@router.get(
    "/projects/{project}/images/{image}/suggestion",
    summary="Get the suggestion for an image",
    responses=problems(401, 404, 422, 503),
)
async def get_suggestion(request: Request, project: str, image: int) -> dict[str, Any]:
    """Returns the prediction of the project's model."""
    labeling = labeling_of(request)
    return await labeling.suggestion(labeling.projects.get(project), image)


@router.post("/projects/{project}/suggestions", summary="Predict all images", responses=problems(401, 404, 422))
async def suggest(request: Request, project: str, body: SuggestRequest) -> dict[str, Any]:
    """Begins to predict all images whose labels are not finished, in the background."""
    labeling = labeling_of(request)
    found = labeling.projects.get(project)
    await labeling.suggest(found, body.model)
    return labeling.suggestions(found).state()


@router.get("/projects/{project}/labels.json", summary="Get the labels as COCO", responses=problems(401, 404))
def coco(request: Request, project: str) -> JSONResponse:
    """Returns all labels of the project."""
    found = labeling_of(request).projects.get(project)
    headers = {"Content-Disposition": f'attachment; filename="{found.id}.labels.json"'}
    return JSONResponse(found.labels.coco(found.records()), headers=headers)


def labeling_of(request: Request) -> Labeling:
    """Returns the projects of the server that a request came to."""
    labeling: Labeling = request.app.state.labeling
    return labeling


def _own(labeling: Labeling, project: str) -> Project:
    """Returns a project that takes uploads."""
    found = labeling.projects.get(project)
    if found.source is not None:
        raise Problem(422, f"{found.name} is a folder of images: add them there, and start the server again")
    return found


async def _files(request: Request, limits: BodyLimits, target: Path | None = None) -> list[Any]:
    try:
        return await read_files(request, limits, target)
    except Problem as problem:
        if problem.status != 408:
            await drain(request)
        raise


def _skeleton(value: str | dict[str, Any]) -> Skeleton:
    if isinstance(value, dict):
        skeleton = Skeleton.from_dict(value)
        if len(skeleton) > MAX_JOINTS:
            raise Problem(422, f"a skeleton may have {MAX_JOINTS} keypoints, got {len(skeleton)}")
        return skeleton
    if value not in skeleton_names():  # a path would name a file of the server
        raise Problem(422, f"no skeleton {value[:80]!r}: expected one of {', '.join(skeleton_names())}")
    return load_skeleton(value)


def _image(project: Project, labeling: Labeling, image: ProjectImage) -> dict[str, Any]:
    labels, suggestions = project.labels.get(image.id), labeling.suggestions(project)
    suggested = suggestions.get(image.id) is not None
    return {
        "id": image.id,
        "name": image.name,
        "width": image.width,
        "height": image.height,
        "state": "labeled" if labels.labeled else "started" if labels.revision else "new",
        "suggested": suggested,
        "reason": suggestions.uncertainty(image.id).reason if suggested and not labels.labeled else "",
    }
