"""Writes views of a person from the demo of Pose2Sim, to try 3D keypoints on a real rig.

    python benchmarks/rig_views.py pose2sim/ views/
    cairn discover views/ --three-d --epochs 5 --set "data.angles=[5,150]"

`pose2sim/` has `videos/camNN.mp4`, `camNN_json/` with an OpenPose file a frame, `calibration/Calib.qca.txt`, and
`calibration/extrinsics/camNN_ext.jpg`, the room without the person. Each frame becomes an object: a folder of crops
around the tallest person, undistorted, with alpha where they differ from the empty room, and with their cameras. To
hold out frames that do not neighbor those trained on, move their folders and set `data.val` in a recipe.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from cairn.multiview.cameras import read_cameras, write_cameras
from cairn.structures.camera import Camera, Rig

SIDE, MARGIN = 128, 1.35
"""Pixels along a side of a crop, and its side over the longer side of the person."""

DIFFERENCE, AROUND = 30, 0.08
"""Difference from the empty room that is foreground, and how far beyond the joints it may lie."""

FRAMES = 100


def main() -> None:
    """Writes the views of all frames."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("demo", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--frames", type=int, default=FRAMES)
    given = parser.parse_args()
    cameras: dict[int, list[Camera]] = {}
    for camera in read_cameras(given.demo / "calibration" / "Calib.qca.txt"):
        video = cv2.VideoCapture(str(given.demo / "videos" / f"{camera.name}.mp4"))
        room = cv2.imread(str(given.demo / "calibration" / "extrinsics" / f"{camera.name}_ext.jpg"))
        room = cv2.undistort(room, camera.matrix, camera.distortion)
        for frame in range(given.frames):
            found, image = video.read()
            assert found
            image = np.pad(image, ((0, 0), (0, room.shape[1] - image.shape[1]), (0, 0)))  # two videos lack columns
            image = cv2.undistort(image, camera.matrix, camera.distortion)
            joints = person(given.demo / f"{camera.name}_json" / f"{camera.name}.{frame:04d}.json", camera)
            matrix, view = crop(image, foreground(image, room, joints), joints)
            folder = given.out / f"frame-{frame:03d}"
            folder.mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(folder / f"{camera.name}.png"), view)
            own = replace(camera, matrix=matrix @ camera.matrix, distortion=np.zeros(0), size=(SIDE, SIDE))
            cameras.setdefault(frame, []).append(own)
    for frame, rig in cameras.items():
        write_cameras(Rig(tuple(rig)), given.out / f"frame-{frame:03d}" / "cameras.toml")


def person(path: Path, camera: Camera) -> NDArray[np.float64]:
    """Returns the joints (N, 2) of the tallest person, undistorted."""
    people = [np.reshape(each["pose_keypoints_2d"], (-1, 3)) for each in json.loads(path.read_text())["people"]]
    sure = [joints[joints[:, 2] > 0.3, :2] for joints in people if (joints[:, 2] > 0.3).sum() >= 8]
    joints = max(sure, key=lambda each: float(np.ptp(each[:, 1])))
    result: NDArray[np.float64] = cv2.undistortPoints(
        joints[:, None], camera.matrix, camera.distortion, P=camera.matrix
    )[:, 0]
    return result


def foreground(image: NDArray, room: NDArray, joints: NDArray) -> NDArray[np.uint8]:
    """Returns 255 on the largest part near the joints that differs from the empty room."""
    different = (np.abs(image.astype(int) - room).max(axis=-1) > DIFFERENCE).astype(np.uint8)
    different = cv2.morphologyEx(different, cv2.MORPH_OPEN, np.ones((5, 5), np.uint8))
    different = cv2.morphologyEx(different, cv2.MORPH_CLOSE, np.ones((15, 15), np.uint8))
    margin = AROUND * np.ptp(joints, axis=0).max()
    (left, top), (right, bottom) = (
        np.maximum(joints.min(axis=0) - margin, 0).astype(int),
        (joints.max(axis=0) + margin).astype(int),
    )
    near = np.zeros_like(different)
    near[top:bottom, left:right] = different[top:bottom, left:right]
    _, parts, areas, _ = cv2.connectedComponentsWithStats(near)
    return np.where(parts == 1 + areas[1:, cv2.CC_STAT_AREA].argmax(), 255, 0).astype(np.uint8)


def crop(image: NDArray, mask: NDArray[np.uint8], joints: NDArray) -> tuple[NDArray, NDArray[np.uint8]]:
    """Returns the map (3, 3) of pixels into a square around the joints, and the square with alpha."""
    low, high = joints.min(axis=0), joints.max(axis=0)
    scale = SIDE / (MARGIN * (high - low).max())
    x, y = scale * -((low + high) / 2) + (SIDE - 1) / 2
    matrix = np.array([[scale, 0, x], [0, scale, y], [0, 0, 1]])
    fine = np.array([[4, 0, 1.5], [0, 4, 1.5], [0, 0, 1]]) @ matrix
    layers = cv2.warpAffine(np.dstack([image, mask]), fine[:2], (4 * SIDE, 4 * SIDE))
    view = cv2.resize(layers, (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    inside = view[..., 3:] > 127
    return matrix, np.dstack([view[..., :3] * inside, np.where(inside, 255, 0)]).astype(np.uint8)


if __name__ == "__main__":
    main()
