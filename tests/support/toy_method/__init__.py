"""A toy method, as CONTRIBUTING describes one: this folder, and one entry in `METHODS`.

It detects one instance per image: one 1×1 convolution scores each joint by color, and the highest cell wins.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from cairn.inference.network import Maps, Network
from cairn.inference.predictor import TopDownPredictor
from cairn.methods.method import Method
from cairn.ops.heatmaps import argmax_keypoints
from cairn.structures.poses import Poses
from cairn.structures.skeleton import Skeleton

if TYPE_CHECKING:
    from cairn.training.method import TrainingMethod


def decode(heatmaps: Any, skeleton: Skeleton) -> Poses:
    """heatmaps (K, h, w) -> one instance in map cells."""
    keypoints, confidence = argmax_keypoints(heatmaps, "none")
    return Poses(keypoints[None], confidence[None], confidence.mean(keepdims=True), skeleton)


def predictor(network: Network, size: int | None = None, **settings: Any) -> TopDownPredictor:
    """A predictor over a network with the output `heatmaps`."""
    return TopDownPredictor(network, partial(_decode_outputs, skeleton=network.spec.skeleton, **settings), size)


def _decode_outputs(maps: Maps, skeleton: Skeleton) -> Poses:
    return decode(maps["heatmaps"], skeleton)


def _training() -> TrainingMethod:
    from support.toy_method.training import TRAINING

    return TRAINING


METHOD = Method("toy", ("single_instance",), predictor, _training)
