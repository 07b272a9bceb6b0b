"""What the specification of every model file says: its name, method, license, provenance and metrics."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Annotated, Any, Self, get_args

from pydantic import BaseModel, BeforeValidator, ConfigDict, PlainSerializer, ValidationError

from cairn.errors import CairnError, ModelError
from cairn.structures.skeleton import Skeleton

METADATA_KEY = "cairn.spec"
"""Metadata key of the specification in an .onnx file; the value is JSON."""

USES = {
    "lifting": "lifts 2D keypoints to 3D: cairn detect --lift",
    "keypoints3d": "detects 3D keypoints of the object in an image: cairn.Keypoints3D",
    "cloud": "detects keypoints of point clouds: cairn keypoints --model",
}
"""Tasks of models whose input is not an image, and what runs them."""


def _read_skeleton(value: Any) -> Skeleton:
    try:
        return value if isinstance(value, Skeleton) else Skeleton.from_dict(value)
    except CairnError as error:
        raise ValueError(str(error)) from None


SkeletonField = Annotated[Skeleton, BeforeValidator(_read_skeleton), PlainSerializer(Skeleton.to_dict)]


class Value(BaseModel):
    """A part of a specification; unknown names are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)


class Spec(Value):
    """What every model file states.

    Attributes:
        name: Name of the model.
        method: Name of the method that it is of.
        task: What the model does.
        license: License of the weights.
        sources: Data and weights that the model was trained on, one sentence each.
        provenance: Version, date, seed, epochs and so on of the training run.
        metrics: Metrics on the validation set, by name.
    """

    name: str
    method: str
    task: str
    license: str = ""
    sources: tuple[str, ...] = ()
    provenance: dict[str, str | int | float] = {}
    metrics: dict[str, float] = {}

    def to_json(self) -> str:
        """Returns the specification as JSON, as `from_json` reads it."""
        return self.model_dump_json()

    @classmethod
    def migrated(cls, values: dict[str, Any], where: str) -> dict[str, Any]:
        """Returns the values of an older format as those of the present one."""
        return values

    @classmethod
    def from_json(cls, text: str, where: str = "the model") -> Self:
        """Reads a specification; older formats are migrated.

        Args:
            text: JSON.
            where: The file, for messages.

        Raises:
            ModelError: The text is not a specification of a format that this version reads, or of another task.
        """
        try:
            values = json.loads(text)
            if isinstance(values, Mapping):
                _check_task(values.get("task"), cls.model_fields["task"].annotation, where)
                values = cls.migrated(dict(values), where)
            return cls.model_validate(values)
        except (ValidationError, ValueError) as error:
            reason = str(error)
            if isinstance(error, ValidationError):
                first = error.errors()[0]
                key = ".".join(map(str, first["loc"]))
                reason = (f"{key}: " if key else "") + first["msg"].removeprefix("Value error, ")
            raise ModelError(f"the {METADATA_KEY} of {where} cannot be read ({reason})") from None


def _check_task(task: Any, expected: Any, where: str) -> None:
    """Checks that a model is for what it is used for, where one of both has an input that is not an image."""
    tasks: tuple[str, ...] = get_args(expected)
    if task in tasks or not isinstance(task, str):
        return
    if task in USES:
        raise ModelError(f"{where} {USES[task]}; expected a model for {' or '.join(tasks)}")
    if set(tasks) & set(USES):
        raise ModelError(f"{where} is a model of images, for {task}; expected one that {USES[tasks[0]]}")
