"""Rigs around a board that moves, made from scratch: what their cameras see, exactly, with noise, or as images."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from cairn.media.images import write_image
from cairn.multiview.board_detection import handedness
from cairn.multiview.board_drawing import black, extent
from cairn.multiview.boards import Board
from cairn.multiview.observations import Sightings
from cairn.structures.camera import Camera, Rig, rotation_matrix

SIZE = (480, 640)


def made_rig(count: int = 3, fisheye: bool = False, distance: float = 1.2) -> Rig:
    """Cameras on an arc around the origin, facing it; z of the world points away from the first."""
    cameras = []
    for index in range(count):
        turn = 0.3 * index
        rotation = rotation_matrix([0.05 * index, turn, 0.03 * index])
        matrix = [[560 + 15 * index, 0, 322 + index], [0, 565 + 15 * index, 238 - index], [0, 0, 1]]
        distortion = [0.05, -0.02, 0.01, 0.0] if fisheye else [-0.12, 0.06, 0.001, -0.001, 0.0]
        translation = np.array([0.0, 0.0, distance]) + 0.02 * index
        cameras.append(Camera(f"cam_{index}", matrix, distortion, rotation, translation, SIZE, fisheye))
    return Rig(tuple(cameras))


def made_boards(board: Board, count: int, seed: int = 0) -> np.ndarray:
    """(B, 4, 4) poses of a board around the origin, facing the first cameras of `made_rig`."""
    rng = np.random.default_rng(seed)
    middle = board.points.mean(axis=0)
    poses = np.tile(np.eye(4), (count, 1, 1))
    for pose in poses:
        pose[:3, :3] = rotation_matrix(rng.uniform([-0.5, -1.0, -0.6], [0.5, 0.3, 0.6]))
        pose[:3, 3] = rng.uniform(-0.2, 0.2, 3) - pose[:3, :3] @ middle
    return poses


def made_sightings(rig: Rig, board: Board, boards: np.ndarray, noise: float = 0.0, seed: int = 1) -> list[Sightings]:
    """What the cameras see; a corner outside of the image is not seen."""
    rng = np.random.default_rng(seed)
    found = []
    for camera in rig:
        height, width = camera.size or SIZE
        corners = np.stack([camera.project(board.points @ pose[:3, :3].T + pose[:3, 3]) for pose in boards])
        corners = corners + rng.normal(0, noise, corners.shape) if noise else corners
        outside = ~((corners > 0) & (corners < [width - 1, height - 1])).all(axis=-1)
        corners[outside] = np.nan
        rows = [row for row in range(len(boards)) if (~outside[row]).sum() >= 6 and handedness(corners[row], board) > 0]
        rows = np.array(rows, np.int64)
        found.append(
            Sightings(
                camera.name,
                (height, width),
                rows,
                corners[rows],
                np.ones(len(rows)),
                tuple(map(str, rows)),
                len(boards),
            )
        )
    return found


def draw_flat(board: Board, side: int = 40) -> np.ndarray:
    """The printed board with a margin of one square, gray, `side` pixels a square."""
    width, height = extent(board)
    scale = side / board.square
    image = np.full((round(height * scale) + 2 * side, round(width * scale) + 2 * side), 255, np.uint8)
    for x, y, w, h in black(board):
        left, top, right, bottom = (round(value * scale) + side for value in (x, y, x + w, y + h))
        image[top:bottom, left:right] = 0
    return 255 - image if board.inverted else image


def render(camera: Camera, board: Board, pose: np.ndarray, side: int = 40) -> np.ndarray:
    """(H, W, 3) image of a board before a camera, whose distortion is ignored."""
    flat = draw_flat(board, side)
    height, width = flat.shape
    pixels = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float64)
    plane = ((pixels - side) / side) * board.square
    if board.mirrored:
        plane[:, 0] -= extent(board)[0]
    world = np.column_stack([plane, np.zeros(4)]) @ pose[:3, :3].T + pose[:3, 3]
    inside = camera.to_camera(world)
    seen = (inside[:, :2] / inside[:, 2:]) @ camera.matrix[:2, :2].T + camera.matrix[:2, 2]
    matrix = cv2.getPerspectiveTransform((pixels - 0.5).astype(np.float32), seen.astype(np.float32))
    size = (camera.size or SIZE)[::-1]
    back = 90 if not board.inverted else 60
    image = cv2.warpPerspective(flat, matrix, size, flags=cv2.INTER_AREA, borderValue=back)
    return np.repeat(image[..., None], 3, axis=2)


def write_images(
    folder: Path, rig: Rig, board: Board, boards: np.ndarray, cameras: Sequence[str] | None = None
) -> Path:
    """One folder of images for each camera."""
    for camera in rig:
        if cameras is None or camera.name in cameras:
            for index, pose in enumerate(boards):
                path = folder / camera.name / f"{index:03d}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                write_image(path, render(camera, board, pose))
    return folder
