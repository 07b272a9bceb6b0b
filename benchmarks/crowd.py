"""Synthetic people, and the maps of a perfect network: for benchmarks and tests."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cairn.ops.heatmaps import find_peaks, render_gaussians
from cairn.ops.pafs import render_pafs
from cairn.structures.geometry import Size
from cairn.structures.skeleton import Skeleton

STANDING = {  # x, y over the person's height, seen from the front
    "neck": (0.0, 0.18),
    "nose": (0.0, 0.08),
    "right_eye": (-0.025, 0.055),
    "left_eye": (0.025, 0.055),
    "right_ear": (-0.05, 0.07),
    "left_ear": (0.05, 0.07),
    "right_shoulder": (-0.11, 0.18),
    "right_elbow": (-0.15, 0.34),
    "right_wrist": (-0.17, 0.48),
    "left_shoulder": (0.11, 0.18),
    "left_elbow": (0.15, 0.34),
    "left_wrist": (0.17, 0.48),
    "right_hip": (-0.07, 0.5),
    "right_knee": (-0.08, 0.74),
    "right_ankle": (-0.09, 0.96),
    "left_hip": (0.07, 0.5),
    "left_knee": (0.08, 0.74),
    "left_ankle": (0.09, 0.96),
}

SIGMA = 0.875  # cells: OpenPose's 7 pixels at stride 8
WIDTH = 1.0  # cells: half of a limb's breadth, OpenPose's released training


def crowd(
    rng: np.random.Generator, people: int, size: Size, skeleton: Skeleton, apart: float = 2.0
) -> NDArray[np.float64]:
    """Returns people (P, K, 2) in map cells, all inside the map, of all sizes in all poses; the more, the smaller.

    Args:
        rng: Random numbers.
        people: Number of people.
        size: Height and width of the map.
        skeleton: A skeleton whose tree holds the joints of `STANDING` and starts from the neck.
        apart: Minimum distance in cells between two joints of one name. Closer than two cells their Gaussians have
            one peak, and no decoder can separate them.
    """
    height, width = size
    tallest = 0.85 * height * min(1.0, 1.6 / math.sqrt(people)) + 4
    placed: list[NDArray] = []
    while len(placed) < people:
        body = _body(rng, skeleton) * rng.uniform(0.45, 1.0) * tallest
        low, high = body.min(axis=0), body.max(axis=0)
        room = np.array([width - 1, height - 1]) - (high - low)
        if (room <= 0).any():
            continue
        # Of several positions the one farthest from the others: people stand close, but do not coincide.
        others = np.array(placed).reshape(-1, *body.shape)
        tries = body + (rng.uniform(0, 1, (8, 2)) * room - low)[:, None]  # (8, K, 2)
        gaps = np.linalg.norm(tries.mean(axis=1)[:, None] - others.mean(axis=1), axis=2).min(axis=1, initial=np.inf)
        best = tries[gaps.argmax()]
        if np.linalg.norm(best - others, axis=2).min(initial=np.inf) >= apart:
            placed.append(best)
    return np.array(placed)


def perfect_maps(people: NDArray, size: Size, skeleton: Skeleton) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Returns heatmaps (K, h, w) and PAFs (2L, h, w) of people (P, K, 2)."""
    return render_gaussians(people, size, SIGMA), render_pafs(people, skeleton.limbs, size, WIDTH)


@dataclass(frozen=True)
class Look:
    """How the maps of a network differ from `perfect_maps`.

    Attributes:
        width: Half the breadth of a limb in cells.
        overshoot: Cells by which a limb reaches beyond its two joints.
        noise: Standard deviation of white noise on both maps.
    """

    width: float
    overshoot: float
    noise: float


def maps_with(
    rng: np.random.Generator, people: NDArray, size: Size, skeleton: Skeleton, look: Look
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Returns heatmaps (K, h, w) and PAFs (2L, h, w) of people (P, K, 2) with wide, long limbs and noise."""
    starts, ends = (people[:, [limb[side] for limb in skeleton.limbs]] for side in (0, 1))  # (P, L, 2)
    beyond = look.overshoot * (ends - starts) / np.linalg.norm(ends - starts, axis=2, keepdims=True)
    bands = np.stack([starts - beyond, ends + beyond], axis=2).reshape(len(people), -1, 2)
    pairs = [(2 * limb, 2 * limb + 1) for limb in range(len(skeleton.limbs))]
    maps, pafs = render_gaussians(people, size, SIGMA), render_pafs(bands, pairs, size, look.width)
    maps += rng.normal(0, look.noise, maps.shape).astype(np.float32)
    pafs += rng.normal(0, look.noise, pafs.shape).astype(np.float32)
    return maps, pafs


def complete(people: NDArray, keypoints: NDArray, reach: float = 1.0) -> NDArray[np.bool_]:
    """Returns which people (P, K, 2) have a prediction (Q, K, 2) with every joint closer than `reach` cells."""
    distance = np.linalg.norm(people[:, None] - keypoints[None], axis=3)  # (P, Q, K)
    right = (distance < reach) | np.isnan(people[:, None, :, 0])
    return np.asarray(right.all(axis=2).any(axis=1))


def separable(people: NDArray, heatmaps: NDArray, threshold: float = 0.05, reach: float = 1.0) -> NDArray[np.bool_]:
    """Returns which people (P, K, 2) no heatmap merges with another: each joint has a peak that is nearest to it alone.

    Two joints of one name about two cells apart can have a single peak, and no decoder finds both.
    """
    peaks = find_peaks(heatmaps[: people.shape[1]], threshold)
    apart = np.ones(len(people), dtype=bool)
    for joint in range(people.shape[1]):
        positions = peaks.positions[peaks.joints == joint]
        distance = np.linalg.norm(people[:, None, joint] - positions[None], axis=2)  # (P, peaks)
        nearest = distance.argmin(axis=1)
        apart &= (distance.min(axis=1) < reach) & (np.bincount(nearest)[nearest] == 1)
    return apart


def compare(people: NDArray, keypoints: NDArray, reach: float = 1.0) -> tuple[int, int, NDArray]:
    """Returns the number of people (P, K, 2) detected, of false positives among (Q, K, 2), and the joint errors (n,).

    A person is detected by the prediction with the most joints, and more than half, closer than `reach` cells. Each
    prediction detects one person at most; the others are false positives. Errors are of joints of detected people.
    """
    distance = np.linalg.norm(people[:, None] - keypoints[None], axis=3)  # (P, Q, K)
    hits = (distance < reach).sum(axis=2)
    known = np.isfinite(people).all(axis=2).sum(axis=1)
    free = set(range(len(keypoints)))
    errors = [np.zeros(0)]
    found = 0
    for person in np.argsort(-hits.max(axis=1, initial=0)):
        best = max(free, key=lambda other: hits[person, other], default=None)
        if best is not None and hits[person, best] * 2 > known[person]:
            free.remove(best)
            found += 1
            errors.append(distance[person, best][distance[person, best] < reach])
    return found, len(free), np.concatenate(errors)


def _body(rng: np.random.Generator, skeleton: Skeleton) -> NDArray:
    """Returns `STANDING` (K, 2) with every limb rotated and stretched a little, the face less than the rest."""
    standing = np.array([STANDING[joint] for joint in skeleton.joints])
    body = np.zeros_like(standing)
    lean = rng.normal(0, 0.2)
    face = {i for i, joint in enumerate(skeleton.joints) if joint.endswith(("nose", "eye", "ear"))}
    reached = {skeleton.index("neck")}
    open_limbs = [skeleton.limbs[i] for i in skeleton.tree]
    while open_limbs:
        for a, b in list(open_limbs):
            if a in reached:
                turn = lean + rng.normal(0, 0.1 if b in face else 0.45)
                c, s = math.cos(turn), math.sin(turn)
                body[b] = body[a] + rng.uniform(0.8, 1.2) * np.array([[c, -s], [s, c]]) @ (standing[b] - standing[a])
                reached.add(b)
                open_limbs.remove((a, b))
    return body
