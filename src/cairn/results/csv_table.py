"""CSV tables with a row for each keypoint of each instance, for spreadsheets and data frames.

Each clip has a table, and all images outside clips have one together.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

from cairn.files import atomic_write
from cairn.media.names import ImageName
from cairn.results.spanning import SpanningWriter, table_path
from cairn.results.writer import Detections, rounding
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


class CsvWriter(SpanningWriter["Table"]):
    """Writes `clip.cairn.csv` for each clip and `cairn.csv` for all images outside clips; missing values are empty.

    Args:
        folder: The output folder.
        single: Whether the run is of one image, whose name the table gets: `photo.cairn.csv`.
        decimals: Decimals of coordinates; None is 2. Scores have at least 4.
        empty: Whether an image without detections has a row, in which only the image, frame and seconds are known.
        classes: Names of the classes of the model; empty for one class.
    """

    def __init__(
        self,
        folder: Path,
        single: bool = False,
        decimals: int | None = None,
        empty: bool = False,
        classes: tuple[str, ...] = (),
    ) -> None:
        super().__init__()
        self.folder = folder
        self.single = single
        self.decimals = rounding(decimals, 2)
        self.empty = empty
        self.columns = with_class(COLUMNS, classes)
        self.classes = classes

    def paths(self, name: ImageName) -> tuple[Path]:
        """Returns the table that the results of an image go into."""
        return (table_path(self.folder, name, ".cairn.csv", self.single),)

    @contextmanager
    def _opened(self, detections: Detections) -> Iterator[Table]:
        with (
            atomic_write(*self.paths(detections.name)) as beside,
            # A file name need not be valid UTF-8, but the table must be.
            beside.open("w", encoding="utf-8", errors="backslashreplace", newline="") as file,
        ):
            table = csv.writer(file)
            table.writerow(self.columns)
            yield table

    def _add(self, file: Table, detections: Detections) -> None:
        """Adds a row for each keypoint."""
        name, poses = detections.name, detections.poses
        of_pixels, of_scores = self.decimals
        image = (name.text, name.frame, None if name.seconds is None else fixed(name.seconds, 6))
        if self.empty and not len(poses):
            file.writerow([*image, *[None] * (len(self.columns) - len(image))])
        ids = [-1] * len(poses) if poses.ids is None else poses.ids.tolist()
        classes = [(pose.class_name,) if self.classes else () for pose in poses]
        for person, (track_id, of_class, score, keypoints, confidence) in enumerate(
            zip(ids, classes, poses.scores.tolist(), poses.keypoints.tolist(), poses.confidence.tolist(), strict=True)
        ):
            identity = (track_id if track_id >= 0 else None, *of_class)
            instance = (person, *identity, fixed(score, of_scores))
            for joint, (x, y), c in zip(poses.skeleton.joints, keypoints, confidence, strict=True):
                position = (fixed(x, of_pixels), fixed(y, of_pixels)) if c > 0 else (None, None)
                file.writerow([*image, *instance, joint, *position, fixed(c, of_scores)])


class Table(Protocol):
    """A writer of the module csv."""

    def writerow(self, row: Iterable[Any], /) -> Any:
        """Writes a row."""


def fixed(value: float, decimals: int) -> str:
    """Returns a number with a fixed number of decimals after a point, in every locale; without an exponent."""
    return f"{round(value, decimals) + 0.0:.{decimals}f}"  # + 0.0: no negative zero
