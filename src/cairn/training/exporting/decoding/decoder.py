"""What a method gives to decode inside a graph, and the decoding of one instance in a crop, which several share."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cairn.inference.model_spec import CLASSES, VISIBILITY, ModelSpec
from cairn.inference.network import Maps
from cairn.ops.heatmaps import Refinement
from cairn.structures.poses import Poses
from cairn.training.exporting.decoding.graph import Value
from cairn.training.exporting.decoding.maps import argmax_keypoints, values_at

Arrays = Mapping[str, NDArray[Any]]
"""Outputs of a decoded graph, by name."""

ToPixels = Callable[[Value], Value]
"""Points (..., 2) in cells -> the same points in pixels of the image."""

VISIBLE = "probability that the keypoint is visible and not occluded"
"""Meaning of the output `visibility`."""


@dataclass(frozen=True)
class Output:
    """An output of a decoded graph.

    Attributes:
        value: The tensor (float32).
        shape: Its shape, with names for lengths that vary.
        meaning: What it is, in one sentence.
    """

    value: Value
    shape: tuple[str | int, ...]
    meaning: str


@dataclass(frozen=True)
class GraphDecoder:
    """The decoding of a method as nodes of a graph.

    Attributes:
        add: (outputs of the network, specification, map from cells to pixels of the image) -> outputs of the decoded
            graph, by name.
        assembly: Specification -> settings of what remains to do outside the graph; empty for nothing.
        poses: (outputs of the decoded graph for one image, specification) -> its poses in pixels.
        example: Specification -> made maps of one image, on which the nodes are compared with the Python decoder.
    """

    add: Callable[[Mapping[str, Value], ModelSpec, ToPixels], dict[str, Output]]
    assembly: Callable[[ModelSpec], dict[str, Any]]
    poses: Callable[[Arrays, ModelSpec], Poses]
    example: Callable[[ModelSpec], Maps]


def one_instance(points: Value, confidence: Value, spec: ModelSpec, to_pixels: ToPixels) -> dict[str, Output]:
    """Returns the outputs for one instance, of points (B, K, 2) in cells and confidences (B, K)."""
    count = len(spec.skeleton)
    return {
        "keypoints": Output(to_pixels(points), ("batch", count, 2), "x, y of each keypoint, in pixels of the image"),
        "confidence": Output(
            confidence.maximum(0.0).minimum(1.0), ("batch", count), "confidence of each keypoint; 0: not detected"
        ),
    }


def crop_outputs(
    maps: Mapping[str, Value], spec: ModelSpec, refinement: Refinement, to_pixels: ToPixels
) -> dict[str, Output]:
    """Returns the outputs for the heatmaps of a crop: `cairn.inference.crop_decoder`."""
    count = len(spec.skeleton)
    points, confidence = argmax_keypoints(maps["heatmaps"].slice(1, 0, count), refinement)
    outputs = one_instance(points, confidence, spec, to_pixels)
    if VISIBILITY in maps:
        visibility = visibility_at(maps[VISIBILITY], points.expand(2)).at(2, 0)
        outputs[VISIBILITY] = Output(visibility, ("batch", count), VISIBLE)
    if CLASSES in maps:
        probabilities = maps[CLASSES].graph.node("Softmax", maps[CLASSES], axis=1)
        outputs[CLASSES] = Output(probabilities, ("batch", len(spec.classes)), "probability of each class")
    return outputs


def visibility_at(maps: Value, points: Value) -> Value:
    """Returns the visibility (B, K, P) at points (B, K, P, 2) in cells, each in the map of its keypoint."""
    images, count, height, width = (maps.size(axis) for axis in range(4))
    each = maps.reshape(images * count, 1, height, width)
    values = values_at(each, points.reshape(images * count, -1, 2))  # (B·K, P, 1)
    return values.reshape(images, count, -1).maximum(0.0).minimum(1.0)


def one_pose(outputs: Arrays, spec: ModelSpec) -> Poses:
    """Returns the instance of outputs of `one_instance`."""
    confidence = outputs["confidence"]
    detected = confidence > 0
    points = np.where(detected[:, None], outputs["keypoints"], np.nan)
    classes = np.array([outputs[CLASSES].argmax()]) if spec.classes else None
    probability = outputs[CLASSES].max() if spec.classes else 1
    visibility = None
    if VISIBILITY in outputs:
        visibility = np.where(detected, outputs[VISIBILITY], np.nan)[None].astype(np.float32)
    return Poses(
        points[None].astype(np.float32),
        confidence[None],
        confidence.mean(keepdims=True) * probability,
        spec.skeleton,
        classes=classes,
        class_names=spec.classes,
        visibility=visibility,
    )


def random_maps(spec: ModelSpec) -> Maps:
    """Returns random outputs for a crop."""
    rng = np.random.default_rng(0)
    count, cells = len(spec.skeleton), spec.input.size // spec.stride
    maps = {name: rng.uniform(0, 1, (count, cells, cells)).astype(np.float32) for name in spec.outputs}
    if CLASSES in maps:
        maps[CLASSES] = rng.normal(size=len(spec.classes)).astype(np.float32)
    return maps
