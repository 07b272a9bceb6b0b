"""Identities over time: the detections of every moment are associated across views and with the tracks in 3D.

Each moment takes four steps: associate detections and tracks (`association.clusters`), triangulate the clusters
roughly, assign each keypoint on its own, and carry the tracks on. The result says which pixels belong to which track;
`triangulation` then solves all of them at once.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from cairn.errors import CameraError
from cairn.multiview.association import (
    GATE,
    MIN_SHARED,
    NEVER,
    assigned_keypoints,
    clusters,
    decided_detections,
    detection_affinity,
    projected_distances,
    track_affinity,
)
from cairn.multiview.detections import DetectionTable
from cairn.multiview.triangulation import linear_points
from cairn.structures.camera import Rig
from cairn.wording import counted

Array = NDArray[np.float64]

MIN_JOINTS = 3
"""Number of keypoints in two cameras that a new instance needs."""

MIN_SHARE = 0.1
"""Share of the frames of a recording that a track must be in, up to a second; shorter ones are false positives."""

SAME = 0.08  # distance over the size of an instance below which a new one is a second piece of it
SIZE_MEMORY = 0.95
ROUNDS = 2  # of reweighting where detections contradict


@dataclass(frozen=True, eq=False)
class Observations:
    """Which pixels belong to which track.

    Attributes:
        pixels: (V, F, P, K, 2); NaN where a camera did not detect a keypoint.
        confidence: (V, F, P, K); 0 where it did not.
        ids: (P,) track IDs from 1.
    """

    pixels: Array
    confidence: Array
    ids: NDArray[np.int64]


@dataclass
class _Track:
    """One instance: the keypoints (K, 3) where they were last known, its size in meters, and where it was."""

    points: Array
    size: float
    seen: int
    rows: dict[int, NDArray[np.intp]] = field(default_factory=dict)  # frame -> (V, K) rows of the table
    joints: int = 0  # keypoints that two cameras detected, over all frames


def observe(rig: Rig, table: DetectionTable, frames: int, gap: int, people: int | None = None) -> Observations:
    """Associates all detections of a recording.

    Args:
        rig: V cameras.
        table: The detections.
        frames: Number of frames F.
        gap: Number of frames for which an instance may be lost and keeps its track.
        people: Number of instances in the scene, if known: only the tracks with the most keypoints are kept.

    Raises:
        CameraError: There are several instances of too few keypoints to tell them apart.
    """
    if table.confidence.shape[1] < MIN_SHARED:
        return _one_instance(rig, table, frames)
    tracker = _Tracker(rig)
    for frame, rows in enumerate(table.by_frame(frames)):
        tracker.advance(frame, table.at(rows), rows.start, gap)
    tracks = sorted((track for track in tracker.all if track.joints), key=lambda track: -track.joints)
    shortest = min(MIN_SHARE * frames, gap)
    tracks = [track for track in tracks if len(track.rows) >= max(shortest, 1)][:people]
    tracks.sort(key=lambda track: min(track.rows))
    shape = (len(rig), frames, len(tracks), table.confidence.shape[1])
    pixels, confidence = np.full((*shape, 2), np.nan), np.zeros(shape)
    for column, track in enumerate(tracks):
        at = np.array(list(track.rows))
        taken = np.stack([track.rows[frame] for frame in at], axis=1)  # (V, F', K)
        view, step, joint = np.nonzero(taken >= 0)
        row = taken[view, step, joint]
        pixels[view, at[step], column, joint] = table.pixels[row, joint]
        confidence[view, at[step], column, joint] = table.confidence[row, joint]
    return Observations(pixels, confidence, np.arange(1, len(tracks) + 1, dtype=np.int64))


def _one_instance(rig: Rig, table: DetectionTable, frames: int) -> Observations:
    """Returns the observations of one instance, of which each camera has at most one detection in a frame."""
    joints = table.confidence.shape[1]
    if len(np.unique(table.frames * len(rig) + table.views)) < len(table):
        raise CameraError(
            f"a camera has several instances in a frame, and instances of {counted(joints, 'keypoint')} cannot be "
            f"distinguished: keep one in each frame, or label at least {MIN_SHARED} keypoints"
        )
    shape = (len(rig), frames, 1, joints)
    pixels, confidence = np.full((*shape, 2), np.nan), np.zeros(shape)
    pixels[table.views, table.frames, 0] = table.pixels
    confidence[table.views, table.frames, 0] = table.confidence
    return Observations(pixels, confidence, np.array([1], np.int64))


class _Tracker:
    """The tracks of a recording, frame by frame."""

    def __init__(self, rig: Rig) -> None:
        self.all: list[_Track] = []
        self._alive: list[_Track] = []
        self._centers = np.stack([camera.center for camera in rig])
        self._extrinsics = np.stack([camera.extrinsics for camera in rig])

    def advance(self, frame: int, detections: DetectionTable, first: int, gap: int) -> None:
        """Takes the detections of the next frame, which are those from row `first` on."""
        self._alive = [track for track in self._alive if frame - track.seen <= gap]
        if not len(detections):
            return
        found = self._associated(detections)
        if not found:
            return
        tracks = [track for track, _ in found]
        own = np.zeros((len(found), len(detections)), bool)
        for row, (_, members) in enumerate(found):
            own[row, members] = True
        sizes = np.array([track.size for track in tracks])
        before = np.stack([track.points for track in tracks])
        given = self._keypoints_of(detections, own)
        placed = self._placed(detections, given)
        points = np.where(np.isnan(placed), before, placed)
        points, distances = self._references(detections, given, points, before, sizes)
        taken = assigned_keypoints(detections, distances, own, len(self._centers))
        if (taken != given).any():
            placed = self._placed(detections, taken)
            points = np.where(np.isnan(placed), points, placed)
        several = (taken >= 0).sum(axis=0) >= 2  # (P, K)
        for row, track in enumerate(tracks):
            if not several[row].any():
                continue
            track.points = points[row]
            if (size := _size(placed[row])) > 0:
                track.size = size if not track.rows else SIZE_MEMORY * track.size + (1 - SIZE_MEMORY) * size
            track.rows[frame] = np.where(taken[:, row] >= 0, taken[:, row] + first, -1)
            track.joints += int(several[row].sum())
            track.seen = frame

    def _associated(self, detections: DetectionTable) -> list[tuple[_Track, list[int]]]:
        """Returns the tracks of this frame, old and new, with their detections."""
        tracks, count = self._alive, len(detections)
        total = len(tracks) + count
        affinity = np.full((total, total), NEVER)
        decided = np.zeros(count, bool)
        if tracks:
            points = np.stack([track.points for track in tracks])
            sizes = np.array([track.size for track in tracks])
            distances = projected_distances(detections, points, sizes, self._extrinsics)
            continued = track_affinity(distances, detections.confidence)
            affinity[count:, :count], affinity[:count, count:] = continued, continued.T
            decided = decided_detections(continued)
        affinity[:count, :count] = detection_affinity(detections, self._centers, decided)
        known: list[tuple[_Track, list[int]]] = []
        fresh: list[list[int]] = []
        for members in clusters(affinity):
            numbers = [node - count for node in members if node >= count]
            members = [node for node in members if node < count]
            if numbers and members:
                known.append((tracks[numbers[0]], members))
            elif len(members) >= 2:
                fresh.append(members)
        return known + self._started(detections, fresh, [track for track, _ in known])

    def _keypoints_of(self, detections: DetectionTable, own: NDArray[np.bool_]) -> NDArray[np.intp]:
        """Returns the detections (V, P, K) that instances take keypoints from if they take all of their own (P, N)."""
        taken = np.full((len(self._centers), len(own), detections.confidence.shape[1]), -1)
        rows, columns = np.nonzero(own)
        taken[detections.views[columns], rows] = np.where(detections.confidence[columns] > 0, columns[:, None], -1)
        return taken

    def _references(
        self, detections: DetectionTable, given: NDArray[np.intp], points: Array, before: Array, sizes: Array
    ) -> tuple[Array, Array]:
        """Returns where keypoints (P, K, 3) are expected, and how far those of the detections are from there (P, N, K).

        They are expected where the instance's own detections place them. Where these contradict one another, they are
        expected where most of them agree: with a robust position, or with that of the frame before.
        """
        distances = projected_distances(detections, points, sizes, self._extrinsics)
        own = _gathered(distances, given)
        contradicting = np.asarray((np.where(np.isnan(own), 0, own) > GATE).any(axis=0))  # (P, K)
        if not contradicting.any():
            return points, distances
        robust = points
        for _ in range(ROUNDS):
            weights = 1 / (1 + np.where(np.isfinite(own), own / GATE, 1e3) ** 2)
            robust = self._placed(detections, given, weights)
            own = _gathered(projected_distances(detections, robust, sizes, self._extrinsics), given)
        former = _gathered(projected_distances(detections, before, sizes, self._extrinsics), given)
        better = np.asarray((own <= GATE).sum(axis=0) >= (former <= GATE).sum(axis=0))
        chosen = np.where(better[..., None], robust, before)
        points = np.where(contradicting[..., None], chosen, points)
        return points, projected_distances(detections, points, sizes, self._extrinsics)

    def _started(
        self, detections: DetectionTable, fresh: list[list[int]], present: list[_Track]
    ) -> list[tuple[_Track, list[int]]]:
        """Returns new tracks of clusters, but for those that are a second piece of an instance that is present."""
        started: list[tuple[_Track, list[int]]] = []
        for members in fresh:
            own = np.zeros((1, len(detections)), bool)
            own[0, members] = True
            points = self._placed(detections, self._keypoints_of(detections, own))[0]
            size = _size(points)
            if int(np.isfinite(points[:, 0]).sum()) < MIN_JOINTS or not size > 0:
                continue
            others = [*present, *(track for track, _ in started)]
            if any(_is_same(points, other.points, other.size) for other in others):
                continue
            track = _Track(points, size, -1)
            self.all.append(track)
            self._alive.append(track)
            started.append((track, members))
        return started

    def _placed(self, detections: DetectionTable, taken: NDArray[np.intp], factors: Array | float = 1.0) -> Array:
        """Returns rough positions (P, K, 3) of the keypoints taken (V, P, K); NaN from fewer than two cameras.

        The confidences are multiplied by factors (V, P, K).
        """
        cameras, people, joints = taken.shape
        index = np.arange(joints)
        normalized = detections.normalized[taken, index].reshape(cameras, -1, 2)
        weights = np.where(taken >= 0, factors * detections.confidence[taken, index], 0).reshape(cameras, -1)
        weights[:, (weights > 0).sum(axis=0) < 2] = 0
        with np.errstate(all="ignore"):
            points = linear_points(normalized, weights, self._extrinsics)
        return points.reshape(people, joints, 3)


def _gathered(distances: Array, taken: NDArray[np.intp]) -> Array:
    """Returns the distances (V, P, K) of the keypoints taken, of all distances (P, N, K); NaN where none is taken."""
    people, _, joints = distances.shape
    own = distances[np.arange(people)[:, None], taken, np.arange(joints)]
    return np.where(taken >= 0, own, np.nan)


def _size(points: Array) -> float:
    """Returns the longest side of the bounding box of the known keypoints (K, 3)."""
    known = points[np.isfinite(points[:, 0])]
    if len(known) < 2:
        return 0.0
    return float(np.ptp(known, axis=0).max())


def _is_same(points: Array, others: Array, size: float) -> bool:
    """Whether two sets of keypoints (K, 3) are those of one instance."""
    distance = np.linalg.norm(points - others, axis=1)
    distance = distance[np.isfinite(distance)]
    return len(distance) > 0 and float(np.median(distance)) < SAME * size
