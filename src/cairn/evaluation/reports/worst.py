"""The instances with the largest errors, as values and as a sheet of images."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cairn.evaluation.evaluate import Evaluation
from cairn.media.images import read_image
from cairn.structures.poses import Poses
from cairn.visualization.overlay import draw
from cairn.visualization.sheet import TILE, compose_sheet, draw_caption, draw_ring, pixel_of, tile_view

MAX_WORST = 12
RING_RADIUS = 4
"""In pixels of a tile."""

LINE_COLOR = (230, 30, 30)
"""Of the line from a label to its prediction."""

MAX_ERROR = 5.0
"""Maximum error of a keypoint in thresholds, so that one outlier does not outweigh an instance that is wholly wrong."""


@dataclass(frozen=True)
class Worst:
    """An annotated instance.

    Attributes:
        row: Its row in the pairs of the evaluation.
        image: File name of its image.
        error: Mean normalized error of its labeled keypoints, each at most MAX_ERROR thresholds.
        detected: Whether at least one keypoint was detected.
    """

    row: int
    image: str
    error: float
    detected: bool

    @property
    def caption(self) -> str:
        """The image and the error in one line."""
        return f"{self.image}: " + (f"mean error {self.error:.2f}" if self.detected else "not detected")

    def to_dict(self) -> dict[str, Any]:
        """Returns plain values for JSON."""
        return {"image": self.image, "error": self.error, "detected": self.detected}


def worst_instances(evaluation: Evaluation, count: int = MAX_WORST) -> list[Worst]:
    """Returns at most `count` instances by decreasing error; instances that cannot be measured are ignored."""
    pairs, means = evaluation.pairs, instance_errors(evaluation)
    measured = np.flatnonzero(np.isfinite(means))
    rows = measured[np.argsort(-means[measured], kind="stable")[:count]]
    images = evaluation.labels.images
    return [
        Worst(
            row=int(row),
            image=images[pairs.images[row]].path.name,
            error=float(means[row]),
            detected=bool(pairs.matched[row]),
        )
        for row in rows
    ]


def instance_errors(evaluation: Evaluation) -> NDArray[np.float64]:
    """Returns (N,) mean normalized error of the labeled keypoints, each at most MAX_ERROR thresholds; NaN for none."""
    pck = evaluation.pck
    errors = np.minimum(pck.errors, MAX_ERROR * pck.threshold)
    means = np.full(len(errors), np.nan)
    measured = np.flatnonzero(~np.isnan(errors).all(axis=1))
    means[measured] = np.nanmean(errors[measured], axis=1)
    return means


def worst_sheet(evaluation: Evaluation, worst: list[Worst]) -> NDArray[np.uint8]:
    """Returns (H, W, 3) numbered tiles, one per instance: predictions in colors, labels as white rings."""
    return compose_sheet([tile(evaluation, entry.row, str(number)) for number, entry in enumerate(worst, start=1)])


def tile(evaluation: Evaluation, row: int, caption: str) -> NDArray[np.uint8]:
    """Returns (TILE, TILE, 3) the annotated instance of a row of the pairs and its prediction."""
    import cv2

    pairs, skeleton = evaluation.pairs, evaluation.labels.skeleton
    annotated, predicted = pairs.ground_truth.keypoints[row], pairs.predicted[row]
    x, y, width, height = pairs.ground_truth.boxes[row].tolist()
    view = tile_view((x + width / 2, y + height / 2), max(width, height))
    canvas = view.warp(read_image(evaluation.labels.images[pairs.images[row]].path), (TILE, TILE))
    detected = np.isfinite(predicted).all(axis=-1)
    poses = Poses(predicted[None], detected[None].astype(np.float32), np.ones(1, np.float32), skeleton)
    canvas = draw(canvas, poses.transformed(view))
    for label, prediction in zip(view.apply(annotated), view.apply(predicted), strict=True):
        if not np.isfinite(label).all():
            continue
        if np.isfinite(prediction).all():
            cv2.line(canvas, pixel_of(label), pixel_of(prediction), LINE_COLOR, 1, cv2.LINE_AA)
        draw_ring(canvas, label, RING_RADIUS)
    draw_caption(canvas, caption)
    return canvas
