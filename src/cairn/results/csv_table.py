"""One table for a run, a row for each joint of each object: what a spreadsheet or a data frame reads."""

from __future__ import annotations

import csv
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

from cairn.files import atomic_write
from cairn.results import Detections, Writer

COLUMNS = ("image", "frame", "seconds", "person", "id", "score", "joint", "x", "y", "confidence")
"""Of the table, in every form that it is written in.

image     path as it was given; of a frame that of its video
frame       number from 0 in its clip, and `seconds` since the clip's first frame; missing for an image of none
person      counts from 0 in each image
id          who it is over time; missing where that is not known
x, y        missing where the joint was not found; its confidence is 0 then
"""


class CsvWriter(Writer):
    """`cairn.csv`; what is missing is empty."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._open = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as opening:
            beside = opening.enter_context(atomic_write(self.folder / "cairn.csv"))
            # Names of files need not be UTF-8, and the table must.
            file = beside.open("w", encoding="utf-8", errors="backslashreplace", newline="")
            self._table = csv.writer(opening.enter_context(file))
            self._table.writerow(COLUMNS)
            self._open = opening.pop_all()
        return self

    def write(self, found: Detections) -> None:
        name, poses = found.name, found.poses
        seconds = None if name.seconds is None else round(name.seconds, 6)
        ids = [-1] * len(poses) if poses.ids is None else poses.ids.tolist()
        for person, (identity, score, keypoints, confidence) in enumerate(
            zip(ids, poses.scores.tolist(), poses.keypoints.tolist(), poses.confidence.tolist(), strict=True)
        ):
            who = (name.path.as_posix(), name.frame, seconds, person, identity if identity >= 0 else None)
            for joint, (x, y), c in zip(poses.skeleton.joints, keypoints, confidence, strict=True):
                place = (round(x, 2), round(y, 2)) if c > 0 else (None, None)
                self._table.writerow([*who, round(score, 4), joint, *place, round(c, 4)])

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open.__exit__(kind, error, trace)
