"""Linear regression of labeled points from landmarks (section 4), and a ridge that needs fewer labels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

RIDGES = tuple(10.0**power for power in np.arange(-6, 1.01, 0.5))
"""Candidate penalties per image."""

NEAR = 0.2
"""Half image sides: scale of the distance within which a landmark is near a point (selected on `faces`)."""

CROSS_PENALTY = 10.0
"""Penalty of predicting a point's x from a landmark's y, or y from x, relative to x from x."""

Kind = Literal["paper", "ridge"]
"""The paper's least squares, or ridge regression around a prior."""


@dataclass(frozen=True)
class Regressor:
    """points = landmarks @ matrix + offset, all coordinates from -1 to 1 across the image.

    Attributes:
        matrix: (2K, 2N).
        offset: (2N,).
    """

    matrix: NDArray[np.float64]
    offset: NDArray[np.float64]

    def __call__(self, landmarks: NDArray[Any]) -> NDArray[np.float64]:
        """Predicts points: (M, 2K) -> (M, 2N)."""
        predicted: NDArray[np.float64] = landmarks @ self.matrix + self.offset
        return predicted


def solve(landmarks: NDArray[Any], points: NDArray[Any], kind: Kind) -> Regressor:
    """Fits points that are labeled in all of M images.

    Args:
        landmarks: (M, 2K).
        points: (M, 2N).
        kind: "paper" is least squares without a bias, the image center being 0. "ridge" shrinks toward the prior of
            `near`; leave-one-out cross-validation selects the penalty.
    """
    if kind == "paper":
        return Regressor(np.linalg.lstsq(landmarks, points, rcond=None)[0], np.zeros(points.shape[1]))
    mean, center = landmarks.mean(axis=0), points.mean(axis=0)
    prior, penalty = near(mean, center)
    matrix = prior + _correction(landmarks - mean, points - center - (landmarks - mean) @ prior, penalty)
    return Regressor(matrix, center - mean @ matrix)


def near(landmarks: NDArray[Any], points: NDArray[Any]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The prior of the ridge: a point moves with the landmarks near it.

    Args:
        landmarks: (2K,) mean positions.
        points: (2N,) mean positions.

    Returns:
        Weights (2K, 2N), which sum to 1 over the landmarks of each point, and the penalty (2K, 2N) of changing each.
    """
    squared = np.square(landmarks.reshape(-1, 1, 2) - points.reshape(1, -1, 2)).sum(-1) / NEAR**2  # (K, N)
    share = np.exp((squared.min(axis=0) - squared) / 2)
    axes = np.eye(2)  # x from x, y from y
    prior = np.kron(share / share.sum(axis=0), axes)
    return prior, np.kron(1 + squared, axes + CROSS_PENALTY * (1 - axes))


def _correction(x: NDArray[Any], y: NDArray[Any], penalty: NDArray[Any]) -> NDArray[np.float64]:
    """The matrix W (2K, 2N) that minimizes |y - xW|² + λM Σ penalty W², for x (M, 2K) and y (M, 2N) of mean 0.

    λ is the one of RIDGES with the smallest leave-one-out error, which has a closed form.
    """
    if len(x) == 1:  # the mean of one image is the image: x and y are 0
        return np.zeros(penalty.shape)
    penalties = np.array(RIDGES) * len(x)
    q, r = np.linalg.qr(x)
    errors = np.zeros(len(RIDGES))
    solved = []
    for target, unit in zip(
        y.T, 1 / np.sqrt(penalty.T), strict=True
    ):  # landmarks in a unit of their own for each point
        u, values, vt = np.linalg.svd(r * unit, full_matrices=False)
        u = q @ u
        inside = u.T @ target
        kept = values[:, None] ** 2 / (values[:, None] ** 2 + penalties)  # (rank, λ)
        residual = target[:, None] - u @ (kept * inside[:, None])
        leverage = u**2 @ kept + 1 / len(x)
        errors += np.square(residual / np.maximum(1 - leverage, 1e-6)).sum(axis=0)
        solved.append((unit[:, None] * vt.T, values, inside))
    best = penalties[errors.argmin()]
    columns = [back @ (values / (values**2 + best) * inside) for back, values, inside in solved]
    return np.stack(columns, axis=1)
