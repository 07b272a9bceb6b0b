"""Named keypoints from discovered ones and a few labels, in 3D or 2D.

A named keypoint is a weighted sum of the discovered ones, with weights of sum 1: it turns and moves with the object, so
that one image is enough and no pose is needed. Ridge regression finds the weights; labels in the image give two
equations each, labels in 3D three in each view.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from cairn.inference.keypoints3d import Keypoints3DSpec
from cairn.methods.keypointnet.losses import project
from cairn.methods.keypointnet.network import KeypointGraph
from cairn.training.exporting.onnx_file import Graph, export_graph

Array = NDArray[np.float64]

RIDGES = tuple(10.0**power for power in range(-6, 2))
"""Candidate penalties, relative to the mean square of the equations."""

FOLDS = 5
"""Folds of the cross-validation that selects the penalty and measures the error."""

MIN_DEPTH = 1e-3
"""Object units: minimum depth of a keypoint whose image position is computed."""


class Labeled(NamedTuple):
    """Equations for N named keypoints from M views.

    Attributes:
        points: (M, K, 3) discovered keypoints in the frame of the camera.
        targets: (M, N, 3) labels in the frame of the camera; or (M, N, 2) directions x / z and y / z. NaN where not
            labeled.
        groups: (M,) number of the object or image of a view, which are held out together.
    """

    points: Array
    targets: Array
    groups: NDArray[np.int64]

    def rows(self, rows: NDArray[Any]) -> Labeled:
        """Returns the equations of some views."""
        return Labeled(self.points[rows], self.targets[rows], self.groups[rows])


@dataclass(frozen=True, eq=False)
class Fitted:
    """Weights (N, K) of sum 1, and their error on held-out groups: (N,), NaN where it cannot be measured."""

    weights: Array
    errors: Array


def fit(labeled: Labeled) -> Fitted:
    """Fits weights; cross-validation over the groups selects the penalty and measures the error.

    The error is the mean distance of 3D labels in object units; of labels in the image, in half image sides at a focal
    length of 1 (the difference of x / z and y / z).
    """
    names = np.unique(labeled.groups)
    if len(names) < 2:
        return Fitted(solve(labeled, RIDGES[3]), np.full(labeled.targets.shape[1], np.nan))
    parts = np.random.default_rng(0).permutation(len(names)) % min(FOLDS, len(names))
    fold = parts[np.searchsorted(names, labeled.groups)]
    best: tuple[float, float, Array] | None = None
    for ridge in RIDGES:
        found = []
        for number in range(fold.max() + 1):
            weights = solve(labeled.rows(fold != number), ridge)
            found.append(errors(labeled.rows(fold == number), weights))
        each = np.concatenate(found)
        with np.errstate(all="ignore"):
            own = np.array([column[np.isfinite(column)].mean() for column in each.T])
        total = float(np.nanmean(own))
        if best is None or total < best[0]:
            best = total, ridge, own
    assert best is not None
    return Fitted(solve(labeled, best[1]), best[2])


def solve(labeled: Labeled, ridge: float) -> Array:
    """Returns weights (N, K) of sum 1.

    Args:
        labeled: The equations.
        ridge: Penalty relative to the mean square of the equations.
    """
    points, targets = labeled.points, labeled.targets
    middle = points.mean(axis=1)
    centered = points - middle[:, None]
    result = []
    for target in np.moveaxis(targets, 1, 0):
        rows = np.isfinite(target).all(axis=1)
        if target.shape[1] == 3:
            left = np.swapaxes(centered[rows], 1, 2).reshape(-1, points.shape[1])
            right = (target - middle)[rows].ravel()
        else:
            depth = middle[rows, None, 2:]
            parts = np.swapaxes(centered[rows], 1, 2)
            left = (parts[:, :2] - target[rows, :, None] * parts[:, 2:]) / depth
            right = ((target[rows] * middle[rows, 2:] - middle[rows, :2]) / depth[:, 0]).ravel()
            left = left.reshape(-1, points.shape[1])
        squares = left.T @ left
        penalty = ridge * max(float(np.trace(squares)), 1e-12) / len(squares)
        weights = np.linalg.solve(squares + penalty * np.eye(len(squares)), left.T @ right)
        result.append(weights + (1 - weights.sum()) / len(weights))
    return np.stack(result)


def errors(labeled: Labeled, weights: Array) -> Array:
    """Returns the distances (M, N) of labels from named keypoints; NaN where not labeled."""
    found = weights @ labeled.points
    if labeled.targets.shape[2] == 2:
        found = found[..., :2] / np.maximum(found[..., 2:], MIN_DEPTH)
    return np.asarray(np.linalg.norm(found - labeled.targets, axis=-1))


class TaughtGraph(nn.Module):
    """Both networks and the weights of named keypoints, as they are exported.

    Args:
        both: Both networks.
        weights: (N, K).
    """

    weights: Tensor

    def __init__(self, both: KeypointGraph, weights: Array) -> None:
        super().__init__()
        self.both = both
        self.register_buffer("weights", torch.from_numpy(weights).float())

    def forward(self, image: Tensor, intrinsics: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """As `KeypointGraph`, with N named keypoints."""
        points, _, confidence = self.both(image, intrinsics)
        named = self.weights @ points
        shares = self.weights.abs() / self.weights.abs().sum(dim=1, keepdim=True)
        return named, project(named, intrinsics), confidence @ shares.T


def export_taught(graph: Graph, weights: Array, spec: Keypoints3DSpec, target: Path) -> None:
    """Writes one .onnx file that predicts the named keypoints.

    Args:
        graph: The graph of a run.
        weights: (N, K).
        spec: Its specification, with the skeleton of the named keypoints.
        target: File to write.
    """
    assert isinstance(graph.module, KeypointGraph)
    module = TaughtGraph(graph.module, weights)
    export_graph(Graph(module, graph.inputs, graph.dims, graph.outputs, graph.checks), spec, target)
