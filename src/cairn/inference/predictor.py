"""From an image to poses: preprocess -> network -> decode -> back to the image's own pixels."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import replace
from numbers import Integral, Real
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cairn.errors import ImageError, LabelError, ModelError
from cairn.inference.model_spec import ModelSpec
from cairn.inference.network import Maps, Network
from cairn.inference.resolution import SIDES, Resolution, average_maps
from cairn.media.images import ImageLike, as_image
from cairn.ops.heatmaps import flip_heatmaps
from cairn.structures.geometry import Affine, Size, crop, field_affine
from cairn.structures.poses import Poses

Decode = Callable[[Maps], Poses]
"""One image's maps, name -> (C, h, w), to poses in field cells."""

MIN_CROP = 16
"""Side in pixels of the smallest crop: from less than four cells of a field nothing can be told."""

CROPS_AT_ONCE = 16
"""How many crops the network is shown together: memory does not grow with the number of boxes."""


class Predictor(Protocol):
    """Finds the instances in an image."""

    @property
    def spec(self) -> ModelSpec: ...

    def __call__(self, image: ImageLike) -> Poses: ...


class BottomUpPredictor:
    """Finds every object in a whole image (bottom-up).

    network  the network, which knows its specification
    decode   the method's decoder, its thresholds already set
    size     what of an image the network is shown: the longest side in pixels, or a `Resolution`; None takes the
             specification's

    Raises ModelError where a side is not within `SIDES`, or not one that the network can be shown.
    """

    def __init__(self, network: Network, decode: Decode, size: int | Resolution | None = None) -> None:
        self.network = network
        self.decode = decode
        given = size if isinstance(size, Resolution) else Resolution(longest=size)
        own = network.spec.input
        self.resolution = given.of_model(own.size, own.multiple, own.scales, own.scale_gap)

    @property
    def spec(self) -> ModelSpec:
        return self.network.spec

    def __call__(self, image: ImageLike) -> Poses:
        """The poses in an image, in its own pixels.

        Raises ImageError where a path cannot be read, or an array is not (H, W, 3) uint8.
        """
        maps, to_image = self.maps(as_image(image))
        return self.decode(maps).transformed(to_image)

    def maps(self, image: NDArray[np.uint8]) -> tuple[Maps, Affine]:
        """What the network makes of an image, each output (C, h, w), and where its cells lie in the image.

        With several scales it is the mean over them, on the cells of the first.
        """
        fits = self.resolution.fit(image.shape[:2], self.spec.input.multiple)
        affines = [affine for affine, _ in fits]
        scales = [self.network(to_input(affine.warp(image, size))) for affine, size in fits]
        maps = {name: average_maps([scale[name][0] for scale in scales], affines) for name in scales[0]}
        return maps, field_affine(self.spec.stride).then(affines[0].inverse())


class TopDownPredictor:
    """Finds one object in each box of an image (top-down).

    network  the network, which knows its specification
    decode   the method's decoder for one crop, its settings already made
    size     side in pixels of the crop that the network is shown; None takes the specification's
    flip     show it every crop's mirror too, and average the maps

    Raises ModelError where `size` is not within `SIDES`, or not a multiple of what the network can be shown.
    """

    def __init__(
        self, network: Network, decode: Decode, size: int | Resolution | None = None, flip: bool = False
    ) -> None:
        self.network = network
        self.decode = decode
        self.size = _side(size, network.spec)
        self.flip = flip
        if self.size % self.spec.input.multiple:
            raise ModelError(
                f"model {self.spec.name} is shown crops whose side is a multiple of {self.spec.input.multiple}, "
                f"got {self.size}"
            )

    @property
    def spec(self) -> ModelSpec:
        return self.network.spec

    def __call__(self, image: ImageLike, boxes: ArrayLike | None = None) -> Poses:
        """One object for each box, in the image's own pixels.

        boxes  (P, 4) x, y, width, height. The network is shown the square around a box's center whose side
               is the longer side times the specification's margin. None: one object, and the square that
               holds the whole image

        Raises ImageError as `BottomUpPredictor` does; LabelError where boxes are not (P, 4), not finite, without area,
        outside the image, or so small that the square is below `MIN_CROP` pixels.
        """
        pixels = as_image(image)
        size = (self.size, self.size)
        crops = [crop(center, side, size) for center, side in self._squares(pixels.shape[:2], boxes)]
        found: list[Poses] = []
        for start in range(0, len(crops), CROPS_AT_ONCE):
            some = crops[start : start + CROPS_AT_ONCE]
            maps = self._maps(np.concatenate([to_input(affine.warp(pixels, size)) for affine in some]))
            for i, affine in enumerate(some):
                pose = self.decode({name: values[i] for name, values in maps.items()})
                found.append(pose.transformed(field_affine(self.spec.stride).then(affine.inverse())))
        return _joined(found) if found else Poses.empty(self.spec.skeleton)

    def _squares(self, size: Size, boxes: ArrayLike | None) -> list[tuple[tuple[float, float], float]]:
        """Center and side of each crop."""
        if boxes is None:
            if max(size) < MIN_CROP:
                raise ImageError(
                    f"the image is {size[1]} x {size[0]} pixels; its longer side must be {MIN_CROP} at least"
                )
            return [(((size[1] - 1) / 2, (size[0] - 1) / 2), max(size))]
        checked = check_boxes(boxes, size)
        sides = self.spec.input.margin * checked[:, 2:].max(axis=1)
        if (sides < MIN_CROP).any():
            i = int(sides.argmin())
            raise LabelError(
                f"box {i} ({_numbers(checked[i])}) gives a crop of {sides[i]:.1f} pixels; the least is {MIN_CROP}"
            )
        return [((x + w / 2, y + h / 2), side) for (x, y, w, h), side in zip(checked.tolist(), sides, strict=True)]

    def _maps(self, images: NDArray[np.float32]) -> Maps:
        maps = self.network(images)
        if not self.flip:
            return maps
        order = self.spec.skeleton.flip_order
        mirrored = self.network(np.ascontiguousarray(images[..., ::-1]))
        return {name: (values + flip_heatmaps(mirrored[name], order)) / 2 for name, values in maps.items()}


class RefinedPredictor:
    """Top-down on top of bottom-up: what one predictor finds in an image, another looks at more closely.

    whole  finds the objects; only where they are and their scores are used
    crops  finds the joints, in the box around each object's keypoints, and says the skeleton
    """

    def __init__(self, whole: BottomUpPredictor, crops: TopDownPredictor) -> None:
        self.whole = whole
        self.crops = crops

    @property
    def spec(self) -> ModelSpec:
        return self.crops.spec

    def __call__(self, image: ImageLike) -> Poses:
        """As `BottomUpPredictor`. An object's score is the product of both predictors' scores."""
        pixels = as_image(image)
        coarse = self.whole(pixels)
        coarse = coarse[np.flatnonzero(coarse.detected.any(axis=1))]
        boxes = large_enough(coarse.boxes)
        inside = overlapping(boxes, pixels.shape[:2])  # a false find may lie in the letterbox's padding
        poses = self.crops(pixels, boxes[inside])
        return replace(poses, scores=poses.scores * coarse.scores[inside])


def check_settings(method: str, decode: Callable[..., Poses], settings: Mapping[str, Any]) -> None:
    """Raises ModelError where a method's `decode` has no such keyword, or the keyword's default is of another kind."""
    parameters = inspect.signature(decode).parameters.values()
    known = {parameter.name: parameter.default for parameter in parameters if parameter.default is not parameter.empty}
    if unknown := set(settings) - set(known):
        raise ModelError(f"decode() of {method} has no {', '.join(sorted(unknown))}; it has {', '.join(sorted(known))}")
    for name, value in settings.items():
        if not _alike(value, known[name]):
            raise ModelError(f"decode() of {method} takes {name} such as {known[name]!r}, got {value!r}")


def large_enough(boxes: NDArray) -> NDArray[np.float64]:
    """Boxes (P, 4), the small ones grown around their centers to the smallest crop: one joint's has no area."""
    growth = np.maximum(MIN_CROP - boxes[:, 2:].astype(np.float64), 0)
    return np.concatenate([boxes[:, :2] - growth / 2, boxes[:, 2:] + growth], axis=1)


def check_boxes(boxes: ArrayLike, size: Size) -> NDArray[np.float64]:
    """Boxes as (P, 4) x, y, width, height, each with an area inside an image of `size`, or a LabelError."""
    try:
        checked = np.asarray(boxes, dtype=np.float64)
    except (TypeError, ValueError):
        raise LabelError("boxes must be (P, 4) numbers x, y, width, height; got something else") from None
    if checked.size == 0:
        return np.zeros((0, 4))
    if checked.ndim != 2 or checked.shape[1] != 4:
        raise LabelError(f"boxes must be (P, 4) numbers x, y, width, height; got {checked.shape}")
    for wrong, what in (
        (~np.isfinite(checked).all(axis=1), "has a number that is not finite"),
        (~(checked[:, 2:] > 0).all(axis=1), "has no area: width and height must be above 0"),
        (~overlapping(checked, size), f"lies outside the image of {size[1]} x {size[0]} pixels"),
    ):
        if wrong.any():
            i = int(wrong.argmax())
            raise LabelError(f"box {i} ({_numbers(checked[i])}) {what}")
    return checked


def overlapping(boxes: NDArray, size: Size) -> NDArray[np.bool_]:
    """(P,): which boxes (P, 4) share an area with an image, whose pixels span from -0.5 to their number - 0.5."""
    low, high = boxes[:, :2], boxes[:, :2] + boxes[:, 2:]
    return ((low < np.array(size[::-1]) - 0.5) & (high > -0.5)).all(axis=1)


def to_input(image: NDArray[np.uint8]) -> NDArray[np.float32]:
    """(h, w, 3) uint8 -> (1, 3, h, w) float32, still from 0 to 255."""
    return np.ascontiguousarray(image.transpose(2, 0, 1)[None], dtype=np.float32)


def _alike(value: Any, default: Any) -> bool:
    """Whether a setting is of its default's kind; 0.0 and 1.0 are truth values too, as TOML's readers may give them."""
    if isinstance(default, bool):
        return value in (True, False)
    kind = next(kind for kind in (Integral, Real, str) if isinstance(default, kind))
    return isinstance(value, kind) and not isinstance(value, bool)


def _side(size: int | Resolution | None, spec: ModelSpec) -> int:
    if size is None:
        return spec.input.size
    if isinstance(size, Resolution):
        raise ModelError(f"model {spec.name} is shown one object at a time: its size is one side, not a resolution")
    if not SIDES[0] <= size <= SIDES[1]:
        raise ModelError(f"size must be from {SIDES[0]} to {SIDES[1]} pixels, got {size}")
    return size


def _joined(poses: list[Poses]) -> Poses:
    return Poses(
        np.concatenate([pose.keypoints for pose in poses]),
        np.concatenate([pose.confidence for pose in poses]),
        np.concatenate([pose.scores for pose in poses]),
        poses[0].skeleton,
    )


def _numbers(box: NDArray) -> str:
    return ", ".join(f"{value:g}" for value in box)
