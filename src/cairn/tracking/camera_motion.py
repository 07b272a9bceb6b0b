"""Camera motion: the similarity that maps the background of the previous image to that of this one.

Corners outside the instances are followed by sparse optical flow (Lucas and Kanade) in a small gray image, and RANSAC
fits a similarity to them, as in BoT-SORT (Aharon et al. 2022). While the camera stands still, only one image in
`STILL_STEP` is examined.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

SIDE = 320
"""Pixels: longest side of the gray image."""

CORNERS = 100
"""Maximum number of corners that are followed."""

FOLLOWED = 0.6
"""Share of the corners below which new ones are searched; the others are followed on."""

MIN_INLIERS = 12
"""Minimum number of corners that agree, and a third of all: with fewer the camera counts as still."""

MIN_SHIFT = 0.15
"""Pixels of the gray image: a smaller mean shift of its corners is noise of a static camera."""

STILL_IMAGES = 25
"""Number of images without motion after which the camera counts as static."""

STILL_STEP = 5
"""A static camera is examined in every image of this number, so that its motion is noticed."""

MAX_ZOOM = 1.5
"""Scale from one image to the next beyond which an estimate is wrong, as at a scene cut."""

MARGIN = 0.1
"""Margin of the boxes of instances that is excluded too, as a share of their size."""

IDENTITY = np.eye(2, 3)
NO_CORNERS = np.zeros((0, 1, 2), np.float32)


class CameraMotion:
    """Estimates the motion of the camera of one video, image by image."""

    def __init__(self) -> None:
        self._before: NDArray[np.uint8] | None = None  # the gray image that was examined last
        self._corners = NO_CORNERS  # (N, 1, 2) in that image
        self._found = MIN_INLIERS  # number of corners when they were searched last
        self._still = 0  # images without motion

    def __call__(self, image: NDArray[np.uint8], boxes: NDArray[np.float64]) -> NDArray[np.float64]:
        """Returns the motion from the image that was examined before, the identity for the first and between.

        Args:
            image: (H, W, 3) uint8 RGB.
            boxes: (P, 4) x, y, width, height of the instances in this image, in pixels.

        Returns:
            (2, 3) similarity from pixels of the image before to pixels of this one.
        """
        import cv2

        if self._still > STILL_IMAGES and self._still % STILL_STEP:
            self._still += 1
            return IDENTITY
        factor = min(1.0, SIDE / max(image.shape[:2]))
        size = max(1, round(image.shape[1] * factor)), max(1, round(image.shape[0] * factor))
        gray = cv2.cvtColor(cv2.resize(image, size, interpolation=cv2.INTER_LINEAR), cv2.COLOR_RGB2GRAY)
        motion = self._motion(np.asarray(gray, np.uint8))
        self._before = np.asarray(gray, np.uint8)
        background = _background(size, boxes * factor)
        x, y = self._corners[:, 0].astype(int).T
        self._corners = self._corners[background[y.clip(0, size[1] - 1), x.clip(0, size[0] - 1)] > 0]
        if len(self._corners) < FOLLOWED * self._found:
            found = cv2.goodFeaturesToTrack(self._before, CORNERS, 0.01, 5, mask=background, blockSize=3)
            self._corners = NO_CORNERS if found is None else found.astype(np.float32)
            self._found = len(self._corners)
        width, height = size
        corners = np.array([[0, 0], [width, 0], [0, height], [width, height]], np.float64)
        shift = np.linalg.norm(corners @ motion[:, :2].T + motion[:, 2] - corners, axis=1).mean()
        if shift < MIN_SHIFT:
            self._still += 1
            return IDENTITY
        self._still = 0
        return np.concatenate([motion[:, :2], motion[:, 2:] / factor], axis=1)

    def _motion(self, gray: NDArray[np.uint8]) -> NDArray[np.float64]:
        """Returns the motion in the gray image, and follows the corners that agree with it."""
        import cv2

        corners, self._corners = self._corners, NO_CORNERS
        if self._before is None or self._before.shape != gray.shape or len(corners) < MIN_INLIERS:
            return IDENTITY
        moved, status, _ = cv2.calcOpticalFlowPyrLK(
            self._before, gray, corners, None, winSize=(13, 13), maxLevel=2, criteria=(3, 10, 0.03)
        )
        followed = status[:, 0] == 1
        if followed.sum() < MIN_INLIERS:
            return IDENTITY
        motion, inliers = cv2.estimateAffinePartial2D(
            corners[followed], moved[followed], ransacReprojThreshold=1.0, maxIters=200
        )
        if motion is None or inliers.sum() < max(MIN_INLIERS, followed.sum() / 3):
            return IDENTITY
        self._corners = moved[followed][inliers[:, 0] == 1]
        zoom = float(np.hypot(motion[0, 0], motion[1, 0]))
        return motion if 1 / MAX_ZOOM < zoom < MAX_ZOOM else IDENTITY


def _background(size: tuple[int, int], boxes: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Returns (h, w) 255 outside the boxes (P, 4) and their margin, of an image of a size (w, h)."""
    background = np.full(size[::-1], 255, np.uint8)
    for x, y, width, height in boxes:
        off = MARGIN * max(width, height)
        low, high = np.maximum([x - off, y - off], 0).astype(int), np.ceil([x + width + off, y + height + off])
        background[low[1] : max(0, int(high[1])), low[0] : max(0, int(high[0]))] = 0
    return background
