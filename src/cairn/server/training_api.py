"""`/v1/trainings`: trainings on the labels of a project."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

from fastapi import APIRouter, Request
from fastapi.responses import FileResponse
from pydantic import BaseModel, ConfigDict, Field

from cairn.extras import require_training
from cairn.inference.zoo import DEFAULT_MODEL
from cairn.server.problems import problems
from cairn.server.project_api import labeling_of
from cairn.server.state import server_of
from cairn.server.trainings import TrainingOrder, Trainings

AUTOMATIC, NONE = "", "none"

SAME_KEYPOINTS_RATE = 1e-4
"""Learning rate where the pretrained model predicts the same keypoints: it corrects them, and learns no new ones.

After a minute on 5 labeled images the default for new layers, 3e-3, had lost what `person` could do (AP 0 on a sixth
image), and this rate had kept it (AP 30).
"""

router = APIRouter(prefix="/v1", tags=["train"])


class TrainingRequest(BaseModel):
    """A new training.

    Attributes:
        project: ID of the project whose finished labels it trains on.
        name: Name of the model.
        pretrained: Name of the model to fine-tune; "" chooses by the labels, "none" trains from scratch.
        minutes: Target duration, unless `epochs` is given.
        epochs: Number of epochs.
    """

    model_config = ConfigDict(extra="forbid")

    project: Annotated[str, Field(max_length=100)]
    name: Annotated[str, Field(min_length=1, max_length=60)]
    pretrained: Annotated[str, Field(max_length=200)] = AUTOMATIC
    minutes: Annotated[float, Field(gt=0, le=10_080)] = 20.0
    epochs: Annotated[int, Field(ge=1, le=10_000)] | None = None


@router.get("/trainings", summary="List the trainings", responses=problems(401))
def list_trainings(request: Request) -> dict[str, Any]:
    """Returns the state of each training, the last one first."""
    return {"trainings": [_shown(request, each) for each in _trainings(request).all()]}


@router.post("/trainings", summary="Start a training", status_code=201, responses=problems(401, 404, 422, 507))
async def start_training(request: Request, body: TrainingRequest) -> dict[str, Any]:
    """Starts a process that trains on a copy of the finished labels."""
    require_training()
    project = labeling_of(request).projects.get(body.project)
    file, settings = body.pretrained, {}
    if file != NONE:
        model = await server_of(request).catalog.model(file or DEFAULT_MODEL)
        if file:
            file = file if model.bundled else str(model.file)
        if set(project.skeleton.joints) <= set(model.values["joints"]):
            settings["optimizer.learning_rate"] = SAME_KEYPOINTS_RATE
    minutes = body.minutes if body.epochs is None else None
    order = TrainingOrder(body.name, file, minutes, body.epochs, settings)
    return await asyncio.to_thread(_trainings(request).start, project, order, body.pretrained)


@router.get("/trainings/{training}", summary="Get a training", responses=problems(401, 404))
def get_training(request: Request, training: str) -> dict[str, Any]:
    """Returns the state with metrics, numbers of validation images and the end of the log."""
    return _shown(request, _trainings(request).state(training, full=True))


@router.delete("/trainings/{training}", summary="Delete a training", responses=problems(401, 404, 409))
def delete_training(request: Request, training: str) -> dict[str, str]:
    """Deletes a training that does not run: its run folder with the model, its log and its copy of the labels.

    The project and its images stay.
    """
    return {"detail": _trainings(request).delete(training, labeling_of(request).scratch)}


@router.post("/trainings/{training}/stop", summary="Stop a training", responses=problems(401, 404, 409))
def stop_training(request: Request, training: str) -> dict[str, Any]:
    """Ends the process; what it trained until its last epoch is kept."""
    return _trainings(request).stop(training)


@router.post("/trainings/{training}/resume", summary="Resume a training", responses=problems(401, 404, 409))
def resume_training(request: Request, training: str) -> dict[str, Any]:
    """Continues after the last epoch."""
    return _trainings(request).resume(training)


@router.get("/trainings/{training}/validation/{number}", summary="Get a validation image", responses=problems(401, 404))
def validation_image(request: Request, training: str, number: int) -> FileResponse:
    """Returns a validation image with the prediction of the latest validation."""
    path = _trainings(request).validation_image(training, number)
    return FileResponse(path, media_type="image/jpeg", headers={"Cache-Control": "no-store"})


def _shown(request: Request, state: dict[str, Any]) -> dict[str, Any]:
    """Returns a state without a project that was deleted."""
    return state if labeling_of(request).projects.has(state["project"]) else {**state, "project": None}


def _trainings(request: Request) -> Trainings:
    trainings: Trainings = request.app.state.trainings
    return trainings
