"""Bottom-up prediction: all instances of a whole image at once."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cairn.errors import ModelError
from cairn.inference.base import BATCH, BasePredictor, Decode, to_input
from cairn.inference.model_spec import ModelSpec
from cairn.inference.network import MapsOfImage, Network
from cairn.inference.resolution import Resolution, average_maps
from cairn.structures.geometry import Affine, Size, field_affine
from cairn.structures.poses import Poses


class BottomUpPredictor(BasePredictor[MapsOfImage]):
    """Detects all instances of an image from the maps of the whole image.

    Attributes:
        network: The network, with its specification.
        decode: The decoder of the method, with its settings.
        resolution: Resolution of the network input.
    """

    def __init__(self, network: Network, decode: Decode, size: int | Resolution | None = None) -> None:
        """Creates a predictor.

        Args:
            network: The network, with its specification.
            decode: The decoder of the method, with its settings.
            size: Longest side of the network input in pixels, or a `Resolution`; None is the model's own.

        Raises:
            ModelError: The network cannot run at this size.
        """
        self.network = network
        self.decode = decode
        given = size if isinstance(size, Resolution) else Resolution(longest=size)
        own = network.spec.input
        self.resolution = given.of_model(own.size, own.multiple, own.scales, own.scale_gap)

    @property
    def spec(self) -> ModelSpec:
        """The specification of the model."""
        return self.network.spec

    @property
    def networks(self) -> tuple[Network, ...]:
        """The network."""
        return (self.network,)

    @property
    def has_maps(self) -> bool:
        """True."""
        return True

    def infer(self, pixels: NDArray[np.uint8], boxes: ArrayLike | None = None) -> MapsOfImage:
        """Returns the maps of an image.

        Raises:
            ModelError: Boxes are given.
        """
        self._refuse(boxes)
        return self.maps(pixels)

    def infer_batch(self, images: Sequence[NDArray[np.uint8]], boxes: Sequence[ArrayLike | None]) -> list[MapsOfImage]:
        """Returns the maps of each image; inputs of one size run together."""
        for own in boxes:
            self._refuse(own)
        fits = [self._fit(image) for image in images]
        groups: dict[tuple[Size, ...], list[int]] = {}
        for i, fit in enumerate(fits):
            groups.setdefault(tuple(size for _, size in fit), []).append(i)
        results: dict[int, MapsOfImage] = {}
        for rows in groups.values():
            for start in range(0, len(rows), BATCH):
                some = rows[start : start + BATCH]
                maps = self._maps([images[i] for i in some], [fits[i] for i in some])
                results.update(zip(some, maps, strict=True))
        return [results[i] for i in range(len(images))]

    def decode_raw(self, raw: MapsOfImage) -> Poses:
        """Returns the poses, in image pixels."""
        maps, to_image = raw
        return self.decode(maps).transformed(to_image)

    def maps_of(self, raw: MapsOfImage) -> MapsOfImage:
        """Returns the maps."""
        return raw

    def maps(self, image: NDArray[np.uint8]) -> MapsOfImage:
        """Returns the output maps of an image, each (C, h, w), and the map from their cells to image pixels.

        With several test-time scales they are the mean over the scales, on the cells of the first.
        """
        return self._maps([image], [self._fit(image)])[0]

    def _fit(self, image: NDArray[np.uint8]) -> list[tuple[Affine, Size]]:
        return self.resolution.fit(image.shape[:2], self.spec.input.multiple)

    def _maps(
        self, images: Sequence[NDArray[np.uint8]], fits: Sequence[list[tuple[Affine, Size]]]
    ) -> list[MapsOfImage]:
        """Runs the network on images whose inputs have one size, scale by scale."""
        scales = []
        for scale in range(len(fits[0])):
            inputs = []
            for image, fit in zip(images, fits, strict=True):
                affine, size = fit[scale]
                inputs.append(to_input(affine.warp(image, size)))
            scales.append(self.network(inputs[0] if len(inputs) == 1 else np.concatenate(inputs)))
        results = []
        for i, fit in enumerate(fits):
            affines = [affine for affine, _ in fit]
            maps = {name: average_maps([scale[name][i] for scale in scales], affines) for name in scales[0]}
            results.append((maps, field_affine(self.spec.stride).then(affines[0].inverse())))
        return results

    def _refuse(self, boxes: ArrayLike | None) -> None:
        if boxes is not None:
            raise ModelError(
                f"model {self.name} detects all instances of an image and takes no boxes: "
                "leave them out, or load a model of one instance per crop, such as person-single"
            )
