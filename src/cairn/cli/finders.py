"""What finds the objects, from what the user said of models and boxes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from itertools import repeat
from pathlib import Path
from typing import TYPE_CHECKING

from cairn.errors import CairnError

if TYPE_CHECKING:
    from cairn.poses import Poses
    from cairn.spec import ModelSpec
    from cairn.writers import PictureName

WHOLE, CROPS = "person", "person-single"
"""The embedded models for all people in a picture, and for one in a box."""


def finders(
    pictures: Sequence[PictureName],
    model: str | None,
    boxes: Path | None,
    refining: str | None,
    threads: int,
    size: int | None,
) -> tuple[ModelSpec, Iterable[Callable[..., Poses]]]:
    """What the model says of itself, and for each picture what finds the objects in it."""
    from cairn.load import load
    from cairn.predictor import CropPredictor, RefinedPredictor

    predictor = load(model or (CROPS if boxes else WHOLE), threads=threads, size=size)
    if boxes:
        from cairn.annotations.boxes import read_boxes

        if refining:
            raise CairnError("--boxes says where the objects are, and --refine looks for them: give one of the two")
        if not isinstance(predictor, CropPredictor):
            raise CairnError(f"--boxes is for models of one object; {predictor.spec.name} finds all by itself")
        rows = read_boxes(boxes).of([picture.path for picture in pictures])
        return predictor.spec, [partial(predictor, boxes=some) for some in rows]
    if refining:
        crops = load(refining, threads=threads)
        if isinstance(predictor, CropPredictor) or not isinstance(crops, CropPredictor):
            raise CairnError(
                f"--refine goes from a model of whole pictures to one of single objects; "
                f"got {predictor.spec.name} and {crops.spec.name}"
            )
        refined = RefinedPredictor(predictor, crops)
        return refined.spec, repeat(refined)
    return predictor.spec, repeat(predictor)
