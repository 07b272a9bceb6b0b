"""Renders views of simple objects with known cameras, to try 3D keypoints on: chairs, and toys of two like ends.

    python benchmarks/renders.py chairs views/ --objects 40 --views 24
    cairn discover views/ --three-d --cameras views/cameras.toml

Each object is a folder of PNG files with alpha; all share the cameras of `cameras.toml`. Faces are cut into small
squares, sorted by depth and filled with OpenCV. The light is fixed to the objects; that of toys is right above.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from cairn.files import atomic_write
from cairn.multiview.cameras import write_cameras
from cairn.structures.camera import Camera, Rig, rotation_matrix

Array = NDArray[np.float64]

SIZE, SAMPLES = 96, 3
"""Pixels along a side of an image, and samples along a side of a pixel."""

FOCAL, DISTANCE = 160.0, 3.3
"""Pixels; and distance of the cameras from the object, in its radii."""

CUTS = 4
"""Squares along a side of a face."""

LIGHT = np.array([0.5, -0.6, 0.9]) / np.linalg.norm([0.5, -0.6, 0.9])

CORNERS = np.array([[x, y, z] for z in (-1, 1) for y in (-1, 1) for x in (-1, 1)], float) / 2
FACES = np.array([[0, 1, 3, 2], [4, 5, 7, 6], [0, 1, 5, 4], [2, 3, 7, 6], [0, 2, 6, 4], [1, 3, 7, 5]])

Box = tuple[tuple[float, ...], tuple[float, ...], tuple[int, int, int]]
"""Center, size and color of a box; x is right, y back and z up."""


def chair(rng: np.random.Generator) -> list[Box]:
    """Returns a chair that faces -y, of random proportions, with or without arms."""
    width, depth, seat, back = rng.uniform([0.7, 0.7, 0.45, 0.5], [1.0, 1.0, 0.65, 0.9])
    leg, thick = rng.uniform(0.06, 0.12), rng.uniform(0.07, 0.14)
    color = tuple(rng.integers(90, 255, 3).tolist())
    wood = tuple(rng.integers(60, 200, 3).tolist())
    x, y, middle = (width - leg) / 2, (depth - leg) / 2, (seat + back) / 2
    boxes: list[Box] = [((a * x, b * y, seat / 2 - middle), (leg, leg, seat), wood) for a in (-1, 1) for b in (-1, 1)]
    boxes.append(((0, 0, seat - middle), (width, depth, thick), color))
    boxes.append(((0, (depth - thick) / 2, seat + back / 2 - middle), (width, thick, back), color))
    if rng.random() < 0.5:
        height = 0.3 * back + 0.1
        for a in (-1, 1):
            boxes.append(((a * x, 0, seat + height - middle), (leg, depth, 0.6 * leg), wood))
            boxes.append(((a * x, -y, seat + height / 2 - middle), (leg, leg, height), wood))
    return boxes


def toy(rng: np.random.Generator) -> list[Box]:
    """Returns a wagon that half a turn leaves the same, but for a roof that is off the middle by 6% of its length."""
    length, width, height = rng.uniform([1.5, 0.55, 0.45], [1.8, 0.7, 0.6])
    color = tuple(rng.integers(120, 220, 3).tolist())
    boxes: list[Box] = [((0, 0, 0), (width, length, height), color)]
    roof = tuple((np.array(color) // 2).tolist())
    boxes.append(((0, -0.06 * length, height / 2 + 0.1), (0.8 * width, 0.5 * length, 0.2), roof))
    for a in (-1, 1):
        for b in (-1, 1):
            boxes.append(((a * width / 2, b * 0.33 * length, -height / 2), (0.1, 0.3, 0.3), (40, 40, 40)))
    return boxes


CLASSES = {"chairs": (chair, LIGHT), "toys": (toy, np.array([0.0, 0.0, 1.0]))}
"""Objects and the direction to their light, by class."""


def cameras(views: int, rng: np.random.Generator) -> Rig:
    """Returns cameras all around, from 0 to 50 degrees above the ground."""
    matrix = np.array([[FOCAL, 0, (SIZE - 1) / 2], [0, FOCAL, (SIZE - 1) / 2], [0, 0, 1]])
    found = []
    for number in range(views):
        tilt = rotation_matrix([np.radians(90 + rng.uniform(0, 50)), 0, 0])
        turn = rotation_matrix([0, 0, 2 * np.pi * (number + rng.uniform(0, 0.5)) / views])
        found.append(
            Camera(f"v{number:02d}", matrix, np.zeros(0), tilt @ turn, np.array([0, 0, DISTANCE]), (SIZE, SIZE))
        )
    return Rig(tuple(found))


def render(boxes: list[Box], camera: Camera, light_from: Array) -> NDArray[np.uint8]:
    """Returns an image (H, W, 4) uint8 RGBA."""
    squares, colors = [], []
    steps = np.arange(CUTS) / CUTS
    for center, size, color in boxes:
        for face in FACES:
            corners = np.array(center) + CORNERS[face] * np.array(size)
            a, b = corners[1] - corners[0], corners[3] - corners[0]
            normal = np.cross(a, b)
            normal *= np.sign(normal @ (corners.mean(axis=0) - np.array(center))) / np.linalg.norm(normal)
            if normal @ (camera.center - corners[0]) <= 0:
                continue
            light = 0.45 + 0.55 * max(0.0, float(normal @ light_from))
            for u in steps:
                for v in steps:
                    first = corners[0] + u * a + v * b
                    squares.append([first, first + a / CUTS, first + (a + b) / CUTS, first + b / CUTS])
                    colors.append(np.array(color) * light)
    points = np.array(squares)
    depth = camera.to_camera(points)[..., 2].mean(axis=1)
    pixels = camera.project(points)
    large = np.zeros((SIZE * SAMPLES, SIZE * SAMPLES, 4), np.uint8)
    for i in np.argsort(-depth):
        place = np.round(((pixels[i] + 0.5) * SAMPLES - 0.5) * 16).astype(np.int32)
        cv2.fillConvexPoly(large, place, [*colors[i].tolist(), 255], cv2.LINE_8, 4)
    image: NDArray[np.uint8] = np.asarray(cv2.resize(large, (SIZE, SIZE), interpolation=cv2.INTER_AREA), np.uint8)
    return image


def write(kind: str, folder: Path, objects: int, views: int, seed: int) -> None:
    """Writes the views of random objects of a class, and their cameras."""
    rng = np.random.default_rng(seed)
    rig = cameras(views, rng)
    folder.mkdir(parents=True, exist_ok=True)
    write_cameras(rig, folder / "cameras.toml")
    make, light = CLASSES[kind]
    for number in range(objects):
        boxes = make(rng)
        own = folder / f"{kind}-{number:03d}"
        own.mkdir(exist_ok=True)
        for camera in rig:
            image = render(boxes, camera, light)
            ok, data = cv2.imencode(".png", image[..., [2, 1, 0, 3]])
            assert ok
            with atomic_write(own / f"{camera.name}.png") as partial:
                partial.write_bytes(data.tobytes())


def main() -> None:
    """Renders a class of objects into a folder."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("objects_of", choices=CLASSES, metavar="CLASS")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--objects", type=int, default=40)
    parser.add_argument("--views", type=int, default=24)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    write(given.objects_of, given.folder, given.objects, given.views, given.seed)


if __name__ == "__main__":
    main()
