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

CERTAIN = 3
"""Mean number of markers in an image from which no other dictionary is tried."""

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
    best: tuple[int, Board] | None = None
    for (family, inverted, mirrored, last), markers in _markers(images):
        for rows, columns, legacy in product(SIDES, SIDES, (False, True)):
            if not last <= rows * columns // 2 - 1 <= last + SLACK or (legacy and rows % 2):
                continue
            board = Board("charuco", rows, columns, square, family, MARKER_SHARE, inverted, legacy, mirrored)
            fitting = _fitting(markers, board)
            if fitting and (best is None or fitting > best[0]):
                best = fitting, board
    if best is not None and (seen := _seen_in(images, best[1])):
        return Finding(_with_marker(images, best[1]), seen, len(images), tried)
    for inverted in (False, True):
        if (found := _checkerboard(images, square, inverted)) is not None:
            return Finding(found[0], found[1], len(images), tried)
    return Finding(None, 0, len(images), tried)


Kind = tuple[str, bool, bool, int]
Markers = list[tuple[NDArray[np.int64], NDArray[np.float64]]]
"""Numbers (N,) and corners (N, 4, 2) of the markers in each image."""


def _markers(images: Sequence[NDArray[np.uint8]]) -> list[tuple[Kind, Markers]]:
    """The kinds of markers that are seen most (dictionary, inverted, mirrored, the last number), and where."""
    import cv2

    parameters = cv2.aruco.DetectorParameters()
    found: list[tuple[int, Kind, Markers]] = []
    for inverted, mirrored in product((False, True), (False, True)):
        shown = [_seen(image, inverted, mirrored) for image in images]
        for family in FAMILIES:
            dictionary = cv2.aruco.getPredefinedDictionary(getattr(cv2.aruco, f"DICT_{family}"))
            detector = cv2.aruco.ArucoDetector(dictionary, parameters)
            counts: Counter[int] = Counter()
            markers: Markers = []
            for image in shown:
                corners, ids, _ = detector.detectMarkers(image)
                numbers = np.zeros(0, np.int64) if ids is None else np.ravel(ids).astype(np.int64)
                markers.append((numbers, np.reshape(np.asarray(corners, np.float64), (-1, 4, 2))))
                counts.update(np.unique(numbers).tolist())
            # A board has markers from 0 on without gaps: false detections are seen once, with far numbers.
            often = sorted(number for number, count in counts.items() if count > 1 or len(images) < 4)
            kept = [number for i, number in enumerate(often) if number <= 2 * i + 4]
            if len(kept) >= 3:
                total = sum(counts[number] for number in kept)
                found.append((total, (family, inverted, mirrored, max(kept)), markers))
                if total >= CERTAIN * len(images):
                    return [found[-1][1:]]
    found.sort(key=lambda entry: -entry[0])
    return [(kind, markers) for total, kind, markers in found[:2] if total > MIN_SEEN * found[0][0]]


def _fitting(markers: Markers, board: Board) -> int:
    """Number of markers that lie where a board has them, by one homography for each image."""
    import cv2

    charuco = board.charuco()
    places = np.asarray(charuco.getObjPoints(), np.float64)[..., :2] / board.square
    fitting = 0
    for numbers, corners in markers:
        known = numbers < len(places)
        if known.sum() < 3:
            continue
        plane, pixels = places[numbers[known]].reshape(-1, 2), corners[known].reshape(-1, 2)
        matrix, inliers = cv2.findHomography(pixels, plane, cv2.RANSAC, 0.15)
        if matrix is not None and inliers is not None:
            fitting += int(inliers.reshape(-1, 4).all(axis=1).sum())
    return fitting


def _seen_in(images: Sequence[NDArray[np.uint8]], board: Board) -> int:
    """Number of images in which a board is seen."""
    detector = BoardDetector(board)
    return sum(detector(image) is not None for image in images)


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
    return replace(board, marker=round(share, 2)) if 0.3 < share < 0.95 and abs(share - MARKER_SHARE) > 0.06 else board


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
