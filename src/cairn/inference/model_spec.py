"""What a model file says of itself: all that is needed to use it, and where it comes from."""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, ValidationError

from cairn.errors import CairnError, ModelError
from cairn.inference.resolution import DEFAULT_GAP
from cairn.structures.skeleton import Skeleton

METADATA_KEY = "cairn.spec"
"""Where an .onnx file keeps its specification, as JSON."""


def _read_skeleton(value: Any) -> Skeleton:
    try:
        return value if isinstance(value, Skeleton) else Skeleton.from_dict(value)
    except CairnError as error:
        raise ValueError(str(error)) from None


Fit = Literal["letterbox", "crop", "whole"]
"""What of a picture a network is shown; see `InputSpec`."""

SkeletonField = Annotated[Skeleton, BeforeValidator(_read_skeleton), PlainSerializer(Skeleton.to_dict)]


class _Value(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)


class InputSpec(_Value):
    """What the network is shown: float32 RGB from 0 to 255, (B, 3, h, w).

    letterbox  the whole picture, its longest side scaled to `size`, padded to a multiple of `multiple`
    crop       a square of `size` pixels around one object
    whole      the whole picture, which has one object, in a square of `size` pixels: its longer side fills it

    scales, gap  of a letterbox: as in `Resolution`
    """

    fit: Fit
    size: Annotated[int, Field(gt=0)]
    multiple: Annotated[int, Field(gt=0)] = 32
    margin: Annotated[float, Field(gt=0)] = 1.25
    """For the square around an object: its side over the longer side of the object's box."""
    scales: Annotated[int, Field(ge=1)] = 1
    gap: Annotated[float, Field(gt=0, lt=1)] = DEFAULT_GAP


class ModelSpec(_Value):
    """The specification of one model.

    decode          the keyword arguments of the method's decode()
    draw_threshold  keypoints less sure than this are found, but better not drawn
    """

    format: Literal[1] = 1
    name: str
    method: str
    skeleton: SkeletonField
    input: InputSpec
    stride: Annotated[int, Field(gt=0)]
    outputs: tuple[str, ...]
    decode: dict[str, float | int | bool | str] = {}
    draw_threshold: Annotated[float, Field(ge=0, le=1)] = 0.0
    licence: str = ""
    sources: tuple[str, ...] = ()
    provenance: dict[str, str | int | float] = {}
    figures: dict[str, float] = {}

    def to_json(self) -> str:
        return self.model_dump_json()

    @classmethod
    def from_json(cls, text: str) -> ModelSpec:
        """Raises ModelError where the text is no specification of a format that this version reads."""
        try:
            return cls.model_validate(json.loads(text))
        except (ValidationError, ValueError) as error:
            reason = str(error)
            if isinstance(error, ValidationError):
                first = error.errors()[0]
                where = ".".join(map(str, first["loc"]))
                reason = (f"{where}: " if where else "") + first["msg"].removeprefix("Value error, ")
            raise ModelError(f"the model's {METADATA_KEY} cannot be read ({reason})") from None
