"""Bundle adjustment of 4 cameras, 100 boards and 20 corners on one core: time, and what it recovers.

    python benchmarks/bundle_adjustment.py

Needs the extra multiview. Boards are seen by all cameras with 0.3 pixels of noise and 2 % of outliers; the start is off
by about 1 degree and 2 cm. Beside it the same problem is solved by scipy's least_squares with the same sparse Jacobian.
"""

from __future__ import annotations

import argparse
import time

import numpy as np

from cairn.multiview.boards import parse_board
from cairn.multiview.bundle_adjustment import _Problem, adjust, robust_cost
from cairn.multiview.observations import Observations
from cairn.structures.camera import Camera, Rig, rotation_matrix, rotation_vector

CAMERAS, BOARDS = 4, 100
BOARD = "charuco:6x5:40mm"
"""20 inner corners."""


def made() -> tuple[Rig, Rig, np.ndarray, np.ndarray, Observations]:
    """The true rig, a start, poses of the boards at the start, corners, and what the cameras see."""
    rng = np.random.default_rng(0)
    points = parse_board(BOARD).points
    cameras = []
    for index in range(CAMERAS):
        rotation = rotation_matrix([0.1 * index, 0.5 * index - 0.7, 0.05 * index])
        matrix = [[900 + 20 * index, 0, 640], [0, 905, 360], [0, 0, 1]]
        cameras.append(Camera(f"cam_{index}", matrix, [-0.1, 0.05, 0, 0, 0], rotation, [0, 0, 2.0], (720, 1280)))
    rig = Rig(tuple(cameras))
    boards = np.tile(np.eye(4), (BOARDS, 1, 1))
    for pose in boards:
        pose[:3, :3] = rotation_matrix(rng.uniform(-0.6, 0.6, 3))
        pose[:3, 3] = rng.uniform(-0.4, 0.4, 3)
    world = np.einsum("bij,kj->bki", boards[:, :3, :3], points) + boards[:, None, :3, 3]
    pixels = rig.project(world)
    pixels += rng.normal(0, 0.3, pixels.shape)
    pixels[rng.random(pixels.shape[:3]) < 0.02] += 30
    camera, board, corner = (each.ravel() for each in np.indices(pixels.shape[:3]))
    seen = Observations(camera, board, corner, pixels.reshape(-1, 2), np.arange(BOARDS))
    off = [
        each.posed(rotation_matrix(rng.normal(0, 0.015, 3)) @ each.rotation, each.translation + rng.normal(0, 0.02, 3))
        for each in rig.cameras[1:]
    ]
    start = boards.copy()
    start[:, :3, 3] += rng.normal(0, 0.02, (BOARDS, 3))
    return rig, Rig((rig[0], *off)), start, points, seen


def main() -> None:
    """Prints times and errors."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--repeats", type=int, default=3)
    arguments.add_argument("--scipy", action="store_true", help="also time scipy's least_squares")
    arguments.add_argument("--anipose", action="store_true", help="also time aniposelib")
    given = arguments.parse_args()
    rig, start, boards, points, seen = made()
    for intrinsics in (False, True):
        times = []
        for _ in range(given.repeats):
            begun = time.process_time()
            found = adjust(start, boards, points, seen, intrinsics)
            times.append(time.process_time() - begun)
        far = farthest([camera.center for camera in found.rig], rig)
        print(
            f"{CAMERAS} cameras, {BOARDS} boards, {len(points)} corners, intrinsics "
            f"{'refined' if intrinsics else 'kept'}: {min(times):.2f} s of processor time, robust cost "
            f"{found.start:.4g} -> {found.cost:.4g}, centers within "
            f"{1000 * far:.2f} mm, {100 * found.inliers.mean():.1f} % inliers"
        )
    if given.scipy:
        from scipy.optimize import least_squares

        problem, rows = _Problem(start, boards, points, seen, False), np.ones(len(seen), bool)
        begun = time.process_time()
        solved = least_squares(
            lambda values: problem.errors(values, rows).ravel(),
            problem.start,
            jac=lambda values: problem._evaluate(values, rows, derive=True)[1],
            loss="soft_l1",
            x_scale="jac",
            tr_solver="lsmr",
        )
        cost = robust_cost(problem.errors(solved.x))
        print(
            f"scipy least_squares (lsmr): {time.process_time() - begun:.2f} s of processor time, robust cost {cost:.4g}"
        )
    if given.anipose:
        anipose(rig, start, boards, points, seen)


def farthest(centers: list[np.ndarray], rig: Rig) -> float:
    """Returns the largest distance of the centers of cameras from the true ones, in meters."""
    return max(float(np.linalg.norm(center - true.center)) for center, true in zip(centers, rig, strict=True))


def anipose(rig: Rig, start: Rig, boards: np.ndarray, points: np.ndarray, seen: Observations) -> None:
    """Prints time and errors of aniposelib, which adjusts poses and focal lengths from the same start."""
    try:
        from aniposelib.cameras import Camera as AniposeCamera
        from aniposelib.cameras import CameraGroup
    except ImportError as missing:
        print(f"aniposelib: skipped: {missing}")
        return
    pixels = np.full((CAMERAS, BOARDS, len(points), 2), np.nan)
    pixels[seen.camera, seen.board, seen.corner] = seen.pixels
    # Poses of the boards in the frame of each camera.
    turned = [[rotation_vector(camera.rotation @ pose[:3, :3]) for pose in boards] for camera in start]
    moved = [boards[:, :3, 3] @ camera.rotation.T + camera.translation for camera in start]
    extra = {
        "objp": np.tile(points, (BOARDS, 1)),
        "ids": np.repeat(np.arange(BOARDS), len(points)),
        "rvecs": np.repeat(np.array(turned), len(points), axis=1),
        "tvecs": np.repeat(np.array(moved), len(points), axis=1),
    }
    group = CameraGroup(
        [
            AniposeCamera(
                c.matrix.copy(), c.distortion.copy(), c.size[::-1], rotation_vector(c.rotation), c.translation
            )
            for c in start
        ]
    )
    begun = time.process_time()
    group.bundle_adjust_iter(pixels.reshape(CAMERAS, -1, 2), extra, verbose=False)
    seconds = time.process_time() - begun
    poses = [camera.get_extrinsics_mat() for camera in group.cameras]
    # Its first camera moves, too: compare in the frame of that camera.
    relative = [pose @ np.linalg.inv(poses[0]) for pose in poses]
    centers = [-pose[:3, :3].T @ pose[:3, 3] for pose in relative]
    first = rig[0]
    true = Rig(
        tuple(
            c.posed(c.rotation @ first.rotation.T, c.translation - c.rotation @ first.rotation.T @ first.translation)
            for c in rig
        )
    )
    print(f"aniposelib: {seconds:.2f} s of processor time, centers within {1000 * farthest(centers, true):.2f} mm")


if __name__ == "__main__":
    main()
