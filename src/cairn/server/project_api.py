"""`/v1/projects`: label projects, their images, labels and suggestions; and `/v1/skeletons`."""

from __future__ import annotations

import asyncio
from mimetypes import guess_type
from typing import Annotated, Any

from fastapi import APIRouter, Request
from fastapi.responses import FileResponse, JSONResponse, Response
from pydantic import BaseModel, ConfigDict, Field

from cairn.inference.zoo import DEFAULT_MODEL
from cairn.server.label_store import ImageLabels
from cairn.server.labeling import Labeling
from cairn.server.problems import Problem, problems
from cairn.server.project import SHOWN, Project, ProjectImage
from cairn.structures.skeleton import Skeleton, load_skeleton, skeleton_names
from cairn.wording import counted

MAX_JOINTS = 200

KEPT = {"Cache-Control": "private, max-age=86400, immutable"}
"""Header of images, which never change."""

router = APIRouter(prefix="/v1", tags=["label"])


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
    images = [image_body(found, labeling, found.images[i]) for i in suggestions.order()]
    return {**found.summary(), "suggestions": suggestions.state(), "ordered": images}


@router.delete("/projects/{project}", summary="Delete a project", responses=problems(401, 404, 409))
async def delete_project(request: Request, project: str) -> dict[str, str]:
    """Deletes its labels with all versions, and its uploaded images; those of a folder of the user stay.

    A project whose images a training uses is not deleted.
    """
    labeling = labeling_of(request)
    found = labeling.projects.get(project)
    await asyncio.to_thread(request.app.state.trainings.check_free, found)
    labeled, images = counted(found.labels.counts()[1], "image"), counted(len(found.images), "image")
    await labeling.delete(found)
    if found.source is None:
        return {"detail": f"{found.name} is deleted with its {images} and the labels of {labeled}"}
    return {"detail": f"{found.name} is deleted with the labels of {labeled}; its images stay in their folder"}


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
    return found.save(entry, labels)


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


def _skeleton(value: str | dict[str, Any]) -> Skeleton:
    if isinstance(value, dict):
        skeleton = Skeleton.from_dict(value)
        if len(skeleton) > MAX_JOINTS:
            raise Problem(422, f"a skeleton may have {MAX_JOINTS} keypoints, got {len(skeleton)}")
        return skeleton
    if value not in skeleton_names():  # a path would name a file of the server
        raise Problem(422, f"no skeleton {value[:80]!r}: expected one of {', '.join(skeleton_names())}")
    return load_skeleton(value)


def image_body(project: Project, labeling: Labeling, image: ProjectImage) -> dict[str, Any]:
    """Returns an image as clients get it."""
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
