"""Corners of a board in images."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from cairn.multiview.boards import Board

MIN_CORNERS = 6
"""Corners below which a detection is dropped: 4 fix a pose, and more are needed to notice a wrong one."""

MIN_AREA = 1e-4
"""Share of the image below which a detection is dropped: far too small to say anything."""


class BoardDetector:
    """Finds the inner corners of a board.

    Args:
        board: The board.
    """

    def __init__(self, board: Board) -> None:
        import cv2

        self.board = board
        self._charuco: Any = None
        if board.kind == "charuco":
            parameters = cv2.aruco.CharucoParameters()
            markers = cv2.aruco.DetectorParameters()
            markers.cornerRefinementMethod = cv2.aruco.CORNER_REFINE_SUBPIX
            self._charuco = cv2.aruco.CharucoDetector(board.charuco(), parameters, markers)

    def __call__(self, image: NDArray[np.uint8]) -> NDArray[np.float64] | None:
        """Returns the corners in pixels, (K, 2), NaN where one is not seen; None where the board is not seen.

        Args:
            image: (H, W, 3) RGB or (H, W) gray, uint8.
        """
        import cv2

        gray = image if image.ndim == 2 else cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
        if self.board.inverted:
            gray = 255 - gray
        if self.board.mirrored:
            gray = np.ascontiguousarray(gray[:, ::-1])
        corners = self._of_charuco(gray) if self._charuco is not None else self._of_checkerboard(gray)
        if corners is None or not _is_spread(corners, gray.shape):
            return None
        if self.board.mirrored:
            corners[:, 0] = gray.shape[1] - 1 - corners[:, 0]
        return corners

    def _of_charuco(self, gray: NDArray[np.uint8]) -> NDArray[np.float64] | None:
        import cv2

        try:
            found, ids, _, _ = self._charuco.detectBoard(gray)
        except cv2.error:  # markers that contradict one another
            return None
        if ids is None or len(ids) < MIN_CORNERS:
            return None
        corners = np.full((len(self.board.points), 2), np.nan)
        corners[np.ravel(ids)] = np.reshape(found, (-1, 2))
        return corners

    def _of_checkerboard(self, gray: NDArray[np.uint8]) -> NDArray[np.float64] | None:
        import cv2

        rows, columns = self.board.shape
        flags = cv2.CALIB_CB_NORMALIZE_IMAGE | cv2.CALIB_CB_EXHAUSTIVE | cv2.CALIB_CB_ACCURACY
        seen, found = cv2.findChessboardCornersSB(gray, (columns, rows), flags=flags)
        if not seen:
            return None
        grid = np.asarray(found, np.float64).reshape(rows, columns, 2)
        across, down = grid[0, -1] - grid[0, 0], grid[-1, 0] - grid[0, 0]
        if across[0] * down[1] - across[1] * down[0] < 0:  # x right and y down, as the board is printed
            grid = grid[:, ::-1]
        if not self.board.turnable and not _is_dark(gray, grid[:2, :2]):
            grid = grid[::-1, ::-1]
        return grid.reshape(-1, 2).copy()


def sharpness(image: NDArray[np.uint8], corners: NDArray[np.float64]) -> float:
    """Returns how sharp an image is around a board: the mean squared gradient over the variance of its gray values.

    Args:
        image: (H, W, 3) RGB or (H, W) gray, uint8.
        corners: (K, 2) corners in pixels, NaN where not seen.
    """
    import cv2

    left, top = np.maximum(np.floor(np.nanmin(corners, axis=0)), 0).astype(int)
    right, bottom = np.ceil(np.nanmax(corners, axis=0)).astype(int) + 1
    part = image[top:bottom, left:right]
    if min(part.shape[:2]) < 3:
        return 0.0
    gray = (part if part.ndim == 2 else cv2.cvtColor(part, cv2.COLOR_RGB2GRAY)).astype(np.float32)
    gradient = [np.diff(gray, axis=axis) ** 2 for axis in (0, 1)]
    return float(sum(each.mean() for each in gradient) / max(float(gray.var()), 1.0))


def handedness(corners: NDArray[np.float64], board: Board) -> int:
    """Returns 1 where corners (K, 2) in pixels show the front of the board, and -1 where they are mirrored."""
    seen = np.isfinite(corners).all(axis=1)
    plane = np.column_stack([board.points[seen, :2], np.ones(seen.sum())])
    affine = np.linalg.lstsq(plane, corners[seen], rcond=None)[0][:2]
    return 1 if np.linalg.det(affine) > 0 else -1


def _is_spread(corners: NDArray[np.float64], shape: tuple[int, ...]) -> bool:
    """Whether corners are not all on a line, and span more than a few pixels."""
    seen = corners[np.isfinite(corners).all(axis=1)]
    if len(seen) < 4:
        return False
    spread = np.linalg.svd(seen - seen.mean(axis=0), compute_uv=False) / np.sqrt(len(seen))
    return bool(spread[1] > 0.05 * spread[0] and spread[0] * spread[1] > MIN_AREA * shape[0] * shape[1] / 12)


def _is_dark(gray: NDArray[np.uint8], square: NDArray[np.float64]) -> bool:
    """Whether the square between four corners (2, 2, 2) is darker than its four neighbors."""
    center = square.reshape(4, 2).mean(axis=0)
    sides = [2 * square.mean(axis=axis)[i] - center for axis in (0, 1) for i in (0, 1)]

    def value(point: NDArray[np.float64]) -> float:
        x, y = np.rint(point).astype(int)
        part = gray[max(y - 1, 0) : y + 2, max(x - 1, 0) : x + 2]
        return float(part.mean()) if part.size else np.nan

    return bool(value(center) < np.nanmean([value(side) for side in sides]))
