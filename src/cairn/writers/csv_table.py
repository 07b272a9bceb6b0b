"""One table for a run, a row for each joint of each object: what a spreadsheet or a data frame reads."""

from __future__ import annotations

import csv
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

from cairn.geometry import Size
from cairn.output import whole_file
from cairn.poses import Poses
from cairn.writers import PictureName, Writer

COLUMNS = ("picture", "person", "score", "joint", "x", "y", "confidence")


class CsvWriter(Writer):
    """`cairn.csv`. `person` counts from 0 in each picture; x and y are empty where a joint was not found."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._open = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as opening:
            beside = opening.enter_context(whole_file(self.folder / "cairn.csv"))
            # Names of files need not be UTF-8, and the table must.
            file = beside.open("w", encoding="utf-8", errors="backslashreplace", newline="")
            self._table = csv.writer(opening.enter_context(file))
            self._table.writerow(COLUMNS)
            self._open = opening.pop_all()
        return self

    def write(self, picture: PictureName, size: Size, poses: Poses) -> None:
        for person, (keypoints, confidence, score) in enumerate(
            zip(poses.keypoints.tolist(), poses.confidence.tolist(), poses.scores.tolist(), strict=True)
        ):
            for joint, (x, y), c in zip(poses.skeleton.joints, keypoints, confidence, strict=True):
                place = (round(x, 2), round(y, 2)) if c > 0 else ("", "")
                self._table.writerow([picture.path.as_posix(), person, round(score, 4), joint, *place, round(c, 4)])

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open.__exit__(kind, error, trace)
