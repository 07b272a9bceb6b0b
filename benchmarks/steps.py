"""The steps of a `BottomUpPredictor`, one by one, for benchmarks that time each."""

from __future__ import annotations

from numpy.typing import NDArray

from cairn.inference.network import Maps
from cairn.inference.predictor import BottomUpPredictor, to_input
from cairn.inference.resolution import average_maps
from cairn.structures.geometry import Affine


def resize(model: BottomUpPredictor, image: NDArray) -> tuple[list[NDArray], list[Affine]]:
    """Returns the network input at each of the model's scales, and the affine maps to these from the image."""
    fits = model.resolution.fit(image.shape[:2], model.spec.input.multiple)
    return [to_input(affine.warp(image, size)) for affine, size in fits], [affine for affine, _ in fits]


def run_network(model: BottomUpPredictor, inputs: list[NDArray]) -> list[Maps]:
    """Returns the outputs at each scale."""
    return [model.network(images) for images in inputs]


def average(scales: list[Maps], affines: list[Affine]) -> Maps:
    """Returns the mean over the scales, on the cells of the first."""
    return {name: average_maps([scale[name][0] for scale in scales], affines) for name in scales[0]}
