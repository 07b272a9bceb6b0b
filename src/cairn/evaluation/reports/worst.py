"""The objects on which a model does worst: where to look first."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cairn.evaluation.evaluate import Evaluation
from cairn.media.images import read_image
from cairn.structures.geometry import crop
from cairn.structures.poses import Poses
from cairn.visualization.overlay import draw

WORST = 12
COLUMNS = 4
TILE = 240  # pixels
AROUND = 1.4  # side of a tile over the longer side of the object
FAR = 5.0  # thresholds: an error beyond is no worse, or one stray joint would outweigh a wholly wrong object


@dataclass(frozen=True)
class Worst:
    """A labeled object, by its row in the evaluation's pairs.

    error  mean normalized error of its labeled keypoints, each at most FAR thresholds
    """

    row: int
    image: str
    error: float
    detected: bool

    @property
    def caption(self) -> str:
        return f"{self.image}: " + (f"mean error {self.error:.2f}" if self.detected else "not found")

    def to_dict(self) -> dict[str, Any]:
        return {"image": self.image, "error": self.error, "detected": self.detected}


def worst_objects(evaluation: Evaluation, count: int = WORST) -> list[Worst]:
    """The objects with the greatest errors first, at most `count`; those that cannot be measured are left out."""
    pairs, means = evaluation.pairs, object_errors(evaluation)
    measured = np.flatnonzero(np.isfinite(means))
    rows = measured[np.argsort(-means[measured], kind="stable")[:count]]
    images = evaluation.labels.images
    return [
        Worst(
            row=int(row),
            image=images[pairs.images[row]].path.name,
            error=float(means[row]),
            detected=bool(pairs.met[row]),
        )
        for row in rows
    ]


def object_errors(evaluation: Evaluation) -> NDArray[np.float64]:
    """(N,) mean normalized error of each object's labeled keypoints, each at most FAR thresholds; NaN for none."""
    pck = evaluation.pck
    errors = np.minimum(pck.errors, FAR * pck.threshold)
    means = np.full(len(errors), np.nan)
    measured = np.flatnonzero(~np.isnan(errors).all(axis=1))
    means[measured] = np.nanmean(errors[measured], axis=1)
    return means


def worst_sheet(evaluation: Evaluation, worst: list[Worst]) -> NDArray[np.uint8]:
    """(H, W, 3) uint8: a numbered tile for each object, in colors what was found, in white rings the labels."""
    lines = max(1, -(-len(worst) // COLUMNS))
    sheet = np.full((lines * TILE, COLUMNS * TILE, 3), 255, np.uint8)
    for i, entry in enumerate(worst):
        top, left = i // COLUMNS * TILE, i % COLUMNS * TILE
        sheet[top : top + TILE, left : left + TILE] = tile(evaluation, entry.row, str(i + 1))
    return sheet


def tile(evaluation: Evaluation, row: int, caption: str) -> NDArray[np.uint8]:
    """(TILE, TILE, 3) uint8: the object of a row of the pairs, and what was found of it."""
    import cv2

    pairs, skeleton = evaluation.pairs, evaluation.labels.skeleton
    truth, found = pairs.truth.keypoints[row], pairs.predicted[row]
    x, y, width, height = pairs.truth.boxes[row].tolist()
    side = max(AROUND * max(width, height), 16.0)
    view = crop((x + width / 2, y + height / 2), side, (TILE, TILE))
    image = read_image(evaluation.labels.images[pairs.images[row]].path)
    shown = view.warp(image, (TILE, TILE))
    there = np.isfinite(found).all(axis=-1)
    poses = Poses(found[None], there[None].astype(np.float32), np.ones(1, np.float32), skeleton)
    shown = draw(shown, poses.transformed(view))
    for label, answer in zip(view.apply(truth), view.apply(found), strict=True):
        if not np.isfinite(label).all():
            continue
        ring = _pixel(label)
        if np.isfinite(answer).all():
            cv2.line(shown, ring, _pixel(answer), (230, 30, 30), 1, cv2.LINE_AA)
        cv2.circle(shown, ring, 4, (0, 0, 0), 2, cv2.LINE_AA)
        cv2.circle(shown, ring, 4, (255, 255, 255), 1, cv2.LINE_AA)
    for color, thickness in (((0, 0, 0), 4), ((255, 255, 255), 1)):
        cv2.putText(shown, caption, (8, 24), cv2.FONT_HERSHEY_SIMPLEX, 0.6, color, thickness, cv2.LINE_AA)
    return shown


def _pixel(point: NDArray) -> tuple[int, int]:
    # A found joint may lie anywhere; OpenCV takes no numbers beyond 32 bits.
    x, y = np.clip(np.round(point), -9999, 9999).astype(int).tolist()
    return x, y
