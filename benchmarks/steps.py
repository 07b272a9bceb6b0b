"""The steps of `cairn.inference.predictor.BottomUpPredictor`, one by one, for benchmarks that time each."""

from __future__ import annotations

from numpy.typing import NDArray

from cairn.inference.network import Maps
from cairn.inference.predictor import BottomUpPredictor, to_input
from cairn.inference.resolution import average_maps
from cairn.structures.geometry import Affine


def resized(model: BottomUpPredictor, image: NDArray) -> tuple[list[NDArray], list[Affine]]:
    """What the network is shown of an image at each of the model's scales, and the maps to these from the image."""
    fits = model.resolution.fit(image.shape[:2], model.spec.input.multiple)
    return [to_input(affine.warp(image, size)) for affine, size in fits], [affine for affine, _ in fits]


def looked_at(model: BottomUpPredictor, shown: list[NDArray]) -> list[Maps]:
    return [model.network(images) for images in shown]


def averaged(scales: list[Maps], affines: list[Affine]) -> Maps:
    return {name: average_maps([scale[name][0] for scale in scales], affines) for name in scales[0]}
