"""3D keypoints lifted from one view: `NAME.cairn3d.json`, and a page `NAME.cairn3d.html` that opens offline."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import TracebackType

import numpy as np

from cairn.files import atomic_write
from cairn.inference.lifter import Lifter
from cairn.media.names import ImageName
from cairn.multiview.results.json_file import write_json
from cairn.multiview.results.player import MAX_FRAMES, track_items
from cairn.results.writer import Detections, Writer
from cairn.structures.camera import Camera
from cairn.structures.poses3d import Poses3D, Trajectories
from cairn.visualization.page import page, paragraph
from cairn.visualization.scene3d import Up, scene
from cairn.wording import counted

UP: Up = "-y"
"""Axis of a camera that points up: y points down."""

SPACING = 1.2
"""Meters between the instances of the page: each has its own origin."""


class LiftedWriter(Writer):
    """Lifts the poses of each image or clip, and writes them.

    Args:
        folder: The output folder.
        lifter: The model.
        camera: The camera of all images, where it is calibrated.
    """

    def __init__(self, folder: Path, lifter: Lifter, camera: Camera | None = None) -> None:
        self.folder = folder
        self.lifter = lifter
        self.camera = camera
        self._frames: list[tuple[int, Poses3D]] = []
        self._last: Detections | None = None

    def paths(self, name: ImageName) -> tuple[Path, ...]:
        """Returns the files of an image, or of the clip of a frame."""
        return tuple(name.beside_clip(self.folder, f".cairn3d.{suffix}") for suffix in ("json", "html"))

    def write(self, detections: Detections) -> None:
        """Lifts the poses of an image; writes them, or keeps them until the end of their clip."""
        if self._last is not None and detections.name.clip != self._last.name.clip:
            self.end_clip()
        self._last = detections
        self._frames.append((detections.name.frame or 0, self.lifter(detections.poses, self.camera)))
        if detections.name.clip is None:
            self.end_clip()

    def end_clip(self) -> None:
        """Writes the files of the current clip or image. Raises OutputError."""
        last, frames = self._last, self._frames
        self._last, self._frames = None, []
        if last is None:
            return
        tracks = trajectories(frames, last.rate)
        data, view = self.paths(last.name)
        with atomic_write(data) as beside:
            write_json(tracks, None, UP, beside)
        with atomic_write(view) as beside:
            beside.write_text(self._page(tracks), encoding="utf-8")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.end_clip()

    def _page(self, tracks: Trajectories) -> str:
        step = -(-len(tracks) // MAX_FRAMES)
        places = np.arange(len(tracks.ids))[:, None, None] * np.array([SPACING, 0.0, 0.0])
        apart = replace(tracks, keypoints=tracks.keypoints + places)
        about = (
            f"{counted(len(tracks.ids), 'instance')} of {tracks.skeleton.name}, lifted by {self.lifter.spec.name} from "
            f"one view. Meters relative to {' and '.join(self.lifter.spec.root)}; side by side, {SPACING} m apart."
        )
        return page("Lifted keypoints", [paragraph(about), scene(track_items(apart, step), tracks.rate / step, UP)])


def trajectories(frames: list[tuple[int, Poses3D]], rate: float) -> Trajectories:
    """Returns the poses of frames as tracks: by their track IDs, or by their order in an image without any.

    Args:
        frames: Number of each frame, and its poses; at least one frame. Poses with no ID yet are ignored.
        rate: Frames per second.
    """
    skeleton, start = frames[0][1].skeleton, frames[0][0]
    named = [
        (number - start, poses, np.arange(1, len(poses) + 1) if poses.ids is None else poses.ids)
        for number, poses in frames
    ]
    known = [numbers[numbers > 0] for _, _, numbers in named]
    ids = np.unique(np.concatenate(known)).astype(np.int64)
    shape = (named[-1][0] + 1, len(ids), len(skeleton))
    keypoints, confidence = np.full((*shape, 3), np.nan), np.zeros(shape, np.float32)
    for frame, poses, numbers in named:
        rows = np.flatnonzero(numbers > 0)
        columns = np.searchsorted(ids, numbers[rows])
        keypoints[frame, columns], confidence[frame, columns] = poses.keypoints[rows], poses.confidence[rows]
    return Trajectories(keypoints, confidence, skeleton, ids, rate, start=start)
