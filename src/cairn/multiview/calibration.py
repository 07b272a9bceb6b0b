"""Calibrates a rig from what its cameras see of a board: intrinsics, poses, bundle adjustment, and checks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from cairn.errors import CameraError
from cairn.multiview.board_detection import handedness
from cairn.multiview.boards import Board
from cairn.multiview.bundle_adjustment import adjust, reprojection_errors
from cairn.multiview.extrinsics import Pair, initial_rig, place_boards
from cairn.multiview.intrinsics import Intrinsics, calibrate_intrinsics
from cairn.multiview.observations import Observations, Sightings, observations_of
from cairn.multiview.triangulation import triangulate_points
from cairn.structures.camera import Camera, Rig

MAX_BOARDS = 300
"""Number of moments that bundle adjustment takes: those that most cameras see most of."""

MAX_MEDIAN = 0.004
"""Median reprojection error over the longer side of the image above which a calibration is refused."""

MAX_OUTLIERS = 0.4
"""Share of outliers above which a calibration is refused."""


@dataclass(frozen=True, eq=False)
class Fit:
    """How well a rig explains what its cameras see of boards.

    Attributes:
        observations: The corners of boards that at least one camera sees.
        boards: (B, 4, 4) poses of these boards in the world.
        errors: (M,) reprojection error of each corner in pixels.
        inliers: (M,) bool, which corners bundle adjustment used.
        rms: Root mean square of the errors of inliers in pixels, and for each camera.
        square: Median distance in meters of neighboring corners that were triangulated; NaN without any.
        corners: Number of such distances.
    """

    observations: Observations
    boards: NDArray[np.float64]
    errors: NDArray[np.float64]
    inliers: NDArray[np.bool_]
    rms: float
    rms_by_camera: tuple[float, ...]
    square: float
    corners: int


@dataclass(frozen=True, eq=False)
class Calibrated:
    """A calibrated rig.

    Attributes:
        rig: The cameras.
        board: The board.
        sightings: What each camera saw of it.
        intrinsics: How the intrinsics of each camera fit.
        pairs: What each two cameras see together.
        fit: How well the rig fits.
    """

    rig: Rig
    board: Board
    sightings: tuple[Sightings, ...]
    intrinsics: tuple[Intrinsics, ...]
    pairs: tuple[Pair, ...]
    fit: Fit


@dataclass(frozen=True)
class Options:
    """How a rig is calibrated.

    Attributes:
        fisheye: Whether the lenses are fisheye lenses.
        given: Name -> camera with known intrinsics, which are kept.
        refine: Whether bundle adjustment refines the intrinsics of cameras, too.
        floor: Moment at which the board lies on the floor, which becomes the origin of the world, with z up; None
            takes the frame of the first camera.
    """

    fisheye: bool = False
    given: Mapping[str, Camera] = field(default_factory=dict)
    refine: bool = False
    floor: int | None = None


def calibrate_rig(sightings: Sequence[Sightings], board: Board, options: Options = Options()) -> Calibrated:
    """Calibrates a rig.

    Raises:
        CameraError: A camera sees the board too rarely or mirrored, groups of cameras do not see it together, or no
            rig fits.
        MissingExtra: scipy is not installed.
    """
    check_sightings(sightings, board)
    intrinsics = tuple(intrinsics_of(each, board, options) for each in sightings)
    rig, pairs, placed = initial_rig([each.camera for each in intrinsics], sightings, board)
    moments = _best_moments(sightings, placed)
    seen = observations_of(sightings, moments)
    boards = np.stack([placed[int(moment)] for moment in moments])
    start = np.linalg.norm(reprojection_errors(rig, boards, board.points, seen), axis=1)
    adjusted = adjust(rig, boards, board.points, seen, intrinsics=options.refine)
    fit = measure(adjusted.rig, board, sightings, seen, adjusted.boards, adjusted.inliers)
    _check_fit(fit, adjusted.rig, float(np.median(start)))
    rig = adjusted.rig
    if options.floor is not None:
        rig = on_floor(rig, sightings, board, options.floor)
        fit = measure(rig, board, sightings, seen, _moved(adjusted.rig, rig, adjusted.boards), adjusted.inliers)
    return Calibrated(rig, board, tuple(sightings), intrinsics, tuple(pairs), fit)


def intrinsics_of(sightings: Sightings, board: Board, options: Options) -> Intrinsics:
    """Returns the intrinsics of one camera: those that are given, or else calibrated.

    Raises:
        CameraError: The given ones are for images of another size, or calibration fails.
    """
    camera = options.given.get(sightings.name)
    if camera is None:
        if options.given:
            raise CameraError(
                f"the given intrinsics have no camera {sightings.name}; they have {', '.join(options.given)}"
            )
        return calibrate_intrinsics(sightings, board, options.fisheye)
    if camera.size is not None and camera.size != sightings.size:
        expected, got = (f"{width}x{height}" for height, width in (camera.size, sightings.size))
        raise CameraError(f"camera {camera.name}: its given intrinsics are for {expected} images, and these are {got}")
    return Intrinsics(camera, None, ())


def check_sightings(sightings: Sequence[Sightings], board: Board) -> None:
    """Checks that several cameras see the board, and from its front.

    Raises:
        CameraError: There is one camera, a camera never sees the board, or sees it mirrored.
    """
    if len(sightings) < 2:
        raise CameraError("a rig has at least two cameras, got one: pass --only-intrinsics for its intrinsics alone")
    seeing = [each.name for each in sightings if len(each)]
    if unseen := [each for each in sightings if not len(each)]:
        counts = ", ".join(f"{each.name} (0 of {each.total} images)" for each in unseen)
        raise CameraError(
            f"the board {board} is not seen by {counts}"
            + (f", only by {', '.join(seeing)}" if seeing else "")
            + ": check the board with --board auto, or leave the camera out"
        )
    mirrored = [each.name for each in sightings if np.sum([handedness(c, board) for c in each.corners]) < 0]
    if mirrored and len(mirrored) < len(sightings):
        raise CameraError(
            f"the video of {', '.join(mirrored)} is mirrored and those of the other cameras are not: mirror it back "
            "(ffmpeg -i in.mp4 -vf hflip out.mp4) and calibrate again"
        )
    if mirrored:
        raise CameraError(
            "all cameras see the board mirrored, so the world would be mirrored, too: mirror the videos back, or add "
            ":mirrored to the board if it is printed mirrored"
        )
    if board.turnable:
        raise CameraError(
            f"a checkerboard of {board.rows}x{board.columns} inner corners looks the same when it is turned, so "
            "cameras cannot agree on its corners: use one with an odd and an even number, such as 6x7, or ChArUco"
        )


def measure(
    rig: Rig,
    board: Board,
    sightings: Sequence[Sightings],
    seen: Observations,
    boards: NDArray[np.float64],
    inliers: NDArray[np.bool_] | None = None,
) -> Fit:
    """Returns how well a rig with boards in known places fits."""
    errors = np.linalg.norm(reprojection_errors(rig, boards, board.points, seen), axis=1)
    inliers = np.ones(len(seen), bool) if inliers is None else inliers
    by_camera = tuple(_rms(errors[inliers & (seen.camera == index)]) for index in range(len(rig)))
    lengths = neighbor_distances(rig, sightings, board, seen.moments)
    square = float(np.median(lengths)) if len(lengths) else np.nan
    return Fit(seen, boards, errors, inliers, _rms(errors[inliers]), by_camera, square, len(lengths))


def measure_held_out(rig: Rig, board: Board, sightings: Sequence[Sightings]) -> Fit:
    """Returns how well a rig fits boards that it was not calibrated from: only their poses are chosen.

    Args:
        rig: The cameras, in the order of the sightings.
        board: The board.
        sightings: What each camera sees of it.
    """
    placed = place_boards(rig, sightings, board)
    moments = _best_moments(sightings, placed)
    seen = observations_of(sightings, moments)
    boards = np.stack([placed[int(moment)] for moment in moments])
    return measure(rig, board, sightings, seen, _adjust_boards(rig, board, seen, boards))


def neighbor_distances(
    rig: Rig, sightings: Sequence[Sightings], board: Board, moments: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Returns distances in meters of neighboring corners, each triangulated alone from all cameras that see it.

    Nothing but the cameras fixes them: with the right scale, their median is the side of a square.
    """
    pixels = np.full((len(rig), len(moments), len(board.points), 2), np.nan)
    for view, each in zip(pixels, sightings, strict=True):
        _, to, row = np.intersect1d(moments, each.moments, return_indices=True)
        view[to] = each.corners[row]
    seen = np.isfinite(pixels).all(axis=-1)
    flat = pixels.reshape(len(rig), -1, 2)
    found = triangulate_points(rig, flat, seen.reshape(len(rig), -1).astype(np.float64), max_error=np.inf)
    points = found.positions.reshape(len(moments), -1, 3)
    one, other = board.neighbors.T
    lengths = np.linalg.norm(points[:, one] - points[:, other], axis=-1)
    known: NDArray[np.float64] = lengths[np.isfinite(lengths)]
    return known


def on_floor(rig: Rig, sightings: Sequence[Sightings], board: Board, moment: int) -> Rig:
    """Returns the rig in the world of a board on the floor: x to the right, y up as printed, z up from the floor.

    Raises:
        CameraError: No camera sees the board at that moment.
    """
    at = [each.take(each.moments == moment) for each in sightings]
    placed = place_boards(rig, at, board)
    if moment not in placed:
        raise CameraError(f"no camera sees the board in frame {moment}, in which it should lie on the floor")
    seen = observations_of(at, np.array([moment]))
    pose = _adjust_boards(rig, board, seen, placed[moment][None])[0] @ np.diag([1.0, -1.0, -1.0, 1.0])
    inverse = np.linalg.inv(pose)
    return rig.moved(inverse[:3, :3], inverse[:3, 3])


def _adjust_boards(rig: Rig, board: Board, seen: Observations, boards: NDArray[np.float64]) -> NDArray[np.float64]:
    """Poses of boards that fit best with fixed cameras: each is refined alone, as a camera that moves."""
    import cv2

    refined = boards.copy()
    for index, pose in enumerate(boards):
        mine = np.flatnonzero(seen.board == index)
        if not len(mine):
            continue

        def errors(values: NDArray[np.float64], mine: NDArray[np.int64] = mine) -> NDArray[np.float64]:
            points = board.points[seen.corner[mine]] @ cv2.Rodrigues(values[:3])[0].T + values[3:]
            pixels = np.empty((len(mine), 2))
            for camera in np.unique(seen.camera[mine]):
                rows = seen.camera[mine] == camera
                pixels[rows] = rig.cameras[camera].project(points[rows])
            return np.nan_to_num(pixels - seen.pixels[mine], nan=1e4).ravel()

        from scipy.optimize import least_squares

        start = np.concatenate([cv2.Rodrigues(pose[:3, :3])[0].ravel(), pose[:3, 3]])
        found = least_squares(errors, start, loss="soft_l1", x_scale="jac").x
        refined[index, :3, :3], refined[index, :3, 3] = cv2.Rodrigues(found[:3])[0], found[3:]
    return refined


def _best_moments(sightings: Sequence[Sightings], placed: Mapping[int, NDArray[np.float64]]) -> NDArray[np.int64]:
    """The moments with the most corners in several cameras, at most `MAX_BOARDS`; increasing."""
    counts: dict[int, list[int]] = {}
    for each in sightings:
        for moment, number in zip(each.moments.tolist(), each.seen.sum(axis=1).tolist(), strict=True):
            if moment in placed:
                counts.setdefault(moment, []).append(number)
    shared = [moment for moment, numbers in counts.items() if len(numbers) > 1] or list(counts)
    ranked = sorted(shared, key=lambda moment: (-sum(counts[moment]), moment))
    return np.array(sorted(ranked[:MAX_BOARDS]), np.int64)


def _check_fit(fit: Fit, rig: Rig, start: float) -> None:
    """Checks each camera: one that contradicts the others would otherwise pass as outliers."""
    for index, camera in enumerate(rig):
        mine = fit.observations.camera == index
        longest = max(camera.size or (1000,))
        median, outliers = float(np.median(fit.errors[mine])), 1 - float(fit.inliers[mine].mean())
        if not median <= MAX_MEDIAN * longest or outliers > MAX_OUTLIERS:
            raise CameraError(
                f"no rig fits the boards: in camera {camera.name} the median reprojection error is {median:.1f} "
                f"pixels, and {100 * outliers:.0f} % are outliers (median before bundle adjustment "
                f"{start:.1f} pixels): are the videos synchronized (cairn sync), did a camera move, is the board right?"
            )


def _moved(old: Rig, new: Rig, boards: NDArray[np.float64]) -> NDArray[np.float64]:
    """Poses of boards in the world of another rig of the same shape."""
    one, other = np.eye(4), np.eye(4)
    one[:3], other[:3] = old.cameras[0].extrinsics, new.cameras[0].extrinsics
    moved: NDArray[np.float64] = np.linalg.inv(other) @ one @ boards
    return moved


def _rms(errors: NDArray[np.float64]) -> float:
    return float(np.sqrt(np.mean(errors**2))) if len(errors) else float("nan")
