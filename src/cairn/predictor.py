"""From a picture to poses: preprocess -> network -> decode -> back to the picture's own pixels."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cairn.errors import ImageError
from cairn.geometry import field_affine, letterbox
from cairn.image import read_image
from cairn.network import Maps, Network
from cairn.poses import Poses
from cairn.spec import ModelSpec

Picture = str | Path | NDArray[np.uint8]
"""A path, or an (H, W, 3) uint8 RGB array."""

Decode = Callable[[Maps], Poses]
"""One picture's maps, name -> (C, h, w), to poses in field cells."""


class Predictor:
    """Finds every object in a whole picture (bottom-up).

    network  the network, which knows its specification
    decode   the method's decoder, its thresholds already set
    size     longest side in pixels that the network is shown; None takes the specification's
    """

    def __init__(self, network: Network, decode: Decode, size: int | None = None) -> None:
        self.network = network
        self.decode = decode
        self.size = size or network.spec.input.size

    @property
    def spec(self) -> ModelSpec:
        return self.network.spec

    def __call__(self, picture: Picture) -> Poses:
        """The poses in a picture, in its own pixels.

        Raises ImageError where a path cannot be read, or an array is not (H, W, 3) uint8.
        """
        image = as_image(picture)
        affine, size = letterbox(image.shape[:2], self.size, self.spec.input.multiple)
        maps = self.network(to_input(affine.warp(image, size)))
        poses = self.decode({name: values[0] for name, values in maps.items()})
        return poses.transformed(field_affine(self.spec.stride).then(affine.inverse()))


def as_image(picture: Picture) -> NDArray[np.uint8]:
    """(H, W, 3) uint8 RGB of a path or of an array that is one already."""
    if isinstance(picture, str | Path):
        return read_image(picture)
    if not isinstance(picture, np.ndarray) or picture.dtype != np.uint8 or picture.ndim != 3 or picture.shape[2] != 3:
        got = f"{picture.dtype} {picture.shape}" if isinstance(picture, np.ndarray) else type(picture).__name__
        raise ImageError(f"a picture must be a path or an (H, W, 3) uint8 RGB array, got {got}")
    return picture


def to_input(image: NDArray[np.uint8]) -> NDArray[np.float32]:
    """(h, w, 3) uint8 -> (1, 3, h, w) float32, still from 0 to 255."""
    return np.ascontiguousarray(image.transpose(2, 0, 1)[None], dtype=np.float32)
