"""One CSV table per run, with a row for each keypoint of each instance, for spreadsheets and data frames."""

from __future__ import annotations

import csv
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

from cairn.files import atomic_write
from cairn.results.writer import Detections, Writer
from cairn.structures.conversions import with_class

COLUMNS = ("image", "frame", "seconds", "person", "id", "score", "joint", "x", "y", "confidence")
"""Columns of the table, in CSV and in Parquet.

- image: path as it was given; for a frame, the path of its video.
- frame: number from 0 in the clip; missing for an image that is no frame.
- seconds: time since the first frame of the clip; missing for an image that is no frame.
- person: number from 0 in the image.
- id: track ID; missing without a track.
- class: name of the class, a column after id where the model has several.
- score: of the person.
- joint: name of the keypoint.
- x, y: in pixels; missing for a keypoint that was not detected.
- confidence: of the keypoint; 0 if it was not detected.
"""


class CsvWriter(Writer):
    """Writes `cairn.csv`; missing values are empty."""

    def __init__(self, folder: Path, classes: tuple[str, ...] = ()) -> None:
        self.folder = folder
        self.classes = classes
        self._open = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as opening:
            beside = opening.enter_context(atomic_write(self.folder / "cairn.csv"))
            # A file name need not be valid UTF-8, but the table must be.
            file = beside.open("w", encoding="utf-8", errors="backslashreplace", newline="")
            self._table = csv.writer(opening.enter_context(file))
            self._table.writerow(with_class(COLUMNS, self.classes))
            self._open = opening.pop_all()
        return self

    def write(self, detections: Detections) -> None:
        """Adds a row for each keypoint."""
        name, poses = detections.name, detections.poses
        seconds = None if name.seconds is None else round(name.seconds, 6)
        ids = [-1] * len(poses) if poses.ids is None else poses.ids.tolist()
        classes = [(pose.class_name,) if self.classes else () for pose in poses]
        for person, (track_id, of_class, score, keypoints, confidence) in enumerate(
            zip(ids, classes, poses.scores.tolist(), poses.keypoints.tolist(), poses.confidence.tolist(), strict=True)
        ):
            identity = (track_id if track_id >= 0 else None, *of_class)
            prefix = (name.path.as_posix(), name.frame, seconds, person, *identity)
            for joint, (x, y), c in zip(poses.skeleton.joints, keypoints, confidence, strict=True):
                position = (round(x, 2), round(y, 2)) if c > 0 else (None, None)
                self._table.writerow([*prefix, round(score, 4), joint, *position, round(c, 4)])

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open.__exit__(kind, error, trace)
