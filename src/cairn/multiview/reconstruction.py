"""From the 2D keypoints of several cameras to tracks in 3D: association, triangulation and refinement together."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cairn.errors import CameraError, SkeletonError
from cairn.multiview.axes import up_axis
from cairn.multiview.detections import DetectionTable
from cairn.multiview.diagnosis import check_in_front, doubt
from cairn.multiview.refinement import filled, information, refined
from cairn.multiview.tracks import Observations, observe
from cairn.multiview.triangulation import MIN_VIEWS, Points, triangulate_points
from cairn.structures.camera import Rig
from cairn.structures.poses import Poses
from cairn.structures.poses3d import Poses3D, Trajectories
from cairn.wording import counted

MIN_CONFIDENCE = 0.2
"""Default minimum confidence of a keypoint to be triangulated."""

SHARE_OF_DIAGONAL = 0.01
"""Default of `max_error`, as a share of the diagonal of the images."""

SAVED = ("json", "trc", "html")
"""Formats that `Reconstruction.save` writes."""

ALIGNED = 0.8  # cosine from which an axis of the world is the vertical
MANY_DROPPED = 0.5
FEW_USED = 0.25  # share of the detected keypoints
HUMAN = frozenset({"left_shoulder", "right_shoulder", "left_hip", "right_hip"})
HUMAN_TORSO = (0.15, 1.0)  # meters from shoulders to hips, from a child to beyond any adult


@dataclass(frozen=True)
class ReconstructionOptions:
    """How keypoints become tracks in 3D.

    Attributes:
        min_confidence: Minimum confidence of a keypoint.
        max_error: Reprojection error in pixels above which cameras are dropped, and a keypoint is missing; None is 1%
            of the diagonal of the images.
        min_views: Number of cameras that a keypoint needs, at least 2.
        people: Number of instances in the scene; None where unknown.
        gap: Seconds for which an instance may be lost and keeps its track ID.
        fill: Seconds up to which gaps are filled; 0 for none.
        smooth: Strength of smoothing over time: 0 for none, 1 for the default.
        limbs: Whether limbs keep their median length.
    """

    min_confidence: float = MIN_CONFIDENCE
    max_error: float | None = None
    min_views: int = MIN_VIEWS
    people: int | None = None
    gap: float = 1.0
    fill: float = 0.0
    smooth: float = 0.0
    limbs: bool = False


@dataclass(frozen=True, eq=False, repr=False)
class Reconstruction:
    """Tracks in 3D, with the cameras and the detections that they come from.

    Iteration gives the `Poses3D` of each frame.

    Attributes:
        trajectories: The tracks.
        rig: V cameras.
        observations: The detections of each track, in pixels of the cameras.
        used: (V, F, P, K) bool, cameras that a keypoint was triangulated from.
        residuals: (V, F, P, K) distance in pixels from each detection to the reprojected keypoint; NaN where unknown.
        up: Axis of the world that points up, such as "z" or "-y".
        warnings: What is doubtful, a line each.
    """

    trajectories: Trajectories
    rig: Rig
    observations: Observations
    used: NDArray[np.bool_]
    residuals: NDArray[np.float64]
    up: str
    warnings: tuple[str, ...] = field(default=())

    def __len__(self) -> int:
        return len(self.trajectories)

    def __iter__(self) -> Iterator[Poses3D]:
        return iter(self.trajectories)

    def __getitem__(self, frame: int) -> Poses3D:
        return self.trajectories[frame]

    def __repr__(self) -> str:
        tracks = self.trajectories
        share = tracks.known.mean() if tracks.known.size else 0
        return (
            f"Reconstruction({counted(len(tracks), 'frame')} at {tracks.rate:g} Hz, "
            f"{counted(len(tracks.ids), 'instance')} of {tracks.skeleton.name} from "
            f"{counted(len(self.rig), 'camera')}, "
            f"{share:.0%} of keypoints, reprojection error {self.error:.1f} px)"
        )

    def save(self, folder: str | Path, write: Sequence[str] = SAVED) -> tuple[Path, ...]:
        """Writes the tracks into a folder, and returns the paths of the files.

        Args:
            folder: The folder, which is created.
            write: Formats, of json, trc, c3d, csv, parquet and html. A .trc or .c3d file holds one track.

        Raises:
            OutputError: A format is unknown, a file of that name exists, or it cannot be written.
            MissingExtra: A format needs a package that is not installed.
        """
        from cairn.multiview.results.writing import write_results

        return write_results(self, Path(folder), write)

    @property
    def error(self) -> float:
        """Median reprojection error of all keypoints in pixels; NaN where there is none."""
        errors = self.trajectories.errors
        return _median(np.array([]) if errors is None else errors)

    def camera_errors(self) -> dict[str, float]:
        """Returns the median distance in pixels between detections and reprojected keypoints, for each camera used."""
        return {
            name: _median(own[used]) for name, own, used in zip(self.rig.names, self.residuals, self.used, strict=True)
        }

    def keypoint_errors(self) -> dict[str, float]:
        """Returns the median reprojection error of each keypoint, in pixels."""
        errors = self.trajectories.errors
        assert errors is not None
        return {joint: _median(errors[..., i]) for i, joint in enumerate(self.trajectories.skeleton.joints)}


def reconstruct(
    rig: Rig, recordings: Sequence[Sequence[Poses]], rate: float, options: ReconstructionOptions, start: int = 0
) -> Reconstruction:
    """Associates, triangulates and refines.

    Args:
        rig: V cameras.
        recordings: V sequences of poses, of one skeleton and in pixels of the cameras; the f-th poses of each are of
            one moment.
        rate: Frames per second.
        options: How.
        start: Number of the first frame.

    Raises:
        CameraError: The recordings do not fit the cameras, or nothing was detected by two cameras.
        SkeletonError: The recordings have different skeletons.
    """
    skeleton = next((poses.skeleton for frames in recordings for poses in frames), None)
    if skeleton is None:
        raise CameraError("no camera has a frame: expected the keypoints of at least two cameras")
    for name, frames in zip(rig.names, recordings, strict=True):
        other = next((poses.skeleton for poses in frames if poses.skeleton.joints != skeleton.joints), None)
        if other is not None:
            raise SkeletonError(
                f"camera {name} has keypoints of {other.name} ({len(other)}), the others of {skeleton.name} "
                f"({len(skeleton)}): detect with the same model, or name the skeleton"
            )
    if len(rig) < 2:
        raise CameraError(f"triangulation needs at least two cameras, got only {rig.names[0]}")
    count = max(map(len, recordings))
    table = DetectionTable.of(rig, recordings, options.min_confidence)
    if len(np.unique(table.views)) < 2:
        raise CameraError(
            f"{_seeing(rig, table)} has a keypoint of confidence {options.min_confidence:g}: triangulation needs two "
            "cameras that detect the same instance"
        )
    found = doubt(rig, recordings, options.min_confidence)
    if found is not None and found.camera is None:
        raise CameraError(found.text)
    gap = max(round(options.gap * rate), 1)
    observations = observe(rig, table, count, gap, options.people)
    shape = observations.confidence.shape
    max_error = options.max_error or SHARE_OF_DIAGONAL * _diagonal(rig)
    points = triangulate_points(
        rig,
        observations.pixels.reshape(shape[0], -1, 2),
        observations.confidence.reshape(shape[0], -1),
        max_error,
        options.min_views,
    )
    tracks = _trajectories(points, observations, (skeleton, rate, start))
    if not tracks.known.any():
        _explain(rig, observations, max_error)
    used = points.used.reshape(shape)
    doubted = None if found is None or _is_used(rig, table, used, found.camera) else found
    warnings = [] if doubted is None else [doubted.text]
    warnings += _warnings(rig, points, observations, None if doubted is None else doubted.camera)
    warnings += _size_warnings(tracks)
    share = used.sum() / max(int((table.confidence > 0).sum()), 1)
    if share < FEW_USED:
        warnings.append(
            f"only {share:.0%} of the detected keypoints could be triangulated: the recordings may not be synchronous "
            "(give --offsets), or most instances are in one camera only"
        )
    if options.fill:
        tracks = filled(tracks, max(round(options.fill * rate), 1))
    if options.smooth or options.limbs:
        tracks = refined(tracks, information(rig, tracks, used), options.smooth, options.limbs)
    residuals = _residuals(rig, tracks, observations)
    tracks = replace(tracks, errors=_errors(residuals, used))
    return Reconstruction(tracks, rig, observations, used, residuals, up_axis(rig), tuple(warnings))


def _trajectories(points: Points, observations: Observations, about: tuple[object, float, int]) -> Trajectories:
    """Returns the tracks with a known keypoint."""
    skeleton, rate, start = about
    shape = observations.confidence.shape[1:]
    weights = np.where(points.used, observations.confidence.reshape(len(points.used), -1), 0)
    confidence = weights.sum(axis=0) / np.maximum(points.views, 1)
    return Trajectories(
        points.positions.reshape(*shape, 3),
        confidence.reshape(shape).astype(np.float32),
        skeleton,  # type: ignore[arg-type]
        observations.ids,
        rate,
        points.errors.reshape(shape).astype(np.float32),
        points.views.reshape(shape),
        None,
        start,
    )


def _residuals(rig: Rig, tracks: Trajectories, observations: Observations) -> NDArray[np.float64]:
    """(V, F, P, K): pixels between each detection and the reprojected keypoint; NaN where either is unknown."""
    projected = rig.project(tracks.keypoints)
    return np.asarray(np.linalg.norm(projected - observations.pixels, axis=-1))


def _errors(residuals: NDArray[np.float64], used: NDArray[np.bool_]) -> NDArray[np.float32]:
    """(F, P, K): root mean square over the cameras used; NaN where there is none."""
    total = np.where(used, residuals, 0) ** 2
    with np.errstate(invalid="ignore"):
        return np.asarray(np.sqrt(total.sum(axis=0) / np.where(used.any(axis=0), used.sum(axis=0), np.nan)), np.float32)


def _diagonal(rig: Rig) -> float:
    """Median diagonal of the images in pixels; where the size is unknown, by the principal point."""
    sides = [camera.size or (2 * camera.matrix[1, 2], 2 * camera.matrix[0, 2]) for camera in rig]
    return float(np.median([np.hypot(*each) for each in sides]))


def _seeing(rig: Rig, table: DetectionTable) -> str:
    views = np.unique(table.views)
    return f"only camera {rig.names[int(views[0])]}" if len(views) else "no camera"


def _explain(rig: Rig, observations: Observations, max_error: float) -> None:
    """Raises CameraError with the reason why there is no keypoint in 3D."""
    from cairn.multiview.triangulation import linear_points

    shape = observations.confidence.shape
    weights = observations.confidence.reshape(shape[0], -1)
    pixels = observations.pixels.reshape(shape[0], -1, 2)
    normalized = np.stack([camera.undistort(own) for camera, own in zip(rig, pixels, strict=True)])
    weights = np.where(np.isfinite(normalized).all(axis=-1), weights, 0)
    with np.errstate(all="ignore"):
        rough = linear_points(normalized, weights, np.stack([camera.extrinsics for camera in rig]))
    check_in_front(rig, rough, weights > 0)
    raise CameraError(
        f"no keypoint of two cameras agrees within {max_error:.3g} px: the recordings are not synchronous (give "
        "--offsets), the cameras are those of another rig, or the error is larger (raise --max-error)"
    )


def _is_used(rig: Rig, table: DetectionTable, used: NDArray[np.bool_], camera: str | None) -> bool:
    """Whether keypoints were triangulated from most of the detections of a camera."""
    view = rig.names.index(str(camera))
    return int(used[view].sum()) > MANY_DROPPED * int((table.confidence[table.views == view] > 0).sum())


def _warnings(rig: Rig, points: Points, observations: Observations, doubted: str | None) -> list[str]:
    """Returns a line for each camera whose keypoints were dropped, but for one that is doubted already."""
    lines = []
    seen = (observations.confidence > 0).reshape(len(rig), -1) & np.isfinite(points.errors)
    for name, own, used, residuals in zip(rig.names, seen, points.used, points.residuals, strict=True):
        dropped = own & ~used
        if name != doubted and own.any() and dropped.sum() > MANY_DROPPED * own.sum():
            lines.append(
                f"camera {name} contradicts the others in {dropped.sum() / own.sum():.0%} of its keypoints (median "
                f"{_median(residuals[dropped]):.0f} px): it was moved, or is not synchronous"
            )
    return lines


def _size_warnings(tracks: Trajectories) -> list[str]:
    """Returns a line where people are of an impossible size."""
    torso = _torso(tracks)
    if torso is None or HUMAN_TORSO[0] <= torso <= HUMAN_TORSO[1]:
        return []
    return [
        f"the torso of people is {torso:.3g} m long (median): the lengths in the file of the cameras are probably in "
        "another unit (give --unit)"
    ]


def _torso(tracks: Trajectories) -> float | None:
    """Median distance in meters from the middle of the shoulders to that of the hips; None where it is unknown."""
    joints = tracks.skeleton.joints
    if not set(joints) >= HUMAN or not tracks.known.any():
        return None
    middles = [
        tracks.keypoints[:, :, [joints.index(f"{side}_{joint}") for side in ("left", "right")]].mean(axis=2)
        for joint in ("shoulder", "hip")
    ]
    value = _median(np.linalg.norm(middles[0] - middles[1], axis=-1))
    return value if np.isfinite(value) else None


def _median(values: NDArray[np.floating]) -> float:
    known = values[np.isfinite(values)]
    return float(np.median(known)) if len(known) else float("nan")
