"""Views of simple objects with known cameras: three boxes of different colors, which no mirror and no turn repeats."""

from pathlib import Path

import cv2
import numpy as np

from cairn.multiview.cameras import write_cameras
from cairn.structures.camera import Camera, Rig, rotation_matrix

BOXES = (
    ((0, 0, 0), (0.7, 1.6, 0.5), (80, 90, 220)),
    ((0.3, -0.5, 0.45), (0.4, 0.4, 0.5), (60, 220, 90)),
    ((-0.4, 0.6, 0.1), (0.5, 0.2, 0.6), (220, 200, 60)),
)
CORNERS = np.array([[x, y, z] for z in (-1, 1) for y in (-1, 1) for x in (-1, 1)]) / 2


def ring(views: int = 8, size: int = 32, start: float = 0.0) -> Rig:
    """Cameras all around, 25 degrees above the ground, at 4.5 units from the origin."""
    matrix = np.array([[1.65 * size, 0, (size - 1) / 2], [0, 1.65 * size, (size - 1) / 2], [0, 0, 1]])
    tilt = rotation_matrix([np.radians(115), 0, 0])
    turns = start + 2 * np.pi * np.arange(views) / views
    return Rig(
        tuple(
            Camera(f"v{i:02d}", matrix, [], tilt @ rotation_matrix([0, 0, turn]), [0, 0, 4.5], (size, size))
            for i, turn in enumerate(turns)
        )
    )


def rendered(camera: Camera, scale: float = 1.0) -> np.ndarray:
    """(H, W, 4) uint8 BGRA."""
    boxes = sorted(BOXES, key=lambda box: -camera.to_camera(np.array(box[0]) * scale)[2])
    image = np.zeros((*camera.size, 4), np.uint8)
    for center, size, color in boxes:
        corners = camera.project(scale * (np.array(center) + CORNERS * np.array(size)))
        hull = cv2.convexHull(np.round(corners * 16).astype(np.int32))
        cv2.fillConvexPoly(image, hull, (*color, 255), cv2.LINE_8, 4)
    return image


def write_views(folder: Path, objects: int = 3, rig: Rig | None = None, alpha: bool = True) -> Path:
    """Writes a folder of objects of different sizes, with one file of cameras for all."""
    rig = rig or ring()
    folder.mkdir()
    write_cameras(rig, folder / "cameras.toml")
    for number in range(objects):
        own = folder / f"object-{number}"
        own.mkdir()
        for camera in rig:
            image = rendered(camera, 1 + 0.1 * number)
            cv2.imwrite(str(own / f"{camera.name}.png"), image if alpha else np.ascontiguousarray(image[..., :3]))
    return folder
