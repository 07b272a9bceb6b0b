"""Time of triangulation and association on one core, beside a plain loop, aniposelib and Pose2Sim.

    pip install aniposelib pose2sim  # both are optional; they bring jax, OpenCV's contrib modules, and OpenSim
    OMP_NUM_THREADS=1 python benchmarks/triangulation.py

Triangulation: 10,000 frames x 4 cameras x 26 keypoints with a noise of 3 pixels, 5% of the detections of one camera
wrong. Association: 4 people in 5 cameras. Processor time, the minimum of several runs. Errors are medians: of all
points, and of those with a wrong detection.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from cairn.multiview.detections import DetectionTable
from cairn.multiview.tracks import observe
from cairn.multiview.triangulation import triangulate_points
from cairn.structures.camera import Camera, Rig, rotation_vector
from cairn.structures.poses import Poses
from cairn.structures.skeleton import load_skeleton

FRAMES, KEYPOINTS = 10_000, 26
LOOP, FEW = 2_000, 200  # points of the slow and the slowest methods, whose time is scaled
WRONG = 20  # every so many points have a wrong detection
SIZE = (1080, 1920)


def ring(count: int) -> Rig:
    """Returns cameras around the origin, 5 m away, that look at a point 1 m above it."""
    cameras = []
    for i in range(count):
        angle = 2 * np.pi * i / count + 0.3
        center = np.array([5 * np.cos(angle), 5 * np.sin(angle), 1.3 + 0.2 * i])
        forward = np.array([0, 0, 1]) - center
        forward /= np.linalg.norm(forward)
        right = np.cross(forward, [0, 0, 1])
        right /= np.linalg.norm(right)
        rotation = np.stack([right, np.cross(forward, right), forward])
        matrix = np.array([[1500, 0, SIZE[1] / 2], [0, 1500, SIZE[0] / 2], [0, 0, 1]])
        distortion = np.array([-0.05, 0.14, 0.001, 0])
        cameras.append(Camera(f"cam{i}", matrix, distortion, rotation, -rotation @ center, SIZE))
    return Rig(tuple(cameras))


def least(function: Callable[[], object], runs: int = 3) -> float:
    """Returns the processor time of the fastest run in seconds."""
    times = []
    for _ in range(runs):
        started = time.process_time()
        function()
        times.append(time.process_time() - started)
    return min(times)


def plain_loop(rig: Rig, pixels: NDArray[np.float64]) -> NDArray[np.float64]:
    """Triangulates point by point with a singular value decomposition, as most code does; nothing is dropped."""
    normalized = np.stack([camera.undistort(own) for camera, own in zip(rig, pixels, strict=True)])
    result = []
    for points in normalized.transpose(1, 0, 2):
        rows = []
        for (x, y), camera in zip(points, rig, strict=True):
            pose = camera.extrinsics
            rows += [x * pose[2] - pose[0], y * pose[2] - pose[1]]
        solution = np.linalg.svd(np.array(rows))[2][-1]
        result.append(solution[:3] / solution[3])
    return np.array(result)


def anipose(rig: Rig, pixels: NDArray[np.float64], ransac: bool) -> NDArray[np.float64]:
    """Triangulates by aniposelib. Raises ImportError."""
    from aniposelib.cameras import Camera as AniposeCamera
    from aniposelib.cameras import CameraGroup

    group = CameraGroup(
        [
            AniposeCamera(c.matrix, np.pad(c.distortion, (0, 1)), None, rotation_vector(c.rotation), c.translation)
            for c in rig
        ]
    )
    if not ransac:
        return np.asarray(group.triangulate(pixels, progress=False))
    return np.asarray(group.triangulate_ransac(pixels, min_cams=2, progress=False)[0])


def pose2sim(rig: Rig, pixels: NDArray[np.float64]) -> NDArray[np.float64]:
    """Triangulates by Pose2Sim's loop, and omits cameras above the default error. Raises ImportError."""
    from Pose2Sim.triangulation import triangulation_from_best_cameras

    settings = {"triangulation": {"reproj_error_threshold_triangulation": 15, "min_cameras_for_triangulation": 2}}
    projections = [camera.matrix @ camera.extrinsics for camera in rig]
    flat = np.stack(
        [c.undistort(own) @ c.matrix[:2, :2].T + c.matrix[:2, 2] for c, own in zip(rig, pixels, strict=True)]
    )
    result = []
    for points in flat.transpose(1, 2, 0):
        seen = [*points, np.ones(len(rig))]
        result.append(triangulation_from_best_cameras(settings, seen, seen, projections, {})[0][:3])
    return np.array(result)


def triangulation() -> None:
    rig, random = ring(4), np.random.default_rng(0)
    points = random.uniform((-1, -1, 0), (1, 1, 2), (FRAMES * KEYPOINTS, 3))
    exact = rig.project(points)
    pixels = exact + random.normal(0, 3, exact.shape)
    pixels[0, ::WRONG] += 150
    weights = np.ones(pixels.shape[:2])

    def row(name: str, method: Callable[[NDArray[np.float64]], NDArray[np.float64]], count: int = LOOP) -> None:
        try:
            method(pixels[:, :1])  # imports
        except ImportError as missing:
            print(f"  {name:30} skipped: {missing}")
            return
        results = []
        seconds = least(lambda: results.append(method(pixels[:, :count])), 2) * len(points) / count
        away = 1000 * np.linalg.norm(results[0] - points[:count], axis=1)
        every, wrong = np.nanmedian(away), np.nanmedian(away[::WRONG])
        print(f"  {name:30} {seconds:8.2f} s, error {every:.1f} mm, {wrong:.1f} mm")

    print(f"triangulation of {FRAMES} frames x 4 cameras x {KEYPOINTS} keypoints; loops from {LOOP} or {FEW} points")
    row("cairn", lambda seen: triangulate_points(rig, seen, np.ones(seen.shape[:2])).positions, len(points))
    row("plain loop", lambda seen: plain_loop(rig, seen))
    row("aniposelib", lambda seen: anipose(rig, seen, ransac=False), len(points))
    row("aniposelib, RANSAC", lambda seen: anipose(rig, seen, ransac=True), FEW)
    row("Pose2Sim, cameras omitted", lambda seen: pose2sim(rig, seen), FEW)
    print(f"  cairn, exact keypoints {least(lambda: triangulate_points(rig, exact, weights)):.2f} s")


def association() -> None:
    rig, random = ring(5), np.random.default_rng(1)
    skeleton, frames, people = load_skeleton("body25"), 200, 4
    body = random.uniform((-0.3, -0.3, 0), (0.3, 0.3, 1.7), (25, 3))
    times = np.arange(frames) / 25
    angle = 2 * np.pi * np.arange(people) / people + 0.35 * times[:, None]
    centers = np.stack([np.cos(angle), np.sin(angle), 0 * angle], axis=-1)
    world = body + centers[:, :, None] + 0.1 * np.sin(2 * times[:, None, None, None] + np.arange(25)[:, None])
    recordings = []
    for camera in rig:
        pixels = camera.project(world) + random.normal(0, 4, (frames, people, 25, 2))
        confidence = np.where(random.random(pixels.shape[:-1]) < 0.1, 0, random.uniform(0.4, 1, pixels.shape[:-1]))
        poses = []
        for own, c in zip(pixels, confidence, strict=True):
            order = random.permutation(people)
            own, c = np.where(c[order][..., None] > 0, own[order], np.nan), c[order].astype(np.float32)
            poses.append(Poses(own.astype(np.float32), c, c.mean(axis=1), skeleton))
        recordings.append(poses)
    table = DetectionTable.of(rig, recordings, 0.1)
    found = observe(rig, table, frames, 25)
    elapsed = least(lambda: observe(rig, table, frames, 25), 5)
    elapsed *= 1000 / frames
    print(f"association of {people} people in 5 cameras: {elapsed:.2f} ms a frame, {len(found.ids)} tracks")


if __name__ == "__main__":
    triangulation()
    association()
