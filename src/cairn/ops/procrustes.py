"""Similarity alignment of point sets (Umeyama 1991; Procrustes analysis), for many sets at once."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class Similarity(NamedTuple):
    """Maps of B point sets: a point x is moved to scale · R x + t.

    Attributes:
        scale: (B,).
        rotation: (B, 3, 3), of determinant 1.
        translation: (B, 3).
    """

    scale: NDArray[np.float64]
    rotation: NDArray[np.float64]
    translation: NDArray[np.float64]

    def apply(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """Returns moved points (B, N, 3)."""
        turned = points @ np.swapaxes(self.rotation, -1, -2)
        moved: NDArray[np.float64] = self.scale[:, None, None] * turned + self.translation[:, None]
        return moved


def procrustes(
    source: NDArray[np.float64],
    target: NDArray[np.float64],
    known: NDArray[np.bool_] | None = None,
    scaled: bool = True,
    mirrored: bool = False,
) -> Similarity:
    """Returns the similarities with the least squared error from source to target.

    Args:
        source: (B, N, 3).
        target: (B, N, 3).
        known: (B, N), points that count; None for all. A set without a known point stays where it is.
        scaled: Whether the scale may differ from 1.
        mirrored: Whether a rotation may be a reflection, of determinant -1, where that is nearer.
    """
    weights = np.ones(source.shape[:2]) if known is None else known.astype(np.float64)
    total = np.maximum(weights.sum(axis=1), 1)[:, None]
    source, target = (np.where(weights[..., None] > 0, each, 0.0) for each in (source, target))
    middle, to = (each.sum(axis=1) / total for each in (source, target))
    a, b = (weights[..., None] * (each - m[:, None]) for each, m in ((source, middle), (target, to)))
    u, singular, vt = np.linalg.svd(np.swapaxes(b, 1, 2) @ a)
    sign = np.ones_like(singular)
    if not mirrored:
        sign[:, 2] = np.where(np.linalg.det(u) * np.linalg.det(vt) < 0, -1.0, 1.0)
    rotation = (u * sign[:, None]) @ vt
    spread = (a**2).sum(axis=(1, 2))
    scale = np.ones(len(source))
    if scaled:
        np.divide((singular * sign).sum(axis=1), spread, out=scale, where=spread > 0)
    return Similarity(scale, rotation, to - scale[:, None] * (rotation @ middle[..., None])[..., 0])
