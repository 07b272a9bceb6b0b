"""Top-down prediction: one instance in the crop around each bounding box."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cairn.errors import ImageError, LabelError, ModelError
from cairn.inference.base import BasePredictor, Decode, to_input
from cairn.inference.boxes import MIN_CROP, box_text, check_boxes
from cairn.inference.model_spec import CLASSES, ModelSpec
from cairn.inference.network import Maps, Network
from cairn.inference.resolution import SIDES, Resolution, zoomed
from cairn.ops.heatmaps import flip_heatmaps
from cairn.structures.geometry import Affine, Size, crop, field_affine
from cairn.structures.poses import Poses

Square: TypeAlias = tuple[tuple[float, float], float]
"""Center (x, y) and side in pixels."""

View: TypeAlias = tuple[int, float]
"""Number of quarter turns of a crop, and its side over the margin times the box."""

PLAIN: tuple[View, ...] = ((0, 1.0),)
"""The crop itself."""

TURNED: tuple[View, ...] = ((0, 1.0), (1, 0.8), (2, 1.0), (3, 1.25))
"""Four turns, of three sizes: nearly as good as all twelve combinations, in a third of the time."""

SIZES: tuple[View, ...] = ((0, 0.8), (0, 1.0), (0, 1.25))
"""Three sizes."""

CROPS_AT_ONCE = 16
"""Maximum number of crops that the network runs on at once; memory does not grow with the number of boxes."""


class TopDownPredictor(BasePredictor[Poses]):
    """Detects one instance in each bounding box of an image.

    Attributes:
        network: The network, with its specification.
        decode: The decoder of the method for one crop, with its settings.
        size: Side in pixels of the network input.
        flip: Whether the network runs on each crop's mirror image too, and the maps are averaged (flip test).
        views: The crops of each instance, whose maps are averaged.
    """

    def __init__(
        self,
        network: Network,
        decode: Decode,
        size: int | Resolution | None = None,
        flip: bool = False,
        views: Sequence[View] = PLAIN,
    ) -> None:
        """Creates a predictor.

        Args:
            network: The network, with its specification.
            decode: The decoder of the method for one crop, with its settings.
            size: Side of the network input in pixels; None is the model's own.
            flip: Flip test: average the maps of each crop and of its mirror image.
            views: Average the maps of these crops around the center of a box, on the cells of `PLAIN`.

        Raises:
            ModelError: The network cannot run at this size.
        """
        self.network = network
        self.decode = decode
        self.size = _side(size, network.spec)
        self.flip = flip
        self.views = tuple(views)
        if self.size % self.spec.input.multiple:
            raise ModelError(
                f"the input size of model {self.spec.name} must be a multiple of {self.spec.input.multiple}, "
                f"got {self.size}"
            )

    @property
    def spec(self) -> ModelSpec:
        """The specification of the model."""
        return self.network.spec

    @property
    def networks(self) -> tuple[Network, ...]:
        """The network."""
        return (self.network,)

    def with_views(self, flip: bool, views: Sequence[View]) -> TopDownPredictor:
        """Returns a predictor with the same network and settings that averages the maps of other views."""
        return TopDownPredictor(self.network, self.decode, self.size, flip, views)

    def infer(self, pixels: NDArray[np.uint8], boxes: ArrayLike | None = None) -> Poses:
        """Returns one instance for each box, in image pixels.

        The crop is the square around the center of a box whose side is the longer side of the box times the margin
        of the specification. Crops are decoded here, `CROPS_AT_ONCE` together, so that memory stays constant.

        Args:
            pixels: (H, W, 3) uint8 RGB.
            boxes: (P, 4) x, y, width, height. None: one instance, and the square that holds the whole image.

        Raises:
            LabelError: Boxes are not (P, 4), not finite, without area, outside the image, or give a crop below
                `MIN_CROP` pixels.
            ImageError: There are no boxes, and the image is below `MIN_CROP` pixels.
        """
        return self.infer_batch([pixels], [boxes])[0]

    def infer_batch(self, images: Sequence[NDArray[np.uint8]], boxes: Sequence[ArrayLike | None]) -> list[Poses]:
        """Returns the instances of each image; crops of all images run together."""
        crops: list[tuple[int, Square]] = []
        for i, (image, own) in enumerate(zip(images, boxes, strict=True)):
            try:
                squares = self._squares(image.shape[:2], own)
            except (ImageError, LabelError) as error:
                raise (type(error)(f"image {i} of the batch: {error}") if len(images) > 1 else error) from None
            crops += [(i, square) for square in squares]
        found: list[list[Poses]] = [[] for _ in images]
        for start in range(0, len(crops), CROPS_AT_ONCE):
            some = crops[start : start + CROPS_AT_ONCE]
            maps = self._maps([(images[i], square) for i, square in some])
            for row, (i, square) in enumerate(some):
                pose = self.decode({name: values[row] for name, values in maps.items()})
                to_image = self._crop(square).inverse()
                found[i].append(pose.transformed(field_affine(self.spec.stride).then(to_image)))
        nothing = Poses.empty(self.spec.skeleton, self.spec.classes)
        return [Poses.concatenate(poses, self.spec.skeleton) if poses else nothing for poses in found]

    def decode_raw(self, raw: Poses) -> Poses:
        """Returns the poses, which `infer` has decoded."""
        return raw

    def _squares(self, size: Size, boxes: ArrayLike | None) -> list[Square]:
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
                f"box {i} ({box_text(checked[i])}) gives a crop of {sides[i]:.1f} pixels; the minimum is {MIN_CROP}"
            )
        return [((x + w / 2, y + h / 2), side) for (x, y, w, h), side in zip(checked.tolist(), sides, strict=True)]

    def _crop(self, square: Square, scale: float = 1.0) -> Affine:
        """Returns the map from the image to the crop of a square, whose side is multiplied by a scale."""
        center, side = square
        return crop(center, scale * side, (self.size, self.size))

    def _maps(self, squares: Sequence[tuple[NDArray[np.uint8], Square]]) -> Maps:
        """Returns the maps of N squares of images, averaged over the views of each: (N, C, h, w) each."""
        views = []
        for turn, scale in self.views:
            crops = [self._crop(square, scale).warp(image, (self.size, self.size)) for image, square in squares]
            inputs = np.concatenate([to_input(pixels) for pixels in crops])
            maps = self._of_crops(np.rot90(inputs, turn, axes=(2, 3)))
            if turn:
                maps = _of_fields(partial(np.rot90, k=-turn, axes=(2, 3)), maps)
            if scale != 1:
                maps = _of_fields(partial(zoomed, factor=1 / scale), maps)
            views.append(maps)
        return _mean(views)

    def _of_crops(self, inputs: NDArray[np.float32]) -> Maps:
        """Returns the maps of crops (N, 3, H, W), averaged with those of their mirror images for the flip test."""
        maps = self.network(np.ascontiguousarray(inputs))
        if not self.flip:
            return maps
        mirrored = self.network(np.ascontiguousarray(inputs[..., ::-1]))
        return _mean([maps, _of_fields(partial(flip_heatmaps, order=self.spec.skeleton.flip_order), mirrored)])


def _of_fields(change: Callable[[NDArray[np.float32]], NDArray[np.float32]], maps: Maps) -> Maps:
    """Returns maps that are changed, except those of the classes, which have no place."""
    return {name: values if name == CLASSES else change(values) for name, values in maps.items()}


def _mean(views: Sequence[Maps]) -> Maps:
    """Returns the mean of the maps of several views."""
    if len(views) == 1:
        return views[0]
    return {name: np.mean([maps[name] for maps in views], axis=0, dtype=np.float32) for name in views[0]}


def _side(size: int | Resolution | None, spec: ModelSpec) -> int:
    if size is None:
        return spec.input.size
    if isinstance(size, Resolution):
        raise ModelError(
            f"model {spec.name} predicts one instance per crop: its input size is one side, not a net resolution"
        )
    if not SIDES[0] <= size <= SIDES[1]:
        raise ModelError(f"size must be from {SIDES[0]} to {SIDES[1]} pixels, got {size}")
    return size
