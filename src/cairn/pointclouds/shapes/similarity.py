"""Similarity transforms: scale, rotation or reflection, and translation."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Points = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Similarity:
    """The map p -> scale * R p + translation.

    Attributes:
        scale: Positive factor.
        rotation: (3, 3) orthogonal; its determinant is -1 for a reflection.
        translation: (3,).
    """

    scale: float
    rotation: Points
    translation: Points

    @classmethod
    def identity(cls) -> Similarity:
        """Returns the transform that changes nothing."""
        return cls(1.0, np.eye(3), np.zeros(3))

    @property
    def is_reflection(self) -> bool:
        """Whether it mirrors."""
        return bool(np.linalg.det(self.rotation) < 0)

    def __call__(self, points: Points) -> Points:
        """Returns points (..., 3) after the transform."""
        return np.asarray(self.scale * points @ self.rotation.T + self.translation)

    def after(self, first: Similarity) -> Similarity:
        """Returns the transform that applies `first` and then this one."""
        return Similarity(self.scale * first.scale, self.rotation @ first.rotation, self(first.translation))

    def inverse(self) -> Similarity:
        """Returns the transform back."""
        rotation = self.rotation.T
        return Similarity(1 / self.scale, rotation, -rotation @ self.translation / self.scale)


def fit_similarity(source: Points, target: Points, reflection: bool = False) -> Similarity:
    """Returns the similarity that brings points closest to others in the sense of least squares (Umeyama 1991).

    Args:
        source: (N, 3).
        target: (N, 3).
        reflection: Whether the transform is a reflection; otherwise it is a rotation.
    """
    from_center, to_center = source.mean(axis=0), target.mean(axis=0)
    x, y = source - from_center, target - to_center
    u, singular, vt = np.linalg.svd(y.T @ x)
    wanted = -1.0 if reflection else 1.0
    signs = np.array([1.0, 1.0, wanted * np.sign(np.linalg.det(u @ vt))])
    rotation = (u * signs) @ vt
    size = float((x**2).sum())
    scale = float((singular * signs).sum()) / size if size > 0 else 1.0
    scale = scale if scale > 0 else 1.0  # all points at one place
    return Similarity(scale, rotation, to_center - scale * rotation @ from_center)
