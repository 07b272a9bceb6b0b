"""Whether recordings fit their cameras: swapped names, inverted poses, a camera that was moved.

Cameras that fit agree: rays through the same keypoints of an instance meet before both cameras. `agreement` measures
that for each pair of cameras in a sample of frames, without triangulating.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations, permutations

import numpy as np
from numpy.typing import NDArray

from cairn.errors import CameraError
from cairn.multiview.association import detection_affinity
from cairn.multiview.detections import DetectionTable
from cairn.structures.camera import Rig
from cairn.structures.poses import Poses

Array = NDArray[np.float64]

SAMPLE = 24
"""Number of frames that cameras are compared in."""

GOOD = 0.3
"""Agreement of two cameras, from -1 to 1, from which they fit."""

GAIN = 0.25
"""Rise of the mean agreement from which another arrangement of the cameras is the right one."""

MAX_PERMUTED = 5  # cameras of which all permutations are tried; of more, all swaps of two


@dataclass(frozen=True)
class Doubt:
    """Cameras that do not fit.

    Attributes:
        text: What is wrong, and what would help.
        certain: Whether an arrangement that fits is known, or no two cameras fit.
    """

    text: str
    certain: bool


def agreement(rig: Rig, recordings: Sequence[Sequence[Poses]], min_confidence: float) -> Array:
    """Returns how well each pair of cameras agrees, (V, V) from -1 to 1; NaN where they share no frame.

    Args:
        rig: V cameras.
        recordings: V sequences of poses; the f-th poses of each are of one moment.
        min_confidence: Minimum confidence of a keypoint.
    """
    table = DetectionTable.of(rig, recordings, min_confidence)
    centers = np.stack([camera.center for camera in rig])
    total, count = np.zeros((len(rig), len(rig))), np.zeros((len(rig), len(rig)))
    for rows in table.by_frame(max(map(len, recordings), default=0)):
        part = table.at(rows)
        affinity = detection_affinity(part, centers, np.zeros(len(part), bool))
        views = [np.flatnonzero(part.views == view) for view in range(len(rig))]
        for a, b in combinations(range(len(rig)), 2):
            between = affinity[np.ix_(views[a], views[b])]
            if not between.any():
                continue
            if between.shape[0] > between.shape[1]:
                between = between.T
            best = np.where(between == 0, -1, between).max(axis=1)
            total[a, b] += best.mean()
            count[a, b] += 1
    mean = np.divide(total, count, out=np.full_like(total, np.nan), where=count > 0)
    return np.where(np.isnan(mean), mean.T, mean)


def doubt(rig: Rig, recordings: Sequence[Sequence[Poses]], min_confidence: float) -> Doubt | None:
    """Returns why recordings do not fit their cameras; None where they do, or where nothing tells.

    Args:
        rig: V cameras.
        recordings: V sequences of poses; the f-th poses of each are of one moment.
        min_confidence: Minimum confidence of a keypoint.
    """
    sample = _sample(recordings)
    pairs = agreement(rig, sample, min_confidence)
    if np.isnan(pairs).all() or np.nanmin(pairs) >= GOOD:
        return None
    mean = float(np.nanmean(pairs))
    best, arrangement = mean + GAIN, None
    for order in _arrangements(len(rig)):
        value = float(np.nanmean(agreement(_arranged(rig, order), sample, min_confidence)))
        if value > best:
            best, arrangement = value, order
    if arrangement is not None:
        return Doubt(_swap(rig, arrangement), True)
    inverted = Rig(tuple(camera.posed(camera.rotation.T, camera.center) for camera in rig))
    if float(np.nanmean(agreement(inverted, sample, min_confidence))) > mean + GAIN:
        return Doubt(
            "the poses of the cameras are inverted: expected R and t of x_cam = R x_world + t, and their inverses fit "
            "the keypoints",
            True,
        )
    return _misfit(rig, pairs)


def check_in_front(rig: Rig, positions: Array, seen: NDArray[np.bool_]) -> None:
    """Checks that the points are before the cameras.

    Args:
        rig: V cameras.
        positions: (N, 3) triangulated from all cameras, whether or not they are before them; NaN where unknown.
        seen: (V, N) which cameras detected each.

    Raises:
        CameraError: All points that a camera detected are behind it.
    """
    known = np.isfinite(positions).all(axis=-1)
    for camera, own in zip(rig, seen, strict=True):
        depths = camera.to_camera(positions[own & known])[:, 2]
        if len(depths) and (depths <= 0).all():
            raise CameraError(
                f"all points are behind camera {camera.name}: its pose is mirrored, inverted (camera to world instead "
                "of world to camera), or of another recording"
            )


def _sample(recordings: Sequence[Sequence[Poses]]) -> list[list[Poses]]:
    """Returns frames that most cameras detect something in, evenly spread."""
    shortest = min(map(len, recordings), default=0)
    counts = np.array([[len(frames[i]) > 0 for i in range(shortest)] for frames in recordings]).reshape(-1, shortest)
    full = np.flatnonzero(counts.sum(axis=0) >= min(2, len(recordings)))
    order = full[np.argsort(-counts[:, full].sum(axis=0), kind="stable")][: max(SAMPLE, len(full) // 2)]
    chosen = np.sort(order)[np.linspace(0, len(order) - 1, min(SAMPLE, len(order))).astype(int)] if len(order) else []
    return [[frames[i] for i in chosen] for frames in recordings]


def _arrangements(count: int) -> Iterator[tuple[int, ...]]:
    """Yields the orders of cameras to try, the swaps of two first."""
    same = tuple(range(count))
    for a, b in combinations(same, 2):
        order = list(same)
        order[a], order[b] = b, a
        yield tuple(order)
    if count <= MAX_PERMUTED:
        yield from (order for order in permutations(same) if sum(a != b for a, b in zip(order, same, strict=True)) > 2)


def _arranged(rig: Rig, order: Sequence[int]) -> Rig:
    return Rig(tuple(rig[i] for i in order))


def _swap(rig: Rig, order: Sequence[int]) -> str:
    moved = [(rig.names[i], rig.names[j]) for i, j in enumerate(order) if i != j]
    if len(moved) == 2:
        return (
            f"the names of cameras {moved[0][0]} and {moved[0][1]} seem to be swapped: the keypoints of all cameras "
            "agree when these two are exchanged"
        )
    changes = ", ".join(f"{name} has the recording of {other}" for name, other in moved)
    return f"the names of cameras seem to be mixed up: the keypoints agree if {changes}"


def _misfit(rig: Rig, pairs: Array) -> Doubt | None:
    """Returns the doubt about one camera, or about all."""
    means = np.array([np.nanmean(row) if np.isfinite(row).any() else np.nan for row in pairs])
    if (pairs[np.isfinite(pairs)] < GOOD).all():
        return Doubt(
            "no two cameras agree: the cameras are those of another rig, in another world or unit, or the recordings "
            "are not synchronous (give --offsets)",
            True,
        )
    worst = int(np.nanargmin(means))
    others = np.delete(np.delete(pairs, worst, 0), worst, 1)
    if len(rig) > 2 and np.isfinite(others).any() and np.nanmin(others) >= GOOD > means[worst]:
        return Doubt(
            f"camera {rig.names[worst]} does not agree with the others: it was moved after the calibration, or its "
            "recording is not synchronous (give --offsets)",
            False,
        )
    return None
