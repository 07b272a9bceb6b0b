"""A 3D view of tracks as an HTML page that opens offline: people, cameras, and a time slider."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cairn.multiview.reconstruction import Reconstruction
from cairn.structures.camera import Camera, Rig
from cairn.structures.poses3d import Trajectories
from cairn.visualization.colors import object_color
from cairn.visualization.page import page, paragraph, table
from cairn.visualization.scene3d import LineSet, PointSet, scene

MAX_FRAMES = 3000
"""Frames of the longest animation; of a longer recording, every second, third, ... frame is shown."""

CAMERA_COLOR = (120, 120, 130)
FRUSTUM = 0.06  # depth of a drawn camera over the extent of the rig


def write_player(result: Reconstruction, path: Path) -> None:
    """Writes the page."""
    tracks = result.trajectories
    step = -(-len(tracks) // MAX_FRAMES)
    items = track_items(tracks, step)
    items.append(LineSet("cameras", camera_lines(result.rig), CAMERA_COLOR))
    items.append(
        PointSet("camera names", [camera.center for camera in result.rig], CAMERA_COLOR, 4.0, result.rig.names)
    )
    errors = [(name, f"{error:.1f}") for name, error in result.camera_errors().items()]
    body = [
        paragraph(f"{result!r}. Meters in the world of the cameras; {result.up} points up."),
        scene(items, rate=tracks.rate / step, up=result.up),  # type: ignore[arg-type]
        table(errors, ("camera", "reprojection error (median, px)")),
    ]
    path.write_text(page("Keypoints in 3D", body), encoding="utf-8")


def track_items(tracks: Trajectories, step: int = 1) -> list[PointSet | LineSet]:
    """Returns what is drawn of tracks, of every frame or every `step`-th: limbs and keypoints of each instance."""
    points = tracks.keypoints[::step]
    limbs = tracks.skeleton.shown.limbs
    items: list[PointSet | LineSet] = []
    for row, number in enumerate(tracks.ids.tolist()):
        color = object_color(number)
        if limbs:
            ends = np.stack([points[:, row, [limb[end] for limb in limbs]] for end in (0, 1)], axis=2)
            items.append(LineSet(f"instance {number}", ends, color))
        items.append(PointSet(f"keypoints of {number}", points[:, row], color, labels=tuple(tracks.skeleton.joints)))
    return items


def camera_lines(rig: Rig) -> NDArray[np.float64]:
    """Returns the edges (M, 2, 3) of a pyramid for each camera, from its center to the corners of its image."""
    centers = np.stack([camera.center for camera in rig])
    extent = float(np.ptp(centers, axis=0).max()) or 1.0
    return np.concatenate([_pyramid(camera, FRUSTUM * extent) for camera in rig])


def _pyramid(camera: Camera, depth: float) -> NDArray[np.float64]:
    width, height = 2 * camera.matrix[0, 2], 2 * camera.matrix[1, 2]
    pixels = np.array([(0, 0), (width, 0), (width, height), (0, height)], np.float64)
    flat = np.linalg.solve(camera.matrix, np.column_stack([pixels, np.ones(4)]).T).T  # without distortion
    corners = (depth * flat - camera.translation) @ camera.rotation
    edges = [(camera.center, corner) for corner in corners]
    edges += [(corners[i], corners[(i + 1) % 4]) for i in range(4)]
    return np.array(edges)
