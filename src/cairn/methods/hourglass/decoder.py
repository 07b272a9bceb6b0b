"""Heatmaps of a crop -> the pose of one instance (section 3.4)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cairn.errors import ModelError
from cairn.inference.crop_decoder import decode_crop
from cairn.ops.heatmaps import Refinement
from cairn.structures.poses import Poses
from cairn.structures.skeleton import Skeleton


def decode(heatmaps: NDArray[Any], skeleton: Skeleton, refinement: Refinement = "log-parabola") -> Poses:
    """Decodes the heatmaps of a crop into the pose of one instance, in heatmap cells.

    The confidence of a joint is the height of its highest cell, clipped to [0, 1]; a joint whose heatmap is nowhere
    above 0 is not detected. The score is the mean of the K confidences.

    Args:
        heatmaps: (K, h, w).
        skeleton: The K joints.
        refinement: Refinement of each highest cell: "log-parabola", "quarter" as in the paper, or "none".

    Raises:
        ModelError: The heatmaps do not fit the skeleton, or the refinement is unknown.
    """
    return decode_crop(heatmaps, skeleton, refinement)


def classify(poses: Poses, logits: NDArray[Any], names: Sequence[str]) -> Poses:
    """Returns the one instance of a crop with the class of the largest logit (not in the paper).

    Its score is multiplied by the probability of the class, the softmax of the logits.

    Args:
        poses: The instance.
        logits: (C,).
        names: Names of the C classes.

    Raises:
        ModelError: The logits do not fit the names.
    """
    if logits.shape != (len(names),):
        raise ModelError(f"the output classes must be ({len(names)},) for {', '.join(names)}, got {logits.shape}")
    classes = np.full(len(poses), int(logits.argmax()), np.int64)
    probability = 1 / np.exp(logits - logits.max()).sum(dtype=np.float32)
    return replace(poses, classes=classes, class_names=tuple(names), scores=poses.scores * probability)
