"""Poses of cameras from the boards that they see together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from cairn.errors import CameraError
from cairn.multiview.boards import Board
from cairn.multiview.intrinsics import board_poses
from cairn.multiview.observations import Sightings
from cairn.structures.camera import Camera, Rig, nearest_rotation

MIN_SHARED = 3
"""Boards that two cameras must see together: one board has two poses that fit nearly equally well."""

MAX_CANDIDATES = 25
MAX_COMPARED = 50
"""Boards whose poses are tried for a pair, and boards that each of them is compared on."""

Poses = Mapping[int, list[tuple[NDArray[np.float64], float]]]
"""Moment -> poses of the board before one camera, as `board_poses` returns them."""


@dataclass(frozen=True, eq=False)
class Pair:
    """Two cameras that see the board together.

    Attributes:
        cameras: Their indices.
        boards: Number of boards that both see.
        corners: Number of corners that both see.
        motion: (4, 4) from the frame of the first to that of the second; None where they share too few boards.
        error: Median error in pixels of boards moved from one camera to the other.
    """

    cameras: tuple[int, int]
    boards: int
    corners: int
    motion: NDArray[np.float64] | None = None
    error: float = np.nan


def initial_rig(
    cameras: Sequence[Camera], sightings: Sequence[Sightings], board: Board
) -> tuple[Rig, list[Pair], dict[int, NDArray[np.float64]]]:
    """Returns the rig in the world of its first camera, all pairs, and the pose of the board at each moment.

    Poses are chained along the maximum spanning tree of shared corners.

    Raises:
        CameraError: A camera shares no board with another, or groups of cameras do not share any.
    """
    poses = [_poses(camera, each, board) for camera, each in zip(cameras, sightings, strict=True)]
    pairs = [_pair(i, j, cameras, sightings, poses, board) for i, j in combinations(range(len(cameras)), 2)]
    names = [camera.name for camera in cameras]
    if len(parts := groups(len(cameras), [pair.cameras for pair in pairs if pair.motion is not None])) > 1:
        raise CameraError(_not_connected(names, sightings, pairs, parts))
    motions = {0: np.eye(4)}
    for pair in _tree(pairs):
        one, other = pair.cameras
        assert pair.motion is not None
        if one in motions:
            motions[other] = pair.motion @ motions[one]
        else:
            motions[one] = np.linalg.inv(pair.motion) @ motions[other]
    rig = Rig(
        tuple(
            camera.posed(nearest_rotation(motions[index][:3, :3]), motions[index][:3, 3])
            for index, camera in enumerate(cameras)
        )
    )
    return rig, pairs, place_boards(rig, sightings, board, poses)


def place_boards(
    rig: Rig, sightings: Sequence[Sightings], board: Board, poses: Sequence[Poses] | None = None
) -> dict[int, NDArray[np.float64]]:
    """Returns the pose (4, 4) of the board in the world at each moment in which a camera sees it.

    Of the poses that single cameras suggest, the one that fits best in all cameras is taken.
    """
    if poses is None:
        poses = [_poses(camera, each, board) for camera, each in zip(rig, sightings, strict=True)]
    rows = [{int(moment): row for row, moment in enumerate(each.moments)} for each in sightings]
    inverse = [np.linalg.inv(_motion(camera)) for camera in rig]
    placed = {}
    for moment in sorted(set().union(*(each.keys() for each in poses))):
        suggested = [inverse[index] @ pose for index, each in enumerate(poses) for pose, _ in each.get(moment, [])]
        if not suggested:
            continue
        costs = []
        for pose in suggested:
            points = board.points @ pose[:3, :3].T + pose[:3, 3]
            errors = [
                _error(camera, points, each.corners[row[moment]])
                for camera, each, row in zip(rig, sightings, rows, strict=True)
                if moment in row
            ]
            costs.append(np.nan_to_num(np.concatenate(errors), nan=1e3).clip(max=1e3).mean())
        placed[moment] = suggested[int(np.argmin(costs))]
    return placed


def groups(count: int, edges: Sequence[tuple[int, int]]) -> list[list[int]]:
    """Returns the connected components of a graph, the largest first."""
    part = list(range(count))
    for one, other in edges:
        old, new = part[other], part[one]
        part = [new if each == old else each for each in part]
    found = [[i for i in range(count) if part[i] == each] for each in dict.fromkeys(part)]
    return sorted(found, key=len, reverse=True)


def _poses(camera: Camera, sightings: Sightings, board: Board) -> Poses:
    found = {
        int(moment): board_poses(camera, corners, board)
        for moment, corners in zip(sightings.moments, sightings.corners, strict=True)
    }
    return {moment: poses for moment, poses in found.items() if poses}


def _pair(
    i: int, j: int, cameras: Sequence[Camera], sightings: Sequence[Sightings], poses: Sequence[Poses], board: Board
) -> Pair:
    """The relative pose of two cameras: of those that single boards suggest, the one that most boards agree with."""
    rows = [{int(moment): row for row, moment in enumerate(sightings[k].moments)} for k in (i, j)]
    shared = sorted(poses[i].keys() & poses[j].keys())
    both = [sightings[i].seen[rows[0][m]] & sightings[j].seen[rows[1][m]] for m in shared]
    corners = int(sum(each.sum() for each in both))
    if len(shared) < MIN_SHARED:
        return Pair((i, j), len(shared), corners)
    candidates = [
        other @ np.linalg.inv(one)
        for moment in _spread(shared, MAX_CANDIDATES)
        for one, _ in poses[i][moment]
        for other, _ in poses[j][moment]
    ]
    views = [_View.of(cameras[k], sightings[k], poses[k], _spread(shared, MAX_COMPARED), board) for k in (i, j)]
    errors = np.array([_pair_errors(motion, views[0], views[1]) for motion in candidates])
    limit = 0.01 * max(*cameras[j].size or (1000,), *cameras[i].size or (1000,))
    best = int(np.argmin(np.minimum(errors, limit).mean(axis=1)))
    return Pair((i, j), len(shared), corners, candidates[best], float(np.median(errors[best])))


@dataclass(frozen=True, eq=False)
class _View:
    """What one camera of a pair sees of N boards.

    Attributes:
        camera: The camera at the origin.
        points: (N, 2, K, 3) the corners in its frame at both poses of each board; the same twice where there is one.
        pixels: (N, K, 2) where it sees them.
    """

    camera: Camera
    points: NDArray[np.float64]
    pixels: NDArray[np.float64]

    @classmethod
    def of(cls, camera: Camera, sightings: Sightings, poses: Poses, moments: Sequence[int], board: Board) -> _View:
        placed = np.array([[(poses[moment] * 2)[k][0] for k in (0, 1)] for moment in moments])
        points = np.einsum("npij,kj->npki", placed[..., :3, :3], board.points) + placed[..., None, :3, 3]
        rows = np.searchsorted(sightings.moments, moments)
        return cls(camera.posed(np.eye(3), np.zeros(3)), points, sightings.corners[rows])


def _pair_errors(motion: NDArray[np.float64], one: _View, other: _View) -> NDArray[np.float64]:
    """(N,) median error in pixels of each board, seen by one camera and moved to the other, and the other way round."""
    inverse = np.linalg.inv(motion)
    sums = []
    for source, target, step in ((one, other, motion), (other, one, inverse)):
        projected = target.camera.project(source.points @ step[:3, :3].T + step[:3, 3])
        distance = np.linalg.norm(projected - target.pixels[:, None], axis=-1)
        unseen = np.isnan(target.pixels[:, None, :, 0]) & np.ones_like(distance, bool)
        distance[np.isnan(distance) & ~unseen] = 1e4  # behind the camera
        sums.append(np.nanmedian(distance, axis=-1).min(axis=1))
    return np.asarray(np.mean(sums, axis=0))


def _error(camera: Camera, points: NDArray[np.float64], corners: NDArray[np.float64]) -> NDArray[np.float64]:
    """(N,) distances in pixels of the corners that are seen."""
    seen = np.isfinite(corners).all(axis=1)
    error: NDArray[np.float64] = np.linalg.norm(camera.project(points[seen]) - corners[seen], axis=1)
    return error


def _tree(pairs: Sequence[Pair]) -> list[Pair]:
    """The maximum spanning tree by shared corners, in an order in which each pair touches those before it (Prim)."""
    usable = [pair for pair in pairs if pair.motion is not None]
    reached, tree = {0}, list[Pair]()
    while True:
        edges = [pair for pair in usable if len(reached.intersection(pair.cameras)) == 1]
        if not edges:
            return tree
        best = max(edges, key=lambda pair: pair.corners)
        reached.update(best.cameras)
        tree.append(best)


def _not_connected(
    names: Sequence[str], sightings: Sequence[Sightings], pairs: Sequence[Pair], parts: Sequence[Sequence[int]]
) -> str:
    named = " | ".join(", ".join(names[i] for i in part) for part in parts)
    between = [pair for pair in pairs if not any(set(pair.cameras) <= set(part) for part in parts)]
    most = max(between, key=lambda pair: pair.boards)
    one, other = (names[i] for i in most.cameras)
    seen = f"at most {most.boards} ({one} and {other})" if most.boards else "none"
    alone = [names[part[0]] for part in parts if len(part) == 1]
    hint = "show the board to both sides at the same time"
    if len(names) > 1 and alone and len(parts[0]) == 1:
        hint = "the board must be seen by several cameras at the same moment; are the videos synchronized?"
    return (
        f"{len(parts)} groups of cameras do not see the board together: {named}; at least {MIN_SHARED} shared images "
        f"are needed, and there are {seen}: {hint}"
    )


def _spread(values: Sequence[int], limit: int) -> list[int]:
    """At most `limit` of the values, evenly."""
    if len(values) <= limit:
        return list(values)
    return [values[int(i)] for i in np.linspace(0, len(values) - 1, limit).round()]


def _motion(camera: Camera) -> NDArray[np.float64]:
    motion = np.eye(4)
    motion[:3] = camera.extrinsics
    return motion
