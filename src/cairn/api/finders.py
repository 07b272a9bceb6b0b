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

    from cairn.inference.model_spec import ModelSpec
    from cairn.inference.network import Maps
    from cairn.inference.predictor import TopDownPredictor
    from cairn.inference.resolution import Resolution
    from cairn.structures.geometry import Affine
    from cairn.structures.poses import Poses

WHOLE, CROPS = "person", "person-single"
"""The embedded models for all people in an image, and for one in a box."""


@dataclass(frozen=True)
class Finder:
    """Finds objects in two steps, so that one image can be decoded while the network is at the next.

    predictor  image -> poses
    boxes      path of an image -> its boxes (P, 4), for the predictor to look into; None where it needs none
    """

    spec: ModelSpec
    predictor: Callable[..., Poses]
    boxes: Mapping[Path, ArrayLike] | None = None

    @property
    def has_maps(self) -> bool:
        """Whether there are maps of the whole image between the two steps."""
        from cairn.inference.predictor import BottomUpPredictor

        return type(self.predictor) is BottomUpPredictor

    def look(self, path: Path, image: NDArray[np.uint8]) -> tuple[Maps, Affine] | Poses:
        """What takes the network: maps and where their cells lie, or else the poses themselves."""
        if self.has_maps:
            return self.predictor.maps(image)  # type: ignore[attr-defined]
        return self.predictor(image) if self.boxes is None else self.predictor(image, boxes=self.boxes[path])

    def poses(self, looked: tuple[Maps, Affine] | Poses) -> Poses:
        """In pixels of the image, from what `look` gave."""
        if not isinstance(looked, tuple):
            return looked
        maps, to_image = looked
        return self.predictor.decode(maps).transformed(to_image)  # type: ignore[attr-defined]


def finder(
    images: Sequence[Path],
    model: str | None,
    boxes: Path | None,
    refining: str | None,
    threads: int,
    size: int | Resolution | None,
    hands: str | None = None,
    face: str | None = None,
) -> Finder:
    """images: the paths of all there are to look at, for boxes that go by them."""
    finds = _bodies(images, model, boxes, refining, threads, size)
    if hands is None and face is None:
        return finds

    from cairn.inference.whole_body import WholeBodyPredictor

    hand_crops, face_crops = _crops("--hands", hands, threads), _crops("--face", face, threads)
    whole = WholeBodyPredictor(finds.predictor, hand_crops, face_crops)  # type: ignore[arg-type]  # all have a spec
    return Finder(whole.spec, whole, finds.boxes)


def resolution(size: int | None, net: str | None, scales: int | None, gap: float) -> int | Resolution | None:
    """What the network is shown, from the user's options. Raises CairnError where they contradict each other."""
    from cairn.inference.resolution import DEFAULT_GAP, Resolution

    if scales in (None, 1) and gap != DEFAULT_GAP:
        raise CairnError("--scale-gap is between scales: give --scales 2, or more")
    if size is not None and net is not None:
        raise CairnError("--size and --net-resolution both say how large the network is shown an image: give one")
    if net is None and scales is None:
        return size
    shape = Resolution(longest=size) if net is None else Resolution.parse(net)
    return Resolution(shape.longest, shape.width, shape.height, scales, gap)


def _crops(option: str, model: str | None, threads: int) -> TopDownPredictor | None:
    from cairn.api.load import load
    from cairn.inference.predictor import TopDownPredictor

    if model is None:
        return None
    predictor = load(model, threads=threads)
    if not isinstance(predictor, TopDownPredictor):
        raise CairnError(f"{option} takes a model of one object in a crop; {predictor.spec.name} looks at whole images")
    return predictor


def _bodies(
    images: Sequence[Path],
    model: str | None,
    boxes: Path | None,
    refining: str | None,
    threads: int,
    size: int | Resolution | None,
) -> Finder:
    from cairn.api.load import load
    from cairn.inference.predictor import RefinedPredictor, TopDownPredictor

    predictor = load(model if model is not None else CROPS if boxes else WHOLE, threads=threads, size=size)
    if boxes:
        from cairn.datasets.formats.boxes import read_boxes

        if refining is not None:
            raise CairnError("--boxes says where the objects are, and --refine looks for them: give one of the two")
        if not isinstance(predictor, TopDownPredictor):
            raise CairnError(f"--boxes is for models of one object; {predictor.spec.name} finds all by itself")
        return Finder(predictor.spec, predictor, dict(zip(images, read_boxes(boxes).of(list(images)), strict=True)))
    if refining is not None:
        crops = load(refining, threads=threads)
        if isinstance(predictor, TopDownPredictor) or not isinstance(crops, TopDownPredictor):
            raise CairnError(
                f"--refine goes from a model of whole images to one of single objects; "
                f"got {predictor.spec.name} and {crops.spec.name}"
            )
        return Finder(crops.spec, RefinedPredictor(predictor, crops))  # type: ignore[arg-type]
    return Finder(predictor.spec, predictor)
