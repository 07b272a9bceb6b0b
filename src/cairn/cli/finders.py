"""What finds the objects, from what the user said of models and boxes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cairn.errors import CairnError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import ArrayLike, NDArray

    from cairn.geometry import Affine
    from cairn.network import Maps
    from cairn.poses import Poses
    from cairn.spec import ModelSpec

WHOLE, CROPS = "person", "person-single"
"""The embedded models for all people in a picture, and for one in a box."""


@dataclass(frozen=True)
class Finder:
    """Finds objects in two steps, so that one picture can be decoded while the network is at the next.

    predictor  picture -> poses
    boxes      path of a picture -> its boxes (P, 4), for the predictor to look into; None where it needs none
    """

    spec: ModelSpec
    predictor: Callable[..., Poses]
    boxes: Mapping[Path, ArrayLike] | None = None

    @property
    def has_maps(self) -> bool:
        """Whether there are maps of the whole picture between the two steps."""
        from cairn.predictor import Predictor

        return type(self.predictor) is Predictor

    def look(self, path: Path, image: NDArray[np.uint8]) -> tuple[Maps, Affine] | Poses:
        """What takes the network: maps and where their cells lie, or else the poses themselves."""
        if self.has_maps:
            return self.predictor.maps(image)  # type: ignore[attr-defined]
        return self.predictor(image) if self.boxes is None else self.predictor(image, boxes=self.boxes[path])

    def poses(self, looked: tuple[Maps, Affine] | Poses) -> Poses:
        """In pixels of the picture, from what `look` gave."""
        if not isinstance(looked, tuple):
            return looked
        maps, to_picture = looked
        return self.predictor.decode(maps).transformed(to_picture)  # type: ignore[attr-defined]


def finder(
    pictures: Sequence[Path],
    model: str | None,
    boxes: Path | None,
    refining: str | None,
    threads: int,
    size: int | None,
) -> Finder:
    """pictures: the paths of all there are to look at, for boxes that go by them."""
    from cairn.load import load
    from cairn.predictor import CropPredictor, RefinedPredictor

    predictor = load(model or (CROPS if boxes else WHOLE), threads=threads, size=size)
    if boxes:
        from cairn.annotations.boxes import read_boxes

        if refining:
            raise CairnError("--boxes says where the objects are, and --refine looks for them: give one of the two")
        if not isinstance(predictor, CropPredictor):
            raise CairnError(f"--boxes is for models of one object; {predictor.spec.name} finds all by itself")
        return Finder(predictor.spec, predictor, dict(zip(pictures, read_boxes(boxes).of(list(pictures)), strict=True)))
    if refining:
        crops = load(refining, threads=threads)
        if isinstance(predictor, CropPredictor) or not isinstance(crops, CropPredictor):
            raise CairnError(
                f"--refine goes from a model of whole pictures to one of single objects; "
                f"got {predictor.spec.name} and {crops.spec.name}"
            )
        return Finder(crops.spec, RefinedPredictor(predictor, crops))
    return Finder(predictor.spec, predictor)
