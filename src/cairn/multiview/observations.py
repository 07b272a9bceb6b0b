"""What cameras see of a board, moment by moment."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from cairn.structures.geometry import Size


@dataclass(frozen=True, eq=False)
class Sightings:
    """The corners of a board in the images of one camera, where it is seen.

    Attributes:
        name: Name of the camera.
        size: (height, width) of its images in pixels.
        moments: (N,) int64, increasing: equal numbers are the same moment in all cameras.
        corners: (N, K, 2) float64 in pixels, NaN where a corner is not seen.
        sharpness: (N,) float64, larger is sharper; comparable within the camera.
        images: Names of the N images, for messages and the report.
        total: Number of images that were searched.
    """

    name: str
    size: Size
    moments: NDArray[np.int64]
    corners: NDArray[np.float64]
    sharpness: NDArray[np.float64]
    images: tuple[str, ...]
    total: int

    def __len__(self) -> int:
        return len(self.moments)

    @property
    def seen(self) -> NDArray[np.bool_]:
        """(N, K): which corners are seen."""
        return np.asarray(np.isfinite(self.corners).all(axis=-1))

    @property
    def coverage(self) -> float:
        """Share of the cells of an 8 x 8 grid over the image in which a corner is seen."""
        points = self.corners[self.seen]
        if not len(points):
            return 0.0
        height, width = self.size
        cells = np.clip((points / [width, height] * 8).astype(int), 0, 7)
        return len(np.unique(cells, axis=0)) / 64

    def take(self, rows: Sequence[int] | NDArray[np.int64] | NDArray[np.bool_]) -> Sightings:
        """Returns the sightings of some rows."""
        rows = np.asarray(rows)
        rows = np.flatnonzero(rows) if rows.dtype == bool else rows.astype(int)
        return replace(
            self,
            moments=self.moments[rows],
            corners=self.corners[rows],
            sharpness=self.sharpness[rows],
            images=tuple(self.images[row] for row in rows),
        )


@dataclass(frozen=True, eq=False)
class Observations:
    """All corners of a rig as one list, in the form that optimization needs.

    Attributes:
        camera: (M,) int64, index of the camera.
        board: (M,) int64, index of the board, which stands for a moment.
        corner: (M,) int64, index of the corner.
        pixels: (M, 2) float64.
        moments: (B,) int64, moment of each board.
    """

    camera: NDArray[np.int64]
    board: NDArray[np.int64]
    corner: NDArray[np.int64]
    pixels: NDArray[np.float64]
    moments: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.camera)

    def keep(self, rows: NDArray[np.bool_]) -> Observations:
        """Returns some of the corners; the numbers of the boards stay."""
        return replace(
            self, camera=self.camera[rows], board=self.board[rows], corner=self.corner[rows], pixels=self.pixels[rows]
        )


def observations_of(sightings: Sequence[Sightings], moments: NDArray[np.int64] | None = None) -> Observations:
    """Returns the corners of several cameras.

    Args:
        sightings: One for each camera.
        moments: Increasing moments to take; None takes all.
    """
    wanted = np.unique(np.concatenate([each.moments for each in sightings])) if moments is None else moments
    parts = []
    for index, each in enumerate(sightings):
        row, corner = np.nonzero(each.seen)
        board = np.searchsorted(wanted, each.moments[row])
        kept = (board < len(wanted)) & (wanted[np.minimum(board, len(wanted) - 1)] == each.moments[row])
        row, corner, board = row[kept], corner[kept], board[kept]
        parts.append((np.full(len(row), index), board, corner, each.corners[row, corner]))
    camera, board, corner, pixels = (np.concatenate(values) for values in zip(*parts, strict=True))
    return Observations(camera.astype(np.int64), board.astype(np.int64), corner.astype(np.int64), pixels, wanted)
