"""Association across views: which detections of one moment are the same instance.

Two detections agree as far as the rays through their common keypoints meet; a detection agrees with an instance of
the frame before as far as its keypoints are where those of the instance are projected to. Distances are relative to
the size of the instance, so that they mean the same for a person and for a fly. The instances are the clusters of the
graph of these affinities, one detection of each camera at most: correlation clustering by greedy additive edge
contraction (Keuper et al. 2015), in which evidence of all pairs of cameras adds up.

Afterwards each keypoint is assigned on its own (`assigned_keypoints`): a detection may have another instance's limb,
or an instance may be in two pieces.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cairn.multiview.detections import DetectionTable

Array = NDArray[np.float64]
Rows = NDArray[np.intp]

MIN_SHARED = 3
"""Number of keypoints that two detections need to be compared."""

GATE = 0.1
"""Distance over the size of an instance at which the affinity is 0; beyond it the detections are of two instances."""

TRACK_WEIGHT = 2.0
"""Weight of the agreement with an instance of the frame before, over that of two detections."""

NEVER = -1e6
MIN_SINE = 0.05  # of the angle between two rays: rays that are nearly parallel say nothing


def detection_affinity(detections: DetectionTable, centers: Array, decided: NDArray[np.bool_]) -> Array:
    """Returns the affinity (N, N) of the detections of one moment, from -1 to 1; 0 where they cannot be compared.

    Two detections of one camera have `NEVER`.

    Args:
        detections: N detections.
        centers: (V, 3) optical centers of the cameras.
        decided: (N,) which detections are not compared with one another, because each agrees with one track alone.
    """
    affinity = np.where(detections.views[:, None] == detections.views, NEVER, 0)
    first, second = np.nonzero(np.triu((affinity == 0) & ~(decided[:, None] & decided), 1))
    if not len(first):
        return affinity
    rays = detections.rays.transpose(2, 0, 1)
    a, b = rays[:, first], rays[:, second]  # (3, M, K)
    wx, wy, wz = (centers[detections.views[second]] - centers[detections.views[first]]).T[:, :, None]
    nx, ny, nz = _cross(a, b)
    square = nx * nx + ny * ny + nz * nz
    clear = np.where(square > MIN_SINE**2, square, np.inf)
    distance = np.abs(wx * nx + wy * ny + wz * nz) / np.sqrt(clear)
    px, py, pz = wy * nz - wz * ny, wz * nx - wx * nz, wx * ny - wy * nx  # w x n
    depth_a = -(px * b[0] + py * b[1] + pz * b[2]) / clear
    depth_b = -(px * a[0] + py * a[1] + pz * a[2]) / clear
    weight = detections.confidence[first] * detections.confidence[second] * (clear < np.inf)
    shared = (weight > 0).sum(axis=1)
    total = np.maximum(weight.sum(axis=1), 1e-9)
    front = (depth_a > 0) & (depth_b > 0)
    sizes = np.maximum(
        detections.sizes[first] * (depth_a * weight * front).sum(axis=1),
        detections.sizes[second] * (depth_b * weight * front).sum(axis=1),
    )
    near = 1 - distance / np.maximum(GATE * (sizes / total)[:, None], 1e-12)
    score = (np.where(front, np.maximum(near, -1), -1) * weight).sum(axis=1) / total
    affinity[first, second] = affinity[second, first] = np.where(shared >= MIN_SHARED, score, 0)
    return affinity


def projected_distances(detections: DetectionTable, points: Array, sizes: Array, extrinsics: Array) -> Array:
    """Returns how far each keypoint of N detections is from that of P instances, over the size of the instance.

    Args:
        detections: N detections.
        points: (P, K, 3) keypoints of instances; NaN where unknown.
        sizes: (P,) size of each instance in meters.
        extrinsics: (V, 3, 4) [R | t] of each camera.

    Returns:
        (P, N, K): the distance in meters at the depth of the keypoint; NaN where either is unknown, infinite behind
        the camera.
    """
    count, joints = points.shape[:2]
    moved = extrinsics[:, :, :3] @ points.reshape(-1, 3).T + extrinsics[:, :, 3:]  # (V, 3, P K)
    moved = moved.reshape(-1, 3, count, joints)[detections.views].transpose(1, 2, 0, 3)  # (3, P, N, K)
    depth = moved[2]
    off_x = moved[0] - depth * detections.normalized[..., 0]
    off_y = moved[1] - depth * detections.normalized[..., 1]
    distance = np.sqrt(off_x * off_x + off_y * off_y) / sizes[:, None, None]
    distance[depth <= 0] = np.inf
    distance[:, detections.confidence <= 0] = np.nan
    return np.asarray(distance)


def track_affinity(distances: Array, confidence: Array) -> Array:
    """Returns the affinity (P, N) of instances of the frame before with detections, from distances (P, N, K)."""
    known = distances == distances
    weight = confidence * known
    near = np.maximum(1 - np.where(known, distances, 0) / GATE, -1)
    total = weight.sum(axis=2)
    score = (near * weight).sum(axis=2) / np.maximum(total, 1e-9)
    return np.where(known.sum(axis=2) >= MIN_SHARED, TRACK_WEIGHT * score, 0)


def decided_detections(affinity: Array) -> NDArray[np.bool_]:
    """Returns (N,) which detections agree well with one track and not at all with others, of affinities (P, N)."""
    well = affinity > TRACK_WEIGHT / 2
    return np.asarray(well.any(axis=0) & ((affinity > 0).sum(axis=0) == 1))


def clusters(affinity: Array) -> list[list[int]]:
    """Returns the clusters of a graph: the two with the largest total affinity are joined while it is positive.

    Args:
        affinity: (N, N) symmetric; `NEVER` for two nodes that cannot be one.
    """
    total = affinity.copy()
    np.fill_diagonal(total, NEVER)
    members = [[node] for node in range(len(total))]
    while len(total):
        at = int(total.argmax())
        a, b = divmod(at, len(total))
        if not total[a, b] > 0:
            break
        members[a] += members[b]
        members[b] = []
        total[a] += total[b]
        total[:, a] = total[a]
        total[a, a] = NEVER
        total[b], total[:, b] = NEVER, NEVER
    return [nodes for nodes in members if nodes]


def assigned_keypoints(
    detections: DetectionTable, distances: Array, own: NDArray[np.bool_], cameras: int, gate: float = GATE
) -> Rows:
    """Assigns the keypoints of detections to instances, each on its own.

    A keypoint goes to the instance that it is nearest to, within the gate. Where an instance has no position of a
    keypoint, it takes those of its own detections.

    Args:
        detections: N detections.
        distances: (P, N, K) from `projected_distances`; NaN where unknown.
        own: (P, N) which detections were associated with each instance.
        cameras: Number of cameras V.
        gate: Largest distance over the size of an instance.

    Returns:
        (V, P, K): the detection that each instance takes a keypoint from; -1 for none.
    """
    people, count, joints = distances.shape
    taken = np.full((cameras, people, joints), -1)
    if not count or not people:
        return taken
    cost = np.where(distances <= gate, distances, np.inf)
    unplaced = np.isnan(distances) & own[:, :, None] & (detections.confidence > 0)
    cost[unplaced] = gate
    claimed = np.arange(people)[:, None, None] == cost.argmin(axis=0)
    cost[~claimed] = np.inf
    for view in range(cameras):
        rows = np.flatnonzero(detections.views == view)
        if len(rows):
            part = cost[:, rows]
            found = part.min(axis=1) < np.inf  # (P, K)
            taken[view] = np.where(found, rows[part.argmin(axis=1)], -1)
    return taken


def _cross(a: Array, b: Array) -> tuple[Array, Array, Array]:
    return a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]
