"""Cameras in a ring around people who walk, and what each camera detects of them."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from cairn.structures.camera import Camera, Rig
from cairn.structures.poses import Poses
from cairn.structures.skeleton import Skeleton, load_skeleton

Array = NDArray[np.float64]

SIZE = (1080, 1920)

BODY = load_skeleton("coco17")

STANDING = np.array(
    [
        *[(0.08, 0, 1.62), (0.06, 0.04, 1.66), (0.06, -0.04, 1.66), (0, 0.08, 1.64), (0, -0.08, 1.64)],
        *[(0, 0.19, 1.42), (0, -0.19, 1.42), (0.05, 0.25, 1.12), (-0.05, -0.25, 1.12)],
        *[(0.15, 0.26, 0.88), (0.02, -0.26, 0.86), (0, 0.11, 0.92), (0, -0.11, 0.92)],
        *[(0.05, 0.12, 0.5), (-0.04, -0.12, 0.5), (0.02, 0.12, 0.08), (-0.1, -0.12, 0.1)],
    ]
)
"""(17, 3) COCO's keypoints of a standing person, meters, z up."""


def looking(name: str, center: Sequence[float], target: Sequence[float] = (0, 0, 1), **more: object) -> Camera:
    """Returns a camera at a place that looks at another one, upright in a world with z up."""
    place = np.asarray(center, np.float64)
    forward = np.asarray(target, np.float64) - place
    forward /= np.linalg.norm(forward)
    right = np.cross(forward, [0, 0, 1])
    right /= np.linalg.norm(right)
    rotation = np.stack([right, np.cross(forward, right), forward])
    matrix = np.array([[1500, 0, SIZE[1] / 2], [0, 1490, SIZE[0] / 2], [0, 0, 1]])
    values = {"distortion": np.array([-0.05, 0.14, 0.001, -0.0005]), "size": SIZE, **more}
    return Camera(name, matrix, rotation=rotation, translation=-rotation @ place, **values)  # type: ignore[arg-type]


def ring(count: int = 4, radius: float = 5.0, **more: object) -> Rig:
    """Returns cameras cam1, cam2, ... at irregular places around the origin."""
    angles = 1.7 * np.pi * np.arange(count) / count + 0.3 + 0.15 * np.sin(5 * np.arange(count))
    places = [(radius * np.cos(a), radius * np.sin(a), 1.3 + 0.25 * i) for i, a in enumerate(angles)]
    return Rig(tuple(looking(f"cam{i}", place, **more) for i, place in enumerate(places, start=1)))


def walking(frames: int, people: int = 1, rate: float = 25.0) -> Array:
    """Returns (F, P, 17, 3) people who walk on a circle, each elsewhere, and swing their arms."""
    times = np.arange(frames) / rate
    result = np.empty((frames, people, len(STANDING), 3))
    for person in range(people):
        angle = 2 * np.pi * person / max(people, 1) + 0.3 * times
        center = np.stack([1.1 * np.cos(angle), 1.1 * np.sin(angle), 0 * times], axis=-1)
        result[:, person] = (1 - 0.04 * person) * STANDING + center[:, None]
        for elbow, wrist in ((7, 9), (8, 10)):
            swing = 0.6 * np.sin(3 * times + wrist + person)
            forearm = np.stack([np.sin(swing), 0 * swing, -np.cos(swing)], axis=-1)
            result[:, person, wrist] = result[:, person, elbow] + 0.25 * forearm
    return result


def detected(
    rig: Rig, people: Array, noise: float = 0.0, seed: int = 0, skeleton: Skeleton = BODY
) -> dict[str, list[Poses]]:
    """Returns what each camera detects of people (F, P, K, 3), in another order in each frame."""
    random = np.random.default_rng(seed)
    recordings = {}
    for camera in rig:
        pixels = camera.project(people)
        pixels += random.normal(0, noise, pixels.shape) if noise else 0
        recordings[camera.name] = [poses_of(own[random.permutation(len(own))], skeleton) for own in pixels]
    return recordings


def poses_of(pixels: Array, skeleton: Skeleton = BODY, confidence: float = 0.9) -> Poses:
    """Returns instances (P, K, 2) with one confidence; NaN where not detected."""
    there = np.isfinite(pixels).all(axis=-1)
    values = np.where(there, confidence, 0).astype(np.float32)
    return Poses(pixels.astype(np.float32), values, values.mean(axis=1), skeleton)
