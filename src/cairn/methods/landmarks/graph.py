"""The outputs of a landmark network, which contain their positions already, in pixels."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from cairn.inference.model_spec import ModelSpec
from cairn.inference.network import Maps
from cairn.training.exporting.decoding.decoder import GraphDecoder, Output, ToPixels, one_instance, one_pose
from cairn.training.exporting.decoding.graph import Value


def _add(outputs: Mapping[str, Value], spec: ModelSpec, to_pixels: ToPixels) -> dict[str, Output]:
    return one_instance(outputs["keypoints"], outputs["confidence"], spec, to_pixels)


def _example(spec: ModelSpec) -> Maps:
    rng, count = np.random.default_rng(0), len(spec.skeleton)
    points = rng.uniform(0, spec.input.size / spec.stride, (count, 2)).astype(np.float32)
    return {"keypoints": points, "confidence": rng.uniform(0, 1, count).astype(np.float32)}


DECODER = GraphDecoder(_add, lambda _: {}, one_pose, _example)
