"""Views of 3D poses: cameras, projection, and the errors of a 2D detector."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cairn.inference.lifter import toward
from cairn.methods.lifting.network import Frame
from cairn.methods.lifting.recipe import Cameras, Noise
from cairn.structures.camera import Rig
from cairn.structures.skeleton import Skeleton

Array = NDArray[np.float64]


@dataclass(frozen=True)
class View:
    """Poses as a camera sees them.

    Attributes:
        keypoints: (B, K, 3) x, y in normalized coordinates, and 1 where known, else 0.
        target: (B, K, 3) meters relative to the root, in the camera's frame; NaN where unknown.
    """

    keypoints: Array
    target: Array


@dataclass(frozen=True)
class Viewer:
    """Makes views of poses.

    Attributes:
        cameras: Settings of the cameras.
        rig: Calibrated cameras; None for random ones.
        root: Indices of the joints whose mean is the root.
        frame: Frame of the 2D input.
    """

    cameras: Cameras
    rig: Rig | None
    root: tuple[int, ...]
    frame: Frame

    def __call__(self, poses: Array, rng: np.random.Generator) -> View:
        """Returns views of poses (B, K, 3) in meters with z up, each by a camera of its own."""
        inside = self._random(poses, rng) if self.rig is None else _of_rig(poses, self.rig, rng)
        if self.frame == "pose":
            inside = inside @ np.swapaxes(toward(np.nanmean(inside, axis=1)), 1, 2)
        known = np.isfinite(inside).all(axis=-1) & (np.nan_to_num(inside[..., 2]) > 0.05)
        depth = np.where(known, inside[..., 2], 1.0)[..., None]
        flat = np.where(known[..., None], inside[..., :2] / depth, 0.0)
        return View(np.concatenate([flat, known[..., None]], axis=-1), inside - self._root(inside)[:, None])

    def _root(self, poses: Array) -> Array:
        """(B, 3): the root of poses (B, K, 3)."""
        root: Array = poses[:, list(self.root)].mean(axis=1)
        return root

    def _random(self, poses: Array, rng: np.random.Generator) -> Array:
        """Returns poses in the frames of random cameras that face their roots."""
        count, settings = len(poses), self.cameras
        yaw = rng.uniform(0, 2 * np.pi, count)
        pitch = np.radians(rng.uniform(*settings.pitch, count))
        roll = np.radians(rng.uniform(-settings.roll, settings.roll, count))
        zero, one = np.zeros(count), np.ones(count)
        level = _matrices([np.cos(yaw), np.sin(yaw), zero], [zero, zero, -one], [-np.sin(yaw), np.cos(yaw), zero])
        # Rotations of the camera: to look down by the pitch, then around its axis.
        down = _matrices([one, zero, zero], [zero, np.cos(pitch), -np.sin(pitch)], [zero, np.sin(pitch), np.cos(pitch)])
        tilt = _matrices([np.cos(roll), -np.sin(roll), zero], [np.sin(roll), np.cos(roll), zero], [zero, zero, one])
        centered = poses - self._root(poses)[:, None]
        inside: Array = centered @ np.swapaxes(tilt @ down @ level, 1, 2)
        inside[..., 2] += rng.uniform(*settings.distance, count)[:, None]
        return inside


def noisy(keypoints: Array, noise: Noise, rng: np.random.Generator) -> Array:
    """Returns keypoints (B, K, 3) with the errors of a detector; those that go missing are 0, 0, 0."""
    points, known = keypoints[..., :2], keypoints[..., 2:] > 0
    count = np.maximum(known.sum(axis=1, keepdims=True), 1)
    middle = np.where(known, points, 0).sum(axis=1, keepdims=True) / count
    size = np.sqrt((np.where(known, points - middle, 0) ** 2).sum(axis=(1, 2), keepdims=True) / count)
    shape = (*points.shape[:2], 1)
    spread = noise.spread * rng.uniform(0, 2, (len(points), 1, 1))
    spread = np.where(rng.random(shape) < noise.outliers, noise.outlier, spread)
    moved = points + size * spread * rng.normal(size=points.shape)
    kept = known & (rng.random(shape) >= rng.uniform(0, noise.missing, (len(points), 1, 1)))
    return np.where(kept, np.concatenate([moved, np.ones(shape)], axis=-1), 0.0)


def without_parts(keypoints: Array, parts: Sequence[Sequence[int]], share: float, rng: np.random.Generator) -> Array:
    """Returns keypoints (B, K, 3) in which groups of joints are missing, each in a share of the poses."""
    result = keypoints.copy()
    for part in parts:
        result[np.ix_(rng.random(len(keypoints)) < share, np.array(part, np.int64))] = 0
    return result


def mixed(poses: Array, others: Array, skeleton: Skeleton, share: float, rng: np.random.Generator) -> Array:
    """Returns poses (B, K, 3) with z up, some of whose limbs are those of other poses (B, K, 3).

    The other pose is turned about the vertical so that the rest of both agrees best, and keeps its own lengths.
    """
    result = poses.copy()
    for anchor, chain in chains(skeleton):
        rows = np.flatnonzero(rng.random(len(poses)) < share)
        source = rng.permutation(others)[: len(rows)]
        rest = np.setdiff1d(np.arange(len(skeleton)), chain)
        a, b = (
            each[:, rest, :2] - np.nanmean(each[:, rest, :2], axis=1, keepdims=True) for each in (poses[rows], source)
        )
        angle = np.arctan2(
            np.nansum(b[..., 0] * a[..., 1] - b[..., 1] * a[..., 0], axis=1), np.nansum(a * b, axis=(1, 2))
        )
        zero, one = np.zeros(len(rows)), np.ones(len(rows))
        turn = _matrices([np.cos(angle), -np.sin(angle), zero], [np.sin(angle), np.cos(angle), zero], [zero, zero, one])
        limb = (source[:, chain] - source[:, [anchor]]) @ np.swapaxes(turn, 1, 2)
        result[np.ix_(rows, np.array(chain))] = poses[rows][:, [anchor]] + limb
    return result


def chains(skeleton: Skeleton) -> list[tuple[int, list[int]]]:
    """Returns (joint, joints beyond it) of the arms and legs: chains that end, and start at a joint of three limbs."""
    near: list[list[int]] = [[] for _ in skeleton.joints]
    for a, b in skeleton.limbs:
        near[a].append(b)
        near[b].append(a)
    found = []
    for end in range(len(skeleton)):
        chain, following = [end], near[end]
        while len(following) == 1:
            joint = following[0]
            if len(near[joint]) != 2:
                if len(near[joint]) > 2:
                    found.append((joint, chain[::-1]))
                break
            following = [other for other in near[joint] if other != chain[-1]]
            chain.append(joint)
    return found


def with_lengths(poses: Array, skeleton: Skeleton, deviation: float, rng: np.random.Generator) -> Array:
    """Returns poses (B, K, 3) whose limbs have other lengths, by a factor for each limb of each pose.

    Limbs grow from the first joint along the skeleton; left and right get the same factors.
    """
    twin = skeleton.flip_order
    factors = np.clip(1 + deviation * rng.normal(size=poses.shape[:2]), 0.5, 1.5)
    factors = factors[:, np.minimum(np.arange(len(skeleton)), twin)]
    result = poses.copy()
    for child, parent in spanning_tree(skeleton):
        result[:, child] = result[:, parent] + factors[:, child, None] * (poses[:, child] - poses[:, parent])
    return result


def spanning_tree(skeleton: Skeleton) -> list[tuple[int, int]]:
    """Returns (joint, parent) pairs along the limbs, each parent before its children; one root for each component."""
    reached: list[int] = []
    pairs: list[tuple[int, int]] = []
    for start in range(len(skeleton)):
        if start in reached:
            continue
        queue = [start]
        reached.append(start)
        while queue:
            joint = queue.pop(0)
            near = [b if a == joint else a for a, b in skeleton.limbs if joint in (a, b)]
            for other in dict.fromkeys(near):
                if other not in reached:
                    reached.append(other)
                    pairs.append((other, joint))
                    queue.append(other)
    return pairs


def _of_rig(poses: Array, rig: Rig, rng: np.random.Generator) -> Array:
    """Returns poses in the frames of cameras of a rig."""
    chosen = rng.integers(len(rig), size=len(poses))
    rotations = np.stack([camera.rotation for camera in rig])[chosen]
    translations = np.stack([camera.translation for camera in rig])[chosen]
    inside: Array = poses @ np.swapaxes(rotations, 1, 2) + translations[:, None]
    return inside


def _matrices(*rows: list[Array]) -> Array:
    """Returns matrices (B, 3, 3) of their rows, each three entries (B,)."""
    return np.stack([np.stack(row, axis=-1) for row in rows], axis=1)
