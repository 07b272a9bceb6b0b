"""Finds out which board images show, where the user is unsure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product

import numpy as np
from numpy.typing import NDArray

from cairn.multiview.board_detection import BoardDetector
from cairn.multiview.boards import MARKER_SHARE, Board

FAMILIES = (
    *("4X4_1000", "5X5_1000", "6X6_1000", "7X7_1000", "ARUCO_ORIGINAL"),
    *("APRILTAG_16H5", "APRILTAG_25H9", "APRILTAG_36H10", "APRILTAG_36H11"),
)
SIDES = range(3, 25)
"""Numbers of rows and of columns of ChArUco boards that are tried."""

SLACK = 2
"""Number of last markers of a board that may never be seen."""

MIN_SEEN = 0.15
"""Share of the images in which a board must be seen, relative to the best one."""


@dataclass(frozen=True)
class Finding:
    """What a search found.

    Attributes:
        board: The board that fits best, with the side of a square that was asked for; None without one.
        seen: Number of images in which it is seen.
        images: Number of images.
        tried: What was tried, in words.
    """

    board: Board | None
    seen: int
    images: int
    tried: str


def search(images: Sequence[NDArray[np.uint8]], square: float) -> Finding:
    """Returns the board that most corners are seen of.

    Tries each ArUco dictionary on the image, inverted, mirrored and both; then all sizes that have as many markers, in
    the present and the legacy pattern; and checkerboards of any size.

    Args:
        images: Gray images, (H, W) uint8.
        square: Side of a square in meters, which images do not show.
    """
    tried = f"{len(FAMILIES)} dictionaries, sizes from 3x3 to 24x24, legacy, inverted and mirrored, and checkerboards"
    best: tuple[int, int, Board] | None = None
    for family, inverted, mirrored, last in _markers(images):
        for rows, columns, legacy in product(SIDES, SIDES, (False, True)):
            if not last <= rows * columns // 2 - 1 <= last + SLACK or (legacy and rows % 2):
                continue
            board = Board("charuco", rows, columns, square, family, MARKER_SHARE, inverted, legacy, mirrored)
            seen, corners = _score(images, board)
            if best is None or corners > best[0]:
                best = corners, seen, board
    if best is not None and best[1]:
        return Finding(_with_marker(images, best[2]), best[1], len(images), tried)
    for inverted in (False, True):
        if (found := _checkerboard(images, square, inverted)) is not None:
            return Finding(found[0], found[1], len(images), tried)
    return Finding(None, 0, len(images), tried)


def _markers(images: Sequence[NDArray[np.uint8]]) -> list[tuple[str, bool, bool, int]]:
    """The kinds of markers that are seen most: dictionary, inverted, mirrored, and the last number."""
    import cv2

    parameters = cv2.aruco.DetectorParameters()
    found = []
    for family in FAMILIES:
        dictionary = cv2.aruco.getPredefinedDictionary(getattr(cv2.aruco, f"DICT_{family}"))
        detector = cv2.aruco.ArucoDetector(dictionary, parameters)
        for inverted, mirrored in product((False, True), (False, True)):
            counts: Counter[int] = Counter()
            for image in images:
                ids = detector.detectMarkers(_seen(image, inverted, mirrored))[1]
                counts.update([] if ids is None else np.unique(ids).tolist())
            # A board has markers from 0 on without gaps: strangers are seen once, and far away.
            often = sorted(number for number, count in counts.items() if count > 1 or len(images) < 4)
            kept = [number for i, number in enumerate(often) if number <= 2 * i + 4]
            if len(kept) >= 3:
                total = sum(counts[number] for number in kept)
                found.append((total, (family, inverted, mirrored, max(kept))))
    found.sort(key=lambda entry: -entry[0])
    return [kind for total, kind in found[:2] if total > MIN_SEEN * found[0][0]]


def _score(images: Sequence[NDArray[np.uint8]], board: Board) -> tuple[int, int]:
    """Number of images in which a board is seen, and of corners that lie on a plane as they should."""
    import cv2

    detector = BoardDetector(board)
    seen = total = 0
    for image in images:
        corners = detector(image)
        if corners is None:
            continue
        known = np.isfinite(corners).all(axis=1)
        plane = board.points[known, :2] / board.square
        _, inliers = cv2.findHomography(plane, corners[known], cv2.RANSAC, 0.01 * np.hypot(*image.shape))
        if inliers is not None and inliers.mean() > 0.8:
            seen += 1
            total += int(inliers.sum())
    return seen, total


def _with_marker(images: Sequence[NDArray[np.uint8]], board: Board) -> Board:
    """The board with the side of its markers as measured, where that is clearly not the default."""
    import cv2

    detector = cv2.aruco.ArucoDetector(board.charuco().getDictionary(), cv2.aruco.DetectorParameters())
    find, shares = BoardDetector(replace(board, inverted=False, mirrored=False)), []
    plane = replace(board, mirrored=False).points[:, :2] / board.square
    for image in images:
        shown = _seen(image, board.inverted, board.mirrored)
        corners = find(shown)
        markers, ids, _ = detector.detectMarkers(shown)
        if corners is None or ids is None:
            continue
        known = np.isfinite(corners).all(axis=1)
        matrix, _ = cv2.findHomography(corners[known], plane[known], cv2.RANSAC, 0.1)
        if matrix is None:
            continue
        for each in markers:
            flat = cv2.perspectiveTransform(np.asarray(each, np.float64).reshape(-1, 1, 2), matrix).reshape(4, 2)
            shares.append(float(np.linalg.norm(np.roll(flat, 1, axis=0) - flat, axis=1).mean()))
    share = float(np.median(shares)) if shares else MARKER_SHARE
    return replace(board, marker=round(share, 2)) if 0.3 < share < 0.95 and abs(share - MARKER_SHARE) > 0.04 else board


def _checkerboard(images: Sequence[NDArray[np.uint8]], square: float, inverted: bool) -> tuple[Board, int] | None:
    """The checkerboard of the size that is seen most often."""
    import cv2

    flags = cv2.CALIB_CB_NORMALIZE_IMAGE | cv2.CALIB_CB_EXHAUSTIVE | cv2.CALIB_CB_LARGER
    sizes: Counter[tuple[int, int]] = Counter()
    for image in images:
        seen, _, meta = cv2.findChessboardCornersSBWithMeta(_seen(image, inverted, False), (3, 3), flags)
        if seen:
            rows, columns = meta.shape[:2]
            sizes[min(rows, columns), max(rows, columns)] += 1
    if not sizes:
        return None
    (rows, columns), count = sizes.most_common(1)[0]
    return Board("checkerboard", rows, columns, square, inverted=inverted), count


def _seen(image: NDArray[np.uint8], inverted: bool, mirrored: bool) -> NDArray[np.uint8]:
    shown = 255 - image if inverted else image
    return np.ascontiguousarray(shown[:, ::-1]) if mirrored else shown
