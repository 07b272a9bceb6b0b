"""Synthetic videos of people who walk back and forth, cross and occlude one another, and simulated detections."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cairn.datasets.labels import LabeledImage, Labels
from cairn.structures.annotation import AREA_PER_BOX, Annotation
from cairn.structures.geometry import Size
from cairn.structures.poses import Poses
from cairn.structures.skeleton import Skeleton, load_skeleton
from crowd import STANDING

PEOPLE = load_skeleton("coco18")
SIZE: Size = (720, 1280)
SHOULDERS = 0.2  # width of the shoulders over the person's height: what a person occludes
MIN_JOINTS = 4  # a person with fewer visible joints is not detected


def walkers(
    rng: np.random.Generator, people: int, times: NDArray, size: Size = SIZE
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Returns joints (T, P, K, 2) at times (T,) in seconds, and whether they are visible (T, P, K).

    People are 120 to 300 pixels tall, the taller the nearer, and walk 0.3 to 1 of their height per second. They turn
    at the edges and occasionally on the way. A nearer person occludes what is behind.
    """
    height, width = size
    standing = np.array([STANDING[joint] for joint in PEOPLE.joints])
    tall = np.sort(rng.uniform(120, 300, people))[::-1]  # the first is the nearest
    ground = 0.45 * height + 0.5 * height * (tall - 120) / 180
    bodies = np.empty((len(times), people, len(PEOPLE), 2))
    for i in range(people):
        speed, phase, steps = rng.uniform(0.3, 1.0), rng.uniform(0, 2 * np.pi), rng.uniform(1.5, 2.2)
        turns = np.cumsum(rng.exponential(6.0, 100))
        ways = np.where(np.arange(101) % 2, -1.0, 1.0) * rng.choice([-1, 1])
        edges = np.concatenate([[0], turns])
        distance = np.interp(times, edges, np.concatenate([[0], np.cumsum(ways[:-1] * np.diff(edges))]))
        path = rng.uniform(0, width) + speed * tall[i] * distance
        x = np.abs((path + width) % (2 * width) - width)  # mirrored at the edges
        swing = np.sin(steps * np.pi * times + phase)
        for k, joint in enumerate(PEOPLE.joints):
            reach = {"knee": 0.06, "ankle": 0.12, "elbow": 0.04, "wrist": 0.09}.get(joint.split("_")[-1], 0.0)
            side = 1 if joint.startswith("left") == joint.endswith(("knee", "ankle")) else -1
            bodies[:, i, k, 0] = x + tall[i] * (standing[k, 0] + side * reach * swing)
            bodies[:, i, k, 1] = ground[i] + tall[i] * (standing[k, 1] - 1 + 0.01 * swing**2)
    seen = (bodies[..., 0] > -0.5) & (bodies[..., 0] < width - 0.5)
    for i in range(1, people):
        for nearer in range(i):
            low, high = bodies[:, nearer].min(axis=1), bodies[:, nearer].max(axis=1)
            middle = bodies[:, nearer, :, 0].mean(axis=1)
            covered = np.abs(bodies[:, i, :, 0] - middle[:, None]) < SHOULDERS / 2 * tall[nearer]
            covered &= (bodies[:, i, :, 1] > low[:, 1, None]) & (bodies[:, i, :, 1] < high[:, 1, None])
            seen[:, i] &= ~covered
    seen &= (seen.sum(axis=2) >= MIN_JOINTS)[..., None]
    return bodies, seen


def as_labels(bodies: NDArray, seen: NDArray, skeleton: Skeleton = PEOPLE, size: Size = SIZE) -> Labels:
    """Returns labels of a synthetic video: (T, P, K, 2) and (T, P, K). Occluded people are not labeled."""
    low, high = bodies.min(axis=2), bodies.max(axis=2)
    images = tuple(
        LabeledImage(
            i,
            Path(f"{i:06}.jpg"),
            size,
            Annotation(
                keypoints=np.where(seen[i][..., None], bodies[i], np.nan).astype(np.float32),
                visibility=np.where(seen[i], 2, 0).astype(np.uint8),
                boxes=np.concatenate([low[i], high[i] - low[i]], axis=1).astype(np.float32),
                areas=(AREA_PER_BOX * (high[i] - low[i]).prod(axis=1)).astype(np.float32),
                crowd=np.zeros(len(bodies[i]), bool),
                tracks=np.arange(len(bodies[i])),
            ),
        )
        for i in range(len(bodies))
    )
    return Labels(skeleton, images, np.ones(len(skeleton), bool))


def detected(
    rng: np.random.Generator,
    truth: Annotation,
    skeleton: Skeleton,
    noise: float = 0.0,
    lost: float = 0.0,
    lost_joints: float = 0.0,
    ghosts: float = 0.0,
) -> Poses:
    """Returns simulated detections of the labeled instances, in random order.

    Args:
        rng: Random numbers.
        truth: Ground truth.
        skeleton: Its skeleton.
        noise: Standard deviation per axis of a joint's position, over the square root of the instance's area.
        lost: Share of instances that are missed.
        lost_joints: Share of joints of the other instances that are missed.
        ghosts: Mean number of false positives, in the pose of a labeled instance. Their score is 0.5, that of true
            positives 1.
    """
    rows = np.flatnonzero(truth.labeled & (rng.random(len(truth)) >= lost))
    points = truth.keypoints[rows].astype(np.float64)
    points += rng.normal(0, 1, points.shape) * noise * np.sqrt(truth.areas[rows])[:, None, None]
    points = np.where(rng.random(points.shape[:2])[..., None] < lost_joints, np.nan, points)
    if len(points) and ghosts:
        many = rng.poisson(ghosts)
        sizes = np.sqrt(truth.areas[rows]).mean()
        extra = points[rng.integers(0, len(points), many)] + rng.normal(0, 3 * sizes, (many, 1, 2))
        points = np.concatenate([points, extra])
    scores = np.where(np.arange(len(points)) < len(rows), 1.0, 0.5)
    order = rng.permutation(len(points))
    found = ~np.isnan(points[order, :, 0])
    return Poses(points[order].astype(np.float32), found.astype(np.float32), scores[order].astype(np.float32), skeleton)
