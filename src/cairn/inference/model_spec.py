"""The specification of a model file: all that inference needs, and the provenance of the model."""

from __future__ import annotations

import logging
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from cairn.inference.resolution import DEFAULT_GAP
from cairn.inference.spec import METADATA_KEY, SkeletonField, Spec, Value
from cairn.migration import notice, rename_keys

__all__ = [
    "CLASSES",
    "FORMAT",
    "METADATA_KEY",
    "TASK_OF_FIT",
    "VISIBILITY",
    "InputSpec",
    "ModelSpec",
    "Resize",
    "Task",
    "migrate",
]

FORMAT: Literal[2] = 2
"""Version of the specification that is written; older versions are migrated when read."""

RENAMED = {
    "licence": "license",
    "figures": "metrics",
    "skeleton.colours": "skeleton.colors",
    "input.gap": "input.scale_gap",
    "decode.least_parts": "decode.min_parts",
    "decode.least_score": "decode.min_score",
    "decode.most_peaks": "decode.max_peaks",
    "decode.uncounted": "decode.ignore_keypoints",
    "provenance.calibrated_on_pictures": "provenance.calibrated_on_images",
    "provenance.labelled pictures": "provenance.labeled_images",
}
"""Keys of format 1 -> keys of format 2."""

CLASSES = "classes"
"""Name of the output for the classes: maps (B, C, h, w) of a whole image, or logits (B, C) of a crop."""

VISIBILITY = "visibility"
"""Name of the output (B, K, h, w) with the probability, at a keypoint, that it is visible and not occluded."""

TASK_OF_FIT = {"letterbox": "multi_instance", "whole": "single_instance", "crop": "crop"}
"""`input.fit` of format 1 -> `task` of format 2."""

Task = Literal["multi_instance", "single_instance", "crop"]
"""What a model detects: all instances of an image, its only instance, or one instance in the crop around a box."""

Resize = Literal["letterbox", "square"]
"""How an image becomes network input; see `InputSpec`."""

log = logging.getLogger(__name__)


class InputSpec(Value):
    """How an image, or a crop of it, becomes network input: float32 RGB from 0 to 255, (B, 3, h, w).

    Attributes:
        resize: "letterbox" scales the longest side to `size` and pads both sides to a multiple of `multiple`;
            "square" scales the longer side to `size` and pads to a square of `size`.
        size: Pixels.
        multiple: Pixels of which each side must be a multiple.
        margin: Side of the square crop around a bounding box, over the longer side of that box.
        scales: Number of test-time scales of a letterboxed image whose outputs are averaged.
        scale_gap: Difference between two scales, as in `Resolution`.
    """

    resize: Resize
    size: Annotated[int, Field(gt=0)]
    multiple: Annotated[int, Field(gt=0)] = 32
    margin: Annotated[float, Field(gt=0)] = 1.25
    scales: Annotated[int, Field(ge=1)] = 1
    scale_gap: Annotated[float, Field(gt=0, lt=1)] = DEFAULT_GAP


class ModelSpec(Spec):
    """The specification of a model of images.

    Attributes:
        format: Version of this specification.
        task: What the model detects.
        skeleton: Keypoints and limbs.
        classes: Names of the classes, in the order of output "classes"; empty for a model of one class.
        input: How an image becomes network input.
        stride: Input pixels per cell of the output maps.
        outputs: Names of the network's outputs, in order.
        decode: Keyword arguments of the method's `decode()`.
        draw_threshold: Minimum keypoint confidence to draw by default.
    """

    format: Literal[2] = FORMAT
    task: Task
    skeleton: SkeletonField
    classes: tuple[str, ...] = ()
    input: InputSpec
    stride: Annotated[int, Field(gt=0)]
    outputs: tuple[str, ...]
    decode: dict[str, float | int | bool | str] = Field(default={})
    draw_threshold: Annotated[float, Field(ge=0, le=1)] = 0.0

    def to_json(self) -> str:
        """Returns the specification as JSON, as `from_json` reads it.

        That of a model of one class has no key for classes, so that earlier versions read it, too.
        """
        return self.model_dump_json(exclude=None if self.classes else {"classes"})

    @model_validator(mode="after")
    def _check_classes(self) -> ModelSpec:
        if len(set(self.classes)) != len(self.classes) or len(self.classes) == 1:
            raise ValueError(f"classes must be several different names, or none, got {', '.join(self.classes)}")
        if bool(self.classes) != (CLASSES in self.outputs):
            raise ValueError("a model of several classes has their names in classes and the output classes")
        return self

    @classmethod
    def migrated(cls, values: dict[str, Any], where: str) -> dict[str, Any]:
        """Returns the values of format 1 as those of format 2, with one line of warning."""
        if values.get("format") == 1:
            values, renamed = migrate(values)
            log.warning(notice(where, renamed))
        return values


def migrate(values: dict[str, Any]) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Returns a specification of format 1 as one of format 2, and its renamed keys as `rename_keys` does.

    Raises:
        ValueError: `input.fit` is missing or unknown.
    """
    values, renamed = rename_keys(values, RENAMED)
    shape = values.get("input")
    fit = shape.pop("fit", None) if isinstance(shape, dict) else None
    if not isinstance(shape, dict) or fit not in TASK_OF_FIT:
        raise ValueError(f"input.fit: expected one of {', '.join(TASK_OF_FIT)}, got {fit!r}")
    shape["resize"] = "letterbox" if fit == "letterbox" else "square"
    return {**values, "format": FORMAT, "task": TASK_OF_FIT[fit]}, (*renamed, "input.fit -> task, input.resize")
